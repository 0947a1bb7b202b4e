"""Where the clocks go back, the page tells the two windows of a repeated hour apart."""

from __future__ import annotations

from datetime import datetime

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served, cell, fill, open_page
from tests.browser.fake_store import REGISTRY, FakeRun, FakeStore

pytestmark = pytest.mark.browser

# zone, start of a 10 s window as a reader on the spot would note it, what its row shows
SHOWN = [
    ("Australia/Melbourne", "2023-04-02T01:59:50+11:00", "01:59:50–02:00:00 UTC+11"),
    ("Australia/Melbourne", "2023-04-02T02:30:00+11:00", "02:30:00–02:30:10 UTC+11"),
    ("Australia/Melbourne", "2023-04-02T02:59:50+11:00", "02:59:50 UTC+11–02:00:00 UTC+10"),
    ("Australia/Melbourne", "2023-04-02T02:30:00+10:00", "02:30:00–02:30:10 UTC+10"),
    ("Australia/Melbourne", "2023-04-02T03:00:00+10:00", "03:00:00–03:00:10"),
    ("Australia/Melbourne", "2023-10-01T01:59:50+10:00", "01:59:50–03:00:00"),
    ("Australia/Lord_Howe", "2023-04-02T01:20:00+11:00", "01:20:00–01:20:10"),
    ("Australia/Lord_Howe", "2023-04-02T01:40:00+11:00", "01:40:00–01:40:10 UTC+11"),
    ("Australia/Lord_Howe", "2023-04-02T01:40:00+10:30", "01:40:00–01:40:10 UTC+10:30"),
    ("Europe/Zurich", "2020-10-25T02:00:00+02:00", "02:00:00–02:00:10 UTC+2"),
    ("Europe/Zurich", "2020-10-25T02:00:00+01:00", "02:00:00–02:00:10 UTC+1"),
    ("America/St_Johns", "2024-11-03T01:10:00-02:30", "01:10:00–01:10:10 UTC−2:30"),
    ("Asia/Tokyo", "2023-04-02T02:30:00+09:00", "02:30:00–02:30:10"),
]


def test_repeated_hours_show_their_offset(page: Page, served: Served) -> None:
    for zone, local, text in SHOWN:
        store = FakeStore(
            REGISTRY | {"timezone": zone}, FakeRun(run_id="r", kind="replay", timezone=zone, state="finished")
        )
        fill(store, round(datetime.fromisoformat(local).timestamp() * 1000), run="r")
        open_page(page, served(store).url)
        expect(cell(page, "j1", 4)).to_have_text(text)
        assert cell(page, "j1", 4).evaluate("e => e.scrollWidth <= e.clientWidth")
        offset = page.locator("#clock").inner_text().split()[-1]  # the newest window's end, with its zone
        assert offset in {"GMT+11", "GMT+10", "GMT+10:30", "CEST", "CET", "GMT+2", "GMT+1", "GMT-2:30", "JST"}
