/**
 * The alerts beside the map: the worst first, to be acknowledged, taken over, noted, shelved and resolved.
 *
 * The list never moves under the hand: while the pointer rests on it, a finger has just touched it, or something in it
 * has the focus, it keeps its order and what stands in it; what comes meanwhile waits behind a button that says how many.
 */
import {Actions} from './alert-actions.js';
import {AlertHistory} from './alert-history.js';
import {AlertItem} from './alert-item.js';
import {SEVERITIES, counts, order} from './alert-words.js';
import {place, shelved} from './alerts.js';
import {may, past, wording} from './ask.js';
import {lang, t} from './i18n.js';
import {put} from './tables.js';

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./store.js').Alert} Alert
 * @typedef {{session?: {name?: string, may?: string[]} | null}} Context
 * @typedef {'standing' | 'shelved' | 'history'} Tab
 */
const TOUCH_MS = 5000; // a finger that has just touched the list is still over it
const FILTERS = ['severity', 'state', 'place'];
const STATES = ['new', 'acknowledged', 'resolved'];

/** @param {string} tag @param {string} className @param {Element} [into] */
function make(tag, className, into) {
  const e = document.createElement(tag);
  e.className = className;
  into?.append(e);
  return e;
}

export class AlertsPanel {
  /** @param {HTMLElement} e @param {Context} context */
  constructor(e, context) {
    this.element = e;
    this.context = context;
    /** @type {Store | null} */ this.store = null;
    /** @type {Tab} */ this.tab = 'standing';
    /** @type {Record<string, string>} */ this.chosen = {severity: '', state: '', place: ''};
    /** @type {Map<string, AlertItem>} */ this.items = new Map();
    /** @type {Map<string, Alert>} */ this.last = new Map(); // as last seen, for those that go while the list is held
    /** @type {string[]} */ this.shown = [];
    /** @type {Set<string> | null} */ this.known = null; // null: nothing has come yet, so nothing is new
    this.anew = true;
    this.over = false;
    this.touched = -TOUCH_MS;
    this.labelled = '';
    this.spoken = lang; // of what was told
    this.skip = /** @type {HTMLAnchorElement} */ (document.createElement('a'));
    this.run = '';
    this.actions = new Actions((act) => {
      const what = t(`al_${act.action}`);
      if (act.state === 'failed') this.tell(t('al_failed', {what, why: wording(act.error)}));
      if (act.state === 'sent') this.tell(`${t(`al_did_${act.action}`)}: ${this.store ? place(this.store, act.alert) : ''}`);
      this.redraw();
    });
    e.classList.add('alerts');
    const head = make('div', 'alerts-head', e);
    this.title = make('h2', '', head);
    this.title.id ||= 'alerts-panel-h';
    if (!e.hasAttribute('aria-label')) e.setAttribute('aria-labelledby', this.title.id);
    this.count = make('p', 'alerts-count num', head);
    this.tabs = make('div', 'alerts-tabs', e);
    this.tabs.setAttribute('role', 'group');
    for (const tab of /** @type {Tab[]} */ (['standing', 'shelved', 'history'])) {
      const b = /** @type {HTMLButtonElement} */ (make('button', '', this.tabs));
      b.type = 'button';
      b.dataset.tab = tab;
      b.onclick = () => this.choose(tab);
    }
    this.filters = make('div', 'alerts-filters', e);
    /** @type {Record<string, HTMLSelectElement>} */ this.selects = {};
    for (const name of FILTERS) {
      const select = this.selects[name] = /** @type {HTMLSelectElement} */ (make('select', '', this.filters));
      select.dataset.filter = name;
      select.onchange = () => { this.chosen[name] = select.value; this.anew = true; this.redraw(); };
    }
    const hand = this.hand = make('div', 'alerts-hand', e), slot = make('div', 'alerts-slot', hand); // always there, so that nothing moves when words come
    this.fresh = /** @type {HTMLButtonElement} */ (make('button', 'alerts-fresh', slot));
    this.fresh.type = 'button';
    this.fresh.onclick = () => { this.anew = true; this.redraw(); this.focus(); };
    this.said = make('p', 'alerts-said soft', slot);
    this.said.setAttribute('role', 'status');
    this.hint = make('p', 'alerts-hint soft', slot);
    this.list = make('ol', 'alerts-list', hand);
    this.list.dataset.scroll = 'alerts';
    this.past = make('div', 'alerts-past', e);
    this.none = make('p', 'alerts-none soft', e);
    // on the way from the list to the button for new ones too
    hand.addEventListener('pointerenter', (p) => { if (p.pointerType !== 'touch') this.over = true; });
    hand.addEventListener('pointerleave', () => { this.over = false; this.redraw(); });
    this.list.addEventListener('pointerdown', (p) => { if (p.pointerType === 'touch') this.touched = performance.now(); });
    this.list.addEventListener('focusout', () => setTimeout(() => this.redraw())); // when the focus has arrived elsewhere
    this.list.addEventListener('keydown', (p) => this.key(p));
    Object.assign(this.skip, {id: 'skip-alerts', className: 'skip of-situation', href: `#${e.id}`});
    this.skip.onclick = (p) => { p.preventDefault(); this.focus(); };
    document.getElementById('skip')?.after(this.skip);
    addEventListener('keydown', (p) => { // from anywhere on the page
      if (p.altKey && p.shiftKey && p.code === 'KeyA') { p.preventDefault(); this.focus(); }
    });
    this.history = new AlertHistory(this.past);
  }

