/** Signage for analysts: how many sessions touched each screen of a device, in which language, and where they went on. */
import {ask, wording} from './ask.js';
import {RangeTable, bySize, field, make, offer, told, words} from './distinct.js';
import {clock, span} from './figures.js';
import {addWords, lang, t} from './i18n.js';
import {FORM, fromLocal, timeField, toLocal, zoneName} from './local-time.js';

addWords({
  ja: {
    sg_device: '端末', sg_from: '開始', sg_to: '終了', sg_window: '15 分間', sg_screen: '画面', sg_lang: '言語', sg_next: '次の画面', sg_all: 'すべての言語', sg_other: 'その他の言語',
    sg_touches: '触れたセッション {span}', sg_screens: '画面の移動 {span}', sg_noWindow: 'この期間に公開できる値はありません', sg_form: '時刻は {form}（{zone}）の形で、開始を終了より前にしてください', sg_long: '期間が長すぎます（8 日まで）',
  },
  en: {
    sg_device: 'Device', sg_from: 'From', sg_to: 'To', sg_window: '15 minutes', sg_screen: 'Screen', sg_lang: 'Language', sg_next: 'Next screen', sg_all: 'all languages', sg_other: 'other languages',
    sg_touches: 'Sessions that touched {span}', sg_screens: 'Moves between screens {span}', sg_noWindow: 'Nothing can be shown in this span', sg_form: 'Times look like {form} ({zone}), the start before the end', sg_long: 'The span is too long (8 days at most)',
  },
});

/**
 * @typedef {import('./distinct.js').Columns} Columns
 * @typedef {import('./distinct.js').Line} Line
 * @typedef {{run: {id: string, kind: string, timezone: string} | null, runs: {run_id: string, kind: string}[], k: Record<string, number>,
 *   from: number, to: number, device: string | null, devices: {id: string, zone: Record<string, string> | null}[], touches: Columns, screens: Columns}} Answer
 */
const TOUCHES_MS = 900_000;

