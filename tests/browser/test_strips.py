"""Strips of the last hour: what was, what is usual, and what comes next."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Clock, Served
from tests.browser.situation import REGISTRY, drawn, grade, open_situation, ranked, walkway

pytestmark = pytest.mark.browser
JST = ZoneInfo("Asia/Tokyo")


def test_op_16_17_the_last_hour_stands_with_its_usual_band_limits_and_forecast(
    page: Page, served: Served, clock: Clock
):
    minutes = [clock.ms() // 60_000 * 60_000 - 60_000 * i for i in range(50, 0, -1)]
    hour = clock.ms() // 3_600_000 * 3_600_000
    hours = [hour - 3_600_000, hour, hour + 3_600_000]  # the test may run into the next one
    usual = {share: [None, value, value] for share, value in (("p10", 0.5), ("p50", 0.6), ("p90", 0.7))}
    ahead = [clock.ms() + 60_000 * i for i in range(1, 16)]
    density = [0.2 + 0.01 * i if not 20 <= i < 30 else None for i in range(50)]  # ten minutes are not known
    told = {
        "window": "1m",
        "length_ms": 60_000,
        "zones": {"c2": {"t": minutes, "dens": density, "dens_lo": density, "dens_hi": density, "los": [2] * 50}},
        "normal": {"c2": {"t": hours, **usual, "days": 6}},
        "forecast": {
            "c2": {
                "t": ahead, "mid": [0.7] * 15, "low": [0.6] * 15, "high": [0.9] * 15,
                "to_limit": {"limit": 1.0, "rule": "dense", "mid_ms": clock.ms() + 720_000, "low_ms": None,
                             "high_ms": clock.ms() + 480_000},
            }
        },
    }  # fmt: skip
    asked = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(json=told)

    page.route("**/api/history?*", answer)
    today = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[datetime.fromtimestamp(clock(), JST).weekday()]
    never = {"days": ["thu" if today == "mon" else "mon"], "limit": 0.5}
    rule = {"id": "dense", "kind": "density", "severity": "critical", "window": "1m", "on_delay_s": 0, "off_delay_s": 0}
    rules = [{**rule, "limits": [never, {"limit": 1.0}, {"limit": 2.0}]}]
    open_situation(page, served(walkway(clock, {**REGISTRY, "thresholds": rules})).url)
    expect(ranked(page, "c2").locator("td.toLimit")).to_have_text("12 分（8–）")
    expect(ranked(page, "c1").locator("td.toLimit")).to_have_text("—")
    strip = page.locator(".strip-box[data-zone=c2] .strip")
    root = page.locator("link[rel=stylesheet]").first.get_attribute("href").rpartition("/")[0]  # type: ignore[union-attr]
    for part in ("usual", "range", "value", "next-range", "next"):
        expect(strip.locator(f".{part}")).to_have_attribute("d", re.compile("^M"))
    assert len(re.findall("M", strip.locator(".value").get_attribute("d") or "")) == 2
    assert (
        len(re.findall("M", strip.locator(".unknown").get_attribute("d") or "")) == 2
    )  # before the first, and the hole
    assert (
        page.evaluate("async root => (await import(`${root}/history.js`)).history.rows.get('c2').t.length", root) <= 1
    )
    expect(strip.locator(".limit")).to_have_count(1)
    expect(ranked(page, "c2").locator(".tick")).to_have_count(1)
    assert (
        float(drawn(page, "c2").locator(".usual").get_attribute("width") or 0) > 20
    )  # of this hour, not the one before
    page.evaluate(
        """async root => {
          const {holds} = await import(`${root}/limits.js`), night = {days: ['fri'], from: '22:00', to: '04:00'};
          const times = [[4, 1319], [4, 1320], [5, 239], [5, 240], [4, 100]];
          const seen = times.map(([day, minute]) => holds(night, day, minute));
          if (String(seen) !== 'false,true,true,false,false') throw new Error(seen);
        }""",
        root,
    )
    assert len(asked) == 1 and "window=1m" in asked[0]
    ends = {zone: page.locator(f"#map g[data-zone={zone}] .ground").bounding_box() for zone in ("c1", "c2", "c3")}
    for zone_id, box in ends.items():
        below = page.locator(f".strip-box[data-zone={zone_id}]").bounding_box()
        assert box and below and abs(box["x"] - below["x"]) < 3 and abs(box["width"] - below["width"]) < 4


def test_op_17_nothing_comes_next_after_what_is_not_known(page: Page, served: Served, clock: Clock):
    minutes = [clock.ms() // 60_000 * 60_000 - 60_000 * i for i in range(30, 0, -1)]
    ahead = [clock.ms() + 60_000 * i for i in range(1, 16)]
    dense = {name: [0.5] * 30 for name in ("dens", "dens_lo", "dens_hi")}
    forecast = {"t": ahead, "mid": [0.7] * 15, "low": [0.6] * 15, "high": [0.9] * 15, "to_limit": None}
    told = {"window": "1m", "length_ms": 60_000, "normal": {}, "forecast": {"c2": forecast},
            "zones": {"c2": {"t": minutes, **dense, "los": [2] * 30}}}  # fmt: skip
    page.route("**/api/history?*", lambda route: route.fulfill(json=told))
    store = walkway(clock)
    open_situation(page, served(store).url)
    strip = page.locator(".strip-box[data-zone=c2] .strip")
    expect(strip.locator(".next")).to_have_attribute("d", re.compile("^M"))
    known = strip.locator(".unknown").get_attribute("d") or ""
    grade(store, clock, "c2", "unknown")  # the server was asked before, and is asked again in a minute only
    for part in ("next", "next-range"):
        expect(strip.locator(f".{part}")).to_have_attribute("d", "")
    until = re.match("M([0-9.]+) ", strip.locator(".now").get_attribute("d") or "")
    assert until and f"H{until[1]}V" in (strip.locator(".unknown").get_attribute("d") or "")  # hatched up to now
    assert f"H{until[1]}V" not in known
    grade(store, clock, "c2", "C")
    expect(strip.locator(".next")).to_have_attribute("d", re.compile("^M"))
