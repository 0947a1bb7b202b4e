"""OPERATORS.md 9 and rule 7 of the page: every figure says range and coverage, and in one click what it rests on."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Clock, Served, open_page
from tests.browser.desk import CANARY, alert, items, open_situation, serious
from tests.browser.fake_store import FakeStore

pytestmark = pytest.mark.browser


def answer(start: int, **changes: Any) -> dict[str, Any]:
    """What /api/why tells of zone c1."""
    return {
        "run": {"id": "live", "kind": "live", "registry_version": "17", "code_version": "1.2.3",
                "config_hash": "abc123", "k": 6},
        "place": {"id": "c1", "name": {"ja": "北1条", "en": "Kita 1-jo"}},
        "window": "10s", "start": start, "end": start + 10_000, "status": "range", "coverage": 0.953,
        "inputs": [
            {"what": "density", "value": 1.5, "low": 1.1, "high": 1.9, "unit": "people/m²"},
            {"what": "speed", "value": None, "low": None, "high": None, "unit": "m/s"},
            {"what": "flow", "value": None, "low": 12.0, "high": None, "unit": "people/m/min"},
            {"what": "inflow", "value": None, "low": 0, "high": 5, "unit": "people"},
            {"what": "gate_flow", "value": 14.0, "low": 12.0, "high": 16.0, "unit": "people/m/min", "gate": "j1"},
        ],
        "grade": {"los": "E", "scheme": "fruin-walkway-1", "source": "J. J. Fruin 1971",
                  "density": [0.31, 0.43, 0.72, 1.08, 2.17], "flow": [23.0, 33.0, 49.0, 66.0], "because": "density"},
        "thresholds": [
            {"id": "dense", "kind": "density", "severity": "critical", "window": "10s", "limit": 2.0,
             "recovery": 1.7, "on_delay_s": 30, "off_delay_s": 60, "days": ["sat", "sun"], "from": "10:00",
             "to": "18:00", "holds": True, "value": 1.5},
            {"id": "slow", "kind": "speed", "severity": "warning", "limit": 0.5, "recovery": 0.55, "on_delay_s": 0,
             "off_delay_s": 0, "days": [], "from": None, "to": None, "holds": False, "value": None},
        ],
        "changes": [{"version": "17", "by": "suzuki", "at": "2026-02-07T07:00:00Z", "rules": ["dense"]}],
        "sensors": [{"id": "s1", "kind": "tracker", "gate": "j1", "zone": None, "approved": True, "state": "silent",
                     "since": start, "group": "g1"}],
        **changes,
    }  # fmt: skip


def routed(page: Page, told: list[Any]) -> list[str]:
    """Answer /api/why with ``told`` one by one, the last one ever after; gives the addresses asked for."""
    asked: list[str] = []

    def fulfill(route: Route) -> None:
        asked.append(route.request.url)
        one = told.pop(0) if len(told) > 1 else told[0]
        route.fulfill(status=503 if one is None else 200, json=one or {"error": "the store does not answer"})

    page.route("**/api/why?*", fulfill)
    return asked


def test_op_09_every_figure_of_the_tables_says_range_and_coverage_and_why(
    page: Page, store: FakeStore, clock: Clock, served: Served
) -> None:
    asked = routed(page, [answer(clock.last_start())])
    open_page(page, served(store).url)
    figures = page.locator("#gate-table td.figures, #zone-table td.figures")
    bare = figures.evaluate_all(
        """all => all.filter(e => !e.dataset.why
          || !(e.querySelector('.note').textContent || e.textContent === '—')).length"""
    )
    assert figures.count() == 19 and bare == 0
    covered = page.locator("#gate-table tbody tr, #zone-table tbody tr").evaluate_all(
        "all => all.map(e => e.querySelector('.coverage').textContent)"
    )
    assert covered == ["95 %", "0 %", "—", "95 %", "95 %"]
    page.locator("#zone-table td.figures").first.click()  # one click on the figure itself
    expect(page.locator(".why-drawer h2")).to_have_text("根拠: 北1条")
    expect(page.locator(".why-drawer h2")).to_be_focused()
    expect(page.locator(".why-body")).to_contain_text("1.1–1.9")
    assert "zone=c1" in asked[0] and "run=live" in asked[0]
    page.keyboard.press("Escape")
    expect(page.locator(".why-drawer")).to_be_hidden()
    expect(page.locator("#zone-table button.name").first).to_be_focused()
    page.locator("#gate-table button.name").nth(1).press("Enter")
    expect(page.locator(".why-drawer h2")).to_be_focused()
    assert "gate=j2" in asked[-1]


def test_op_09_the_panel_says_what_a_colour_rests_on(
    page: Page, store: FakeStore, clock: Clock, served: Served
) -> None:
    store.standing["live"] = [alert(clock, "a")]
    start = clock.last_start()
    canary = answer(start, sensors=[{**answer(start)["sensors"][0], "id": CANARY}])
    canary["inputs"][0]["unit"] = canary["grade"]["source"] = canary["run"]["code_version"] = CANARY
    asked = routed(page, [None, answer(start), canary])
    open_situation(page, served(store).url)
    box = page.locator("#why-panel .why")
    expect(box).to_have_attribute("data-state", "empty")
    items(page).first.locator("[data-why]").click()
    expect(box).to_have_attribute("data-state", "failed")
    expect(box.locator("[role=alert]")).to_have_text("根拠が読めません: 保存先が応答しません")
    page.locator("#lang").click()
    expect(box.locator("[role=alert]")).to_have_text("Cannot be read: the store does not answer")
    page.locator("#lang").click()
    box.get_by_role("button", name="再試行").click()
    expect(box).to_have_attribute("data-state", "known")
    for words in (
        "10s", "幅で公開", "95 %", "1.1–1.9", "不明", "12 以上", "少数", "ゲートの流量 j1", "fruin-walkway-1",
        "J. J. Fruin 1971",
        "0.31 · 0.43 · 0.72 · 1.08 · 2.17", "密度（幅のある値の悪い側）", "土日 10:00–18:00", "適用中 · 1.5",
        "適用外 · —", "常時", "発報 30 秒・解除 60 秒", "s1 (組 g1)", "無応答", "承認済み", "17", "1.2.3", "abc123",
        "suzuki",
    ):  # fmt: skip
        expect(box).to_contain_text(words)
    expect(box.locator(".why-scale")).to_have_attribute("aria-label", "密度 1.5 人/m²（1.1–1.9）、水準 E")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert serious(page) == []
    page.keyboard.press("Escape")
    expect(box).to_have_attribute("data-state", "empty")
    expect(items(page).first.locator("[data-why]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box).to_contain_text(CANARY)
    assert page.locator("#why-panel img").count() == 0 and page.evaluate("window.hit") is None
    page.locator("#lang").click()
    expect(box.locator("h2")).to_have_text("Why: Kita 1-jo")
    assert len(asked) == 3


def test_op_09_the_panel_follows_the_zone_and_newer_figures_but_not_under_the_eyes(
    page: Page, store: FakeStore, clock: Clock, served: Served
) -> None:
    asked = routed(page, [answer(clock.last_start())])
    page.goto(f"{served(store).url}/?zone=c1")
    box = page.locator("#why-panel .why")
    expect(box).to_have_attribute("data-state", "known")
    assert not page.evaluate("document.querySelector('.why').contains(document.activeElement)")
    store.put_zone("c1", clock.last_start() + 1, (15, 15), (15, 15))
    with page.expect_request("**/api/why?*"):
        pass
    box.hover()
    expect(box).to_have_attribute("data-state", "known")
    before = len(asked)
    store.put_zone("c1", clock.last_start() + 2, (16, 16), (16, 16))
    expect(page.get_by_role("button", name="新しい値で読み直す")).to_be_visible()
    assert len(asked) == before
    page.get_by_role("button", name="新しい値で読み直す").click()
    expect(page.get_by_role("button", name="新しい値で読み直す")).to_be_hidden()
    assert len(asked) == before + 1
