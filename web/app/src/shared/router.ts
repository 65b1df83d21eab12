import { useSyncExternalStore } from 'react';

/** Where the page is: what stands behind # in the address. */
export type Route = { parts: string[]; query: URLSearchParams; text: string };

function subscribe(changed: () => void): () => void {
  window.addEventListener('hashchange', changed);
  return () => {
    window.removeEventListener('hashchange', changed);
  };
}

export function useRoute(): Route {
  const text = useSyncExternalStore(subscribe, () => location.hash);
  return parse(text);
}

export function parse(hash: string): Route {
  const text = hash.replace(/^#/, '') || '/';
  const [path = '', query = ''] = text.split('?');
  const parts = path.split('/').filter((part) => part !== '');
  return { parts, query: new URLSearchParams(query), text };
}

export function go(path: string): void {
  location.hash = path;
}

/** As [`go`], without a step back to where one was. */
export function replace(path: string): void {
  history.replaceState(null, '', `#${path}`);
  window.dispatchEvent(new HashChangeEvent('hashchange'));
}
