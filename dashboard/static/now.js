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
 * @param {{window: string}} frame their windows
 * @returns {{end: number | null, age: number | null, why: '' | 'noRow' | 'from' | 'tooOld'}}
 */
export function worth(store, {limit_ms, length_ms, leaf}, start, frame) {
  if (start == null) {
    return {end: null, age: null, why: leaf && WINDOWS.indexOf(leaf) > WINDOWS.indexOf(frame.window) ? 'from' : 'noRow'};
  }
  const end = start + length_ms, age = store.now() - end;
  return {end, age, why: (store.layout?.run.kind === 'live' || store.frozen) && age > limit_ms ? 'tooOld' : ''};
}

/** The end of the newest window shown; null where there is none. @param {Store} store */
export function newest(store) {
  let end = -Infinity;
  const {layout, flow, zones} = store;
  for (const [places, {t}, each] of /** @type {[Place[], {t?: (number | null)[]}, number][]} */ (
    [[layout?.gates ?? [], flow, 3], [layout?.zones ?? [], zones, 1]])) {
    t?.forEach((start, row) => { if (start != null) end = Math.max(end, start + places[Math.floor(row / each)].length_ms); });
  }
  return end > -Infinity ? end : null;
}

/**
 * The time that is shown: of a run that is no live one where its newest window ends, else it would be years ago.
 * @param {Store} store
 */
export function time(store) {
  if (store.layout?.run.kind === 'live' || store.frozen) return store.now();
  let held = ends.get(store);
  if (!held || held.id !== store.id || held.layout !== store.layout) ends.set(store, held = {id: store.id, layout: store.layout, end: newest(store)});
  return held.end ?? store.now();
}

/** Asked for by each zone of a frame: worked out once a message. @type {WeakMap<Store, {id: string, layout: Store['layout'], end: number | null}>} */
const ends = new WeakMap();

/** Share of what should be seen that is: the mean of all zones, of gates where there are none; what is unknown counts 0. @param {Store} store */
export function observed(store) {
  const {layout, zones, flow} = store;
  if (!layout) return null;
  const rows = layout.zones.length && zones.c ? {places: layout.zones, columns: zones, each: 1} : {places: layout.gates, columns: flow, each: 3};
  let sum = 0, n = 0;
  rows.places.forEach((place, i) => {
    const {why} = worth(store, place, rows.columns.t?.[rows.each * i], layout), c = rows.columns.c?.[rows.each * i] ?? null;
    if (!why && c == null) return; // sensors that do not tell
    sum += why ? 0 : c ?? 0;
    n++;
  });
  return n ? sum / n : null;
}
