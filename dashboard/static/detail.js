/** One zone with its gates and sensors, or one sensor: its health, its approval and what it feeds. */
import {ago, clock, figure, unknown} from './figures.js';
import {addWords, lang, t} from './i18n.js';
import {worth} from './now.js';
import {Strip} from './strip.js';
import {put} from './tables.js';

addWords({
  ja: {
    itsGates: 'ゲート（流入・流出）', itsSensors: 'センサー', noSensors: 'センサーなし', noGates: 'ゲートなし', feeds: '集計先', sensorKind: '種類',
    health1: '状態', approval: '承認', approvedNow: '承認済み', notApproved: '未承認', notTold: '不明', wellSince: '正常', close1: '閉じる', whyThis: '根拠',
    kind_counter: 'カウンター', kind_beam_pair: '光電センサー', kind_tracker: '追跡センサー', kind_occupancy: '人数センサー',
  },
  en: {
    itsGates: 'Gates (in · out)', itsSensors: 'Sensors', noSensors: 'no sensors', noGates: 'no gates', feeds: 'Feeds', sensorKind: 'Kind',
    health1: 'Health', approval: 'Approval', approvedNow: 'approved', notApproved: 'not approved', notTold: 'unknown', wellSince: 'ok', close1: 'Close', whyThis: 'Why',
    kind_counter: 'counter', kind_beam_pair: 'pair of beams', kind_tracker: 'tracker', kind_occupancy: 'counts people inside',
  },
});

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./store.js').Place} Place
 * @typedef {{id: string, approved: boolean, state: string | null, since: number | null, group?: string | null}} Told
 */

export class Detail {
  /** @param {HTMLElement} e @param {import('./components.js').Context} context */
  constructor(e, context) {
    this.e = e;
    this.context = context;
    this.box = make('div', 'detail-strip', e);
    this.strip = new Strip(this.box);
    this.gates = list(e, 'gates-of');
    this.sensors = list(e, 'sensors-of');
    this.facts = make('dl', 'facts', e);
    const buttons = make('div', 'detail-buttons', e);
    this.why = /** @type {HTMLButtonElement} */ (make('button', '', buttons));
    this.why.type = 'button';
    this.close = /** @type {HTMLButtonElement} */ (make('button', 'close', buttons));
    this.close.type = 'button';
    this.close.onclick = () => context.levels.select({place: context.levels.place});
    this.drawn = '';
    this.asked = '';
    /** @type {Told[] | null} */ this.told = null;
  }

  build() { this.drawn = ''; }

  /** @param {Store} store */
  update(store) {
    const {levels} = this.context, {layout} = store, {zone, sensor} = levels;
    if (!layout) return;
    put(this.close, t('close1'));
    put(this.why, t('whyThis'));
    if (this.why.dataset.why !== `zone:${zone}`) this.why.dataset.why = `zone:${zone}`;
    this.why.hidden = !zone;
    const row = layout.zones.findIndex(({id}) => id === zone);
    this.box.hidden = row < 0;
    if (row >= 0) this.strip.update(store, row, this.box.clientWidth, Math.max(96, this.box.clientHeight), true);
    this.gates.e.hidden = this.sensors.e.hidden = Boolean(sensor);
    this.facts.hidden = !sensor;
    this.ask(store, zone, sensor);
    if (sensor) this.sensor(store, sensor);
    else this.zone(store, zone);
  }

