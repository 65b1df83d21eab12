// @ts-check
// The header of an instance as a table that can be searched.

import { el, fill, later } from './dom.js';
import * as format from './format.js';
import * as server from './server.js';

export class HeaderTable {
  constructor() {
    /** @type {server.HeaderRow[]} */
    this.rows = [];
    /** @type {AbortController | undefined} */
    this.running = undefined;
    this.box = el('input', {
      type: 'search',
      id: 'header-search',
      placeholder: 'Tag, keyword or value',
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: later(80, () => this.filter()),
    });
    this.about = el('p', { class: 'about', 'aria-live': 'polite' });
    this.body = el('tbody');
    const head = ['Tag', 'VR', 'Keyword', 'Value'].map((name) => el('th', { scope: 'col' }, name));
    this.element = el(
      'section',
      { class: 'header', 'aria-label': 'Header' },
      el(
        'form',
        { role: 'search', onsubmit: (event) => event.preventDefault() },
        el('label', { for: 'header-search' }, 'Search header'),
        this.box,
        this.about,
      ),
      el(
        'div',
        { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Header elements' },
        el('table', {}, el('thead', {}, el('tr', {}, ...head)), this.body),
      ),
    );
  }

  /**
   * Shows the header of an instance; one that is still being loaded is given up.
   *
   * @param {string} study
   * @param {string} series
   * @param {string} instance
   */
  async load(study, series, instance) {
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    try {
      const header = await server.header(study, series, instance, running.signal);
      this.rows = header.elements;
      this.syntax = header.transfer_syntax;
      this.filter();
    } catch (error) {
      if (!running.signal.aborted) {
        this.rows = [];
        fill(this.body);
        fill(this.about, `The header cannot be shown: ${error instanceof Error ? error.message : ''}`);
      }
    }
  }

  filter() {
    const words = this.box.value.trim().toLowerCase();
    const shown = this.rows.filter((row) => matches(row, words));
    fill(this.body, ...shown.map(line));
    const of = words === '' ? '' : `${format.number(shown.length)} of `;
    fill(this.about, `${of}${format.counted(this.rows.length, 'element')} · ${this.syntax ?? ''}`);
  }
}

/**
 * @param {server.HeaderRow} row
 * @param {string} words
 */
function matches(row, words) {
  if (words === '') {
    return true;
  }
  const digits = words.replace(/[(),\s]/g, '');
  const tag = row.tag.replace(/[(),]/g, '').toLowerCase();
  return (
    (digits.length >= 4 && tag.includes(digits)) ||
    row.keyword.toLowerCase().includes(words) ||
    row.value.toLowerCase().includes(words)
  );
}

/** @param {server.HeaderRow} row */
function line(row) {
  const name = row.keyword || (row.tag === '' ? '' : 'private or unknown');
  return el(
    'tr',
    { class: `depth-${Math.min(row.depth, 8)}` },
    el('td', {}, el('code', {}, row.tag)),
    el('td', {}, row.vr),
    el('td', row.keyword ? {} : { class: 'weak' }, name),
    el('td', {}, row.value),
  );
}
