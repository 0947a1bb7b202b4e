"""OPERATORS.md 6 on the page: alerts are acknowledged, owned, noted, shelved and resolved, and the list holds still."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from dashboard.roles import Who
from sinks.clickhouse.alerts import Action
from tests.browser.conftest import Clock, Served, fill
from tests.browser.desk import CANARY, alert, items, open_situation, serious
from tests.browser.fake_store import FakeRun, FakeStore

pytestmark = pytest.mark.browser


def test_op_06_keyboard_alone_acknowledges_and_a_second_operator_sees_it(
    page: Page, context: BrowserContext, store: FakeStore, clock: Clock, served: Served
) -> None:
    store.standing["live"] = [alert(clock, "a"), alert(clock, "b", severity="warning", rule="heavy", zone="c2")]
    url = served(store).url
    open_situation(page, url)
    other = context.new_page()
    open_situation(other, url)
    expect(items(other).nth(0)).to_have_attribute("data-state", "new")
    expect(items(page).nth(0).locator("[data-act=acknowledge]")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#skip-alerts")).to_be_focused()
    page.keyboard.press("Enter")
    expect(items(page).nth(0).locator("[data-act=acknowledge]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(items(page).nth(0)).to_have_attribute("data-state", "acknowledged")
    expect(items(page).nth(0)).to_be_focused()  # the button is gone, the focus is not lost
    expect(page.locator(".alerts-said")).to_have_text("確認しました: 北1条")
    expect(items(other).nth(0)).to_have_attribute("data-state", "acknowledged")
    expect(items(other).nth(0).locator(".mark")).to_have_text("□")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("a")
    expect(items(page).nth(1)).to_have_attribute("data-state", "acknowledged")
    page.keyboard.press("t")  # at once: behind the first
    expect(items(page).nth(1).locator(".alert-owner")).to_have_text("担当 local")
    expect(items(other).nth(1).locator(".alert-owner")).to_have_text("担当 local")
    expect(items(other).nth(1)).to_have_attribute("data-state", "acknowledged")
    assert [(one.alert, one.action) for one in store.acted] == [
        ("a", "acknowledge"), ("b", "acknowledge"), ("b", "assign"),
    ]  # fmt: skip


def test_op_06_shelving_and_resolving_need_a_reason(page: Page, store: FakeStore, clock: Clock, served: Served) -> None:
    store.standing["live"] = [alert(clock, "a"), alert(clock, "b", severity="info")]
    open_situation(page, served(store).url)
    first = items(page).nth(0)
    first.locator("[data-act=shelve]").click()
    first.get_by_role("button", name="決定").click()
    expect(first.locator(".alert-wrong")).to_have_text("入力してください")
    assert store.acted == []
    first.locator("select").select_option("60")
    first.locator("input").fill("works on the stairs")
    first.locator("input").press("Enter")
    expect(first).to_contain_text("まで保留")  # it stays under the hand
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    expect(items(page)).to_have_count(1)
    expect(page.locator(".alerts-said")).to_have_text("保留しました: 北1条")  # the server has taken it
    assert [(one.alert, one.action, one.reason) for one in store.acted] == [("a", "shelve", "works on the stairs")]
    assert store.acted[0].until_ms == store.acted[0].at_ms + 3_600_000
    page.locator("[data-tab=shelved]").click()
    expect(page.locator("[data-tab=shelved]")).to_have_text("保留 1")
    expect(items(page)).to_contain_text("works on the stairs")
    items(page).locator("[data-act=unshelve]").click()
    page.mouse.move(0, 0)
    expect(items(page)).to_have_count(0)
    page.locator("[data-tab=standing]").click()
    expect(items(page)).to_have_count(2)
    items(page).nth(1).locator("[data-act=resolve]").press("Enter")
    page.keyboard.press("Enter")  # an empty reason
    expect(items(page).nth(1).locator(".alert-wrong")).to_have_text("入力してください")
    page.keyboard.press("Escape")
    expect(items(page).nth(1).locator("form")).to_have_count(0)
    expect(items(page).nth(1).locator("[data-act=resolve]")).to_be_focused()
    page.keyboard.press("r")
    page.keyboard.type("gate closed")
    page.keyboard.press("Enter")
    expect(items(page).nth(1)).to_have_attribute("data-state", "resolved")
    expect(page.locator(".alerts-said")).to_have_text("対応済みにしました: 北1条")
    items(page).nth(1).locator("[data-act=reopen]").click()  # its condition holds: that was too early
    expect(items(page).nth(1)).to_have_attribute("data-state", "acknowledged")
    expect(page.locator(".alerts-said")).to_have_text("継続中に戻しました: 北1条")  # the server has taken it
    assert [one.action for one in store.acted] == ["shelve", "unshelve", "resolve", "reopen"]


def test_op_06_what_people_write_is_text(page: Page, store: FakeStore, clock: Clock, served: Served) -> None:
    registry = json.loads(store.registries["h1"])
    registry["zones"][0]["name"] = {"ja": CANARY, "en": CANARY}
    store.registries["h1"] = json.dumps(registry)
    store.standing["live"] = [alert(clock, "a", owner=CANARY, rule=CANARY, note=CANARY)]
    open_situation(page, served(store, local=Who(CANARY, "operator")).url)
    one = items(page).nth(0)
    for part in (".alert-place", ".alert-owner", ".alert-note", ".alert-kind"):
        expect(one.locator(part)).to_contain_text(CANARY)
    one.locator("[data-act=note]").click()
    one.locator("input").fill(f"{CANARY}2")
    with page.expect_response("**/api/alerts/a"):  # it is shown before the server has it
        one.locator("input").press("Enter")
    expect(one.locator(".alert-note")).to_have_text(f"{CANARY}2")
    page.route("**/api/alerts/a", lambda route: route.fulfill(status=400, json={"error": CANARY}))
    one.locator("[data-act=acknowledge]").click()
    expect(one.locator(".alert-trouble")).to_contain_text(CANARY)
    page.locator("[data-tab=history]").click()
    expect(page.locator(".alerts-past .alert-did")).to_contain_text(f"{CANARY} メモ: {CANARY}2")
    assert page.evaluate("window.hit") is None
    assert page.locator("#alerts-panel img").count() == 0


def test_op_06_what_fails_is_said_and_nothing_is_claimed(
    page: Page, store: FakeStore, clock: Clock, served: Served
) -> None:
    store.standing["live"] = [alert(clock, "a")]
    page.route("**/api/alerts/a", lambda route: route.fulfill(status=403, json={"error": "no such right"}))
    open_situation(page, served(store).url)
    one = items(page).nth(0)
    one.locator("[data-act=acknowledge]").click()
    expect(one.locator(".alert-trouble")).to_have_text("「確認」ができませんでした: この役割では許可されていません")
    expect(page.locator(".alerts-said")).to_contain_text("ができませんでした")
    expect(one).to_have_attribute("data-state", "new")
    expect(one.locator(".mark")).to_have_text("■")
    page.unroute("**/api/alerts/a")
    page.route("**/api/alerts/a", lambda route: route.abort())
    one.locator("[data-act=acknowledge]").click()
    expect(one.locator(".alert-trouble")).to_contain_text("サーバーに届きません")
    page.unroute("**/api/alerts/a")
    one.locator("[data-act=acknowledge]").click()
    expect(one).to_have_attribute("data-state", "acknowledged")
    expect(one.locator(".alert-trouble")).to_have_text("")


def test_op_06_the_list_does_not_move_under_the_hand(
    page: Page, store: FakeStore, clock: Clock, served: Served
) -> None:
    store.standing["live"] = [alert(clock, "b", severity="warning"), alert(clock, "c", severity="info")]
    open_situation(page, served(store).url)
    expect(items(page)).to_have_count(2)
    items(page).nth(0).hover()
    before = page.evaluate("[...document.querySelectorAll('.alerts-hand li')].map(e => e.getBoundingClientRect().top)")
    began = clock.ms()
    store.standing["live"] = [alert(clock, name, began_ms=began) for name in "xyz"] + store.standing["live"][:1]
    expect(page.locator(".alerts-fresh")).to_have_text("新着 3 ■3")
    expect(items(page).nth(1)).to_have_attribute("data-state", "gone")
    after = page.evaluate("[...document.querySelectorAll('.alerts-hand li')].map(e => e.getBoundingClientRect().top)")
    assert after == before
    expect(page.locator("#alerts-panel .alerts-count")).to_have_text("■3 ▲1")
    page.locator(".alerts-fresh").click()
    expect(items(page)).to_have_count(4)
    expect(items(page).nth(0)).to_have_attribute("data-alert", "x")
    expect(items(page).nth(0).locator("[data-act=acknowledge]")).to_be_focused()
    page.mouse.move(0, 0)  # now it is held by the focus alone
    page.keyboard.press("ArrowDown")
    store.standing["live"] = [alert(clock, "w", began_ms=clock.ms() + 1), *store.standing["live"]]
    expect(page.locator(".alerts-fresh")).to_have_text("新着 1 ■1")
    expect(items(page).nth(0)).to_have_attribute("data-alert", "x")
    page.evaluate("document.activeElement.blur()")
    expect(items(page).nth(0)).to_have_attribute("data-alert", "w")


def test_op_06_filters_history_and_a_viewer_without_buttons(
    page: Page, store: FakeStore, clock: Clock, served: Served
) -> None:
    gate = alert(clock, "g", kind="flow", severity="warning", gate="j2", value=90.0, threshold=82.0)
    store.standing["live"] = [alert(clock, "a", state="acknowledged"), gate]
    store.standing["live"] += [alert(clock, "o", state="resolved", standing=False, resolved_ms=clock.ms())]
    store.acted = [Action("live", "o", "acknowledge", "kato", clock.ms())]
    open_situation(page, served(store, local=Who("mori", "viewer")).url)
    expect(items(page)).to_have_count(2)
    expect(items(page).nth(1).locator(".alert-by")).to_have_text("値 90 ／ 限度 82 人/分/m")
    expect(page.locator("#alerts-panel [data-act]")).to_have_count(0)
    page.locator("[data-filter=severity]").select_option("warning")
    expect(items(page)).to_have_count(1)
    page.locator("[data-filter=state]").select_option("acknowledged")
    expect(page.locator(".alerts-none")).to_have_text("該当する警報はありません")
    page.locator("[data-filter=severity]").select_option("")
    page.locator("[data-filter=place]").select_option("j2")
    page.locator("[data-filter=state]").select_option("")
    expect(items(page)).to_have_attribute("data-alert", "g")
    store.broken = True
    page.locator("[data-tab=history]").click()
    expect(page.locator(".alerts-past [role=alert]")).to_contain_text("保存先が応答しません")
    store.broken = False
    page.locator("[data-filter=place]").select_option("")
    page.get_by_role("button", name="再試行").click()
    over = page.locator(".alerts-past .alert[data-alert=o]")
    expect(over.locator(".alert-did")).to_contain_text("kato 確認")
    expect(over.locator(".alert-facts")).to_contain_text("に収束")


def test_op_19_axe_finds_nothing_serious_in_the_alerts(
    page: Page, store: FakeStore, clock: Clock, served: Served
) -> None:
    store.standing["live"] = [alert(clock, "a"), alert(clock, "b", severity="warning", state="acknowledged", owner="x")]
    open_situation(page, served(store).url)
    items(page).nth(0).locator("[data-act=shelve]").click()
    items(page).nth(0).get_by_role("button", name="決定").click()
    store.standing["live"] += [alert(clock, "c", state="resolved", standing=False, resolved_ms=clock.ms(), note="x")]
    for tab in ("standing", "shelved", "history"):
        page.locator(f"[data-tab={tab}]").click()
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            assert serious(page) == [], (tab, theme)


def test_op_06_on_the_phone_every_button_can_be_hit_and_the_mark_blinks_slowly(
    page: Page, store: FakeStore, clock: Clock, served: Served
) -> None:
    store.standing["live"] = [alert(clock, "a"), alert(clock, "b", state="acknowledged")]
    page.set_viewport_size({"width": 390, "height": 844})
    open_situation(page, served(store).url)
    items(page).nth(0).locator("[data-act=shelve]").click()
    sizes = page.evaluate(
        """[...document.querySelectorAll('#alerts-panel button, #alerts-panel select, #alerts-panel input')]
        .map(e => e.getBoundingClientRect()).filter(r => r.width).map(r => Math.min(r.width, r.height))"""
    )
    assert len(sizes) > 8 and min(sizes) >= 44
    running = """[...document.querySelectorAll('#alerts-panel *')].flatMap(e => e.getAnimations())
        .map(a => [a.effect.target.className, a.effect.getTiming().duration])"""
    assert page.evaluate(running) == [["mark blinks", 2000]]
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(running) == []


def test_since_in_a_replayed_run_goes_by_its_own_time(page: Page, served: Served, clock: Clock) -> None:
    start = 1_770_447_600_000  # 2026-02-07 16:00 JST
    store = FakeStore(None, FakeRun(run_id="r1", kind="replay", state="finished"))
    fill(store, start, run="r1")
    store.standing["r1"] = [alert(clock, "a", began_ms=start + 10_000 - 300_000)]
    open_situation(page, served(store).url)
    expect(items(page).locator(".alert-since")).to_have_text("15:55:10 · 5 分 前")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (960, 540)])
def test_op_06_however_many_alerts_come_and_go_nothing_below_them_moves(
    page: Page, store: FakeStore, clock: Clock, served: Served, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    url = served(store).url
    shapes = "[...document.querySelectorAll('main section:not([hidden])')].map(e => e.getBoundingClientRect().top)"
    for query, rows in (("", "#alerts-panel .alert"), ("?view=tables", "#alert-table tbody tr[data-alert]")):
        store.standing["live"] = []
        page.goto(f"{url}/{query}")
        expect(page.locator("html")).not_to_have_class(re.compile("empty"))
        expect(page.locator(f"{rows}")).to_have_count(0)
        before = page.evaluate(shapes)
        store.standing["live"] = [alert(clock, f"a{i}", zone="c1" if i % 2 else "c2") for i in range(30)]
        expect(page.locator(rows)).to_have_count(30)
        assert page.evaluate(shapes) == before, query
        last = page.locator(rows).last
        last.scroll_into_view_if_needed()
        expect(last).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width < 700:  # no line of its own for what is seldom told
        page.goto(url)
        expect(page.locator("#alerts-panel .alert")).to_have_count(30)
        head, first = (
            page.locator(f"#alerts-panel {part}").bounding_box() for part in (".alerts-head", ".alerts-list")
        )
        assert head and first and first["y"] - head["y"] - head["height"] < 8
        page.locator("#tabs").get_by_role("button", name="警報").click()
        expect(page.locator(".alerts-filters")).to_be_visible()
        page.locator("[data-filter=severity]").select_option("warning")
        page.locator("#tabs").get_by_role("button", name="状況").click()
        expect(page.locator(".alerts-filters")).to_be_visible()  # what hides alerts is not hidden itself
