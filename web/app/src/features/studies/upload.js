// @ts-check
// Storing files that are dropped on the page or chosen.

import { byId, el, fill } from './dom.js';
import * as format from './format.js';
import * as server from './server.js';

const BATCH_FILES = 100;
const BATCH_BYTES = 64 * 1024 * 1024;
const REQUESTS = 2;

/**
 * Makes the page take files, until `signal` is aborted.
 *
 * @param {() => void} onStored Called when something new is there.
 * @param {AbortSignal} signal
 */
export function acceptFiles(onStored, signal) {
  const queue = new UploadQueue(onStored);
  const files = byId('upload-files', HTMLInputElement);
  const folder = byId('upload-folder', HTMLInputElement);
  for (const input of [files, folder]) {
    input.addEventListener('change', () => {
      queue.add([...(input.files ?? [])]);
      input.value = '';
    }, { signal });
  }
  acceptDrops(queue, signal);
}

/**
 * @param {UploadQueue} queue
 * @param {AbortSignal} signal
 */
function acceptDrops(queue, signal) {
  const drop = byId('drop', HTMLDivElement);
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files') === true;
  window.addEventListener('dragenter', (event) => {
    if (hasFiles(event)) {
      drop.hidden = false;
    }
  }, { signal });
  window.addEventListener('dragover', (event) => {
    if (hasFiles(event)) {
      event.preventDefault();
    }
  }, { signal });
  drop.addEventListener('dragleave', () => {
    drop.hidden = true;
  }, { signal });
  window.addEventListener('drop', (event) => {
    drop.hidden = true;
    if (hasFiles(event) && event.dataTransfer) {
      event.preventDefault();
      void collect(event.dataTransfer).then((files) => queue.add(files));
    }
  }, { signal });
}

/**
 * The files of a drop, those in folders too.
 *
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>}
 */
async function collect(transfer) {
  // Entries have to be taken before anything is waited for: the list is emptied after the event.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  const plain = [...transfer.files];
  if (entries.some((entry) => entry?.isDirectory)) {
    const lists = await Promise.all(entries.map((entry) => (entry ? filesOf(entry) : [])));
    return lists.flat();
  }
  return plain;
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<File[]>}
 */
async function filesOf(entry) {
  if (entry.isFile) {
    const file = /** @type {FileSystemFileEntry} */ (entry);
    return [await new Promise((resolve, reject) => file.file(resolve, reject))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {File[]} */
  const files = [];
  for (;;) {
    // A reader gives a hundred entries at a time, and none at the end.
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) {
      return files;
    }
    for (const child of some) {
      files.push(...(await filesOf(child)));
    }
  }
}

class UploadQueue {
  /** @param {() => void} onStored */
  constructor(onStored) {
    this.onStored = onStored;
    this.panel = byId('upload', HTMLElement);
    /** @type {File[][]} */
    this.batches = [];
    this.running = 0;
    this.bytes = 0;
    this.sent = 0;
    this.files = 0;
    this.stored = 0;
    this.failed = 0;
    /** @type {string[]} */
    this.errors = [];
  }

  /** Counts begin again with the first files after everything was done. */
  reset() {
    this.bytes = 0;
    this.sent = 0;
    this.files = 0;
    this.stored = 0;
    this.failed = 0;
    this.errors = [];
  }

  /** @param {File[]} files */
  add(files) {
    if (files.length === 0) {
      return;
    }
    if (this.running === 0 && this.batches.length === 0) {
      this.reset();
    }
    this.files += files.length;
    this.bytes += files.reduce((sum, file) => sum + file.size, 0);
    this.batches.push(...batches(files));
    while (this.running < REQUESTS && this.batches.length > 0) {
      void this.run();
    }
    this.show();
  }

  async run() {
    this.running += 1;
    for (let batch = this.batches.shift(); batch; batch = this.batches.shift()) {
      await this.send(batch);
    }
    this.running -= 1;
    this.show();
    if (this.running === 0) {
      this.onStored();
    }
  }

  /** @param {File[]} batch */
  async send(batch) {
    const size = batch.reduce((sum, file) => sum + file.size, 0);
    let counted = 0;
    try {
      const outcome = await server.store(batch, (sent) => {
        const now = Math.min(sent, size);
        this.sent += now - counted;
        counted = now;
        this.show();
      });
      this.stored += outcome.stored;
      this.failed += outcome.failed;
    } catch (error) {
      this.failed += batch.length;
      const text = error instanceof Error ? error.message : String(error);
      if (!this.errors.includes(text)) {
        this.errors.push(text);
      }
    }
    this.sent += size - counted;
    this.show();
  }

  show() {
    const isDone = this.running === 0 && this.batches.length === 0;
    this.panel.hidden = false;
    const text = isDone
      ? `${format.counted(this.stored, 'instance')} stored`
      : `Storing ${format.counted(this.files, 'file')}: ${format.size(this.sent)} of ${format.size(this.bytes)}`;
    const failed = this.failed > 0 ? `, ${format.counted(this.failed, 'file')} not stored` : '';
    fill(
      this.panel,
      el('p', {}, text + failed, ...this.errors.map((error) => el('span', { class: 'error' }, error))),
      isDone
        ? el('button', { type: 'button', class: 'quiet', onclick: () => this.close() }, 'Close')
        : el('progress', { max: Math.max(1, this.bytes), value: this.sent, 'aria-label': 'Upload' }),
    );
  }

  close() {
    this.panel.hidden = true;
  }
}

/**
 * Cuts files into requests of a size that can be repeated.
 *
 * @param {File[]} files
 * @returns {File[][]}
 */
export function batches(files) {
  /** @type {File[][]} */
  const cut = [];
  /** @type {File[]} */
  let batch = [];
  let bytes = 0;
  for (const file of files) {
    if (batch.length > 0 && (batch.length >= BATCH_FILES || bytes + file.size > BATCH_BYTES)) {
      cut.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.size;
  }
  if (batch.length > 0) {
    cut.push(batch);
  }
  return cut;
}
