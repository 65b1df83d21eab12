// @ts-check
// The list of studies: search, pages, and what to do when there are none.

import { byId, el, fill, later } from './dom.js';
import * as format from './format.js';
import * as server from './server.js';

const PAGE = 50;

/**
 * Shows the list. What was searched and how far one has paged is in the address.
 *
 * @param {HTMLElement} main
 * @param {URLSearchParams} query
 * @param {server.Status | undefined} status
 */
export function showStudyList(main, query, status) {
  const search = query.get('search') ?? '';
  const offset = Number(query.get('offset') ?? '0') || 0;
  const box = el('input', {
    type: 'search',
    id: 'search',
    value: search,
    placeholder: 'Name, patient ID or accession number',
    autocomplete: 'off',
    spellcheck: 'false',
  });
  const results = el('div', { class: 'results', 'aria-live': 'polite' });
  fill(
    main,
    el(
      'form',
      { class: 'search', role: 'search', onsubmit: (event) => event.preventDefault() },
      el('label', { for: 'search' }, 'Search studies'),
      box,
    ),
    results,
  );
  const loader = new Loader(results, status);
  box.addEventListener(
    'input',
    later(200, () => {
      history.replaceState(null, '', address(box.value.trim(), 0));
      loader.load(box.value.trim(), 0);
    }),
  );
  loader.load(search, offset);
}

class Loader {
  /**
   * @param {HTMLElement} results
   * @param {server.Status | undefined} status
   */
  constructor(results, status) {
    this.results = results;
    this.status = status;
    /** @type {AbortController | undefined} */
    this.running = undefined;
  }

  /**
   * @param {string} search
   * @param {number} offset
   */
  async load(search, offset) {
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    try {
      const page = await server.studies({ search, offset, limit: PAGE, signal: running.signal });
      if (page.studies.length > 0) {
        fill(this.results, table(page.studies), pager(search, offset, page));
      } else if (search !== '' || offset > 0) {
        fill(this.results, el('p', { class: 'none' }, 'No study matches.'));
      } else {
        fill(this.results, empty(this.status));
      }
    } catch (error) {
      if (!running.signal.aborted) {
        fill(this.results, el('p', { class: 'none' }, `The list cannot be shown: ${message(error)}`));
      }
    }
  }
}

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * @param {string} search
 * @param {number} offset
 */
function address(search, offset) {
  const query = new URLSearchParams();
  if (search !== '') {
    query.set('search', search);
  }
  if (offset > 0) {
    query.set('offset', String(offset));
  }
  const text = query.toString();
  return text === '' ? '#/' : `#/?${text}`;
}

/** @param {server.Study[]} studies */
function table(studies) {
  const head = ['Patient', 'Patient ID', 'Birth date', 'Study', 'Date', 'Modality', 'Accession', 'Images'];
  return el(
    'div',
    { class: 'scroll' },
    el(
      'table',
      { class: 'studies' },
      el('thead', {}, el('tr', {}, ...head.map((name) => el('th', { scope: 'col' }, name)))),
      el('tbody', {}, ...studies.map(row)),
    ),
  );
}

/** @param {server.Study} study */
function row(study) {
  const link = `#/study/${study.study_instance_uid}`;
  const name = format.person(study.patient_name) || '(no name)';
  const when = [format.date(study.study_date), format.time(study.study_time)];
  const cell = (/** @type {string} */ label, /** @type {import('./dom.js').Child[]} */ ...content) =>
    el('td', { 'data-label': label }, ...content);
  const fixed = (/** @type {string} */ label, /** @type {string} */ text) =>
    el('td', { 'data-label': label, class: 'fixed' }, text);
  return el(
    'tr',
    {
      onclick: (/** @type {MouseEvent} */ event) => {
        const isLink = event.target instanceof Element && event.target.closest('a');
        if (!isLink && getSelection()?.isCollapsed !== false) {
          location.hash = link;
        }
      },
    },
    el('th', { scope: 'row', 'data-label': 'Patient' }, el('a', { href: link }, el('bdi', {}, name))),
    fixed('Patient ID', study.patient_id),
    fixed('Birth date', [format.date(study.patient_birth_date), study.patient_sex].filter(Boolean).join(' · ')),
    cell('Study', study.description && el('bdi', {}, study.description)),
    fixed('Date', when.filter(Boolean).join(' ')),
    cell(
      'Modality',
      el('span', {}, ...study.modalities.map((modality) => el('span', { class: 'chip' }, modality))),
    ),
    fixed('Accession', study.accession_number),
    fixed(
      'Images',
      `${format.number(study.number_of_instances)} in ${format.counted(study.number_of_series, 'series', 'series')}`,
    ),
  );
}

/**
 * @param {string} search
 * @param {number} offset
 * @param {server.StudyPage} page
 */
function pager(search, offset, page) {
  const from = offset + 1;
  const to = offset + page.studies.length;
  const link = (/** @type {string} */ text, /** @type {number} */ at, /** @type {boolean} */ isThere) =>
    isThere
      ? el('a', { class: 'button', href: address(search, at) }, text)
      : el('span', { class: 'button disabled', 'aria-disabled': 'true' }, text);
  return el(
    'nav',
    { class: 'pager', 'aria-label': 'Pages of studies' },
    link('Newer', Math.max(0, offset - PAGE), offset > 0),
    el('span', {}, `${format.number(from)}–${format.number(to)}`),
    link('Older', offset + PAGE, page.has_more),
  );
}

/**
 * Says how to get the first study in.
 *
 * @param {server.Status | undefined} status
 */
function empty(status) {
  const host = status?.dicom?.address || location.hostname;
  const fact = (/** @type {string} */ name, /** @type {string} */ value) => [
    el('dt', {}, name),
    el('dd', {}, el('code', {}, value)),
  ];
  return el(
    'section',
    { class: 'empty' },
    el('h1', {}, 'No studies yet'),
    el('p', {}, 'Point a modality or another archive here:'),
    el(
      'dl',
      {},
      ...fact('AE title', status?.ae_title ?? '…'),
      ...fact('Address', host),
      ...fact('Port', status?.dicom ? String(status.dicom.port) : 'see the server’s first lines'),
    ),
    el('p', {}, 'or drop DICOM files and folders on this page, or run '),
    el('pre', {}, el('code', {}, 'gantry import PATH  # what is on disk\ngantry demo         # made-up studies')),
    el(
      'p',
      {},
      el(
        'button',
        { type: 'button', onclick: () => byId('upload-files', HTMLInputElement).click() },
        'Upload files',
      ),
    ),
  );
}
