"""A minute of the situation with all that can change in it: nothing moves, and what came late or twice is counted."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Clock, Served
from tests.browser.desk import alert
from tests.browser.situation import DENSITY, drawn, grade, open_situation, walkway

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECONDS = 60
WATCH = """window.shifts = [];
    new PerformanceObserver(list => { for (const e of list.getEntries()) window.shifts.push([e.value,
        e.sources.map(s => (s.node?.outerHTML ?? s.node?.parentElement?.outerHTML)?.slice(0, 90))]); })
      .observe({type: 'layout-shift', buffered: true});"""


def test_op_19_nothing_shifts_in_a_minute_of_the_stream(page: Page, served: Served, clock: Clock) -> None:
    store, draw = walkway(clock), random.Random(1)
    standing = [alert(clock, "a"), alert(clock, "b", zone="c2", severity="warning")]
    store.standing["live"] = standing
    page.add_init_script(WATCH)
    open_situation(page, served(store).url)
    for second in range(SECONDS):
        for where in ("c1", "c2", "c3", "p"):
            letter = draw.choice([*DENSITY, "unknown"])
            many = draw.choice([(6, 6), (0, 5), (1_234, 1_244), (12, 22)])
            grade(store, clock, where, letter, **({} if letter == "unknown" else {"inflow": many, "outflow": many}))
        for gate in ("n", "m", "o", "q"):
            store.put(gate, "ab", clock.last_start(), draw.choice([(6, 6), (0, 5), (9_999, 9_999), None]))
        # one that comes or goes does move those below it, as in every list; what changes in them must not
        state, owner, note = draw.choice(["new", "acknowledged"]), draw.choice(["", "kato"]), draw.choice(["", "階段"])
        store.standing["live"] = [replace(one, state=state, owner=owner, note=note) for one in standing]
        store.states = [("n-1", draw.choice(["ok", "silent", "skewed"]), clock.last_start())]
        store.update(read=second * 1_000, accepted=second * 1_000, closed_ms=clock.last_start() + 10_000)
        page.wait_for_timeout(1_000)
    assert page.evaluate("window.shifts") == []


def test_op_11_what_came_late_or_twice_is_counted_and_visible(page: Page, served: Served, clock: Clock) -> None:
    store = walkway(clock)
    store.update(read=1_030, accepted=1_000, rejected={"late": 12, "duplicate": 18})
    open_situation(page, served(store).url)
    expect(page.locator("#foot")).to_contain_text("遅着12")
    expect(page.locator("#foot")).to_contain_text("重複18")
    before = drawn(page, "c2").text_content()
    store.update(read=1_031, rejected={"late": 13, "duplicate": 18})
    expect(page.locator("#foot")).to_contain_text("遅着13")
    assert drawn(page, "c2").text_content() == before  # it is in no figure
