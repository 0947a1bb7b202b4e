/**
 * Where the page is: its view, the run and window shown, and the level (city → place → zone → sensor), all held in the
 * address so that it can be kept, sent, and gone back from. Going back restores scroll and focus.
 *
 * What can be focused and come back carries `data-key`, what can be scrolled by itself `data-scroll` (a name).
 *
 * @typedef {'city' | 'place' | 'zone' | 'sensor'} Level
 * @typedef {{place?: string | null, zone?: string | null, sensor?: string | null}} Where
 * @typedef {import('./store.js').Layout} Layout
 */

export const WINDOWS = ['10s', '1m', '5m', '15m', '1h'];
export const VIEWS = ['situation', 'tables', 'signage', 'attributes', 'governance'];
const LEVELS = ['city', 'place', 'zone', 'sensor'];

export class Levels {
  constructor() {
    /** @type {Layout | null} */ this.layout = null;
    /** @type {((reopen: boolean) => void)[]} */ this.listeners = [];
    this.read();
    addEventListener('popstate', ({state}) => {
      const before = this.stream();
      this.read();
      this.tell(before !== this.stream());
      // after the frame that draws what was there
      if (state) requestAnimationFrame(() => requestAnimationFrame(() => restore(state)));
    });
  }

  /** Call `listener` after each move; `reopen`: another run or window is asked for. @param {(reopen: boolean) => void} listener */
  onchange(listener) { this.listeners.push(listener); }

  /** One of VIEWS. */
  get view() {
    const asked = this.query.get('view') ?? '';
    return VIEWS.includes(asked) ? asked : VIEWS[0];
  }

  /** Whether the view shows the run of the stream: others ask for what they show. */
  get streamed() { return VIEWS.indexOf(this.view) < 2; }

  get run() { return this.query.get('run') ?? ''; }
  get window() {
    const asked = this.query.get('window') ?? '';
    return WINDOWS.includes(asked) ? asked : '';
  }

  /** @returns {Level} */
  get level() {
    if (this.sensor) return 'sensor';
    if (this.zone) return 'zone';
    return this.query.get('level') !== 'city' && (this.query.has('place') || this.places.length < 2) ? 'place' : 'city';
  }

  /** The zone shown, '' above the level of zones or where the run has no such zone. */
  get zone() { return this.known('zone', this.layout?.zones); }
  get sensor() { return this.known('sensor', this.layout?.sensors); }

  /** The place shown, '' for the city and where the registry tells no places. */
  get place() {
    const zone = this.zone && this.layout?.zones.find(({id}) => id === this.zone);
    if (zone) return zone.place ?? '';
    if (this.query.get('level') === 'city') return '';
    return this.known('place', this.places) || (this.places.length === 1 ? this.places[0].id : '');
  }

  /** @returns {{id: string, name: Record<string, string>}[]} */
  get places() { return this.layout?.places ?? []; }

  /**
   * Move: to the sensor, zone or place named, else to the city. Moves within a level take each other's place in the
   * browser's history: going through a table by its arrow keys leaves no trail. @param {Where} where
   */
  select(where) {
    const {place = null, sensor = null} = where;
    const zone = where.zone ?? (sensor && (this.layout?.sensors?.find(({id}) => id === sensor)?.zone || this.zone)) ?? null;
    const next = sensor ? 3 : zone ? 2 : place != null ? 1 : 0;
    const to = {level: next ? null : 'city', place: next === 1 ? place : null, zone, sensor};
    this.go(to, LEVELS.indexOf(this.level) === next);
  }

  /**
   * Change what the address holds; null takes a part out. @param {Record<string, string | null>} changes
   * @param {boolean} [over] without a step in the history
   */
  go(changes, over = false) {
    const query = new URLSearchParams(this.query), before = this.stream();
    for (const [name, value] of Object.entries(changes)) {
      query.delete(name);
      if (value) query.set(name, value);
    }
    if (String(query) === String(this.query)) return;
    const url = query.size ? `?${query}` : location.pathname;
    if (over) {
      history.replaceState(history.state, '', url);
    } else {
      history.replaceState(here(), '');
      history.pushState(null, '', url);
    }
    this.query = query;
    this.tell(before !== this.stream());
  }

  /** The address of a move, for links. @param {Record<string, string | null>} changes */
  link(changes) {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(changes)) {
      query.delete(name);
      if (value) query.set(name, value);
    }
    return query.size ? `?${query}` : location.pathname;
  }

  read() { this.query = new URLSearchParams(location.search); }

  stream() { return `${this.run} ${this.window}`; }

  /** @param {boolean} reopen */
  tell(reopen) { for (const listener of this.listeners) listener(reopen); }

  /** @param {string} name @param {{id: string}[] | undefined} rows */
  known(name, rows) {
    const id = this.query.get(name) ?? '';
    return id && rows?.some((row) => row.id === id) ? id : '';
  }
}

/** What is lost when the page moves on. */
function here() {
  const focus = /** @type {HTMLElement | null} */ (document.activeElement);
  /** @type {Record<string, number>} */ const inner = {};
  for (const e of document.querySelectorAll('[data-scroll]')) {
    inner[/** @type {HTMLElement} */ (e).dataset.scroll ?? ''] = e.scrollTop;
  }
  return {top: scrollY, inner, focus: focus?.id ? `#${CSS.escape(focus.id)}`
    : focus?.dataset.key ? `[data-key="${CSS.escape(focus.dataset.key)}"]` : ''};
}

/** @param {ReturnType<typeof here>} state */
function restore(state) {
  if (state.focus) /** @type {HTMLElement | null} */ (document.querySelector(state.focus))?.focus({preventScroll: true});
  for (const e of document.querySelectorAll('[data-scroll]')) {
    e.scrollTop = state.inner[/** @type {HTMLElement} */ (e).dataset.scroll ?? ''] ?? e.scrollTop;
  }
  scrollTo({top: state.top});
}
