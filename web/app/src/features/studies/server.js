// @ts-check
// What is asked of the server: its small API and DICOMweb.

import { csrfHeader, failure, noteLoggedOut, ServerError } from '../../shared/api/request.ts';

/**
 * @typedef {{ name: string, version: string, ae_title: string, dicom_web: string,
 *   dicom: { address: string, port: number } | null }} Status
 * @typedef {{ patients: number, studies: number, series: number, instances: number,
 *   bytes: number, deleted_instances: number }} Statistics
 * @typedef {{ study_instance_uid: string, patient_name: string, patient_id: string,
 *   patient_birth_date: string, patient_sex: string, study_date: string, study_time: string,
 *   accession_number: string, description: string, modalities: string[],
 *   number_of_series: number, number_of_instances: number }} Study
 * @typedef {{ studies: Study[], has_more: boolean }} StudyPage
 * @typedef {{ uid: string, number: string, modality: string, description: string,
 *   instances: number }} Series
 * @typedef {{ uid: string, number: string, frames: number, sopClass: string }} Instance
 * @typedef {{ depth: number, tag: string, keyword: string, vr: string, value: string }} HeaderRow
 * @typedef {{ transfer_syntax: string, transfer_syntax_uid: string, elements: HeaderRow[],
 *   is_cut: boolean }} Header
 * @typedef {Record<string, { vr: string, Value?: any[] }>} DicomJson
 */

/**
 * @param {string} url
 * @param {{ accept?: string, signal?: AbortSignal }} [options]
 * @returns {Promise<any>} Nothing for an answer without a body.
 */
async function get(url, { accept = 'application/json', signal } = {}) {
  const response = await fetch(url, { headers: { Accept: accept }, signal: signal ?? null });
  if (response.status === 204) {
    return undefined;
  }
  if (!response.ok) {
    if (response.status === 401) {
      noteLoggedOut();
    }
    throw await failure(response);
  }
  return response.json();
}

/** @returns {Promise<Status>} */
export function status() {
  return get('api/status');
}

/** @returns {Promise<Statistics>} */
export function statistics() {
  return get('api/statistics');
}

/**
 * @param {{ search: string, offset: number, limit: number, signal?: AbortSignal }} page
 * @returns {Promise<StudyPage>}
 */
export function studies({ search, offset, limit, signal }) {
  const query = new URLSearchParams({ search, offset: String(offset), limit: String(limit) });
  return get(`api/studies?${query}`, signal ? { signal } : {});
}

/**
 * @param {DicomJson} dataSet
 * @param {string} tag
 */
function text(dataSet, tag) {
  const value = dataSet[tag]?.Value?.[0];
  if (value === undefined || value === null) {
    return '';
  }
  return typeof value === 'object' ? String(value.Alphabetic ?? '') : String(value);
}

/**
 * The study with this UID, as a search finds it; nothing when it is not there.
 *
 * @param {string} uid
 * @returns {Promise<DicomJson | undefined>}
 */
async function searchStudy(uid) {
  const accept = 'application/dicom+json';
  const query = new URLSearchParams({ StudyInstanceUID: uid });
  const found = await get(`dicom-web/studies?${query}`, { accept });
  return found?.[0];
}

/**
 * @param {string} uid
 * @returns {Promise<Study | undefined>}
 */
export async function study(uid) {
  const found = await searchStudy(uid);
  return (
    found && {
      study_instance_uid: uid,
      patient_name: text(found, '00100010'),
      patient_id: text(found, '00100020'),
      patient_birth_date: text(found, '00100030'),
      patient_sex: text(found, '00100040'),
      study_date: text(found, '00080020'),
      study_time: text(found, '00080030'),
      accession_number: text(found, '00080050'),
      description: text(found, '00081030'),
      modalities: (found['00080061']?.Value ?? []).map(String),
      number_of_series: Number(text(found, '00201206')),
      number_of_instances: Number(text(found, '00201208')),
    }
  );
}

/**
 * @param {string} study
 * @returns {Promise<Series[]>}
 */
export async function series(study) {
  const accept = 'application/dicom+json';
  /** @type {DicomJson[]} */
  const found = (await get(`dicom-web/studies/${study}/series`, { accept })) ?? [];
  const list = found.map((one) => ({
    uid: text(one, '0020000E'),
    number: text(one, '00200011'),
    modality: text(one, '00080060'),
    description: text(one, '0008103E'),
    instances: Number(text(one, '00201209')),
  }));
  return list.sort((a, b) => Number(a.number) - Number(b.number));
}

