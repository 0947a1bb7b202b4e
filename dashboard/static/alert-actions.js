/**
 * What operators do about alerts: posted one after the other, and shown as done until the stream says so itself, or
 * takes too long to.
 *
 * @typedef {import('./store.js').Alert} Alert
 * @typedef {'acknowledge' | 'assign' | 'note' | 'shelve' | 'unshelve' | 'resolve' | 'reopen'} Kind
 * @typedef {{owner?: string, reason?: string, until_min?: number}} Fields
 * @typedef {{alert: Alert, action: Kind, fields: Fields, at: number, state: 'sending' | 'sent' | 'failed', since: number, error: unknown}} Act
 */
import {ask} from './ask.js';

export const SHELF_MINUTES = [15, 30, 60, 120];
const BELIEVED_MS = 5000; // the stream tells within a second or two; after that only what it tells counts

export class Actions {
  /** @param {(act: Act) => void} tell called when an act was sent, taken or refused */
  constructor(tell) {
    this.tell = tell;
    /** @type {Map<string, Act[]>} */ this.acts = new Map();
    /** @type {Promise<void>} */ this.line = Promise.resolve();
  }

  /**
   * Post it, behind those before it. Never throws: what goes wrong stands in the act.
   * @param {string} run @param {Alert} alert @param {number} now the server's clock
   * @param {Kind} action @param {Fields} [fields]
   */
  post(run, alert, now, action, fields = {}) {
    /** @type {Act} */
    const act = {alert, action, fields, at: now, state: 'sending', since: performance.now(), error: null};
    this.acts.set(alert.id, [...(this.acts.get(alert.id) ?? []).filter(({state}) => state !== 'failed'), act]);
    this.tell(act);
    this.line = this.line.then(async () => {
      try {
        await ask(`/api/alerts/${encodeURIComponent(alert.id)}`, {body: {run, action, ...fields}});
        act.state = 'sent';
      } catch (error) {
        act.state = 'failed';
        act.error = error;
      }
      act.since = performance.now();
      this.tell(act);
    });
  }

  /** The last act that is under way or has failed. @param {string} id */
  of(id) { return this.acts.get(id)?.at(-1); }

  /** Forget what was done to other alerts. @param {(id: string) => boolean} those */
  keep(those) {
    for (const [id, acts] of this.acts) if (!those(id) && acts.every(({state}) => state !== 'sending')) this.acts.delete(id);
  }

  /**
   * The alert as it is shown: with what has been done to it, as long as the stream has not told.
   * @param {Alert} alert
   */
  seen(alert) {
    const acts = this.acts.get(alert.id);
    if (!acts) return alert;
    const open = acts.filter((act) => act.state !== 'sent' || !(told(alert, act) || performance.now() - act.since > BELIEVED_MS));
    if (open.length) this.acts.set(alert.id, open);
    else this.acts.delete(alert.id);
    return open.filter(({state}) => state !== 'failed').reduce((shown, act) => ({...shown, ...believed(act)}), alert);
  }
}

/** Whether the alert, as the stream tells it, shows the act. @param {Alert} alert @param {Act} act */
function told(alert, {action, fields}) {
  switch (action) {
    case 'acknowledge': return alert.state !== 'new';
    case 'assign': return alert.owner === fields.owner;
    case 'note': return alert.note === fields.reason;
    case 'shelve': return alert.shelved_until_ms != null && alert.shelved_for === fields.reason;
    case 'unshelve': return alert.shelved_until_ms == null;
    case 'resolve': return alert.state === 'resolved';
    case 'reopen': return alert.state !== 'resolved';
  }
}

/** @param {Act} act @returns {Partial<Alert>} */
function believed({alert, action, fields, at}) {
  switch (action) {
    case 'acknowledge': return {state: alert.state === 'new' ? 'acknowledged' : alert.state};
    case 'assign': return {owner: fields.owner ?? ''};
    case 'note': return {note: fields.reason ?? ''};
    case 'shelve': return {shelved_until_ms: at + (fields.until_min ?? 0) * 60_000, shelved_for: fields.reason ?? ''};
    case 'unshelve': return {shelved_until_ms: null, shelved_for: ''};
    case 'resolve': return {state: 'resolved'};
    case 'reopen': return {state: 'acknowledged'};
  }
}
