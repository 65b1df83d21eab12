// @ts-check
// DICOM values for people.

const count = new Intl.NumberFormat('en');

/**
 * @param {number} number
 * @param {string} singular
 * @param {string} [plural]
 */
export function counted(number, singular, plural = `${singular}s`) {
  return `${count.format(number)} ${number === 1 ? singular : plural}`;
}

/** @param {number} number */
export function number(number) {
  return count.format(number);
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/**
 * A person name (PS3.5 6.2.1): the first component group that has something, family name first.
 *
 * @param {string} name
 */
export function person(name) {
  const [alphabetic = '', ...others] = name.split('=');
  const [family = '', given = '', middle = '', prefix = '', suffix = ''] = alphabetic
    .split('^')
    .map((part) => part.trim());
  const first = [prefix, given, middle].filter(Boolean).join(' ');
  const last = [family, suffix].filter(Boolean).join(' ');
  const main = [last, first].filter(Boolean).join(', ');
  // Ideographic and phonetic names are written without a comma.
  const written = others
    .map((group) => group.split('^').map((part) => part.trim()).filter(Boolean).join(' '))
    .filter(Boolean);
  if (main === '') {
    return written.join(' · ');
  }
  return written.length > 0 ? `${main} (${written.join(' · ')})` : main;
}

/**
 * A date of eight digits; anything else as it is.
 *
 * @param {string} date
 */
export function date(date) {
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(date);
  return match ? `${match[1]}-${match[2]}-${match[3]}` : date;
}

/**
 * Hours and minutes of a time.
 *
 * @param {string} time
 */
export function time(time) {
  const match = /^(\d{2}):?(\d{2})/.exec(time);
  return match ? `${match[1]}:${match[2]}` : time;
}
