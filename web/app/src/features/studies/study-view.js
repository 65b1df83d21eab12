// @ts-check
// A study: its series with a key image each; and of the chosen series the images and headers.

import { el, fill } from './dom.js';
import * as format from './format.js';
import { HeaderTable } from './header-table.js';
import * as server from './server.js';

/**
 * The study on view, so that choosing another of its series changes no more than it has to.
 *
 * @type {{ uid: string, list: HTMLElement, series: server.Series[] } | undefined}
 */
let shown;

/**
 * @param {HTMLElement} main
 * @param {string} studyUid
 * @param {string | undefined} seriesUid
 */
export async function showStudy(main, studyUid, seriesUid) {
  if (shown?.uid !== studyUid || !main.contains(shown.list)) {
    shown = await load(main, studyUid);
  }
  if (shown === undefined) {
    return;
  }
  const chosen = shown.series.find((one) => one.uid === seriesUid);
  for (const link of shown.list.querySelectorAll('a')) {
    const isChosen = chosen !== undefined && link.href.endsWith(chosen.uid);
    link.toggleAttribute('aria-current', isChosen);
  }
  main.querySelector('.viewer')?.remove();
  if (chosen) {
    await showSeries(main, studyUid, chosen);
  }
}

/**
 * Shows what a study is and its series.
 *
 * @param {HTMLElement} main
 * @param {string} studyUid
 */
async function load(main, studyUid) {
  window.scrollTo(0, 0);
  const back = el('a', { class: 'back', href: '#/' }, '← Studies');
  fill(main, back, el('p', { class: 'none' }, 'Loading…'));
  const [study, series] = await Promise.all([server.study(studyUid), server.series(studyUid)]);
  if (study === undefined) {
    fill(main, back, el('p', { class: 'none' }, 'There is no such study.'));
    return undefined;
  }
  const list = el('ul', { class: 'series' }, ...series.map((one) => card(studyUid, one)));
  fill(main, back, heading(study), list);
  return { uid: studyUid, list, series };
}

/** @param {server.Study} study */
function heading(study) {
  const facts = [
    study.patient_id,
    [format.date(study.patient_birth_date), study.patient_sex].filter(Boolean).join(' '),
    [format.date(study.study_date), format.time(study.study_time)].filter(Boolean).join(' '),
    study.description,
    study.accession_number,
  ];
  return el(
    'header',
    { class: 'study' },
    el('h1', { tabindex: '-1' }, el('bdi', {}, format.person(study.patient_name) || '(no name)')),
    el('p', {}, el('bdi', {}, facts.filter(Boolean).join(' · '))),
    el(
      'p',
      { class: 'links' },
      el('a', { href: server.zip(study.study_instance_uid), download: true }, 'Download as ZIP'),
      el('code', { class: 'uid' }, study.study_instance_uid),
    ),
  );
}

/**
 * @param {string} studyUid
 * @param {server.Series} series
 */
function card(studyUid, series) {
  const name = series.description || '(no description)';
  return el(
    'li',
    {},
    el(
      'a',
      { href: `#/study/${studyUid}/series/${series.uid}` },
      el('img', {
        src: server.seriesThumbnail(studyUid, series.uid),
        alt: `Key image of series ${series.number} ${name}`,
        width: 256,
        height: 256,
        loading: 'lazy',
        decoding: 'async',
      }),
      el('span', { class: 'name' }, el('bdi', {}, name)),
      el(
        'span',
        { class: 'facts' },
        series.modality && el('span', { class: 'chip' }, series.modality),
        [series.number && `series ${series.number}`, format.counted(series.instances, 'instance')]
          .filter(Boolean)
          .join(' · '),
      ),
    ),
  );
}

/**
 * @param {HTMLElement} main
 * @param {string} studyUid
 * @param {server.Series} series
 */
async function showSeries(main, studyUid, series) {
  const instances = await server.instances(studyUid, series.uid);
  if (instances.length === 0) {
    return;
  }
  const viewer = new SeriesViewer(studyUid, series.uid, instances);
  main.querySelector('.viewer')?.remove();
  main.append(viewer.element);
  viewer.show(Math.floor(viewer.pictures.length / 2));
  viewer.element.scrollIntoView({ block: 'nearest' });
}

/** Scrolls through the pictures of a series and shows the header of the instance on view. */
class SeriesViewer {
  /**
   * @param {string} studyUid
   * @param {string} seriesUid
   * @param {server.Instance[]} instances
   */
  constructor(studyUid, seriesUid, instances) {
    this.studyUid = studyUid;
    this.seriesUid = seriesUid;
    this.pictures = instances.flatMap((instance) =>
      Array.from({ length: Math.max(1, instance.frames) }, (_, at) => ({ instance, frame: at + 1 })),
    );
    this.header = new HeaderTable();
    this.shownInstance = '';
    this.image = el('img', { alt: '', width: 768, height: 768 });
    this.caption = el('figcaption', { 'aria-live': 'polite' });
    this.slider = el('input', {
      type: 'range',
      min: 0,
      max: this.pictures.length - 1,
      step: 1,
      'aria-label': 'Image',
      oninput: () => this.show(Number(this.slider.value)),
    });
    this.slider.hidden = this.pictures.length < 2;
    this.image.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    this.image.addEventListener('error', () => this.showInstanceSign());
    this.element = el(
      'section',
      { class: 'viewer', 'aria-label': 'Images and header' },
      el('figure', {}, this.image, this.slider, this.caption),
      this.header.element,
    );
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    if (this.pictures.length > 1 && event.deltaY !== 0) {
      event.preventDefault();
      this.show(Number(this.slider.value) + Math.sign(event.deltaY));
    }
  }

  /** @param {number} at */
  show(at) {
    const index = Math.min(Math.max(at, 0), this.pictures.length - 1);
    const picture = this.pictures[index];
    if (picture === undefined) {
      return;
    }
    const { instance, frame } = picture;
    this.slider.value = String(index);
    this.image.src = server.picture(this.studyUid, this.seriesUid, instance, frame);
    const frames = instance.frames > 1 ? `, frame ${frame} of ${instance.frames}` : '';
    const position = `${index + 1} of ${this.pictures.length}`;
    this.image.alt = `Image ${position}`;
    fill(
      this.caption,
      `${position} · instance ${instance.number || '–'}${frames} `,
      el(
        'a',
        { href: server.rendered(this.studyUid, this.seriesUid, instance.uid), target: '_blank', rel: 'noopener' },
        'open rendered',
      ),
    );
    if (this.shownInstance !== instance.uid) {
      this.shownInstance = instance.uid;
      void this.header.load(this.studyUid, this.seriesUid, instance.uid);
    }
  }

  /** What has no frames has a sign instead. */
  showInstanceSign() {
    const sign = server.instanceThumbnail(this.studyUid, this.seriesUid, this.shownInstance);
    if (!this.image.src.endsWith(sign)) {
      this.image.src = sign;
    }
  }
}
