/** For supervisors: who consents, which contracts hold, and what companies have read. */
import {ask, wording} from './ask.js';
import {RangeTable, make, words} from './distinct.js';
import {RANGE, ago, clock, whole} from './figures.js';
import {addWords, t} from './i18n.js';
import {toLocal} from './local-time.js';

addWords({
  ja: {
    gv_consents: '同意', gv_contracts: '契約', gv_reads: '企業による読み出し', gv_provider: '提供者', gv_subjects: '同意している人（10 人ごと）', gv_few: '10 人未満の提供者は表示しません。',
    gv_state: '同意の到着: {lag} 前まで確認済み', gv_neverRead: '同意の記録をまだ最後まで読めていません', gv_held: '■ 保留中：同意が確認できないため、提供者のイベントを止めています', gv_passing: '提供者のイベントは同意に照らして通しています', gv_faults: '使えない記録: {why}', gv_told: '{age} 前の状態', gv_noConsents: '同意を扱う実行がありません',
    gv_contract: '契約', gv_company: '企業', gv_stateHead: '状態', gv_valid: '有効期間', gv_purposes: '目的', gv_products: 'データ', gv_duty: '報告義務', gv_last: '最後の手続き', gv_noContracts: '契約がありません', gv_unreadable: '読めない契約の記録が {n} 件あります', gv_due: '{since} から未提出',
    gv_active: '● 有効', gv_report_due: '▲ 報告期限超過', gv_correction_ordered: '▲ 是正命令', gv_suspended: '■ 停止', gv_expelled: '■ 除名', gv_ended: '○ 期間外',
    gv_policy: '政策', gv_disaster_support: '災害支援', gv_days: '{n} 日ごと', gv_months: '{n} か月ごと',
    gv_add: '締結', gv_report: '報告', gv_correct: '是正命令', gv_suspend: '停止', gv_leak: '漏えいの通知', gv_expel: '除名', gv_reinstate: '復帰', gv_token: '鍵の発行',
    gv_whole: '記録の鎖は先頭から {n} 件すべて確かめました', gv_broken: '■ 記録の鎖が壊れています: {what}', gv_noReads: '読み出しはまだありません', gv_at: '時刻', gv_purpose: '目的', gv_product: 'データ', gv_rows: '行数', gv_outcome: '結果', gv_given: '提供', gv_refused: '拒否', gv_unknown: '（不明）', gv_sums: '契約ごとの合計', gv_newest: '新しい順',
  },
  en: {
    gv_consents: 'Consents', gv_contracts: 'Contracts', gv_reads: 'Reads by companies', gv_provider: 'Provider', gv_subjects: 'People who consent (in tens)', gv_few: 'Providers with fewer than 10 are not shown.',
    gv_state: 'Consents known up to {lag} ago', gv_neverRead: 'The consents have not been read to their end yet', gv_held: '■ HELD: consents are not known, so events of providers wait', gv_passing: 'Events of providers pass as consents allow', gv_faults: 'Records that cannot be used: {why}', gv_told: 'as of {age} ago', gv_noConsents: 'No run handles consents',
    gv_contract: 'Contract', gv_company: 'Company', gv_stateHead: 'State', gv_valid: 'Valid', gv_purposes: 'Purposes', gv_products: 'Products', gv_duty: 'Reports', gv_last: 'Last step', gv_noContracts: 'There are no contracts', gv_unreadable: '{n} records of contracts cannot be read', gv_due: 'missing since {since}',
    gv_active: '● active', gv_report_due: '▲ report due', gv_correction_ordered: '▲ correction ordered', gv_suspended: '■ suspended', gv_expelled: '■ expelled', gv_ended: '○ out of its time',
    gv_policy: 'policy', gv_disaster_support: 'disaster support', gv_days: 'every {n} days', gv_months: 'every {n} months',
    gv_add: 'added', gv_report: 'report', gv_correct: 'correction ordered', gv_suspend: 'suspended', gv_leak: 'leak notice', gv_expel: 'expelled', gv_reinstate: 'reinstated', gv_token: 'key made',
    gv_whole: 'The chain holds: all {n} rows were verified from the first', gv_broken: '■ THE CHAIN IS BROKEN: {what}', gv_noReads: 'There are no reads yet', gv_at: 'Time', gv_purpose: 'Purpose', gv_product: 'Product', gv_rows: 'Rows', gv_outcome: 'Outcome', gv_given: 'given', gv_refused: 'refused', gv_unknown: '(unknown)', gv_sums: 'Sums by contract', gv_newest: 'The newest',
  },
});

