/** The demo's switch of scenes, in the banner; there is none where the server plays no scenes. */
import {addWords, t} from './i18n.js';
import {put} from './tables.js';

addWords({
  ja: {
    scene: '場面', 'scene_weekday': '平日', 'scene_snow-festival': '雪まつり', 'scene_smoke': '煙', 'scene_blackout': '停電',
    scenePreparing: '「{scene}」を準備しています', sceneRefused: '切り替えられませんでした',
  },
  en: {
    scene: 'Scene', 'scene_weekday': 'Weekday', 'scene_snow-festival': 'Snow Festival', 'scene_smoke': 'Smoke', 'scene_blackout': 'Blackout',
    scenePreparing: 'Preparing “{scene}”', sceneRefused: 'It could not be switched',
  },
});

/** @typedef {{scenes: string[], scene: string, run: string}} Told */

export class Scenes {
  /** @param {HTMLElement} element @param {import('./components.js').Context} context */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    /** @type {Told | null} */ this.told = null;
    this.refused = false;
    this.shown = '';
    /** @type {Map<string, HTMLButtonElement>} */ this.buttons = new Map();
    this.word = document.createElement('span');
    this.state = document.createElement('span');
    this.state.setAttribute('role', 'status');
    element.setAttribute('role', 'group');
    this.asked = false;
  }

  /** Ask what plays, or have another scene played. @param {string} [scene] */
  async ask(scene) {
    try {
      const how = scene ? {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({scene})} : {};
      const answer = await fetch('/api/demo', how);
      this.refused = !!scene && !answer.ok;
      if (answer.ok) this.told = await answer.json();
    } catch {
      this.refused = !!scene;
    }
    // the run that is shown may be one that was asked for by name: what plays is the newest
    if (scene && !this.refused) this.context.levels.go({run: null});
    this.context.later();
  }

  build() {
    if (!this.told) return;
    this.element.setAttribute('aria-label', t('scene'));
    put(this.word, t('scene'));
    for (const [scene, button] of this.buttons) put(button, t(`scene_${scene}`));
  }

  /** @param {import('./store.js').Store} store */
  update(store) {
    if (!this.context.session.demo) return; // elsewhere there is nothing to ask for
    if (!this.asked) {
      this.asked = true;
      void this.ask();
    }
    if (!this.told) return;
    if (!this.buttons.size) this.make(this.told.scenes);
    const shown = store.layout?.run.id ?? '';
    if (shown !== this.shown) {
      this.shown = shown; // somebody else may have switched
      this.ask();
    }
    for (const [name, button] of this.buttons) {
      button.setAttribute('aria-pressed', String(name === this.told.scene));
      button.disabled = !this.context.session.may.includes('scene');
    }
    put(this.state, this.refused ? t('sceneRefused')
      : shown !== this.told.run && !this.context.levels.run ? t('scenePreparing', {scene: t(`scene_${this.told.scene}`)}) : '');
  }

  /** @param {string[]} scenes */
  make(scenes) {
    for (const scene of scenes) {
      const button = document.createElement('button');
      button.type = 'button';
      button.dataset.key = `scene ${scene}`;
      button.onclick = () => { this.ask(scene); };
      this.buttons.set(scene, button);
    }
    this.element.replaceChildren(this.word, ...this.buttons.values(), this.state);
    this.build();
  }
}
