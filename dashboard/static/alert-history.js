/** The alerts of a run that were, with what was done about them; asked for when it is opened. */
import {SEVERITIES, against, mark} from './alert-words.js';
import {place} from './alerts.js';
import {ask, wording} from './ask.js';
import {clock} from './figures.js';
import {lang, t} from './i18n.js';

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {{action: string, by: string, at_ms: number, owner?: string, reason?: string, until_ms?: number | null}} Done
 * @typedef {import('./store.js').Alert & {resolved_ms: number | null, actions: Done[]}} Past
 */
const PAGE = 100; // shown at first; more on request

/** @param {string} tag @param {string} className @param {Element} into @param {string} [text] */
function make(tag, className, into, text) {
  const e = document.createElement(tag);
  e.className = className;
  if (text !== undefined) e.textContent = text;
  into.append(e);
  return e;
}

export class AlertHistory {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    /** @type {Past[] | null} */ this.alerts = null;
    /** @type {unknown} */ this.trouble = null;
    this.most = PAGE;
    this.drawn = '';
    /** @type {AbortController | null} */ this.asking = null;
  }

  /** Ask for it anew. @param {Store} store */
  async load(store) {
    this.asking?.abort();
    const mine = this.asking = new AbortController(), run = store.layout?.run.id ?? '';
    Object.assign(this, {alerts: null, trouble: null, most: PAGE});
    /** @type {Record<string, string>} */ let by = {};
    try {
      const told = await ask(`/api/alerts?${new URLSearchParams({run})}`, {signal: mine.signal});
      this.alerts = Array.isArray(told) ? told : told.alerts;
    } catch (error) {
      if (mine.signal.aborted) return;
      this.trouble = error;
    }
    by = this.by ?? by;
    this.update(store, by);
  }

  /** @param {Store} store @param {Record<string, string>} by the filters */
  update(store, by) {
    this.by = by;
    if (this.element.hidden) return;
    const key = JSON.stringify([lang, by, this.trouble && wording(this.trouble), this.alerts?.length, this.most, store.layout?.run.timezone]) + Boolean(this.alerts);
    if (key === this.drawn) return;
    this.drawn = key;
    this.element.replaceChildren();
    if (this.trouble) {
      make('p', 'alert-trouble', this.element, wording(this.trouble)).setAttribute('role', 'alert');
      const again = /** @type {HTMLButtonElement} */ (make('button', '', this.element, t('al_again')));
      again.type = 'button';
      again.onclick = () => this.load(store);
    } else if (!this.alerts) {
      make('p', 'soft', this.element, t('al_loading'));
    } else {
      this.draw(store, this.alerts, by);
    }
  }

  /** @param {Store} store @param {Past[]} alerts @param {Record<string, string>} by */
  draw(store, alerts, by) {
    // in a replay what came later has not happened yet
    const found = alerts.filter((alert) => alert.began_ms <= store.now() && fits(alert, by));
    const list = make('ol', 'alerts-list', this.element);
    for (const alert of found.slice(0, this.most)) this.row(store, alert, list);
    if (!found.length) make('p', 'soft', this.element, t('al_none'));
    if (found.length > this.most) {
      const more = /** @type {HTMLButtonElement} */ (make('button', '', this.element, t('al_more', {n: found.length - this.most})));
      more.type = 'button';
      more.onclick = () => { this.most += PAGE; this.update(store, by); };
    }
  }

  /** @param {Store} store @param {Past} alert @param {Element} list */
  row(store, alert, list) {
    const zone = store.layout?.run.timezone ?? 'UTC', li = /** @type {HTMLElement} */ (make('li', 'alert', list));
    li.dataset.alert = alert.id;
    li.dataset.severity = alert.severity;
    li.dataset.state = alert.state;
    const head = make('p', 'alert-head', li);
    make('span', 'mark', head, mark(alert));
    make('span', 'alert-severity', head, t(`severity_${alert.severity}`).replace(/^\S+ /, ''));
    make('b', 'alert-place', head, place(store, alert));
    make('span', 'alert-kind', head, `${t(`kind_${alert.kind}`)} (${alert.rule})`);
    const facts = make('p', 'alert-facts num', li);
    make('span', 'alert-since', facts, clock(alert.began_ms, zone, true));
    make('span', '', facts, alert.resolved_ms == null ? t('al_stillOn') : t('al_resolvedAt', {time: clock(alert.resolved_ms, zone, true)}));
    make('span', 'alert-by', facts, against(alert));
    const did = make('ul', 'alert-did', li);
    did.setAttribute('aria-label', t('al_done'));
    for (const one of alert.actions ?? []) {
      const line = make('li', '', did);
      make('span', 'num', line, `${clock(one.at_ms, zone, true)} `);
      make('b', '', line, one.by);
      line.append(` ${t(`al_${one.action}`)}`);
      const more = [one.owner, one.reason, one.until_ms == null ? '' : t('al_until', {until: clock(one.until_ms, zone)})].filter(Boolean);
      if (more.length) line.append(`: ${more.join(' · ')}`);
    }
    if (!alert.actions?.length) make('li', 'soft', did, t('al_nothing'));
  }
}

/** @param {Past} alert @param {Record<string, string>} by */
function fits(alert, by) {
  return SEVERITIES.includes(alert.severity) && (!by.severity || alert.severity === by.severity)
    && (!by.state || alert.state === by.state) && (!by.place || (alert.gate || alert.zone) === by.place);
}