  /** Go to the first alert that nobody has acknowledged, else to the first. */
  focus() {
    if (this.tab === 'history') this.choose('standing');
    const items = [...this.list.children];
    const first = items.find((li) => /** @type {HTMLElement} */ (li).dataset.state === 'new') ?? items[0];
    const target = first ? aim(first) : /** @type {HTMLElement} */ (this.tabs.firstElementChild);
    target.focus();
    target.scrollIntoView({block: 'nearest'});
  }

  /** @param {Tab} tab */
  choose(tab) {
    this.tab = tab;
    this.anew = true;
    if (tab === 'history' && this.store) this.history.load(this.store);
    this.redraw();
  }

  /** @param {string} words */
  tell(words) {
    put(this.said, words);
    this.said.title = words;
  }

  redraw() {
    if (this.store) this.update(this.store);
  }

  /** Whether the list is under the hand. */
  get held() {
    // a button that was clicked keeps the focus when the pointer has long gone: only a focus that is shown counts
    return this.over || performance.now() - this.touched < TOUCH_MS || this.list.querySelector(':focus-visible') !== null;
  }

  /** @param {Store} store */
  update(store) {
    this.store = store;
    const run = store.layout?.run.id ?? '';
    if (run !== this.run) {
      this.run = run;
      this.known = null;
      this.anew = true;
    }
    const seen = store.alerts.map((alert) => this.actions.seen(alert)).sort(order);
    const lying = seen.filter((alert) => shelved(store, alert));
    this.announce(store, seen);
    this.label(seen, lying, store);
    this.history.update(store, this.chosen);
    this.draw(store, this.tab === 'shelved' ? lying : seen.filter((alert) => !shelved(store, alert)));
  }

  /** Tell of those that have come since. @param {Store} store @param {Alert[]} seen */
  announce(store, seen) {
    const {known} = this, come = known && seen.filter((alert) => !known.has(alert.id));
    if (come?.length) this.tell(`${t('al_came')}: ${t(`severity_${come[0].severity}`)} ${place(store, come[0])}${come.length > 1 ? ` +${come.length - 1}` : ''}`);
    if (store.layout) this.known = new Set(seen.map((alert) => alert.id));
  }

  /** @param {Alert[]} seen @param {Alert[]} lying @param {Store} store */
  label(seen, lying, store) {
    const open = seen.filter((alert) => alert.state !== 'resolved' && !lying.includes(alert));
    put(this.count, counts(open));
    const places = new Map(seen.map((alert) => [alert.gate || alert.zone, place(store, alert)]));
    const key = JSON.stringify([lang, this.tab, lying.length, [...places], present(store), may(this.context, 'act')]);
    if (key === this.labelled) return;
    this.labelled = key;
    if (this.spoken !== lang) this.tell('');
    this.spoken = lang;
    put(this.title, t('standing'));
    put(this.skip, t('al_goto'));
    this.count.title = t('al_count');
    this.tabs.setAttribute('aria-label', t('al_views'));
    for (const b of /** @type {Iterable<HTMLElement>} */ (this.tabs.children)) {
      put(b, t(`al_${b.dataset.tab}`, {n: lying.length}));
      b.setAttribute('aria-pressed', String(b.dataset.tab === this.tab));
    }
    this.options('severity', SEVERITIES.map((s) => [s, t(`severity_${s}`)]));
    this.options('state', STATES.map((s) => [s, t(`alert_${s}`)]));
    const {place: chosen} = this.chosen;
    if (chosen && !places.has(chosen)) places.set(chosen, this.selects.place.selectedOptions[0]?.textContent ?? chosen);
    this.options('place', [...places].sort((a, b) => a[1].localeCompare(b[1], lang)));
    this.hint.classList.toggle('readonly', !present(store));
    put(this.hint, !present(store) ? t('al_readonly') : may(this.context, 'act') ? t('al_keys') : '');
  }

