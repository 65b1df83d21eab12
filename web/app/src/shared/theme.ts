/** Light and dark: the system's wish, unless the person chose one here. */

export function applyStoredTheme(): void {
  const stored = localStorage.getItem('theme');
  if (stored === 'light' || stored === 'dark') {
    document.documentElement.dataset['theme'] = stored;
  }
}

export function switchTheme(): void {
  const root = document.documentElement;
  const chosen = root.dataset['theme'];
  const isDark =
    chosen === 'dark' ||
    (chosen === undefined && matchMedia('(prefers-color-scheme: dark)').matches);
  root.dataset['theme'] = isDark ? 'light' : 'dark';
  localStorage.setItem('theme', root.dataset['theme']);
}
