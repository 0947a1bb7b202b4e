/** Which of a zone's limits hold at a time: bands of days and hours, as engine/thresholds.py has them. No DOM here. */
import {offset} from './figures.js';
import {time} from './now.js';

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const DAY_MIN = 1440;

/**
 * @typedef {import('./store.js').Limit} Limit
 * @typedef {import('./store.js').Store} Store
 */

let at = {key: '', day: 0, minute: 0};

/** The local day (0 = Monday) and minute of a time. @param {number} ms @param {string} timeZone */
function local(ms, timeZone) {
  const minute = Math.floor(ms / 60_000), key = `${minute} ${timeZone}`;
  if (key !== at.key) {
    const told = minute + Math.round(offset(ms, timeZone) / 60_000), day = Math.floor(told / DAY_MIN);
    at = {key, day: ((day + 3) % 7 + 7) % 7, minute: told - day * DAY_MIN};
  }
  return at;
}

/** @param {string} text HH:MM */
function minuteOf(text) { return Number(text.slice(0, 2)) * 60 + Number(text.slice(3)); }

/** Whether a limit's band holds; one over midnight belongs to the day on which it begins. @param {Limit} limit @param {number} day @param {number} minute */
export function holds({days, from, to}, day, minute) {
  const on = (/** @type {number} */ d) => !days?.length || days.includes(DAYS[d]);
  if (!from || !to) return on(day);
  const start = minuteOf(from), end = minuteOf(to);
  if (start < end) return on(day) && minute >= start && minute < end;
  return (on(day) && minute >= start) || (on((day + 6) % 7) && minute < end);
}

/**
 * The limits of density that hold now: of each rule the first that fits. @param {Store} store
 * @param {import('./store.js').Place} zone @returns {Limit[]}
 */
export function limitsNow(store, {limits}) {
  if (!limits?.length) return [];
  const {day, minute} = local(time(store), store.layout?.run.timezone ?? 'UTC'), rules = new Set();
  return limits.filter((limit) => {
    if (limit.kind !== 'density' || rules.has(limit.rule) || !holds(limit, day, minute)) return false;
    rules.add(limit.rule);
    return true;
  });
}
