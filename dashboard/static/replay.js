/**
 * Replay: a stored span played on the page itself, in its own time, and such that it cannot be taken for the present:
 * a banner and a border that stay, its clock and not the wall's, no actions. What is live goes on in a small count.
 * The address says `replay` (the run) and `at`, so that a reload stays in it.
 */
import {counts} from './alert-words.js';
import {shelved} from './alerts.js';
import {ask, wording} from './ask.js';
import {clock} from './figures.js';
import {addWords, lang, t} from './i18n.js';
import {FORM, fromLocal, timeField, toLocal, zoneName} from './local-time.js';
import {Player, SPEEDS} from './player.js';
import {Store} from './store.js';
import {put} from './tables.js';

addWords({
  ja: {
    rp_title: '過去の再生', rp_run: '再生する実行', rp_from: '開始', rp_to: '終了', rp_start: '▶ 再生を始める', rp_back: '現在に戻る', rp_play: '▶ 再生', rp_pause: '⏸ 一時停止',
    rp_seek: '再生位置', rp_speed: '速さ', rp_times: '{n} 倍', rp_loading: '読み込み中…', rp_failed: '再生できません: {why}', rp_again: '再試行',
    rp_noRuns: '再生できる実行がありません', rp_span: '開始は終了より前にしてください', rp_form: '時刻は {form}（{zone}）の形で入力してください', rp_mark: 'REPLAY 再生', rp_not: '現在の値ではありません', rp_live: '現在の警報 {counts}', rp_new: '新着あり',
  },
  en: {
    rp_title: 'Replay', rp_run: 'Run to play', rp_from: 'From', rp_to: 'To', rp_start: '▶ Start the replay', rp_back: 'Back to live', rp_play: '▶ Play', rp_pause: '⏸ Pause',
    rp_seek: 'Position', rp_speed: 'Speed', rp_times: '{n}×', rp_loading: 'loading…', rp_failed: 'Cannot be played: {why}', rp_again: 'Try again',
    rp_noRuns: 'No run can be played', rp_span: 'The start must come before the end', rp_form: 'Times look like {form} ({zone})', rp_mark: 'REPLAY', rp_not: 'this is not the present', rp_live: 'live alerts {counts}', rp_new: 'new',
  },
});

/**
 * @typedef {{run_id: string, kind: string, from_ms?: number | null, to_ms?: number | null}} Run
 * @typedef {import('./components.js').Context} Context
 */
const TICK_MS = 100;
const ADDRESS_MS = 1000; // browsers allow about 100 changes of the address in half a minute
/** @type {Record<string, number>} */
const LENGTHS = {'10s': 10_000, '1m': 60_000, '5m': 300_000, '15m': 900_000, '1h': 3_600_000};
const FRAMES = 60; // windows in a chunk
const MINUTE_MS = 60_000;
const SPAN_MS = 3_600_000; // offered at first: the last hour
const LEARN_MS = 10_000;
const root = document.documentElement;

/** @param {string} tag @param {string} className @param {Element} [into] */
function make(tag, className, into) {
  const e = document.createElement(tag);
  e.className = className;
  into?.append(e);
  return e;
}

