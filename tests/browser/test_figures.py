"""What the page says, and what it never says: unknown is a word and a hatch, not green, not zero."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Clock, Served, cell, fill, open_page, zone_cell
from tests.browser.fake_store import FakeRun, FakeStore

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = pytest.mark.browser


def hatched(where: Locator) -> bool:
    return "repeating-linear-gradient" in where.evaluate("e => getComputedStyle(e).backgroundImage")


def test_each_kind_of_figure(shown: Page):
    expect(cell(shown, "j1", 0)).to_have_text("14確定")
    expect(cell(shown, "j1", 1)).to_have_text("12–22約 17")
    expect(cell(shown, "j1", 2)).to_have_text("<6少数")
    expect(cell(shown, "j2", 0)).to_have_text("不明観測なし")
    expect(cell(shown, "j3", 0)).to_have_text("不明1m から")
    expect(zone_cell(shown, "北1条", 0)).to_have_text("14確定")
    expect(zone_cell(shown, "北1条", 1)).to_have_text("12–22約 17")
    expect(zone_cell(shown, "北2条", 0)).to_have_text("不明観測なし")
    assert [hatched(cell(shown, gate, 0)) for gate in ("j1", "j2", "j3")] == [False, True, True]
    assert hatched(zone_cell(shown, "北2条", 1))
    expect(shown.locator("#unknowns")).to_have_text("3 / 5")


def test_who_is_inside_a_zone(shown: Page, store: FakeStore, clock: Clock):
    for column, text in ((-2, "不明基準なし"), (-1, "不明判定なし"), (2, "—")):
        expect(zone_cell(shown, "北1条", column)).to_have_text(text)
    assert hatched(zone_cell(shown, "北1条", -2)) and not hatched(zone_cell(shown, "北1条", 2))
    inside = {"occupancy": 17, "occupancy_low": 12, "occupancy_high": 22, "error": 3, "drift_low": -9, "drift_high": 1}
    store.put_zone("c1", clock.last_start(), (14, 14), (12, 22), **inside, density=0.34, los="B")
    for column, text in ((-2, "12–22約 17 ±3"), (-1, "B0.34 人/m²"), (2, "-9 … 1")):
        expect(zone_cell(shown, "北1条", column)).to_have_text(text)
    store.put_zone("c1", clock.last_start(), (14, 14), (12, 22), **inside, density=0.34, speed=0.96, los="B")
    expect(zone_cell(shown, "北1条", -1)).to_have_text("B0.34 人/m² · 1.0 m/s")
    inside = {"occupancy": 7, "occupancy_low": 7, "occupancy_high": 7, "error": None, "drift_low": 0, "drift_high": 0}
    store.put_zone("c1", clock.last_start(), (14, 14), (12, 22), **inside, density=None, los="unknown")
    for column, text in ((-2, "7確定"), (-1, "不明判定なし"), (2, "0")):
        expect(zone_cell(shown, "北1条", column)).to_have_text(text)


def test_what_is_read_in_a_zone(shown: Page, store: FakeStore, clock: Clock):
    """Readings are means; of few people their class alone is told."""
    for inside, text in (
        ({"occupancy": 11 + 2 / 3, "occupancy_low": 11 + 2 / 3, "occupancy_high": 15 + 2 / 3}, "11.7–15.7約 11.7"),
        ({"occupancy": 6.25, "occupancy_low": 6.25, "occupancy_high": 6.25, "error": 1}, "6.3約 6.3 ±1"),
        ({"occupancy": None, "occupancy_low": 0.0, "occupancy_high": 4.0, "error": 1}, "<5少数"),
    ):
        store.put_zone("c1", clock.last_start(), (14, 14), (12, 22), **inside)
        expect(zone_cell(shown, "北1条", -2)).to_have_text(text)


def test_which_way_people_go(shown: Page, store: FakeStore, clock: Clock):
    expect(shown.locator("#ways")).not_to_be_visible()  # no zone has headings

    def row(zone: str) -> Locator:
        return shown.locator(f"#way-table tbody tr:has(.name:text-is('{zone}')) td")

    start = clock.last_start(60_000)
    store.put_headings("c1", start, {1: (7, 12), 2: (7, 7)}, (67.5, 0.92))
    store.put_headings("c2", start, None, (None, None))
    expect(row("北1条").nth(0)).to_have_text("→ 68°東")
    expect(row("北1条").nth(1)).to_have_text("0.92")
    expect(row("北2条").nth(0)).to_have_text("不明観測なし")
    assert hatched(row("北2条").nth(0)) and not hatched(row("北1条").nth(0))
    for way, text in (((337.6, 0.3), "↑ 338°北"), ((315.0, 0.31), "↖ 315°北西"), ((359.9, 1.0), "↑ 0°北")):
        store.put_headings("c1", start, {0: (7, 7)}, way)
        expect(row("北1条").nth(0)).to_have_text(text)
    store.put_headings("c1", start, {0: (7, 7), 4: (6, 6)}, (0.0, 0.2999))
    expect(row("北1条").nth(0)).to_have_text("—向きはばらばら")
    expect(row("北1条").nth(1)).to_have_text("0.30")
    store.put_headings("c1", start, {}, (None, None))
    expect(row("北1条").nth(0)).to_have_text("<6少数")
    shown.get_by_role("button", name="English").click()
    store.put_headings("c1", start, {7: (9, 9)}, (315.0, 1.0))
    expect(shown.locator("#way-table tbody tr:has(.name:text-is('Kita 1-jo')) td").nth(0)).to_have_text(
        "↖ 315°north-west"
    )
    clock.ahead_s = 140  # limit: 60 s window + 5 s bound + 10 s grace + 2 s for tracks
    expect(shown.locator("#way-table tbody tr td").nth(0)).to_have_text("unknowntoo old")
    found = Axe().run(shown, context="#ways").response["violations"]
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []


def test_the_header_tells_the_runs_row(shown: Page):
    for name, text in (("read", "12,345"), ("accepted", "12,333"), ("rejected", "12")):
        expect(shown.locator(f"#{name}")).to_have_text(text)
    for reason, text in (("late", "8"), ("malformed", "4"), ("duplicate", "0")):
        expect(shown.locator(f"[data-reason={reason}]")).to_have_text(text)
    expect(shown.locator("#mode")).to_have_text("● 現在 実行中")
    expect(shown.locator("#watermark")).to_have_text(re.compile(r"^\d+ 秒$"))
    expect(shown.locator("#clock")).to_contain_text("JST")


def test_it_says_what_the_counters_hold(page: Page, served: Served):
    store = FakeStore()
    open_page(page, served(store).url)
    expect(page.locator("#counters")).to_contain_text("公開済みの集計だけ")
    store.update(config='{"status":{"exact":true}}')
    expect(page.locator("#counters")).to_contain_text("すべてのイベント")


def test_new_rows_change_the_figures(shown: Page, store: FakeStore, clock: Clock):
    store.put("j1", "ab", clock.last_start(), (31, 31))
    store.put("j2", "ba", clock.last_start(), (0, 5))
    store.put_zone("c2", clock.last_start(), (8, 18), (7, 7))
    store.update(read=20_000, accepted=19_988)
    expect(cell(shown, "j1", 0)).to_have_text("31確定")
    expect(cell(shown, "j2", 1)).to_have_text("<6少数")
    expect(zone_cell(shown, "北2条", 0)).to_have_text("8–18約 13")
    expect(shown.locator("#read")).to_have_text("20,000")


def test_op_02_data_past_its_limit_turn_unknown_with_the_next_tick_and_never_zero(
    shown: Page, store: FakeStore, clock: Clock
):
    expect(cell(shown, "j1", 0)).to_have_text("14確定")
    row = shown.locator("#gate-table tbody tr").first
    row.evaluate(
        """row => {
          window.seen = [];
          const note = () => window.seen.push([...row.querySelectorAll('.figure')].map(e => e.textContent).join(' '));
          note();
          new MutationObserver(note).observe(row, {subtree: true, childList: true, characterData: true});
        }"""
    )
    clock.ahead_s = 60  # limit: 10 s window + 5 s bound + 10 s grace
    expect(cell(shown, "j1", 0)).to_have_text("不明古い")
    expect(zone_cell(shown, "北1条", 1)).to_have_text("不明古い")
    assert hatched(cell(shown, "j1", 0)) and hatched(zone_cell(shown, "北1条", 0))
    expect(shown.locator("#unknowns")).to_have_text("5 / 5")
    assert set(" ".join(shown.evaluate("window.seen")).split()) <= {"14", "12–22", "<6", "不明"}
    fill(store, clock.last_start())
    expect(cell(shown, "j1", 0)).to_have_text("14確定")


def test_data_age_past_the_limit_without_any_word_from_the_server(
    page: Page, store: FakeStore, clock: Clock, served: Served
):
    clock.ahead_s = (
        store.flow["live", "10s", "j1", "ab"]["window_start"] / 1000 + 10 + 14 - clock()
    )  # 11 s left: enough to load the page
    server = served(store)
    open_page(page, server.url)
    expect(cell(page, "j1", 0)).to_have_text("14確定")
    server.stop()
    expect(cell(page, "j1", 0)).to_have_text("不明古い")


def test_a_run_without_rows_is_unknown(page: Page, served: Served):
    open_page(page, served(FakeStore()).url)
    expect(cell(page, "j1", 0)).to_have_text("不明集計なし")
    expect(zone_cell(page, "北1条", 0)).to_have_text("不明集計なし")
    expect(page.locator("#watermark")).to_have_text("—")
    assert "0" not in page.locator("#gate-table tbody .figure").all_inner_texts()


def test_no_run_yet_is_said(page: Page, served: Served):
    store = FakeStore()
    store.by_id = {}
    page.goto(f"{served(store).url}/?view=tables")
    expect(page.locator("#trouble")).to_have_text("表示できる実行がまだありません")
    store.by_id = {"live": FakeRun()}
    expect(cell(page, "j1", 0)).to_have_text("不明集計なし")
    expect(page.locator("#trouble")).to_have_text("")


def test_exact_zero_is_shown_only_where_everything_is_published(page: Page, served: Served, clock: Clock):
    store = FakeStore(None, FakeRun(config='{"flow":{"k":1,"guard":0}}'))
    store.put("j1", "ab", clock.last_start(), (0, 0), k=1)
    open_page(page, served(store).url)
    expect(cell(page, "j1", 0)).to_have_text("0確定")


def test_the_label_of_few_is_the_runs_own_threshold(page: Page, served: Served, clock: Clock):
    store = FakeStore(None, FakeRun(config='{"flow":{"k":10,"guard":2}}'))
    store.put("j1", "ab", clock.last_start(), (0, 11), k=12)
    open_page(page, served(store).url)
    expect(cell(page, "j1", 0)).to_have_text("<12少数")


def test_coverage_is_never_rounded_up_and_null_is_not_unknown(
    page: Page, served: Served, clock: Clock, store: FakeStore
):
    store.put("j1", "ab", clock.last_start(), (14, 14), coverage=0.9999)
    store.put("j1", "ba", clock.last_start(), (14, 14), coverage=1.0)
    store.put("j1", "unknown", clock.last_start(), (14, 14), coverage=1.0)
    for direction in ("ab", "ba", "unknown"):
        store.put("j2", direction, clock.last_start(), (9, 9), coverage=None)
    open_page(page, served(store).url)
    expect(cell(page, "j1", 3)).to_have_text("99 %")
    expect(cell(page, "j2", 3)).to_have_text("—")
    expect(cell(page, "j2", 0)).to_have_text("9確定")


@pytest.mark.parametrize("minutes", [-5, 5])
def test_op_02_a_wrong_browser_clock_changes_no_age(
    page: Page, store: FakeStore, clock: Clock, served: Served, minutes: int
):
    page.add_init_script(
        f"""const real = Date; const off = {minutes} * 60000;
        globalThis.Date = class extends real {{
          constructor(...a) {{ a.length ? super(...a) : super(real.now() + off); }}
          static now() {{ return real.now() + off; }}
        }};"""
    )
    open_page(page, served(store).url)
    assert abs(page.evaluate("Date.now()") - clock.ms()) > 4 * 60_000
    expect(cell(page, "j1", 0)).to_have_text("14確定")
    end = store.flow["live", "10s", "j1", "ab"]["window_start"] + 10_000
    age = int(cell(page, "j1", 5).inner_text().split()[0])
    assert abs(age - (clock.ms() - end) / 1000) < 3


def test_the_window_switch(shown: Page, store: FakeStore, clock: Clock):
    fill(store, clock.last_start(60_000), window="1m")
    store.put("j3", "ab", clock.last_start(60_000), (40, 40), window="1m")
    expect(shown.locator("#windows [aria-pressed=true]")).to_have_text("10s")
    shown.get_by_role("button", name="1m", exact=True).click()
    expect(cell(shown, "j3", 0)).to_have_text("40確定")
    expect(shown.locator("#windows [aria-pressed=true]")).to_have_text("1m")
    assert shown.url.endswith("?view=tables&window=1m")
    shown.reload()
    expect(cell(shown, "j3", 0)).to_have_text("40確定")


def test_markup_in_names_is_text(page: Page, served: Served, clock: Clock):
    canary = "<img src=x onerror='window.hit=1'><b>&amp;"
    registry = {
        "zones": [{"id": canary, "name": {"ja": canary, "en": canary}, "kind": "plaza"}],
        "gates": [{"id": canary, "a": canary, "b": None, "leaf": "10s"}],
    }
    run = FakeRun(run_id=canary, kind="replay", leaves={canary: "10s"}, state="finished")
    store = FakeStore(registry, run)
    store.put_zone(canary, clock.last_start(), (14, 14), (14, 14), run=canary)
    open_page(page, served(store).url)
    expect(page.locator("#zone-table .name")).to_have_text(canary)
    expect(page.locator("#gate-table .sides")).to_have_text(f"A {canary} · B 外")
    expect(page.locator("#replay")).to_contain_text(canary)
    expect(page.locator("#runs")).to_contain_text(canary)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hit") is None