/**
 * @param {string} study
 * @param {string} series
 * @returns {Promise<Instance[]>}
 */
export async function instances(study, series) {
  const accept = 'application/dicom+json';
  /** @type {DicomJson[]} */
  const found = (await get(`${seriesPath(study, series)}/instances`, { accept })) ?? [];
  const list = found.map((one) => ({
    uid: text(one, '00080018'),
    number: text(one, '00200013'),
    // Only images have rows.
    frames: text(one, '00280010') ? Number(text(one, '00280008') || '1') : 0,
    sopClass: text(one, '00080016'),
  }));
  return list.sort((a, b) => Number(a.number) - Number(b.number));
}

/**
 * @param {string} study
 * @param {string} series
 * @param {string} instance
 * @param {AbortSignal} signal
 * @returns {Promise<Header>}
 */
export function header(study, series, instance, signal) {
  return get(`api/studies/${study}/series/${series}/instances/${instance}/header`, { signal });
}

/**
 * @param {string} study
 * @param {string} series
 */
function seriesPath(study, series) {
  return `dicom-web/studies/${study}/series/${series}`;
}

/**
 * @param {string} study
 * @param {string} series
 */
export function seriesThumbnail(study, series) {
  return `${seriesPath(study, series)}/thumbnail?viewport=256,256&accept=image/jpeg`;
}

/**
 * The picture of a frame; of an instance that has none, a sign for what it is.
 *
 * @param {string} study
 * @param {string} series
 * @param {Instance} instance
 * @param {number} frame
 */
export function picture(study, series, instance, frame) {
  if (instance.frames === 0) {
    return instanceThumbnail(study, series, instance.uid);
  }
  const path = `${seriesPath(study, series)}/instances/${instance.uid}/frames/${frame}`;
  return `${path}/thumbnail?viewport=768,768&accept=image/jpeg`;
}

/**
 * @param {string} study
 * @param {string} series
 * @param {string} instance
 */
export function instanceThumbnail(study, series, instance) {
  const path = `${seriesPath(study, series)}/instances/${instance}`;
  return `${path}/thumbnail?viewport=768,768&accept=image/jpeg`;
}

/**
 * @param {string} study
 * @param {string} series
 * @param {string} instance
 */
export function rendered(study, series, instance) {
  return `${seriesPath(study, series)}/instances/${instance}/rendered`;
}

/** @param {string} study */
export function zip(study) {
  return `dicom-web/studies/${study}?accept=application/zip`;
}

/**
 * Stores files by STOW-RS; tells how many bytes have gone.
 *
 * @param {File[]} files
 * @param {(sent: number) => void} onProgress
 * @returns {Promise<{ stored: number, failed: number }>}
 */
export function store(files, onProgress) {
  const boundary = `gantry-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
  /** @type {BlobPart[]} */
  const parts = [];
  for (const file of files) {
    parts.push(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`, file, '\r\n');
  }
  parts.push(`--${boundary}--\r\n`);
  const body = new Blob(parts);
  // fetch does not tell how far an upload is.
  const request = new XMLHttpRequest();
  request.open('POST', 'dicom-web/studies');
  request.setRequestHeader(
    'Content-Type',
    `multipart/related; type="application/dicom"; boundary="${boundary}"`,
  );
  request.setRequestHeader('Accept', 'application/dicom+json');
  for (const [name, value] of Object.entries(csrfHeader())) {
    request.setRequestHeader(name, value);
  }
  request.responseType = 'json';
  return new Promise((resolve, reject) => {
    request.upload.addEventListener('progress', (event) => onProgress(event.loaded));
    request.addEventListener('error', () => reject(new ServerError(0, 'the server was not reached')));
    request.addEventListener('load', () => {
      const answer = request.response;
      const length = (/** @type {string} */ tag) => answer?.[tag]?.Value?.length ?? 0;
      if (answer !== null && [200, 202, 409].includes(request.status)) {
        const failed = length('00081198') + length('0008119A');
        resolve({ stored: length('00081199'), failed });
      } else {
        const detail = answer?.detail ?? `the server answered ${request.status}`;
        reject(new ServerError(request.status, detail));
      }
    });
    request.send(body);
  });
}
