/** The tables of figures: built once per layout, then only the texts that change are touched. And the sensors not ok. */
import {ago, clock, drift, figure, inside, level, percent, span, strength, unknown, way} from './figures.js';
import {lang, t} from './i18n.js';
import {worth} from './now.js';

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./store.js').Place} Place
 * @typedef {{text: string, note: string, kind: string}} Figure
 * @typedef {{row: HTMLTableRowElement, cells: {figure: HTMLElement, note: HTMLElement, cell: HTMLElement}[],
 *   coverage: HTMLElement | null, span: HTMLElement, age: HTMLElement}} Row
 */

/** @param {HTMLElement} e @param {string} text */
export function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

/** @param {string} tag @param {string} [className] @param {HTMLElement} [into] */
function make(tag, className = '', into) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  into?.append(e);
  return e;
}

export class Table {
  /**
   * @param {HTMLTableElement} table @param {string} what head of the first column, a key of the words
   * @param {string[]} figures heads of the figures @param {(store: Store, row: number) => Figure[]} read
   * @param {(store: Store) => import('./store.js').Columns} columns @param {number} each rows of columns per place
   * @param {(layout: import('./store.js').Layout) => {window: string, length_ms: number}} [frame] windows, if others
   * @param {boolean} [covered] whether the columns tell coverage
   */
  constructor(table, what, figures, read, columns, each, frame, covered = true) {
    this.frame = frame ?? ((layout) => layout); this.covered = covered;
    this.table = table; this.what = what; this.figures = figures; this.read = read; this.columns = columns; this.each = each;
    /** @type {Row[]} */ this.rows = [];
    /** @type {Place[]} */ this.places = [];
  }

  /** Draw the frame anew: other places, or another language. @param {Place[]} places */
  build(places) {
    this.places = places;
    const head = make('tr');
    const heads = [this.what, ...this.figures, ...(this.covered ? ['coverage'] : []), 'span', 'age'];
    for (const key of heads) {
      const th = make('th', key === this.what ? 'place' : this.figures.includes(key) ? 'figures' : key, head);
      th.setAttribute('scope', 'col');
      th.textContent = t(key);
    }
    const thead = make('thead'), tbody = make('tbody');
    thead.append(head);
    this.rows = places.map((place) => this.row(place, tbody));
    this.table.replaceChildren(thead, tbody);
  }

  /** @param {Place} place @param {HTMLElement} body @returns {Row} */
  row(place, body) {
    const row = /** @type {HTMLTableRowElement} */ (make('tr', '', body));
    const head = make('th', 'place', row);
    head.setAttribute('scope', 'row');
    const why = `${this.each === 3 ? 'gate' : 'zone'}:${place.id}`, name = make('button', 'name', head);
    name.setAttribute('type', 'button');
    name.dataset.why = why;
    name.textContent = place.name[lang];
    if (place.a !== undefined) {
      const side = (/** @type {Record<string, string> | null | undefined} */ s) => s?.[lang] ?? t('outside');
      make('span', 'sides soft', head).textContent = `A ${side(place.a)} · B ${side(place.b)}`;
    }
    const cells = this.figures.map(() => {
      const cell = make('td', 'figures', row), box = make('span', 'box', cell);
      cell.dataset.why = why;
      return {cell, figure: make('span', 'figure num', box), note: make('span', 'note', box)};
    });
    const coverage = this.covered ? make('td', 'coverage num', row) : null;
    return {row, cells, coverage, span: make('td', 'span num', row), age: make('td', 'age num', row)};
  }