  /** @param {string} name @param {string[][]} values */
  options(name, values) {
    const select = this.selects[name];
    select.setAttribute('aria-label', t(`al_${name}`));
    select.replaceChildren(...[['', t(`al_all_${name}`)], ...values].map(([value, text]) => new Option(text, value, false, value === this.chosen[name])));
  }

  /** @param {Store} store @param {Alert[]} alerts of the tab */
  draw(store, alerts) {
    const on = this.tab !== 'history';
    this.hand.hidden = !on;
    // a phone hides the switches only where they hide nothing
    this.element.classList.toggle('plain', this.tab === 'standing' && !Object.values(this.chosen).some(Boolean));
    this.past.hidden = on;
    const wanted = alerts.filter((alert) => chosen(alert, this.chosen));
    const held = on && this.held && !this.anew;
    this.anew = false;
    const waiting = held ? wanted.filter((alert) => !this.shown.includes(alert.id)) : [];
    if (!held) this.shown = wanted.map((alert) => alert.id);
    this.list.classList.toggle('held', held);
    this.fresh.hidden = !waiting.length;
    if (waiting.length) put(this.fresh, `${t('al_fresh', {n: waiting.length})} ${counts(waiting).replace(/^■0 /, '')}`);
    this.fresh.title = t('al_held');
    for (const id of this.items.keys()) {
      if (this.shown.includes(id)) continue;
      this.items.get(id)?.node.remove();
      this.items.delete(id);
      this.last.delete(id);
    }
    this.actions.keep((id) => this.shown.includes(id) || store.alerts.some((alert) => alert.id === id));
    const act = may(this.context, 'act') && present(store), me = this.context.session?.name ?? '';
    const last = new Map([...this.last, ...store.alerts.map((alert) => /** @type {[string, Alert]} */ ([alert.id, alert]))]);
    this.shown.forEach((id, i) => {
      let item = this.items.get(id);
      if (!item) this.items.set(id, item = new AlertItem((...what) => this.do(...what)));
      const told = last.get(id);
      if (!told) return;
      const alert = this.actions.seen(told);
      this.last.set(id, told);
      item.update(store, alert, {act, me, gone: !store.alerts.some((a) => a.id === id), doing: this.actions.of(id)});
      if (this.list.children[i] !== item.node) this.list.insertBefore(item.node, this.list.children[i] ?? null);
    });
    put(this.none, on && !this.shown.length ? t(store.alerts.length ? 'al_none' : 'noAlerts') : '');
  }

  /** @param {Alert} alert @param {import('./alert-actions.js').Kind} action @param {import('./alert-actions.js').Fields} [fields] */
  do(alert, action, fields = {}) {
    const {store} = this;
    if (!store?.layout || !present(store)) return;
    const who = action === 'assign' ? {owner: this.context.session?.name ?? ''} : {};
    this.actions.post(store.layout.run.id, alert, store.now(), action, {...fields, ...who});
  }

  /** Up and down from alert to alert. @param {KeyboardEvent} e */
  key(e) {
    const step = {ArrowDown: 1, ArrowUp: -1}[e.key], at = /** @type {HTMLElement} */ (e.target);
    const item = at.closest('.alert');
    if (!step || !item || at.matches('input, select')) return;
    const next = step > 0 ? item.nextElementSibling : item.previousElementSibling;
    if (!next) return;
    e.preventDefault();
    const same = at.dataset.act && next.querySelector(`[data-act=${at.dataset.act}]`);
    /** @type {HTMLElement} */ (same || aim(next)).focus();
  }
}

/** Whether what is shown is the present: nothing can be done about what was. @param {Store} store */
function present({layout}) {
  return !past() && layout?.run.kind === 'live';
}

/** Where the focus goes in an alert: its first button, or itself where there is nothing to do. @param {Element} item */
function aim(item) {
  return /** @type {HTMLElement} */ (item.querySelector('[data-act]') ?? item);
}

/** @param {{severity: string, state: string, zone: string, gate: string}} alert @param {Record<string, string>} by */
export function chosen(alert, by) {
  return (!by.severity || alert.severity === by.severity) && (!by.state || alert.state === by.state)
    && (!by.place || (alert.gate || alert.zone) === by.place);
}
