/**
 * "Why this colour?": what the figures and the grade of one zone or gate rest on. Any element with `data-why`
 * (`zone:ID` or `gate:ID`) asks for it; so does the zone that is selected, which then does not take the focus.
 */
import {ask, past, wording} from './ask.js';
import {lang, t} from './i18n.js';
import {drawWhy} from './why-parts.js';

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {{levels: {zone: string, window: string, onchange(f: () => void): void}, store: Store}} Context
 * @typedef {{part: 'zone' | 'gate', id: string}} Target
 */

/** @param {string} tag @param {string} className @param {Element} [into] */
function make(tag, className, into) {
  const e = document.createElement(tag);
  e.className = className;
  into?.append(e);
  return e;
}

/** What `data-why` names; null where it names nothing. @param {string | undefined} text @returns {Target | null} */
export function target(text) {
  const found = /^(zone|gate):(.+)$/s.exec(text ?? '');
  return found && {part: /** @type {'zone' | 'gate'} */ (found[1]), id: found[2]};
}

export class Why {
  /** @param {HTMLElement} host @param {Context} context */
  constructor(host, context) {
    this.host = host;
    this.context = context;
    /** @type {Target | null} */ this.target = null;
    /** @type {HTMLElement | null} */ this.opener = null;
    /** @type {object | null} */ this.answer = null;
    /** @type {unknown} */ this.trouble = null;
    this.wanted = false; // somebody asked for it, so it comes into sight
    this.about = ''; // what the answer is about
    this.basis = ''; // the figures the answer is about: others are newer
    /** @type {AbortController | null} */ this.asking = null;
    this.box = make('div', 'why');
    this.box.setAttribute('role', 'region');
    const head = make('div', 'why-head', this.box);
    this.title = make('h2', '', head);
    this.title.tabIndex = -1;
    this.title.id = 'why-h';
    this.box.setAttribute('aria-labelledby', 'why-h');
    this.newer = this.button(head, () => this.load());
    this.shut = this.button(head, () => this.close());
    this.shut.className = 'why-close';
    this.body = make('div', 'why-body', this.box);
    this.body.dataset.scroll = 'why';
    this.body.tabIndex = 0; // so that it can be scrolled by keyboard
    this.body.setAttribute('role', 'group');
    this.body.setAttribute('aria-labelledby', 'why-h');
    host.append(this.box);
    this.drawer = make('aside', 'why-drawer', document.body); // where the host itself is not in sight
    this.drawer.hidden = true;
    document.addEventListener('click', (e) => {
      const asked = e.target instanceof Element && /** @type {HTMLElement | null} */ (e.target.closest('[data-why]'));
      const found = asked && target(asked.dataset.why);
      // a figure in a cell cannot hold the focus: the button of its row can
      if (asked && found) this.open(found, asked.tabIndex < 0 ? asked.closest('tr')?.querySelector('button[data-why]') ?? asked : asked);
    });
    document.addEventListener('keydown', (e) => {
      if (e.key === 'Escape' && this.target && this.box.contains(document.activeElement)) this.close();
    });
    context.levels.onchange(() => this.follow());
    this.relabel();
    this.draw();
  }

  /** @param {HTMLElement} into @param {() => void} press */
  button(into, press) {
    const b = /** @type {HTMLButtonElement} */ (make('button', '', into));
    b.type = 'button';
    b.onclick = press;
    return b;
  }

  /** Show it, and go there; `opener` gets the focus back. @param {Target} what @param {HTMLElement | null} opener */
  open(what, opener) {
    this.opener = opener;
    this.wanted = true;
    this.target = what;
    this.place();
    this.load();
    this.title.focus({preventScroll: true});
    this.box.scrollIntoView({block: 'nearest'});
  }

  /** The zone that is selected now: shown, without taking the focus. */
  follow() {
    const {zone} = this.context.levels;
    if (!zone || (this.target?.part === 'zone' && this.target.id === zone)) return;
    this.target = {part: 'zone', id: zone};
    this.opener = null;
    this.wanted = false;
    this.load();
  }

