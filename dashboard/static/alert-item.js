/** One alert in the list: its words, its buttons, and the small forms that ask for a reason. */
import {SHELF_MINUTES} from './alert-actions.js';
import {against, mark} from './alert-words.js';
import {place, shelved} from './alerts.js';
import {wording} from './ask.js';
import {ago, clock} from './figures.js';
import {lang, t} from './i18n.js';
import {time} from './now.js';
import {put} from './tables.js';

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./store.js').Alert} Alert
 * @typedef {import('./alert-actions.js').Kind} Kind
 * @typedef {import('./alert-actions.js').Fields} Fields
 * @typedef {import('./alert-actions.js').Act} Act
 * @typedef {{act: boolean, me: string, gone: boolean, doing: Act | undefined}} Frame what else the look depends on
 */
/** @type {Record<string, Kind>} */
const KEYS = {a: 'acknowledge', t: 'assign', n: 'note', s: 'shelve', r: 'resolve'};
/** @type {Kind[]} */
const ASKED = ['note', 'shelve', 'resolve'];
let serial = 0;

/** @param {string} tag @param {string} className @param {Element} [into] */
function make(tag, className, into) {
  const e = document.createElement(tag);
  e.className = className;
  into?.append(e);
  return e;
}

/** What can be done about an alert in this state. @param {Store} store @param {Alert} alert @param {string} me @returns {Kind[]} */
function possible(store, alert, me) {
  if (shelved(store, alert)) return ['unshelve', 'note'];
  if (alert.state === 'resolved') return ['reopen', 'note']; // it still stands: whoever resolved it may have erred
  return [
    ...(alert.state === 'new' ? /** @type {Kind[]} */ (['acknowledge']) : []),
    ...(alert.owner === me ? [] : /** @type {Kind[]} */ (['assign'])), 'note', 'shelve', 'resolve',
  ];
}

export class AlertItem {
  /** @param {(alert: Alert, action: Kind, fields?: Fields) => void} act */
  constructor(act) {
    this.act = act;
    /** @type {Alert | null} */ this.alert = null;
    this.drawn = '';
    this.kinds = '';
    const id = `alert-${serial++}`;
    this.node = /** @type {HTMLLIElement} */ (make('li', 'alert'));
    this.node.tabIndex = -1;
    this.node.setAttribute('aria-labelledby', id);
    const top = make('div', 'alert-top', this.node), head = make('p', 'alert-head', top);
    head.id = id;
    this.why = /** @type {HTMLButtonElement} */ (make('button', 'alert-why', top));
    this.why.type = 'button';
    this.mark = make('span', 'mark', head);
    this.mark.setAttribute('aria-hidden', 'true');
    this.severity = make('span', 'alert-severity', head);
    this.place = make('b', 'alert-place', head);
    this.kind = make('span', 'alert-kind', head);
    this.facts = make('p', 'alert-facts num', this.node);
    this.since = make('span', 'alert-since', this.facts);
    this.by = make('span', 'alert-by', this.facts);
    this.state = make('p', 'alert-state', this.node);
    this.owner = make('span', 'alert-owner', this.state);
    this.stands = make('span', '', this.state);
    this.note = make('span', 'alert-note', this.state);
    this.trouble = make('p', 'alert-trouble', this.node);
    this.trouble.setAttribute('role', 'alert');
    this.buttons = make('div', 'alert-buttons', this.node);
    this.form = make('div', 'alert-form', this.node);
    this.asking = '';
    this.node.addEventListener('keydown', (e) => this.key(e));
  }

