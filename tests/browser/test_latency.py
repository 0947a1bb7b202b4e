"""From event to pixel, measured in the page: its parts add up, and the page shows how they spread."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Clock, Served, fill, open_page
from tests.browser.fake_store import FakeStore

pytestmark = pytest.mark.browser


def root(page: Page) -> str:
    """Where the page's files are."""
    return page.locator("link[rel=stylesheet]").first.get_attribute("href").rpartition("/")[0]  # type: ignore[union-attr]


def report(page: Page) -> dict[str, Any]:
    """What the page has measured."""
    told: dict[str, Any] = page.evaluate(
        "async root => (await import(root + '/latency.js')).measured.report()", root(page)
    )
    return told


def test_op_01_event_to_pixel_is_measured_by_parts_that_add_up(
    page: Page, store: FakeStore, served: Served, clock: Clock
) -> None:
    open_page(page, served(store).url)
    page.wait_for_timeout(1500)  # what was there before the page was opened does not count
    for n in range(3):
        fill(store, clock.last_start() + 10_000 * (n + 1))  # windows that come all at once: only the newest counts
        page.wait_for_timeout(1300)
    page.wait_for_function(
        "async root => (await import(root + '/latency.js')).measured.samples.length >= 3", arg=root(page)
    )
    told = report(page)
    assert told["ticks"] >= told["windows"] >= 3
    for sample in told["samples"]:
        assert sample["bound"] == 5000
        assert sample["total"] == pytest.approx(sum(sample[part] for part in ("flow", "store", "push", "paint")))
        assert sample["paint"] > 0 and sample["push"] >= 0
    counts = told["histogram"]["counts"]
    assert sum(counts) == told["windows"] and len(counts) == len(told["histogram"]["edges"]) + 1
    assert told["total"]["p50"] <= told["total"]["p95"] <= told["total"]["p99"]
    page.locator("#paint").click()
    panel = page.get_by_role("dialog", name="発生から表示まで（直近 10 分）")
    expect(panel.locator("tr")).to_have_count(8)
    expect(panel.locator("li")).to_have_count(len(counts))
    assert all(p.endswith(" ms") for p in panel.locator("td").all_inner_texts())
    page.keyboard.press("Escape")


def test_op_01_a_part_stands_where_the_time_was_spent(shown: Page) -> None:
    told = shown.evaluate(
        """async root => {
          const {Measured} = await import(root + '/latency.js'), m = new Measured();
          const tick = (end, inserted, read, now, at, painted) =>
            m.painted({timing: {end, line: end + 5000, inserted, read}, now, at}, painted);
          tick(0, 5200, 5600, 5650, 10, 30);          // before the page asked: counts as a paint only
          tick(0, 6200, 6600, 6650, 1010, 1030);      // more rows of it
          tick(10_000, 15_100, 15_200, 15_300, 9_660, 9_690);
          tick(10_000, 15_200, 15_900, 16_000, 10_370, 10_400);  // its last row
          tick(10_000, 15_200, 15_900, 17_000, 11_360, 11_380);  // the same rows again
          tick(20_000, 27_100, 27_600, 27_700, 22_060, 22_100);
          const behind = {timing: {end: 0, line: 5000, inserted: 27_900, read: 28_000}, now: 28_500, at: 22_900};
          m.painted({...behind, stale: true}, 23_000);
          tick(10_000, 28_200, 28_900, 29_000, 23_400, 23_500);  // first when it is there again
          return m.report(); }""",
        root(shown),
    )
    assert (told["ticks"], told["windows"]) == (8, 2)
    first, second = told["samples"]
    # the browser's clock is 5640 behind, by the fastest message; this one was 10 ms slower
    assert first == {"at": 10_400, "bound": 5000, "flow": 200, "store": 700, "push": 110, "paint": 30, "total": 1040}
    assert second["flow"] == 2100 and second["total"] == 2740
    assert told["total"] == {"p50": 1040, "p95": 2740, "p99": 2740}
    assert [edge for edge, n in zip(told["histogram"]["edges"], told["histogram"]["counts"], strict=False) if n] == [
        1250,
        3000,
    ]


def test_ticks_that_are_not_drawn_are_counted(shown: Page) -> None:
    expect(shown.locator("#paint time")).to_be_visible()
    before = report(shown)["skipped"]
    # a page that is busy draws the newest only
    shown.evaluate("() => { const until = performance.now() + 3500; while (performance.now() < until); }")
    shown.wait_for_function(
        "async ([root, before]) => (await import(root + '/latency.js')).measured.skipped > before",
        arg=[root(shown), before],
    )
