/** The bar at the bottom of a phone: one part of the page at a time. */
import {addWords, t} from './i18n.js';

addWords({
  ja: {tabs: '画面の切り替え', tab_situation: '状況', tab_alerts: '警報', tab_course: '経過', tab_other: 'その他'},
  en: {tabs: 'Parts of the page', tab_situation: 'Situation', tab_alerts: 'Alerts', tab_course: 'Course', tab_other: 'More'},
});

const TABS = ['situation', 'alerts', 'course', 'other'];
const root = document.documentElement;

export class Tabs {
  /** @param {HTMLElement} e @param {import('./components.js').Context} context */
  constructor(e, context) {
    this.e = e;
    root.dataset.tab = TABS[0];
    this.buttons = TABS.map((name) => {
      const b = document.createElement('button');
      b.type = 'button';
      b.dataset.key = `tab ${name}`;
      b.onclick = () => {
        root.dataset.tab = name;
        scrollTo({top: 0});
        context.later();
      };
      return b;
    });
    e.append(...this.buttons);
  }

  build() {
    this.e.setAttribute('aria-label', t('tabs'));
    this.buttons.forEach((b, i) => { b.textContent = t(`tab_${TABS[i]}`); });
  }

  update() {
    this.buttons.forEach((b, i) => {
      const on = String(root.dataset.tab === TABS[i]);
      if (b.getAttribute('aria-pressed') !== on) b.setAttribute('aria-pressed', on);
    });
  }
}
