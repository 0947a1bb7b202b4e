/** Attributes for analysts: what people who consented are, and from where to where they go, day by day. */
import {ask, wording} from './ask.js';
import {RangeTable, bySize, field, make, offer, told, words} from './distinct.js';
import {addWords, lang, t} from './i18n.js';
import {language} from './signage.js';

addWords({
  ja: {
    at_day: '日', at_table: '集計表', at_trips: '場所から場所への移動 {day}', at_profiles: '同意した人の属性: {table} {day}', at_origin: '出発', at_arrival: '到着', at_all: '全体',
    at_noDay: 'この日に公開できる値はありません', at_none: '回答なし', at_before: '{n} 年まで', at_noProfiles: '属性の集計はまだありません', at_noTrips: '移動の集計はまだありません',
    at_prefecture: '都道府県', at_municipality: '市区町村', at_gender: '性別', at_birth_year: '生まれた年', at_income: '収入（万円）', at_household: '世帯人数', at_children: '子どもの数', at_occupation: '職業', at_lang: '言語', at_interests: '興味',
  },
  en: {
    at_day: 'Day', at_table: 'Table', at_trips: 'Trips from place to place {day}', at_profiles: 'People who consented: {table} {day}', at_origin: 'From', at_arrival: 'To', at_all: 'all',
    at_noDay: 'Nothing can be shown of that day', at_none: 'not told', at_before: 'up to {n}', at_noProfiles: 'There are no tables of attributes yet', at_noTrips: 'There are no trips yet',
    at_prefecture: 'Prefecture', at_municipality: 'Municipality', at_gender: 'Gender', at_birth_year: 'Year of birth', at_income: 'Income (10,000 yen)', at_household: 'Household', at_children: 'Children', at_occupation: 'Occupation', at_lang: 'Language', at_interests: 'Interests',
  },
});

/**
 * @typedef {import('./distinct.js').Columns} Columns
 * @typedef {import('./distinct.js').Line} Line
 * @typedef {{run: {id: string, kind: string, timezone: string} | null, runs: {run_id: string, kind: string}[], k: Record<string, number>,
 *   day?: string | null, days?: string[], rows?: Columns | null, names?: Record<string, any>}} Answer
 */

export class Attributes {
  /** @param {HTMLElement} element @param {import('./components.js').Context} context */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    this.asked = false;
    this.profiles = new Daily(element, '/api/profiles', 'at_noProfiles', (part) => this.drawProfiles(part));
    this.table = /** @type {HTMLSelectElement} */ (field(this.profiles.controls, 'select', 'at_table'));
    this.table.onchange = () => this.profiles.draw();
    this.trips = new Daily(element, '/api/trips', 'at_noTrips', (part) => this.drawTrips(part));
  }

  build() {
    words(this.element);
    this.profiles.draw();
    this.trips.draw();
  }

  update() {
    if (this.asked) return;
    this.asked = true;
    void this.profiles.load();
    void this.trips.load();
  }

  /** @param {Daily} part */
  drawProfiles({answer, range}) {
    const rows = answer?.rows, tables = [...new Set(/** @type {string[]} */ (rows?.table ?? []))];
    const chosen = tables.includes(this.table.value) ? this.table.value : tables[0] ?? '';
    offer(this.table, tables.map((table) => [table, titled(table)]), chosen);
    if (!answer || !rows || !tables.length) return;
    const attributes = chosen.split('*');
    range.show(t('at_profiles', {table: titled(chosen), day: answer.day ?? ''}), heads(attributes), profileLines(rows, chosen, answer.k.profiles, answer.names), answer.k.profiles, Boolean(rows.more));
  }

  /** @param {Daily} part */
  drawTrips({answer, range}) {
    const rows = answer?.rows;
    if (!answer || !rows) return;
    const name = (/** @type {string} */ zone) => answer.names?.[zone]?.[lang] ?? zone;
    const lines = /** @type {number[]} */ (rows.t).map((_, row) => /** @type {Line} */ ({about: [name(rows.from[row]), name(rows.to[row])], told: told(rows, row)}));
    const k = answer.k.trips, rest = /** @type {Line} */ ({about: ['', t('ds_rest')], told: null, kind: 'rest'});
    range.show(t('at_trips', {day: answer.day ?? ''}), [t('at_origin'), t('at_arrival')], [...lines.sort(bySize), ...(k > 1 ? [rest] : [])], k, Boolean(rows.more));
  }
}

