/** Times of a date-time input, in the time zone of a run. No DOM here. */
import {formatOf, offset} from './figures.js';

/** The value of a date-time input for a time, to the second. @param {number} ms @param {string} zone */
export function toLocal(ms, zone) {
  // Sweden writes dates as the input does
  return formatOf(`plain ${zone}`, 'sv-SE', {dateStyle: 'short', timeStyle: 'medium'}, zone).format(ms).replace(' ', 'T');
}

/**
 * The time that a date-time input tells; null where it tells none. Of an hour that comes twice it is the first, and a
 * time that the local clock skips counts on from before the gap.
 * @param {string} value @param {string} zone
 */
export function fromLocal(value, zone) {
  const plain = Date.parse(`${value}Z`);
  if (Number.isNaN(plain)) return null;
  // the offsets around it; the earlier time whose local clock shows the value
  const tried = [offset(plain - 86_400_000, zone), offset(plain + 86_400_000, zone)].map((ahead) => plain - ahead).sort((a, b) => a - b);
  return tried.find((ms) => ms + offset(ms, zone) === plain) ?? plain - offset(plain - 86_400_000, zone);
}