export class Replay {
  /** @param {HTMLElement} element @param {Context} context */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    /** @type {Player | null} */ this.player = null;
    /** @type {Store | null} */ this.live = null; // the present, while the page shows the past
    /** @type {Set<string>} */ this.seen = new Set();
    /** @type {Run[]} */ this.runs = [];
    this.shown = '';
    this.behind = false;
    this.run = '';
    this.window = '';
    this.told = 0;
    this.fault = () => ''; // in the present language
    this.learned = 0;
    this.offered = ''; // the run whose span stands in the inputs
    this.drawn = '';
    element.classList.add('replay');
    this.chooser = /** @type {HTMLFormElement} */ (make('form', 'replay-row', element));
    this.chooser.noValidate = true;
    make('b', 'replay-title', this.chooser);
    this.choice = /** @type {HTMLSelectElement} */ (this.labelled('run', 'select'));
    this.start = this.time('from');
    this.end = this.time('to');
    this.zoned = make('span', 'soft', this.chooser);
    this.go = this.button(this.chooser);
    this.go.type = 'submit';
    this.wrong = make('span', 'replay-wrong', this.chooser);
    this.wrong.setAttribute('role', 'alert');
    this.controls = make('div', 'replay-row', element);
    this.toggle = this.button(this.controls);
    this.seek = document.createElement('input');
    Object.assign(this.seek, {type: 'range', className: 'replay-seek'});
    this.clock = make('span', 'replay-clock num', this.controls);
    this.clock.before(this.seek);
    this.speed = /** @type {HTMLSelectElement} */ (make('select', '', this.controls));
    this.banner = make('div', 'replay-live', document.getElementById('banners') ?? undefined);
    this.state = make('span', 'replay-state', this.banner); // here: without a first frame there is nothing below
    this.state.setAttribute('role', 'status');
    this.again = this.button(this.banner);
    this.again.onclick = () => this.player?.retry();
    this.count = make('span', 'num', this.banner);
    this.count.setAttribute('aria-live', 'polite');
    this.back = this.button(this.banner);
    this.back.id = 'back-to-live';
    this.choice.onchange = () => this.offer();
    // a live run has grown since
    this.choice.onfocus = () => { if (performance.now() - this.learned > LEARN_MS) this.learn(); };
    this.chooser.onsubmit = (e) => { e.preventDefault(); this.begin(); };
    this.toggle.onclick = () => { if (this.player?.playing) this.player.pause(); else this.player?.play(); };
    this.seek.oninput = () => this.player?.seek(Number(this.seek.value));
    this.speed.onchange = () => { if (this.player) this.player.speed = Number(this.speed.value); };
    this.back.onclick = () => this.context.levels.go({replay: null, at: null, since: null, until: null});
    context.levels.onchange(() => this.follow());
    this.relabel();
    // at once where the address tells the span: a page that is loaded again must not show the present for a moment
    if (context.levels.query.get('until')) this.follow();
    this.learn().then(() => this.follow());
    setInterval(() => this.player?.tick(), TICK_MS);
  }

  /** @param {string} name @param {string} tag */
  labelled(name, tag) {
    const label = make('label', '', this.chooser);
    make('span', '', label).dataset.word = name;
    return make(tag, '', label);
  }

  /** @param {string} name */
  time(name) {
    const input = /** @type {HTMLInputElement} */ (this.labelled(name, 'input'));
    input.name = name;
    timeField(input, () => this.zone);
    return input;
  }

  /** @param {Element} into */
  button(into) {
    const b = /** @type {HTMLButtonElement} */ (make('button', '', into));
    b.type = 'button';
    return b;
  }

  get zone() { return this.context.store.layout?.run.timezone ?? 'UTC'; }

  async learn() {
    this.learned = performance.now();
    try {
      /** @type {Run[]} */ const all = await ask('/api/runs');
      this.runs = all.filter(({from_ms, to_ms}) => from_ms != null && to_ms != null && from_ms < to_ms);
      this.fault = () => (this.runs.length ? '' : t('rp_noRuns'));
    } catch (error) {
      this.fault = () => t('rp_failed', {why: wording(error)});
    }
    put(this.wrong, this.fault());
    this.offerRuns();
    this.offer();
  }

  offerRuns() {
    const {value} = this.choice;
    this.choice.replaceChildren(...this.runs.map(({run_id, kind}) => new Option(`${run_id} — ${t(kind)}`, run_id, false, run_id === value)));
    this.go.disabled = !this.runs.length;
  }

  /** The last hour of the run chosen. */
  offer() {
    const run = this.runs.find(({run_id}) => run_id === this.choice.value);
    if (run?.from_ms == null || run.to_ms == null) return;
    put(this.zoned, zoneName(run.to_ms, this.zone));
    const offered = `${run.run_id} ${this.zone}`;
    if (offered === this.offered) return; // what was typed stays
    this.offered = offered;
    const end = Math.floor(run.to_ms / MINUTE_MS) * MINUTE_MS, from = Math.max(run.from_ms, end - SPAN_MS);
    // whole minutes, where there is one
    this.start.value = toLocal(from < end ? from : run.from_ms, this.zone);
    this.end.value = toLocal(from < end ? end : run.to_ms, this.zone);
  }

  begin() {
    const from = fromLocal(this.start.value, this.zone), to = fromLocal(this.end.value, this.zone);
    for (const [input, ms] of /** @type {[HTMLInputElement, number | null][]} */ ([[this.start, from], [this.end, to]])) {
      if (ms == null) input.setAttribute('aria-invalid', 'true');
    }
    this.fault = () => (from == null || to == null ? t('rp_form', {form: FORM, zone: this.zoned.textContent ?? ''}) : from >= to ? t('rp_span') : '');
    put(this.wrong, this.fault());
    if (from == null || to == null || from >= to) return;
    this.context.levels.go({replay: this.choice.value, at: String(from), since: String(from), until: String(to)});
  }

  /** Do what the address says. */
  follow() {
    const {query, window: asked} = this.context.levels, run = query.get('replay') ?? '', at = Number(query.get('at'));
    if (!run) {
      this.leave();
    } else if (!this.player || run !== this.run || asked !== this.window) {
      this.enter(run, at, Number(query.get('since')), Number(query.get('until')));
    } else if (Math.abs(at - this.player.at) > 2 * ADDRESS_MS * this.player.speed) {
      this.player.seek(at); // gone back or forward in the browser's history
    }
  }

  /** 0 = not told: the run's own begin and end. @param {string} run @param {number} at @param {number} since @param {number} until */
  enter(run, at, since, until) {
    const {context} = this, {store} = context, known = this.runs.find(({run_id}) => run_id === run);
    const first = since || (known?.from_ms ?? at), to = until > first ? until : Math.max(known?.to_ms ?? at, first + 1000);
    if (!this.player) {
      this.live = context.present = new Store();
      if (store.ready) this.hear('snapshot', store.id, store.whole(), store.at);
      context.hold(true, (...told) => this.hear(...told));
      // what is live must not stand there as what was, until the first frame has come
      if (store.ready) context.take('snapshot', 'replay-0', blank(store, at || first));
    }
    this.player?.stop();
    const speed = this.player?.speed ?? 1, playing = this.player?.playing ?? false;
    Object.assign(this, {run, window: context.levels.window});
    root.dataset.mode = 'replay';
    store.frozen = true;
    const length = LENGTHS[this.window] ?? store.layout?.length_ms ?? LENGTHS['10s'];
    const player = this.player = new Player(first, to, FRAMES * length, {
      ask: (from, end, signal) => ask(`/api/frames?${new URLSearchParams({
        run, ...(this.window ? {window: this.window} : {}), from: String(from), to: String(end)})}`, {signal}),
      feed: (type, id, m) => { context.take(type, id, m); },
      changed: () => { this.tell(); this.draw(); },
    });
    player.speed = speed;
    player.seek(at || first);
    if (playing) player.play();
    this.draw();
  }

  /** What the live stream tells meanwhile. @type {import('./stream.js').Tell} */
  hear(type, id, message, at) {
    const first = this.live && !this.live.ready;
    this.live?.apply(type, id, message, at);
    if (first) this.seen = new Set(this.live?.alerts.map((alert) => alert.id)); // those that come later are new
  }

  leave() {
    if (!this.player) return;
    const {context, live} = this;
    this.player.stop();
    Object.assign(this, {player: null, live: null});
    context.present = null;
    delete root.dataset.mode;
    context.store.frozen = false;
    // at once, not when the stream tells again: what was must not stand there as the present, nor if nobody answers
    if (live?.ready) context.take('snapshot', live.id, live.whole(), live.at);
    else context.take('snapshot', 'none-0', {now: 0, problem: null, closed: null, layout: null});
    context.hold(false);
    this.draw();
    /** @type {HTMLElement} */ (this.go).focus();
  }

  /** Keep the address up to date. */
  tell() {
    const {player} = this, now = performance.now();
    if (!player || (player.playing && now - this.told < ADDRESS_MS)) return;
    this.told = now;
    this.context.levels.go({at: String(Math.round(player.at))}, true);
  }

  build() {
    this.relabel();
    this.draw();
  }

  /** @param {Store} store */
  update(store) {
    const kind = this.context.levels.streamed ? store.layout?.run.kind ?? '' : '';
    if (root.dataset.kind !== kind) root.dataset.kind = kind; // a run that is a replay itself has the border too
    const shown = store.problem ? '' : store.layout?.run.id ?? '', caughtUp = this.behind && store.problem !== 'behind';
    this.behind = store.problem === 'behind';
    if (!this.player && ((shown && shown !== this.shown) || caughtUp)) {
      this.shown = shown;
      // it began after the page was opened, or reaches further now
      if (caughtUp || !this.runs.some(({run_id}) => run_id === shown)) void this.learn();
    }
    this.draw();
  }

  relabel() {
    this.element.setAttribute('aria-label', t('rp_title'));
    put(/** @type {HTMLElement} */ (this.chooser.firstElementChild), t('rp_title'));
    for (const e of /** @type {Iterable<HTMLElement>} */ (this.chooser.querySelectorAll('[data-word]'))) put(e, t(`rp_${e.dataset.word}`));
    put(this.go, t('rp_start'));
    put(this.wrong, this.fault());
    put(this.back, t('rp_back'));
    put(this.again, t('rp_again'));
    this.seek.setAttribute('aria-label', t('rp_seek'));
    this.speed.setAttribute('aria-label', t('rp_speed'));
    this.speed.replaceChildren(...SPEEDS.map((n) => new Option(t('rp_times', {n}), String(n), false, n === this.player?.speed)));
    this.offerRuns();
    this.offer();
  }

  draw() {
    const {player} = this, on = player !== null;
    this.chooser.hidden = on;
    this.controls.hidden = this.banner.hidden = !on;
    if (!player) return;
    // without a first frame the run's time zone is not known: no time rather than one of another zone
    const time = this.context.store.layout ? clock(player.at, this.zone, true) : '—', open = this.live?.alerts.filter((a) => a.state !== 'resolved' && this.live && !shelved(this.live, a)) ?? [];
    put(this.toggle, t(player.playing ? 'rp_pause' : 'rp_play'));
    Object.assign(this.seek, {min: String(player.from), max: String(player.to), step: '1000'});
    if (Number(this.seek.value) !== player.at) this.seek.value = String(player.at);
    this.seek.setAttribute('aria-valuetext', time);
    put(this.clock, time);
    put(this.state, player.trouble ? t('rp_failed', {why: wording(player.trouble)}) : player.loading ? t('rp_loading') : '');
    this.again.hidden = !player.trouble;
    if (this.speed.value !== String(player.speed)) this.speed.value = String(player.speed);
    const fresh = open.some(({id}) => !this.seen.has(id));
    put(this.count, `${t('rp_live', {counts: counts(open)})}${fresh ? ` ${t('rp_new')}` : ''}`);
    this.banner.classList.toggle('fresh', fresh);
    this.words(time);
  }

  /** The banner; its time changes without a word to screen readers. @param {string} time */
  words(time) {
    const e = document.getElementById('replay'), key = JSON.stringify([lang, this.run]);
    if (!e) return;
    if (this.drawn !== key || !e.firstElementChild) {
      this.drawn = key;
      e.replaceChildren();
      make('b', '', e).textContent = `▶ ${t('rp_mark')}`;
      e.append(` — ${t('rp_not')} — ${this.run} — `);
      make('span', 'num', e).setAttribute('aria-live', 'off');
    }
    put(/** @type {HTMLElement} */ (e.lastElementChild), time);
  }
}

/** The places that are shown, with nothing known of them. @param {Store} store @param {number} now @returns {import('./store.js').Message} */
function blank({layout, flow, zones, headings}, now) {
  const none = (/** @type {import('./store.js').Columns} */ columns) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.map(() => null)]));
  return {now, problem: null, closed: null, layout, flow: none(flow), zones: none(zones), headings: none(headings), alerts: [], health: null};
}