  close() {
    const inside = this.box.contains(document.activeElement), {opener} = this;
    this.asking?.abort();
    Object.assign(this, {target: null, opener: null, answer: null, trouble: null, wanted: false});
    this.draw();
    this.place();
    if (inside && opener?.isConnected) opener.focus();
  }

  /** In its place, or in a drawer where its place is not in sight. */
  place() {
    const away = this.wanted && !this.host.checkVisibility();
    const to = away ? this.drawer : this.host;
    if (this.box.parentElement !== to) to.append(this.box);
    this.drawer.hidden = !away;
  }

  async load() {
    const {target: what, context: {store}} = this, {layout} = store;
    this.asking?.abort();
    if (!what || !layout) return;
    const mine = this.asking = new AbortController();
    // newer figures of the same place take the old ones' place when they are there: nothing flickers
    if (this.about !== `${what.part}:${what.id}` || this.trouble) Object.assign(this, {answer: null, trouble: null});
    this.about = `${what.part}:${what.id}`;
    this.basis = basis(store, what);
    if (!this.answer) this.draw();
    const query = new URLSearchParams({run: layout.run.id, [what.part]: what.id});
    if (this.context.levels.window) query.set('window', this.context.levels.window);
    if (past()) query.set('at', String(Math.floor(store.now())));
    try {
      this.answer = await ask(`/api/why?${query}`, {signal: mine.signal});
    } catch (error) {
      if (mine.signal.aborted) return;
      this.answer = null;
      this.trouble = error;
    }
    this.draw();
  }

  /** Another layout or language. */
  build() {
    this.relabel();
    this.follow();
    if (this.target && !this.answer && !this.asking) this.load();
    this.draw();
  }

  /** @param {Store} store */
  update(store) {
    this.place();
    const old = this.target !== null && (this.answer || this.trouble) && this.basis !== basis(store, this.target);
    // nothing changes under the eyes of the one who reads in it
    const read = this.box.contains(document.activeElement) || this.box.matches(':hover');
    if (old && !read) this.load();
    this.newer.hidden = !(old && read);
  }

  relabel() {
    this.newer.textContent = t('why_newer');
    this.shut.textContent = '✕';
    this.shut.setAttribute('aria-label', t('why_close'));
  }

  draw() {
    const {target: what, answer, trouble, body} = this, {layout} = this.context.store;
    const name = what && layout?.[what.part === 'zone' ? 'zones' : 'gates'].find(({id}) => id === what.id)?.name[lang];
    this.title.textContent = what ? t('why_of', {place: name ?? what.id}) : t('why_title');
    this.shut.hidden = !what;
    this.newer.hidden = true;
    this.box.dataset.state = trouble ? 'failed' : answer ? 'known' : what ? 'loading' : 'empty';
    const {scrollTop} = body, inside = body !== document.activeElement && body.contains(document.activeElement);
    body.replaceChildren();
    if (inside) this.title.focus({preventScroll: true}); // the button that was pressed is gone
    if (trouble) {
      const p = make('p', 'why-trouble', body);
      p.setAttribute('role', 'alert');
      p.textContent = t('why_failed', {why: wording(trouble)});
      this.button(body, () => this.load()).textContent = t('why_again');
    } else if (answer) {
      drawWhy(body, /** @type {import('./why-parts.js').Answer} */ (answer), layout?.run.timezone ?? 'UTC');
      body.scrollTop = scrollTop;
    } else {
      make('p', 'soft', body).textContent = t(what ? 'why_loading' : 'why_empty');
    }
  }
}

/** What the place shows now, to see that it has changed since. @param {Store} store @param {Target} what */
function basis(store, what) {
  const {layout, zones, flow} = store;
  if (!layout) return '';
  const row = layout[what.part === 'zone' ? 'zones' : 'gates'].findIndex(({id}) => id === what.id);
  const columns = what.part === 'zone' ? zones : flow, at = what.part === 'zone' ? row : 3 * row;
  return JSON.stringify([layout.run.id, layout.window, ...['t', 's', 'los', 'dens'].map((name) => columns[name]?.[at] ?? null)]);
}
