/** What holds of each zone at this moment, for all parts of the operator's page. No DOM here. */
import {figure, SHOWN_FROM_R, unknown} from './figures.js';
import {worth} from './now.js';

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./store.js').Layout} Layout
 * @typedef {object} ZoneNow
 * @property {string} id
 * @property {number} grade 1 = A … 6 = F, 0 = unknown
 * @property {string} why it is unknown, a key of the words; '' where it is graded
 * @property {number | null} age of its newest figures, ms
 * @property {number | null} dens people per m²
 * @property {number | null} low bounds of the same, by who may be inside
 * @property {number | null} high
 * @property {number | null} pace m/s
 * @property {number | null} coverage 0..1
 * @property {() => {text: string, kind: string}[]} flows people in, people out, in words
 * @property {number | null} passed people in and out, the middle of their range
 * @property {number | null} way mean heading, degrees from north; null where people have no way in common
 * @property {number | null} r its resultant length
 */

/** @type {WeakMap<Layout, {ways: Map<string, number>, seen: Set<string> | null}>} */
const known = new WeakMap();

/** @param {Layout} layout */
function indexed(layout) {
  let found = known.get(layout);
  if (!found) {
    found = {ways: new Map(layout.headings.zones.map(({id}, row) => [id, row])), seen: seen(layout)};
    known.set(layout, found);
  }
  return found;
}

/** Zones that some sensor or some gate with sensors sees; null where the layout names no sensors. @param {Layout} layout */
function seen({sensors, gates}) {
  if (!sensors?.length) return null;
  const found = new Set(sensors.map(({zone}) => zone ?? ''));
  for (const gate of gates) if (gate.sensors?.length) for (const zone of gate.zones ?? []) found.add(zone ?? '');
  return found;
}

/** Whether no sensor sees a zone. @param {Layout} layout @param {string} zone */
export function blind(layout, zone) {
  const {seen: found} = indexed(layout);
  return found != null && !found.has(zone);
}

/** @type {WeakMap<Store, {layout: Layout | null, key: string, zones: ZoneNow[]}>} */
const held = new WeakMap();

/** All zones now, in the layout's order; worked out once for all parts of a frame. @param {Store} store */
function allNow(store) {
  // another message, or as much time as may make figures too old
  const key = `${store.id} ${Math.floor(store.now() / 100)}`, before = held.get(store);
  if (before && before.key === key && before.layout === store.layout) return before.zones;
  const zones = store.layout?.zones.map((_, row) => read(store, row)) ?? [];
  held.set(store, {layout: store.layout, key, zones});
  return zones;
}

/** @param {Store} store @param {number} row of the layout's zones */
export function zoneNow(store, row) { return allNow(store)[row]; }

/** @param {Store} store @param {number} row @returns {ZoneNow} */
function read(store, row) {
  const layout = /** @type {Layout} */ (store.layout), place = layout.zones[row], z = store.zones;
  const {why: stale, age} = worth(store, place, z.t?.[row], layout);
  if (stale) {
    return {id: place.id, grade: 0, why: stale, age, dens: null, low: null, high: null, pace: null, coverage: null,
      flows: () => [unknown(stale), unknown(stale)], passed: null, way: null, r: null};
  }
  const observed = z.s[row] !== 0, grade = z.los[row] ?? 0, area = place.area_m2 ?? 0;
  // with the error of the count, as graded (dashboard/because.py)
  const wrong = Math.max(z.err?.[row] ?? 0, 0), per = (/** @type {number | null} */ n, /** @type {number} */ by) => n == null || !area ? null : Math.max(0, n + by) / area;
  const flows = () => ['in', 'out'].map((side) => // numbers are put in words for the rows only that are shown
    figure(z.s[row] === 0 ? 0 : null, z[side][row], z[`${side}_lo`][row], z[`${side}_hi`][row], layout.k));
  const middle = ['in', 'out'].map((side) => {
    const lo = z[`${side}_lo`][row], hi = z[`${side}_hi`][row];
    return lo == null || hi == null ? null : (lo + hi) / 2;
  });
  return {
    id: place.id, grade, why: grade ? '' : observed ? 'notGraded' : 'notObserved', age, dens: z.dens[row] ?? null,
    low: per(z.occ_lo[row], -wrong), high: per(z.occ_hi[row], wrong), pace: z.pace[row] ?? null, coverage: z.c[row] ?? null,
    flows, passed: middle[0] == null || middle[1] == null ? null : middle[0] + middle[1],
    ...wayOf(store, layout, place.id),
  };
}

