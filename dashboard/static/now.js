/** What a row of figures is worth at this moment: one rule for all parts of the page. No DOM here. */

const WINDOWS = ['10s', '1m', '5m', '15m', '1h', '1d'];

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./store.js').Place} Place
 */

/**
 * When the figures that start at `start` were whole, how old they are, and why they are unknown: '' if they are not,
 * else a key of the words. Only live figures grow too old, and played ones as they did
 * then: in a run that is a replay itself their time is the run's.
 * @param {Store} store @param {Place} place @param {number | null | undefined} start
 * @param {{window: string, length_ms: number}} frame their windows
 * @returns {{end: number | null, age: number | null, why: '' | 'noRow' | 'from' | 'tooOld'}}
 */
export function worth(store, {limit_ms, leaf}, start, frame) {
  if (start == null) {
    return {end: null, age: null, why: leaf && WINDOWS.indexOf(leaf) > WINDOWS.indexOf(frame.window) ? 'from' : 'noRow'};
  }
  const end = start + frame.length_ms, age = store.now() - end;
  return {end, age, why: (store.layout?.run.kind === 'live' || store.frozen) && age > limit_ms ? 'tooOld' : ''};
}

/** The end of the newest window shown; null where there is none. @param {Store} store */
export function newest(store) {
  let start = -Infinity;
  for (const {t} of [store.flow, store.zones]) for (const x of t ?? []) if (x != null && x > start) start = x;
  return store.layout && start > -Infinity ? start + store.layout.length_ms : null;
}