  /** @param {Store} store @param {Alert} alert @param {Frame} frame */
  update(store, alert, {act, me, gone, doing}) {
    this.alert = alert;
    const zone = store.layout?.run.timezone ?? 'UTC', put_by = shelved(store, alert);
    put(this.since, `${clock(alert.began_ms, zone)} · ${t('al_ago', {s: ago(time(store) - alert.began_ms)})}`);
    const key = JSON.stringify([lang, alert, act, me, gone, put_by, doing?.state, doing?.action, store.layout?.run.id]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.node.dataset.alert = alert.id;
    this.node.dataset.severity = alert.severity;
    this.node.dataset.state = gone ? 'gone' : alert.state;
    put(this.mark, mark(alert));
    this.mark.classList.toggle('blinks', alert.state === 'new' && !gone && !put_by);
    put(this.severity, t(`severity_${alert.severity}`).replace(/^\S+ /, '')); // its sign is the mark
    put(this.place, place(store, alert));
    put(this.kind, `${t(`kind_${alert.kind}`)} (${alert.rule})`);
    put(this.by, against(alert));
    put(this.why, t('al_why'));
    this.why.dataset.why = alert.gate ? `gate:${alert.gate}` : `zone:${alert.zone}`;
    put(this.owner, alert.owner ? t('al_owner', {name: alert.owner}) : t('al_nobody'));
    put(this.stands, gone ? t('al_gone') : put_by ? t('al_until', {until: clock(alert.shelved_until_ms ?? 0, zone)}) : t(`alert_${alert.state}`));
    put(this.note, (put_by ? alert.shelved_for : alert.note) || '');
    this.node.dataset.doing = doing?.state ?? '';
    put(this.trouble, doing?.state === 'failed' ? t('al_failed', {what: t(`al_${doing.action}`), why: wording(doing.error)})
      : doing ? t(`al_${doing.state}`) : '');
    this.draw(act && !gone ? possible(store, alert, me) : []);
  }

  /** The buttons, anew only when there are others: the one in focus must not be taken from under the finger. @param {Kind[]} kinds */
  draw(kinds) {
    const key = `${lang} ${kinds}`;
    if (key === this.kinds) return;
    this.kinds = key;
    const had = this.node.contains(document.activeElement), focused = /** @type {HTMLElement} */ (document.activeElement)?.dataset.act;
    this.buttons.replaceChildren(...kinds.map((kind) => {
      const b = document.createElement('button');
      b.type = 'button';
      b.dataset.act = kind;
      b.textContent = t(`al_${kind}`);
      const shortcut = Object.entries(KEYS).find(([, name]) => name === kind)?.[0];
      if (shortcut) b.setAttribute('aria-keyshortcuts', shortcut);
      b.setAttribute('aria-describedby', this.node.getAttribute('aria-labelledby') ?? '');
      b.onclick = () => this.press(kind);
      return b;
    }));
    if (this.asking && !kinds.includes(/** @type {Kind} */ (this.asking))) this.close();
    if (!had || this.form.contains(document.activeElement) || document.activeElement === this.why) return;
    /** @type {HTMLElement | null} */
    const same = focused ? this.buttons.querySelector(`[data-act=${focused}]`) : null;
    (same ?? this.node).focus(); // what was in focus is gone: stay at this alert
  }

  /** @param {Kind} kind */
  press(kind) {
    if (!this.alert) return;
    if (ASKED.includes(kind)) this.open(kind);
    else this.act(this.alert, kind);
  }

  /** @param {KeyboardEvent} e */
  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const at = /** @type {HTMLElement} */ (e.target);
    if (this.form.contains(at)) {
      if (e.key === 'Escape') { e.preventDefault(); e.stopPropagation(); this.close(true); }
      return;
    }
    const kind = e.key === 'Enter' && at === this.node ? 'acknowledge' : KEYS[e.key.toLowerCase()];
    const button = kind && this.buttons.querySelector(`[data-act=${kind}]`);
    if (!button) return;
    e.preventDefault();
    this.press(kind);
  }

  /** Ask for the reason, and how long. @param {Kind} kind */
  open(kind) {
    this.asking = kind;
    const form = document.createElement('form'), label = document.createElement('label'), input = document.createElement('input');
    form.noValidate = true; // the browser's own bubble speaks the browser's language
    form.setAttribute('aria-label', t(`al_${kind}`));
    const minutes = document.createElement('select');
    if (kind === 'shelve') {
      const wrap = document.createElement('label');
      make('span', '', wrap).textContent = t('al_minutes');
      minutes.append(...SHELF_MINUTES.map((n) => new Option(t('al_minute', {n}), String(n))));
      wrap.append(minutes);
      form.append(wrap);
    }
    make('span', '', label).textContent = t(kind === 'note' ? 'al_text' : 'al_reason');
    Object.assign(input, {type: 'text', required: true, maxLength: 500, autocomplete: 'off', name: 'reason'});
    label.append(input);
    const wrong = make('p', 'alert-wrong'), row = make('div', 'alert-buttons');
    wrong.setAttribute('role', 'alert');
    const save = /** @type {HTMLButtonElement} */ (make('button', 'strong', row)), cancel = /** @type {HTMLButtonElement} */ (make('button', '', row));
    save.type = 'submit';
    cancel.type = 'button';
    save.textContent = t('al_save');
    cancel.textContent = t('al_cancel');
    cancel.onclick = () => this.close(true);
    form.append(label, wrong, row);
    form.onsubmit = (e) => {
      e.preventDefault();
      const reason = input.value.trim();
      if (!reason) {
        wrong.textContent = t('al_needed');
        input.setAttribute('aria-invalid', 'true');
        input.focus();
        return;
      }
      const alert = this.alert;
      this.close(true);
      if (alert) this.act(alert, kind, kind === 'shelve' ? {reason, until_min: Number(minutes.value)} : {reason});
    };
    this.form.replaceChildren(form);
    (kind === 'shelve' ? minutes : input).focus();
  }

  /** @param {boolean} [back] focus goes back to the button */
  close(back = false) {
    const kind = this.asking;
    this.asking = '';
    const inside = this.form.contains(document.activeElement);
    /** @type {HTMLElement | null} */
    const button = this.buttons.querySelector(`[data-act=${kind}]`);
    if (back || inside) (button ?? this.node).focus();
    this.form.replaceChildren();
  }
}