/** One product that is told day by day: its run, its day, its table. */
class Daily {
  /** @param {HTMLElement} into @param {string} url @param {string} none a key of the words @param {(part: Daily) => void} show */
  constructor(into, url, none, show) {
    this.url = url;
    this.none = none;
    this.show = show;
    /** @type {Answer | null} */ this.answer = null;
    this.serial = 0;
    this.fault = () => '';
    const part = make('section', '', into);
    this.controls = make('div', 'ds-controls', part);
    this.run = /** @type {HTMLSelectElement} */ (field(this.controls, 'select', 'ds_run'));
    this.day = /** @type {HTMLSelectElement} */ (field(this.controls, 'select', 'at_day'));
    this.again = /** @type {HTMLButtonElement} */ (make('button', '', this.controls));
    this.again.type = 'button';
    this.again.dataset.ds = 'ds_reload';
    this.state = make('p', 'ds-state', part);
    this.state.setAttribute('role', 'status');
    this.range = new RangeTable(into);
    this.run.onchange = () => { void this.load({day: ''}); };
    this.day.onchange = this.again.onclick = () => { void this.load(); };
  }

  /** @param {{day?: string}} [over] */
  async load({day = this.day.value} = {}) {
    const serial = ++this.serial, query = new URLSearchParams(Object.entries({run: this.run.value, day}).filter(([, value]) => value));
    this.tell(() => t('ds_loading'));
    try {
      const answer = await ask(`${this.url}?${query}`);
      if (serial !== this.serial) return; // something else was asked for since
      this.answer = answer;
      this.tell(() => (!answer.run ? t(this.none) : answer.rows ? '' : t('at_noDay')));
    } catch (error) {
      if (serial !== this.serial) return;
      this.tell(() => t('ds_failed', {why: wording(error)}));
    }
    this.draw();
  }

  /** @param {() => string} words in the present language */
  tell(words) {
    this.fault = words;
    this.state.textContent = words();
  }

  draw() {
    const {answer} = this;
    this.state.textContent = this.fault();
    this.range.box.hidden = !answer?.rows;
    if (!answer?.run) return;
    offer(this.run, answer.runs.map(({run_id, kind}) => [run_id, `${run_id} — ${t(kind)}`]), answer.run.id);
    const days = answer.days ?? [], day = answer.day ?? '';
    offer(this.day, (days.includes(day) || !day ? days : [day, ...days]).map((each) => [each, each]), day);
    this.show(this);
  }
}

/** A table's attributes in words. @param {string} table */
function titled(table) { return table.split('*').map(attribute).join(' × '); }

/** @param {string} name */
function attribute(name) {
  const word = t(`at_${name}`);
  return word === `at_${name}` ? name : word;
}

/** The heads of the columns that say whom a line tells of. @param {string[]} attributes */
function heads(attributes) {
  if (attributes.length === 1) return [attribute(attributes[0])];
  return [attributes.slice(0, -1).map(attribute).join(' / '), attribute(attributes[attributes.length - 1])];
}

/**
 * The lines of one table in its own order: all, then each row with its total, its cells and those not listed.
 * @param {Columns} rows @param {string} table @param {number} k @param {Record<string, any>} [names] attribute → code → name
 * @returns {Line[]}
 */
function profileLines(rows, table, k, names) {
  const attributes = table.split('*'), last = attributes.length - 1;
  /** @type {Map<string, {total: Line | null, cells: Line[]}>} */ const groups = new Map();
  /** @type {Line | null} */ let all = null;
  const rest = (/** @type {[string, string]} */ about) => /** @type {Line[]} */ (k > 1 ? [{about, told: null, kind: 'rest'}] : []);
  rows.table.forEach((of, at) => {
    if (of !== table) return;
    const row = rows.row[at], col = rows.col[at], figures = told(rows, at);
    const first = row.split('/').map((/** @type {string} */ code, /** @type {number} */ i) => word(attributes[i] ?? '', code, names)).join(' / ');
    if (!row && !col) {
      all = {about: [t('at_all'), t('at_all')], told: figures, kind: 'total'};
      return;
    }
    const key = last ? row : '';
    let held = groups.get(key);
    if (!held) groups.set(key, held = {total: null, cells: []});
    if (!last) held.cells.push({about: [word(attributes[0], row || col, names), ''], told: figures});
    else if (!col) held.total = {about: [first, t('at_all')], told: figures, kind: 'total'};
    else held.cells.push({about: [first, word(attributes[last], col, names)], told: figures});
  });
  const lines = [...groups].flatMap(([, {total, cells}]) => {
    const [name] = (total ?? cells[0]).about;
    return [...(total ? [total] : []), ...cells, ...(last ? rest([name, t('ds_rest')]) : [])];
  });
  return [...(all ? [all] : []), ...lines, ...rest([t('ds_rest'), t('ds_rest')])];
}

/** A code of an attribute in words, itself where there are none. @param {string} name @param {string} code @param {Record<string, any>} [names] */
function word(name, code, names) {
  if (code === 'none') return t('at_none');
  if (name === 'lang') return language(code);
  if (name === 'birth_year' && code.startsWith('-')) return t('at_before', {n: code.slice(1)});
  return names?.[name]?.[code]?.[lang] ?? code;
}
