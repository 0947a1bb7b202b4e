"""Language, look, replay, reach by keyboard, what the browser is allowed to do."""

from __future__ import annotations

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Clock, Served, cell, fill, open_page, zone_cell
from tests.browser.fake_store import REGISTRY, FakeRun, FakeStore

pytestmark = pytest.mark.browser


def test_op_19_both_languages_hold_the_same_words_and_every_word_used(shown: Page):
    root = shown.locator("link[rel=stylesheet]").first.get_attribute("href").rpartition("/")[0]  # type: ignore[union-attr]
    ja, en, used = shown.evaluate(
        """async root => { const {TEXT} = await import(root + '/i18n.js');
        return [Object.keys(TEXT.ja).sort(), Object.keys(TEXT.en).sort(),
          [...document.querySelectorAll('[data-t]')].map(e => e.dataset.t)]; }""",
        root,
    )
    assert ja == en
    assert set(used) <= set(ja)


def test_language_switches_and_is_kept(shown: Page):
    expect(shown.locator("html")).to_have_attribute("lang", "ja")
    shown.get_by_role("button", name="English").click()
    expect(shown.locator("html")).to_have_attribute("lang", "en")
    expect(cell(shown, "j2", 0)).to_have_text("unknownnot observed")
    expect(zone_cell(shown, "Kita 1-jo", 0)).to_have_text("14exact")
    expect(shown.locator("#mode")).to_have_text("● LIVE running")
    assert not re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", shown.locator("main").inner_text())
    shown.reload()
    expect(cell(shown, "j2", 0)).to_have_text("unknownnot observed")
    shown.get_by_role("button", name="日本語").click()
    expect(cell(shown, "j2", 0)).to_have_text("不明観測なし")


def test_light_and_dark_switch_and_are_kept(shown: Page):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = shown.evaluate(colour)
    shown.locator("#theme").click()
    dark = shown.evaluate(colour)
    assert light != dark
    shown.reload()
    expect(shown.locator("#gate-table tbody tr").first).to_be_visible()
    assert shown.evaluate(colour) == dark


def test_a_replay_cannot_be_mistaken_for_live(page: Page, served: Served):
    start = 1_770_447_600_000  # 2026-02-07 16:00 JST
    store = FakeStore(None, FakeRun(run_id="r1", kind="replay", state="finished"))
    fill(store, start, run="r1")
    open_page(page, served(store).url)
    expect(page.locator("#replay")).to_be_visible()
    expect(page.locator("#replay")).to_contain_text("再生です。現在の値ではありません — r1 — 2026/02/07 16:00:10 JST")
    expect(page.locator("#clock")).to_have_text("2026/02/07 16:00:10 JST")
    expect(page.locator("#mode")).to_have_text("▶ 再生 完了")
    expect(page.locator("#watermark")).to_have_text("—")
    expect(cell(page, "j1", 0)).to_have_text("14確定")  # old, but not stale: its time is the replay's
    expect(cell(page, "j1", 5)).to_have_text("—")


def test_a_workbench_run_is_shown_only_when_asked_for_with_its_own_banner(page: Page, served: Served, store: FakeStore):
    store.by_id["w1"] = FakeRun(run_id="w1", kind="workbench", state="finished", started_ms=2**50)
    open_page(page, served(store).url)
    expect(page.locator("#mode")).to_have_text("● 現在 実行中")
    expect(page.locator("#replay")).to_have_text("")
    expect(page.locator("#runs option")).to_have_count(3)
    page.locator("#runs").select_option("w1")
    expect(page.locator("#replay")).to_contain_text("試算です")
    expect(cell(page, "j1", 0)).to_have_text("不明集計なし")
    page.locator("#runs").select_option("")
    expect(cell(page, "j1", 0)).to_have_text("14確定")
    expect(page.locator("#replay")).to_have_text("")


