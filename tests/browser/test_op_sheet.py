"""The situation sheet: one A4 page with what is known, black on white, live or replay in big letters."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Clock, Served
from tests.browser.desk import CANARY, alert, items
from tests.browser.fake_store import REGISTRY, FakeStore

pytestmark = pytest.mark.browser


def test_the_situation_sheet_is_one_page_with_all_that_is_known(
    page: Page, store: FakeStore, clock: Clock, served: Served
) -> None:
    registry: dict[str, Any] = json.loads(json.dumps(REGISTRY))
    registry["zones"][0] |= {"area_m2": 100, "name": {"ja": CANARY, "en": CANARY}}
    approved = [{"from": "2020-01-01T00:00:00Z", "to": None}]
    registry["sensors"] = [
        {"id": "s0", "kind": "counter", "gate": "j1", "approved": approved, "reporting": "heartbeat"}
    ]
    store.registries["h1"] = json.dumps(registry)
    store.states = [("s0", "silent", clock.ms())]
    inside = {"occupancy": 150.0, "occupancy_low": 120.0, "occupancy_high": 180.0, "density": 1.5, "los": "E"}
    store.put_zone("c1", clock.last_start(), (14, 14), (12, 22), **inside)
    store.standing["live"] = [alert(clock, "a", owner="kato", note="gate C")]
    page.add_init_script("window.print = () => { window.printed = (window.printed ?? 0) + 1; }")
    history = {"zones": {"c1": {"dens": [0.9, None, 1.5]}}}
    page.route("**/api/history?*", lambda route: route.fulfill(json=history))
    page.goto(served(store).url)
    expect(items(page)).to_have_count(1)
    expect(page.locator("#sheet")).to_be_hidden()
    page.locator("#print").click()
    page.wait_for_function("window.printed === 1")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    sheet = page.locator("#sheet")
    expect(sheet.locator(".sheet-mode")).to_have_text("現在 LIVE")
    expect(sheet.locator("table").nth(0).locator("td")).to_have_text(
        [CANARY, "E", "1.50 (1.20–1.80)", "120–180 約 150", "↑ 増 +0.60", re.compile(r"^\d+ 秒$"), "95 %"]
    )
    told = sheet.locator("table").nth(1).locator("td")
    expect(told.nth(0)).to_have_text("■ 重大 密度が高い")
    for i, words in (
        (2, re.compile(r"^(\d{4}/\d\d/\d\d )?\d\d:\d\d:\d\d( JST)?$")),
        (3, "値 2.50 ／ 限度 2.00 人/m²"),
        (5, "kato"),
        (6, "gate C"),
    ):
        expect(told.nth(i)).to_have_text(words)
    for words in ("北2条 (観測なし", "s0 j1 無応答", "台帳 1", "印刷 local（運用）", "署名", "観測率"):
        expect(sheet).to_contain_text(words)
    assert sheet.locator("img").count() == 0
    assert page.locator("header#header, main, #banners").evaluate_all(
        "all => all.every(e => getComputedStyle(e).display === 'none')"
    )
    page.emulate_media(media="print", color_scheme="dark")
    ink, paper = page.evaluate(
        "[getComputedStyle(document.querySelector('#sheet')).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert (ink, paper) == ("rgb(0, 0, 0)", "rgb(255, 255, 255)")
    assert page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 1
    page.evaluate("document.documentElement.dataset.mode = 'replay'; dispatchEvent(new Event('beforeprint'))")
    expect(sheet.locator(".sheet-mode")).to_have_text("再生 REPLAY")
    expect(sheet).to_contain_text("現在の値ではありません")
