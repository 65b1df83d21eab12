const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const toTheSecond = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const count = new Intl.NumberFormat('en');

/** A time of the server, in microseconds since 1970. */
export function time(microseconds: number): string {
  return moment.format(new Date(microseconds / 1000));
}

/** A time as RFC 3339 writes it. */
export function timeOfText(text: string): string {
  return toTheSecond.format(new Date(text));
}

export function number(value: number): string {
  return count.format(value);
}

export function counted(value: number, singular: string, plural = `${singular}s`): string {
  return `${count.format(value)} ${value === 1 ? singular : plural}`;
}

/** `a, b and c`. */
export function list(words: readonly string[]): string {
  if (words.length < 2) {
    return words.join('');
  }
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
}

/** Browser and system, as far as a browser says. */
export function browser(userAgent: string): string {
  const known: [RegExp, string][] = [
    [/Edg\//, 'Edge'],
    [/OPR\//, 'Opera'],
    [/Firefox\//, 'Firefox'],
    [/Chrom(e|ium)\//, 'Chrome'],
    [/Safari\//, 'Safari'],
    [/curl\//, 'curl'],
  ];
  const systems: [RegExp, string][] = [
    [/Android/, 'Android'],
    [/iPhone|iPad/, 'iOS'],
    [/Windows/, 'Windows'],
    [/Mac OS X/, 'macOS'],
    [/Linux/, 'Linux'],
  ];
  const find = (table: [RegExp, string][]) => table.find(([sign]) => sign.test(userAgent))?.[1];
  const name = find(known) ?? (userAgent.slice(0, 40) || 'unknown');
  const system = find(systems);
  return system === undefined ? name : `${name} on ${system}`;
}