  /** @param {Store} store @param {string} zone */
  zone(store, zone) {
    const {layout, flow} = store;
    if (!layout) return;
    const states = new Map(store.health?.rows.map(({id, state}) => [id, state]));
    const gates = layout.gates.map((gate, row) => ({gate, row})).filter(({gate}) => gate.zones?.includes(zone));
    const lines = gates.map(({gate, row}) => {
      const {why} = worth(store, gate, flow.t?.[3 * row], layout);
      const [into, out] = (gate.zones?.[1] === zone ? [0, 1] : [1, 0]).map((direction) => {
        const at = 3 * row + direction;
        return why || flow.s[at] == null ? unknown(why || 'noRow') : figure(flow.s[at], flow.n[at], flow.lo[at], flow.hi[at], layout.k);
      });
      return {id: gate.id, name: gate.name[lang], text: `${into.text} · ${out.text}`};
    });
    const at = new Set(gates.map(({gate}) => gate.id));
    const sensors = (layout.sensors ?? []).filter((s) => s.zone === zone || (s.gate && at.has(s.gate)))
      .map(({id, gate}) => ({id, text: states.has(id) ? t(states.get(id) ?? '') : gates.find((each) => each.gate.id === gate)?.gate.name[lang] ?? ''}));
    const key = JSON.stringify([lang, zone, lines, sensors]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.gates.show(t('itsGates'), lines.map(({id, name, text}) => line(because(name, `gate:${id}`), text)), t('noGates'));
    this.sensors.show(t('itsSensors'), sensors.map(({id, text}) => {
      const b = document.createElement('button');
      b.type = 'button';
      b.dataset.key = `sensor ${id}`;
      b.textContent = id;
      b.onclick = () => this.context.levels.select({sensor: id, zone});
      return line(b, text, states.has(id));
    }), t('noSensors'));
  }

  /** @param {Store} store @param {string} id */
  sensor({layout, health}, id) {
    const sensor = layout?.sensors?.find((row) => row.id === id), told = this.told?.find((row) => row.id === id);
    const bad = health?.rows.find((row) => row.id === id), zone = layout?.run.timezone ?? 'UTC';
    const gate = layout?.gates.find((row) => row.id === sensor?.gate);
    const name = (/** @type {string | null | undefined} */ zoneId) => layout?.zones.find((row) => row.id === zoneId)?.name[lang] ?? t('outside');
    const since = bad ? ` ${t('sinceTime', {time: clock(bad.since, zone, true)})}` : '';
    const facts = [
      [t('itsSensors'), id],
      [t('sensorKind'), sensor ? t(`kind_${sensor.kind}`) === `kind_${sensor.kind}` ? sensor.kind : t(`kind_${sensor.kind}`) : t('notTold')],
      [t('health1'), bad ? `✕ ${t(bad.state)}${since}` : told?.state === 'ok' ? t('wellSince') : t('notTold')],
      // the layout names those only that are approved at present
      [t('approval'), told ? t(told.approved ? 'approvedNow' : 'notApproved') : sensor ? t('approvedNow') : t('notTold')],
      [t('feeds'), gate ? `${gate.name[lang]}（${(gate.zones ?? []).map(name).join(' ⇄ ')}）` : name(sensor?.zone)],
    ];
    const key = JSON.stringify([lang, facts]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.facts.replaceChildren(...facts.map(([head, text]) => {
      const box = make('div'), dt = make('dt', '', box), dd = make('dd', 'num', box);
      dt.textContent = head;
      dd.textContent = text;
      return box;
    }));
  }

  /** What the server knows of the sensors of a zone. @param {Store} store @param {string} zone @param {string} sensor */
  ask({layout}, zone, sensor) {
    const key = sensor ? `${layout?.run.id} ${layout?.window} ${zone}` : '';
    if (!key || key === this.asked) return;
    this.asked = key;
    this.told = null;
    const query = new URLSearchParams({run: layout?.run.id ?? '', zone});
    fetch(`/api/why?${query}`).then(async (answer) => {
      if (!answer.ok || key !== this.asked) return;
      this.told = (await answer.json()).sensors;
      this.context.later();
    }).catch(() => { /* the banner tells that the server is away */ });
  }
}

/** @param {string} tag @param {string} [className] @param {HTMLElement} [into] */
function make(tag, className = '', into) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  into?.append(e);
  return e;
}

/** @param {HTMLElement | string} head @param {string} text @param {boolean} [bad] */
function line(head, text, bad = false) {
  const li = document.createElement('li'), b = make('span', `num${bad ? ' bad' : ''}`);
  b.textContent = bad ? `✕ ${text}` : text;
  li.append(head, b);
  return li;
}

/** A button that opens what a figure rests on. @param {string} text @param {string} what */
function because(text, what) {
  const b = document.createElement('button');
  b.type = 'button';
  b.textContent = text;
  b.dataset.why = what;
  b.dataset.key = what;
  return b;
}

/** A headed list that can be scrolled by keyboard. @param {HTMLElement} into @param {string} className */
function list(into, className) {
  const e = make('div', className, into), head = make('h3', '', e), ul = make('ul', '', e);
  ul.tabIndex = 0;
  return {e, show: (/** @type {string} */ title, /** @type {HTMLElement[]} */ rows, /** @type {string} */ none) => {
    head.textContent = title;
    ul.setAttribute('aria-label', title);
    ul.replaceChildren(...rows);
    if (!rows.length) ul.append(line(none, ''));
  }};
}