export class Signage {
  /** @param {HTMLElement} element @param {import('./components.js').Context} context */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    /** @type {Answer | null} */ this.answer = null;
    this.asked = false;
    this.serial = 0;
    this.start = 0; // of the window shown
    this.fault = () => '';
    const controls = make('form', 'ds-controls', make('section', '', element));
    /** @type {HTMLFormElement} */ (controls).noValidate = true;
    this.run = /** @type {HTMLSelectElement} */ (field(controls, 'select', 'ds_run'));
    this.device = /** @type {HTMLSelectElement} */ (field(controls, 'select', 'sg_device'));
    this.from = /** @type {HTMLInputElement} */ (field(controls, 'input', 'sg_from'));
    this.to = /** @type {HTMLInputElement} */ (field(controls, 'input', 'sg_to'));
    this.zoned = make('span', 'soft', controls);
    this.go = /** @type {HTMLButtonElement} */ (make('button', '', controls));
    this.go.type = 'submit';
    this.go.dataset.ds = 'ds_reload';
    this.window = /** @type {HTMLSelectElement} */ (field(controls, 'select', 'sg_window'));
    this.state = make('p', 'ds-state', controls.parentElement ?? element);
    this.state.setAttribute('role', 'status');
    const tables = make('div', 'ds-tables', element);
    this.touches = new RangeTable(tables);
    this.screens = new RangeTable(tables);
    for (const input of [this.from, this.to]) timeField(input, () => this.zone);
    controls.onsubmit = (e) => { e.preventDefault(); void this.load(); };
    this.run.onchange = () => { this.from.value = this.to.value = ''; void this.load({device: ''}); };
    this.device.onchange = () => { void this.load(); };
    this.window.onchange = () => { this.start = Number(this.window.value); this.draw(); };
  }

  get zone() { return this.answer?.run?.timezone ?? 'UTC'; }

  build() {
    words(this.element);
    this.draw();
  }

  update() {
    if (this.asked) return;
    this.asked = true;
    void this.load();
  }

  /** Ask for what the fields say; empty ones are the server's to fill. @param {{device?: string}} [over] */
  async load({device = this.device.value} = {}) {
    const typed = this.from.value || this.to.value;
    const [from, to] = [this.from, this.to].map((input) => fromLocal(input.value, this.zone));
    if (typed && (from == null || to == null || from >= to)) {
      this.tell(() => t('sg_form', {form: FORM, zone: this.zoned.textContent ?? ''}));
      return;
    }
    const query = new URLSearchParams(Object.entries({run: this.run.value, device, ...(typed ? {from: String(from), to: String(to)} : {})}).filter(([, value]) => value));
    const serial = ++this.serial;
    this.tell(() => t('ds_loading'));
    try {
      const answer = await ask(`/api/signage?${query}`);
      if (serial !== this.serial) return; // something else was asked for since
      this.answer = answer;
      this.tell(() => (answer.run ? '' : t('ds_noRun')));
      this.fill();
    } catch (error) {
      if (serial !== this.serial) return;
      const long = /** @type {any} */ (error)?.told?.longest_ms;
      this.tell(() => (long ? t('sg_long') : t('ds_failed', {why: wording(error)})));
    }
    this.draw();
  }

  /** @param {() => string} words in the present language */
  tell(words) {
    this.fault = words;
    this.state.textContent = words();
  }

  /** Put into the fields what was answered. */
  fill() {
    const {answer} = this;
    if (!answer?.run) return;
    this.from.value = toLocal(answer.from, this.zone);
    this.to.value = toLocal(answer.to, this.zone);
    const starts = this.starts();
    if (!starts.includes(this.start)) this.start = starts[0] ?? 0;
  }

  /** Starts of the windows that tell anything, the newest first: those of touches, else those of moves. */
  starts() {
    const {touches, screens} = this.answer ?? {};
    return [...new Set([...(touches?.t ?? []), ...(screens?.t ?? [])])].sort((a, b) => b - a);
  }

  draw() {
    const {answer} = this;
    this.state.textContent = this.fault();
    const shown = Boolean(answer?.run), starts = shown ? this.starts() : [];
    this.touches.box.hidden = this.screens.box.hidden = !starts.length;
    if (!answer?.run) return;
    this.zoned.textContent = zoneName(answer.to, this.zone);
    offer(this.run, answer.runs.map(({run_id, kind}) => [run_id, `${run_id} — ${t(kind)}`]), answer.run.id);
    offer(this.device, answer.devices.map(({id, zone}) => [id, zone ? `${id} — ${zone[lang]}` : id]), answer.device ?? '');
    offer(this.window, starts.map((start) => [String(start), clock(start, this.zone, true)]), String(this.start));
    if (!starts.length) {
      this.state.textContent = this.fault() || t('sg_noWindow');
      return;
    }
    const {touches, screens, k} = answer, hours = screens.t.filter((start) => start <= this.start);
    const hour = hours.length ? Math.max(...hours) : NaN;
    this.touches.show(t('sg_touches', {span: span(this.start, this.start + TOUCHES_MS, this.zone)}), [t('sg_screen'), t('sg_lang')],
      grouped(touches, this.start, 'screen', 'lang', language, t('sg_all'), t('ds_rest'), k.touches), k.touches, Boolean(touches.more));
    this.screens.show(t('sg_screens', {span: hour > this.start - 3_600_000 ? span(hour, hour + 3_600_000, this.zone) : '—'}), [t('sg_screen'), t('sg_next')],
      hour > this.start - 3_600_000 ? grouped(screens, hour, 'from', 'to', (screen) => screen, '', t('ds_rest'), k.screens) : [], k.screens, Boolean(screens.more));
  }
}

/**
 * The rows of one window as lines: each group with its total, its cells by size, and those that are not listed.
 * @param {Columns} columns @param {number} start @param {string} group @param {string} cell names of columns
 * @param {(code: string) => string} name of a cell @param {string} all the word for a total @param {string} rest @param {number} k
 * @returns {Line[]}
 */
function grouped(columns, start, group, cell, name, all, rest, k) {
  /** @type {Map<string, {total: Line | null, cells: Line[]}>} */ const groups = new Map();
  columns.t.forEach((at, row) => {
    if (at !== start) return;
    const of = columns[group][row], code = columns[cell][row];
    let held = groups.get(of);
    if (!held) groups.set(of, held = {total: null, cells: []});
    if (code === '') held.total = {about: [of, all], told: told(columns, row), kind: 'total'};
    else held.cells.push({about: [of, name(code)], told: told(columns, row)});
  });
  return [...groups].flatMap(([of, {total, cells}]) => [
    ...(total ? [total] : []), ...cells.sort(bySize), ...(k > 1 ? [/** @type {Line} */ ({about: [of, rest], told: null, kind: 'rest'})] : [])]);
}

/** @type {Map<string, Intl.DisplayNames>} */
const names = new Map();

/** A language by its code, in the language of the page. @param {string} code */
export function language(code) {
  if (code === 'other') return t('sg_other');
  let known = names.get(lang);
  if (!known) names.set(lang, known = new Intl.DisplayNames([lang], {type: 'language'}));
  try {
    return known.of(code) ?? code;
  } catch {
    return code; // no code at all
  }
}