/**
 * @typedef {{run_id: string, kind: string, at_ms: number, lag_ms: number | null, held: boolean, faults: string[],
 *   providers: {provider: string, low: number, high: number, terms: string[]}[]}} OfRun
 * @typedef {{id: string, company: string, state: string, due_ms: number | null, from_ms: number, to_ms: number, purposes: string[],
 *   products: string[], every: number, unit: string, steps: {act: string, at_ms: number, why: string}[]}} Contract
 * @typedef {{seq: number, at_ms: number, contract: string, company: string, purpose: string, product: string, run: string,
 *   rows: number, outcome: string, reason: string}} Read
 */
const CLASS = 10;

export class Governance {
  /** @param {HTMLElement} element @param {import('./components.js').Context} context */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    this.asked = false;
    this.parts = [
      new Part(element, 'gv_consents', '/api/consents', (e, told) => this.consents(e, told)),
      new Part(element, 'gv_contracts', '/api/contracts', (e, told) => this.contracts(e, told)),
      new Part(element, 'gv_reads', '/api/reads', (e, told) => this.reads(e, told)),
    ];
  }

  get zone() { return this.context.store.layout?.run.timezone ?? 'UTC'; }

  build() {
    words(this.element);
    for (const part of this.parts) part.draw();
  }

  update() {
    if (this.asked) return;
    this.asked = true;
    for (const part of this.parts) void part.load();
  }

  /** @param {HTMLElement} e @param {{now: number, runs: OfRun[]}} told */
  consents(e, {now, runs}) {
    if (!runs.length) make('p', 'soft', e, t('gv_noConsents'));
    for (const {run_id, kind, at_ms, lag_ms, held, faults, providers} of runs) {
      make('h3', '', e, `${run_id} — ${t(kind)}`);
      make('p', held ? 'gv-bad' : '', e, t(held ? 'gv_held' : 'gv_passing'));
      make('p', '', e, `${lag_ms == null ? t('gv_neverRead') : t('gv_state', {lag: ago(lag_ms)})} · ${t('gv_told', {age: ago(now - at_ms)})}`);
      if (faults.length) make('p', 'gv-bad', e, t('gv_faults', {why: faults.join(', ')}));
      const lines = providers.map(({provider, low, high}) => /** @type {import('./distinct.js').Line} */ ({about: [provider, ''], told: {n: Math.floor((low + high) / 2), low, high, s: RANGE}}));
      new RangeTable(e).show(t('gv_subjects'), [t('gv_provider')], lines, CLASS, false);
      make('p', 'soft', e, t('gv_few'));
    }
  }

  /** @param {HTMLElement} e @param {{now: number, contracts: Contract[], unreadable: number}} told */
  contracts(e, {now, contracts, unreadable}) {
    if (unreadable) make('p', 'gv-bad', e, t('gv_unreadable', {n: unreadable}));
    const day = (/** @type {number} */ ms) => toLocal(ms, this.zone).slice(0, 10);
    table(e, 'gv_contracts', ['gv_contract', 'gv_company', 'gv_stateHead', 'gv_valid', 'gv_purposes', 'gv_products', 'gv_duty', 'gv_last'], contracts.map((c) => {
      const last = c.steps[c.steps.length - 1], over = c.state === 'active' && (now < c.from_ms || now >= c.to_ms);
      return [c.id, c.company, t(`gv_${over ? 'ended' : c.state}`), `${day(c.from_ms)} – ${day(c.to_ms)}`, c.purposes.map((p) => t(`gv_${p}`)).join(', '), c.products.join(', '),
        `${t(`gv_${c.unit}`, {n: c.every})}${c.due_ms == null ? '' : ` · ${t('gv_due', {since: day(c.due_ms)})}`}`,
        last ? `${t(`gv_${last.act}`)} ${clock(last.at_ms, this.zone, true)} ${last.why}`.trim() : '—'];
    }), 'gv_noContracts', (row) => (['suspended', 'expelled', 'report_due', 'correction_ordered'].includes(contracts[row].state) ? 'gv-bad' : ''));
  }

  /** @param {HTMLElement} e @param {{count: number, fault: string | null, contracts: {contract: string, company: string, given: number, refused: number, rows: number}[], reads: Read[]}} told */
  reads(e, {count, fault, contracts, reads}) {
    make('p', fault ? 'gv-bad' : '', e, fault ? t('gv_broken', {what: fault}) : t('gv_whole', {n: whole(count)}));
    if (!reads.length) {
      make('p', 'soft', e, t('gv_noReads'));
      return;
    }
    table(e, 'gv_sums', ['gv_contract', 'gv_company', 'gv_given', 'gv_refused', 'gv_rows'],
      contracts.map((c) => [c.contract || t('gv_unknown'), c.company || '—', whole(c.given), whole(c.refused), whole(c.rows)]), 'gv_noReads');
    table(e, 'gv_newest', ['gv_at', 'gv_contract', 'gv_company', 'gv_purpose', 'gv_product', 'gv_rows', 'gv_outcome'], reads.map((r) => [
      `${r.seq} · ${clock(r.at_ms, this.zone, true)}`, r.contract || t('gv_unknown'), r.company || '—', r.purpose ? t(`gv_${r.purpose}`) : '—', r.product || '—', whole(r.rows),
      r.reason ? `✕ ${t('gv_refused')}: ${r.reason}` : t('gv_given')]), 'gv_noReads', (row) => (reads[row].reason ? 'gv-bad' : ''));
  }
}

