/** The way to the views that are not for everybody: signage, attributes, governance. Without one of them it is not there. */
import {addWords, lang, t} from './i18n.js';

addWords({
  ja: {views: '画面', view_situation: '状況', view_tables: '表', view_signage: 'サイネージ', view_attributes: '属性', view_governance: '同意と契約'},
  en: {views: 'Views', view_situation: 'Situation', view_tables: 'Tables', view_signage: 'Signage', view_attributes: 'Attributes', view_governance: 'Consent and contracts'},
});

/** View → the permission it needs. @type {Record<string, string>} */
const NEEDED = {signage: 'attributes', attributes: 'attributes', governance: 'governance'};

export class Views {
  /** @param {HTMLElement} element @param {import('./components.js').Context} context */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    this.drawn = '';
    this.box = document.createElement('details');
    this.summary = document.createElement('summary');
    this.list = document.createElement('ul');
    this.box.append(this.summary, this.list);
    element.append(this.box);
    this.box.addEventListener('keydown', (e) => {
      if (e.key !== 'Escape' || !this.box.open) return;
      this.box.open = false;
      this.summary.focus();
    });
    document.addEventListener('pointerdown', (e) => {
      if (!this.box.contains(/** @type {Node} */ (e.target))) this.box.open = false;
    });
  }

  update() {
    const {levels, session} = this.context, special = Object.keys(NEEDED).filter((view) => session.may.includes(NEEDED[view]));
    this.element.hidden = !special.length;
    const key = JSON.stringify([lang, special, String(levels.query)]);
    if (key === this.drawn) return;
    this.drawn = key;
    const shown = document.createElement('span');
    shown.textContent = `: ${t(`view_${levels.view}`)}`;
    this.summary.replaceChildren(t('views'), shown, ' ▾');
    this.list.replaceChildren(...['situation', 'tables', ...special].map((view) => {
      const item = document.createElement('li'), a = document.createElement('a'), to = {view: view === 'situation' ? null : view};
      a.textContent = t(`view_${view}`);
      a.href = levels.link(to);
      a.dataset.key = `view ${view}`;
      if (view === levels.view) a.setAttribute('aria-current', 'page');
      a.onclick = (e) => {
        e.preventDefault();
        this.box.open = false;
        this.summary.focus();
        levels.go(to);
      };
      item.append(a);
      return item;
    }));
  }
}