def test_a_live_run_that_starts_later_takes_over(page: Page, served: Served, clock: Clock):
    store = FakeStore(None, FakeRun(run_id="r1", kind="replay", state="finished"))
    fill(store, 1_770_447_600_000, run="r1")
    open_page(page, served(store).url)
    expect(page.locator("#replay")).to_contain_text("r1")
    store.by_id["live"] = FakeRun()
    fill(store, clock.last_start())
    expect(page.locator("#mode")).to_have_text("● 現在 実行中")
    expect(page.locator("#replay")).to_have_text("")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["live", "replay"])
def test_axe_finds_nothing_serious(page: Page, served: Served, clock: Clock, theme: str, kind: str):
    store = FakeStore(None, FakeRun(kind=kind, rejected={"late": 3}))
    fill(store, clock.last_start())
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    open_page(page, served(store).url)
    for language in ("ja", "en"):
        found = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
        if language == "ja":
            page.locator("#lang").click()


def test_every_control_is_reached_by_keyboard_in_order(shown: Page):
    reached = []
    for _ in range(21):
        shown.keyboard.press("Tab")
        reached.append(
            shown.evaluate("(e => e.id || e.dataset.key || e.dataset.window || e.className)(document.activeElement)")
        )
    controls = ["skip", "crumb 0", "paint", "to-view", "lang", "theme", "print", "runs", "10s", "1m", "5m", "15m", "1h"]
    assert reached == [*controls, "scroll", *["name"] * 3, "scroll", *["name"] * 2, "scroll"]


def test_the_skip_link_and_switches_work_by_keyboard(shown: Page):
    shown.keyboard.press("Tab")
    expect(shown.locator("#skip")).to_be_in_viewport()
    shown.keyboard.press("Enter")
    expect(shown.locator("#gates")).to_be_focused()
    shown.locator("#lang").focus()
    shown.keyboard.press("Space")
    expect(shown.locator("html")).to_have_attribute("lang", "en")


def test_nothing_shifts_while_figures_come_and_grow(page: Page, served: Served, store: FakeStore, clock: Clock):
    page.add_init_script(
        """window.shifts = [];
        new PerformanceObserver(list => { for (const e of list.getEntries()) window.shifts.push(e.value,
            e.sources.map(s => s.node?.parentElement?.outerHTML?.slice(0, 90))); })
          .observe({type: 'layout-shift', buffered: true});"""
    )
    server = served(store)
    open_page(page, server.url)
    for n in (1_234_567, 6, 88):
        start = clock.last_start()
        store.put("j1", "ab", start, (n, n))
        store.put("j1", "ba", start, (n, n + 10))
        store.put("j2", "ab", start, (n, n))
        store.put_zone("c1", start, (n, n + 10), (n, n))
        store.update(read=n * 9, accepted=n * 9, rejected={"late": n})
        expect(cell(page, "j1", 0).locator(".figure")).to_have_text(f"{n:,}")
    clock.ahead_s = 60
    expect(cell(page, "j1", 0)).to_have_text("不明古い")
    server.stop()
    expect(page.locator("#trouble")).to_contain_text("切断")
    assert page.evaluate("window.shifts") == []


@pytest.mark.parametrize("width", [1920, 1200])  # tables side by side, and one above the other
@pytest.mark.parametrize("first", ["silent", "no run"])
def test_nothing_shifts_when_the_first_figures_come_late(
    page: Page, served: Served, store: FakeStore, width: int, first: str
):
    page.set_viewport_size({"width": width, "height": 900})
    page.add_init_script(
        """window.shifts = [];
        new PerformanceObserver(list => { for (const e of list.getEntries()) window.shifts.push(e.value,
            e.sources.map(s => s.node?.id || s.node?.parentElement?.id || s.node?.nodeName)); })
          .observe({type: 'layout-shift', buffered: true});"""
    )
    runs = dict(store.by_id)
    store.broken = first == "silent"
    if first == "no run":
        store.by_id.clear()
    page.goto(f"{served(store).url}/?view=tables")
    expect(page.locator("#trouble")).not_to_be_empty()
    page.wait_for_timeout(300)  # painted without figures
    expect(page.locator("main")).not_to_be_visible()
    store.broken = False
    store.by_id.update(runs)
    expect(cell(page, "j1", 0)).to_have_text("14確定")
    page.wait_for_timeout(300)  # and with them
    expect(page.locator("#rejects")).to_be_visible()
    assert page.evaluate("window.shifts") == []


