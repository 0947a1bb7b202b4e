/** Times as people type them, in the time zone of a run: one form, whatever the browser's language. No DOM here. */
import {formatOf, offset} from './figures.js';
import {lang} from './i18n.js';

export const FORM = 'YYYY-MM-DD HH:MM';
const TYPED = /^(\d{4})[-/](\d{1,2})[-/](\d{1,2})[T ]+(\d{1,2}):(\d{2})(?::(\d{2}))?$/;

/** A time in that form, to the minute; to the second where it is not a whole minute. @param {number} ms @param {string} zone */
export function toLocal(ms, zone) {
  // Sweden writes dates so
  const text = formatOf(`plain ${zone}`, 'sv-SE', {dateStyle: 'short', timeStyle: 'medium'}, zone).format(ms);
  return text.endsWith(':00') ? text.slice(0, -3) : text;
}

/**
 * The time that a text in that form tells, seconds or not, also in wide digits; null where it tells none. Of an hour
 * that comes twice it is the first, and a time that the local clock skips counts on from before the gap.
 * @param {string} text @param {string} zone
 */
export function fromLocal(text, zone) {
  const [year, month, day, hour, minute, second] = (text.normalize('NFKC').trim().match(TYPED)?.slice(1) ?? []).map((n) => Number(n ?? 0));
  if (year === undefined || hour > 23 || minute > 59 || second > 59) return null;
  const days = (Date.UTC(year, month, 1) - Date.UTC(year, month - 1, 1)) / 86_400_000;
  if (month < 1 || month > 12 || day < 1 || day > days) return null;
  const plain = Date.UTC(year, month - 1, day, hour, minute, second);
  // the offsets around it; the earlier time whose local clock shows the text
  const tried = [offset(plain - 86_400_000, zone), offset(plain + 86_400_000, zone)].map((ahead) => plain - ahead).sort((a, b) => a - b);
  return tried.find((ms) => ms + offset(ms, zone) === plain) ?? plain - offset(plain - 86_400_000, zone);
}

/** What the zone is called at that time, as clocks of this page say it. @param {number} ms @param {string} zone */
export function zoneName(ms, zone) {
  const format = formatOf(`name ${lang} ${zone}`, lang === 'ja' ? 'ja-JP' : 'en-GB', {timeZoneName: 'short'}, zone);
  return format.formatToParts(ms).find(({type}) => type === 'timeZoneName')?.value ?? zone;
}

/**
 * Make a field one for such a time: what is typed is put into the form when it is left.
 * @param {HTMLInputElement} input @param {() => string} zone
 */
export function timeField(input, zone) {
  Object.assign(input, {type: 'text', placeholder: FORM, size: 19, maxLength: 19, autocomplete: 'off', spellcheck: false, className: 'time-field num'});
  input.addEventListener('change', () => {
    const ms = fromLocal(input.value, zone());
    if (ms != null) input.value = toLocal(ms, zone());
    input.toggleAttribute('aria-invalid', false);
  });
}
