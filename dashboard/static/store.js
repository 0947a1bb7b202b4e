/**
 * The newest state of one stream. Also runs in the worker: no DOM here.
 * Ages count from the server's clock, carried on by performance.now(): the browser's own clock plays no part.
 *
 * @typedef {{id: string, name: Record<string, string>, limit_ms: number, length_ms: number, window: string, leaf: string | null,
 *   a?: Record<string, string> | null, b?: Record<string, string> | null, kind?: string, place?: string,
 *   parent?: string | null, area_m2?: number | null, polygon?: [number, number][] | null, scheme?: string | null,
 *   edges?: number[] | null, limits?: Limit[], line?: [number, number][] | null, bearing?: number | null,
 *   zones?: (string | null)[], width_m?: number | null, sensors?: string[]}} Place
 * @typedef {{rule: string, kind: string, severity: string, limit: number, days?: string[], from?: string | null,
 *   to?: string | null}} Limit
 * @typedef {{id: string, kind: string, gate: string | null, zone: string | null}} Sensor
 * @typedef {{run: {id: string, kind: string, timezone: string, registry_version?: string,
 *   code_version?: string, config_hash?: string}, window: string, length_ms: number, k: number, exact: boolean,
 *   gates: Place[], zones: Place[], headings: Ways, places?: {id: string, name: Record<string, string>}[],
 *   sensors?: Sensor[]}} Layout
 * @typedef {{window: string, length_ms: number, k: number, zones: Place[]}} Ways
 * @typedef {Record<string, (number | null)[]>} Columns
 * @typedef {{read: number, accepted: number, rejected: Record<string, number>, run_id: string | null,
 *   kind: string | null, state: string | null}} Status
 * @typedef {{id: string, rule: string, kind: string, severity: string, zone: string, gate: string,
 *   of_window: string, began_ms: number, value: number | null, threshold: number | null,
 *   state: string, owner: string, note: string, shelved_until_ms: number | null, shelved_for: string}} Alert
 * @typedef {{ok: number, unknown: number,
 *   rows: {id: string, place: Record<string, string> | null, state: string, since: number}[]}} Health
 * @typedef {{end: number, line: number, inserted: number, read: number}} Timing
 * @typedef {{now: number, problem: string | null, closed: number | null, timing?: Timing | null, status?: Status, layout?: Layout | null,
 *   flow?: Columns | null, zones?: Columns | null, headings?: Columns | null, alerts?: Alert[],
 *   health?: Health | null}} Message
 */

export class Store {
  constructor() {
    /** @type {Layout | null} */ this.layout = null;
    /** @type {Status | null} */ this.status = null;
    /** @type {Columns} */ this.flow = {};
    /** @type {Columns} */ this.zones = {};
    /** @type {Columns} */ this.headings = {};
    /** @type {Alert[]} */ this.alerts = [];
    /** @type {Health | null} */ this.health = null;
    /** @type {string | null} */ this.problem = null;
    /** @type {number | null} */ this.closed = null;
    /** @type {Timing | null} */ this.timing = null;
    this.id = '';
    this.base = 0;
    this.frozen = false;
    this.at = 0;
  }

  /** Whether a snapshot has come. */
  get ready() { return this.id !== ''; }

  /** The server's clock now, ms since the epoch; while `frozen` the time of the last message. */
  now() { return this.frozen ? this.base : this.base + (performance.now() - this.at); }

  /**
   * Take in a message that was heard at `at` (performance.now()). False: it does not follow on what is held, so a
   * snapshot is needed.
   * @param {string} type @param {string} id @param {Message} m @param {number} at
   */
  apply(type, id, m, at) {
    if (type === 'snapshot') {
      this.layout = m.layout ?? null;
      this.status = m.status ?? null;
      this.flow = m.flow ?? {};
      this.zones = m.zones ?? {};
      this.headings = m.headings ?? {};
      this.alerts = m.alerts ?? [];
      this.health = m.health ?? null;
    } else {
      if (!follows(this.id, id)) return false;
      if (m.status) this.status = m.status;
      if (m.alerts) this.alerts = m.alerts;
      if (m.health) this.health = m.health;
      for (const [held, changed] of [[this.flow, m.flow], [this.zones, m.zones], [this.headings, m.headings]]) {
        if (held && changed) patch(held, changed);
      }
    }
    this.id = id;
    this.problem = m.problem;
    this.closed = m.closed;
    this.timing = m.timing ?? null;
    this.base = m.now;
    this.at = at;
    return true;
  }

  /** All of it as one snapshot, for a tab that joins late. @returns {Message} */
  whole() {
    return {now: this.base, problem: this.problem, closed: this.closed, timing: this.timing, status: this.status ?? undefined,
      layout: this.layout, flow: this.flow, zones: this.zones, headings: this.headings, alerts: this.alerts,
      health: this.health};
  }
}

/** @param {string} before @param {string} id */
function follows(before, id) {
  const cut = id.lastIndexOf('-');
  return before === `${id.slice(0, cut)}-${Number(id.slice(cut + 1)) - 1}`;
}

/** @param {Columns} held @param {Columns} changed */
function patch(held, changed) {
  const rows = /** @type {number[]} */ (changed.i);
  for (const [name, values] of Object.entries(changed)) {
    if (name !== 'i') rows.forEach((row, place) => { held[name][row] = values[place]; });
  }
}
