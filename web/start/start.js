// @ts-check
// The page: what the address asks for is shown; counts and status are kept up to date.

import { byId, el, fill } from './dom.js';
import * as format from './format.js';
import * as server from './server.js';
import { showStudyList } from './study-list.js';
import { showStudy } from './study-view.js';
import { acceptFiles } from './upload.js';

const REFRESH_MS = 10_000;

/** @type {server.Status | undefined} */
let status;
/** Whether the list on view is the one that says how to begin. */
let isEmpty = false;

function route() {
  const main = byId('main', HTMLElement);
  const [path = '', query = ''] = location.hash.replace(/^#/, '').split('?');
  const [, kind, studyUid, , seriesUid] = path.split('/');
  if (kind === 'study' && studyUid) {
    showStudy(main, studyUid, seriesUid).then(focusHeading, (error) => {
      fill(
        main,
        el('a', { class: 'back', href: '#/' }, '← Studies'),
        el('p', { class: 'none' }, `The study cannot be shown: ${error.message}`),
      );
    });
  } else {
    window.scrollTo(0, 0);
    showStudyList(main, new URLSearchParams(query), status);
  }
}

function focusHeading() {
  const heading = document.querySelector('main h1');
  if (heading instanceof HTMLElement && document.activeElement === document.body) {
    heading.focus({ preventScroll: true });
  }
}

async function showStatus() {
  status = await server.status();
  const endpoint = byId('endpoint', HTMLElement);
  const host = status.dicom?.address || location.hostname;
  const where = status.dicom ? `${status.ae_title} at ${host}:${status.dicom.port}` : status.ae_title;
  fill(endpoint, 'DICOM ', el('code', {}, where));
  endpoint.title = `Gantry ${status.version}`;
  endpoint.hidden = false;
}

async function showCounts() {
  const notice = byId('notice', HTMLElement);
  try {
    const numbers = await server.statistics();
    const counts = byId('counts', HTMLElement);
    const fact = (/** @type {string} */ name, /** @type {string} */ value) =>
      el('div', {}, el('dt', {}, name), el('dd', {}, value));
    fill(
      counts,
      fact('Patients', format.number(numbers.patients)),
      fact('Studies', format.number(numbers.studies)),
      fact('Instances', format.number(numbers.instances)),
      fact('Stored', format.size(numbers.bytes)),
    );
    counts.hidden = false;
    notice.hidden = true;
    const isFirst = isEmpty && numbers.studies > 0;
    isEmpty = numbers.studies === 0;
    if (isFirst && !location.hash.startsWith('#/study')) {
      route();
    }
  } catch (error) {
    notice.hidden = false;
    fill(notice, `The server does not answer: ${error instanceof Error ? error.message : ''}`);
  }
}

function keepTheme() {
  const root = document.documentElement;
  const stored = localStorage.getItem('theme');
  if (stored === 'light' || stored === 'dark') {
    root.dataset['theme'] = stored;
  }
  byId('theme-button', HTMLButtonElement).addEventListener('click', () => {
    const isDark =
      root.dataset['theme'] === 'dark' ||
      (root.dataset['theme'] === undefined && matchMedia('(prefers-color-scheme: dark)').matches);
    root.dataset['theme'] = isDark ? 'light' : 'dark';
    localStorage.setItem('theme', root.dataset['theme']);
  });
}

keepTheme();
acceptFiles(() => {
  void showCounts();
  if (!location.hash.startsWith('#/study')) {
    route();
  }
});
window.addEventListener('hashchange', route);
showStatus()
  .catch(() => undefined)
  .then(route);
void showCounts();
window.setInterval(() => {
  if (!document.hidden) {
    void showCounts();
  }
}, REFRESH_MS);