/** @param {Store} store @param {Layout} layout @param {string} zone */
function wayOf(store, layout, zone) {
  const row = indexed(layout).ways.get(zone), none = {way: null, r: null};
  if (row == null) return none;
  const {headings} = store, {why} = worth(store, layout.headings.zones[row], headings.t?.[row], layout.headings);
  const r = headings.r?.[row] ?? null, way = headings.way?.[row] ?? null;
  return why || r == null || way == null || r < SHOWN_FROM_R ? none : {way, r};
}

/** All zones now, or those of one place ('' = of all). @param {Store} store @param {string} place */
export function zonesNow(store, place) {
  const zones = store.layout?.zones ?? [];
  return place ? allNow(store).filter((_, row) => zones[row].place === place) : allNow(store);
}

/** How bad a grade is: unknown is no good news, so it lies above C and below D. @param {number} grade */
export function rank(grade) { return grade === 0 ? 3.5 : grade; }

const SEVERITY = ['', 'info', 'warning', 'critical'];

/** The worst alert of each zone that stands, is not resolved and not shelved: 1 info … 3 critical. @param {Store} store */
export function alarms(store) {
  /** @type {Map<string, number>} */ const worst = new Map();
  const now = store.now();
  for (const alert of store.alerts) {
    if (alert.state === 'resolved' || (alert.shelved_until_ms ?? 0) > now) continue;
    const zones = alert.zone ? [alert.zone] : store.layout?.gates.find(({id}) => id === alert.gate)?.zones ?? [];
    for (const zone of zones) {
      if (zone) worst.set(zone, Math.max(worst.get(zone) ?? 0, SEVERITY.indexOf(alert.severity)));
    }
  }
  return worst;
}

export const MARKS = ['', '●', '▲', '■'];

/** 'A' … 'F', '?' for unknown: never nothing. @param {number} grade */
export function letter(grade) { return grade ? 'ABCDEF'[grade - 1] : '?'; }

/** The name of a grade's colour: `grade-a` …, `grade-unknown`. @param {number} grade */
export function shade(grade) { return `grade-${grade ? 'abcdef'[grade - 1] : 'unknown'}`; }

/**
 * Where a density lies on a scale on which each grade is equally long, 0..1; F ends at twice its edge.
 * @param {number} dens @param {number[] | null | undefined} edges of the zone's scheme, A|B … E|F; null without
 */
export function position(dens, edges) {
  if (!edges || edges.length !== 5) return null;
  const above = edges.findIndex((edge) => dens <= edge), i = above < 0 ? 5 : above;
  const low = i ? edges[i - 1] : 0, high = i < 5 ? edges[i] : 2 * edges[4];
  return (i + Math.min(1, Math.max(0, (dens - low) / (high - low)))) / 6;
}

/** The worst grade of each place, unknown between C and D. @param {Store} store */
export function worstOf(store) {
  /** @type {Map<string, number>} */ const worst = new Map();
  const places = new Map(store.layout?.zones.map(({id, place}) => [id, place ?? '']));
  for (const {id, grade} of zonesNow(store, '')) {
    const place = places.get(id) ?? '', held = worst.get(place);
    if (held === undefined || rank(grade) > rank(held)) worst.set(place, grade);
  }
  return worst;
}