  /** Bring all rows up to date; how many of them are unknown. @param {Store} store */
  update(store) {
    const {layout} = store;
    if (!layout) return 0;
    const live = layout.run.kind === 'live', columns = this.columns(store), frame = this.frame(layout);
    let unknowns = 0;
    this.rows.forEach((row, place) => {
      const start = columns.t[place * this.each] ?? null;
      const {end, age, why} = worth(store, this.places[place], start, frame);
      const figures = why ? this.figures.map(() => unknown(why, {w: this.places[place].leaf ?? ''})) : this.read(store, place);
      figures.forEach((f, i) => {
        const {cell, figure: main, note} = row.cells[i];
        put(main, f.text);
        put(note, f.note);
        const kind = `figures ${f.kind}`;
        if (cell.className !== kind) cell.className = kind;
      });
      const dark = figures.every((f) => f.kind === 'unknown' || f.kind === 'none');
      if (dark) unknowns++;
      row.row.classList.toggle('unknown', dark);
      if (row.coverage) put(row.coverage, why ? '—' : percent(least(columns.c, place * this.each, this.each)));
      put(row.span, start == null || end == null ? '—' : span(start, end, layout.run.timezone));
      put(row.age, live && age != null ? ago(age) : '—');
    });
    return unknowns;
  }
}

/** @param {(number | null)[]} column @param {number} from @param {number} count */
function least(column, from, count) {
  const known = column.slice(from, from + count).filter((c) => c != null);
  return known.length ? Math.min(.../** @type {number[]} */ (known)) : null;
}

/** @param {HTMLTableElement} table */
export function gateTable(table) {
  return new Table(table, 'gate', ['ab', 'ba', 'undirected'], (store, place) => [0, 1, 2].map((direction) => {
    const {s, n, lo, hi} = store.flow, row = 3 * place + direction;
    return s[row] == null ? unknown('noRow') : figure(s[row], n[row], lo[row], hi[row], store.layout?.k ?? 1);
  }), (store) => store.flow, 3);
}

/** @param {HTMLTableElement} table */
export function zoneTable(table) {
  return new Table(table, 'zone', ['inside', 'los', 'inflow', 'outflow', 'drift'], (store, row) => {
    const z = store.zones, status = z.s[row] === 0 ? 0 : null;
    return [
      inside(z.occ[row], z.occ_lo[row], z.occ_hi[row], z.err[row]),
      level(z.los[row], z.dens[row], z.pace[row]),
      ...['in', 'out'].map((side) => figure(status, z[side][row], z[`${side}_lo`][row], z[`${side}_hi`][row], store.layout?.k ?? 1)),
      drift(z.drift_lo[row], z.drift_hi[row]),
    ];
  }, (store) => store.zones, 1);
}

/** @param {HTMLTableElement} table */
export function wayTable(table) {
  return new Table(table, 'zone', ['way', 'strength'], (store, row) => {
    const {s, way: mean, r} = store.headings;
    return [way(s[row], mean[row], r[row], store.layout?.headings.k ?? 1), strength(r[row])];
  }, (store) => store.headings, 1, (layout) => layout.headings, false);
}

/** Sensors that are not ok, one per line; drawn anew when another state has come. */
export class Sensors {
  /** @param {HTMLElement} list @param {HTMLElement} note */
  constructor(list, note) {
    this.list = list; this.note = note; this.drawn = '';
  }

  /** @param {Store} store how many are not ok or not known */
  update(store) {
    const {health, layout} = store, rows = health?.rows ?? [];
    put(this.note, health ? t('sensorsKnown', {ok: health.ok, unknown: health.unknown}) : '—');
    const now = JSON.stringify([lang, layout?.run.timezone, rows]);
    if (now !== this.drawn) {
      this.drawn = now;
      this.list.replaceChildren(...rows.map((row) => {
        const box = make('div');
        const dt = make('dt', '', box), dd = make('dd', '', box);
        make('b', '', dt).textContent = row.id;
        dt.append(row.place ? ` ${row.place[lang]}` : '');
        make('b', 'state', dd).textContent = t(row.state);
        dd.append(' ');
        make('span', 'num soft', dd).textContent = t('sinceTime', {time: clock(row.since, layout?.run.timezone ?? 'UTC', true)});
        return box;
      }));
    }
    return rows.length;
  }
}
