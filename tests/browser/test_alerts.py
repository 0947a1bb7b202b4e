"""The list of standing alerts on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from sinks.clickhouse.alerts import Alert
from tests.browser.conftest import Clock
from tests.browser.fake_store import FakeStore

pytestmark = pytest.mark.browser
BEGAN = 1_770_447_610_000  # 2026-02-07 16:00:10 JST
ONE = Alert(
    "20260207T070010Z-a", "dense", "density", "critical", "c1", "", "10s", BEGAN, None, "", 2.5, 2.0, "v1",
    "new", True, "", "", None, "",
)  # fmt: skip


def test_alerts_come_change_and_go(shown: Page, store: FakeStore, clock: Clock) -> None:
    rows, count = shown.locator("#alert-table tbody tr"), shown.locator("#standing")
    expect(rows).to_have_text(["継続中の警報はありません"])
    expect(count).to_have_text("0")
    other = replace(ONE, id="b", kind="flow", rule="heavy", severity="warning", gate="j2")
    store.standing["live"] = [ONE, other]
    expect(rows.nth(0).locator("td")).to_have_text(
        ["■ 重大", "密度が高い (dense)", "北1条", "2026/02/07 16:00:10 JST", "新規", "—", "—"]
    )
    expect(rows.nth(1).locator("td").nth(2)).to_have_text("j2")
    expect(count).to_have_text("2")
    shown.get_by_role("button", name="English").click()
    store.standing["live"] = [replace(ONE, state="acknowledged", owner="kato", note="<b>gate C</b>")]
    expect(rows).to_have_count(1)
    expect(rows.locator("td").nth(4)).to_have_text("acknowledged")
    expect(rows.locator("td").nth(5)).to_have_text("kato")
    expect(rows.locator("td").nth(6)).to_have_text("<b>gate C</b>")
    until = round(clock() * 1000) + 3_600_000
    store.standing["live"] = [replace(ONE, shelved_until_ms=until, shelved_for="works on the stairs")]
    expect(rows.locator("td").nth(4)).to_contain_text("shelved until")
    expect(rows.locator("td").nth(6)).to_have_text("works on the stairs")
    expect(count).to_have_text("0")  # it stands, but not in the way
    store.standing["live"] = []
    expect(rows).to_have_text(["No alert stands"])


def test_the_list_can_be_read_by_everybody(shown: Page, store: FakeStore) -> None:
    store.standing["live"] = [ONE]
    expect(shown.locator("#alert-table tbody tr td")).to_have_count(7)
    found = Axe().run(shown, context="#alerts").response["violations"]
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