def test_the_header_stands_before_its_words_come(page: Page, served: Served, store: FakeStore):
    page.add_init_script(
        """window.moved = [];
        new PerformanceObserver(list => { for (const e of list.getEntries()) window.moved.push(
            ...e.sources.filter(s => (s.node?.closest ? s.node : s.node?.parentElement)?.closest('header'))
              .map(s => s.node.nodeName)); })
          .observe({type: 'layout-shift', buffered: true});"""
    )
    store.broken = True
    page.goto(f"{served(store).url}/?view=tables")
    expect(page.locator("#trouble")).not_to_be_empty()
    page.wait_for_timeout(300)  # painted without words
    store.broken = False
    expect(page.locator("#mode")).to_have_text("● 現在 実行中")
    page.wait_for_timeout(300)  # and with them
    assert page.evaluate("window.moved") == []


def test_op_15_the_policy_blocks_foreign_and_inline(page: Page, served: Served, store: FakeStore):
    answer = page.goto(served(store).url)
    assert answer is not None and answer.headers["content-security-policy"].startswith("default-src 'none'")
    blocked = page.evaluate(
        """() => new Promise(done => {
          const seen = [];
          document.addEventListener('securitypolicyviolation', e => {
            seen.push(e.effectiveDirective); if (seen.length === 2) done(seen); });
          const s = document.createElement('script'); s.textContent = 'window.hit = 1'; document.body.append(s);
          fetch('http://127.0.0.1:9/').catch(() => 0);
        })"""
    )
    assert sorted(blocked) == ["connect-src", "script-src-elem"]
    assert page.evaluate("window.hit") is None


def test_a_run_that_closes_nothing_is_said_to_be_away(shown: Page, store: FakeStore, clock: Clock):
    expect(shown.locator("#trouble")).to_have_text("")
    store.now_ms = None
    clock.ahead_s += 60
    expect(shown.locator("#trouble")).to_contain_text("Kafka か実行プロセスが止まっています", timeout=10_000)
    store.by_id["live"] = FakeRun(closed_ms=clock.ms() - 6_000)
    expect(shown.locator("#trouble")).to_have_text("", timeout=10_000)


def test_op_13_sensors_that_are_not_ok_are_listed_in_both_languages(shown: Page, store: FakeStore, clock: Clock):
    approved = [{"from": "2020-01-01T00:00:00Z", "to": None}]
    beat = {"gate": "j1", "approved": approved, "reporting": "heartbeat"}
    expect(shown.locator("#sensors-known")).to_have_text("正常 0 台、不明 0 台")
    rows = shown.locator("#sensor-list > div")
    expect(rows).to_have_count(0)
    store.registries["h2"] = json.dumps({**REGISTRY, "sensors": [{"id": f"s{i}", **beat} for i in range(3)]})
    store.states = [("s0", "silent", clock.ms()), ("s1", "ok", clock.ms())]
    store.update(versions=("h2",))
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("s0 j1")
    expect(rows.first.locator(".state")).to_have_text("無応答")
    expect(shown.locator("#sensors-known")).to_have_text("正常 1 台、不明 1 台")
    expect(shown.locator("#unwell")).to_have_text("1")
    shown.get_by_role("button", name="English").click()
    expect(rows.first.locator(".state")).to_have_text("silent")
    store.states = [(f"s{i}", "ok", clock.ms()) for i in range(3)]
    expect(rows).to_have_count(0)
    expect(shown.locator("#sensors-known")).to_have_text("3 ok, 0 unknown")