/** One question and what is drawn of its answer. */
class Part {
  /** @param {HTMLElement} into @param {string} title a key of the words @param {string} url @param {(e: HTMLElement, told: any) => void} show */
  constructor(into, title, url, show) {
    this.url = url;
    this.show = show;
    this.serial = 0;
    /** @type {any} */ this.told = null;
    this.fault = () => '';
    const box = make('section', 'ds-table', into), head = make('div', 'ds-controls', box), name = make('h2', '', head);
    name.dataset.ds = title;
    name.id = title;
    box.setAttribute('aria-labelledby', title);
    const again = /** @type {HTMLButtonElement} */ (make('button', '', head));
    again.type = 'button';
    again.dataset.ds = 'ds_reload';
    again.onclick = () => { void this.load(); };
    this.state = make('p', 'ds-state', head);
    this.state.setAttribute('role', 'status');
    this.body = make('div', 'gv-body', box);
  }

  async load() {
    const serial = ++this.serial;
    this.fault = () => t('ds_loading');
    this.draw();
    try {
      const told = await ask(this.url);
      if (serial !== this.serial) return;
      this.told = told;
      this.fault = () => '';
    } catch (error) {
      if (serial !== this.serial) return;
      this.fault = () => t('ds_failed', {why: wording(error)});
    }
    this.draw();
  }

  draw() {
    this.state.textContent = this.fault();
    this.body.replaceChildren();
    if (this.told) this.show(this.body, this.told);
    words(this.body);
  }
}

/** @param {HTMLElement} into @param {string} title @param {string[]} heads keys of the words @param {string[][]} rows @param {string} none @param {(row: number) => string} [look] */
function table(into, title, heads, rows, none, look = () => '') {
  if (!rows.length) {
    make('p', 'soft', into, t(none));
    return;
  }
  const scroll = make('div', 'scroll', into), e = /** @type {HTMLTableElement} */ (make('table', '', scroll));
  Object.assign(scroll, {tabIndex: 0});
  scroll.setAttribute('role', 'region');
  scroll.setAttribute('aria-label', t(title));
  make('caption', '', e, t(title));
  const head = e.createTHead().insertRow(), body = e.createTBody();
  for (const key of heads) make('th', '', head, t(key)).setAttribute('scope', 'col');
  rows.forEach((texts, i) => {
    const row = body.insertRow();
    row.className = look(i);
    texts.forEach((text, column) => {
      const cell = make(column ? 'td' : 'th', '', row, text);
      if (!column) cell.setAttribute('scope', 'row');
    });
  });
}
