"""What tests of the operator's parts of the page share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

from sinks.clickhouse.alerts import Alert
from tests.browser.conftest import Clock

CANARY = "<img src=x onerror=window.hit=1>"


def alert(clock: Clock, name: str, **changes: Any) -> Alert:
    """A new critical alert of density in c1 that began a minute ago."""
    began = clock.ms() - 60_000
    made = Alert(name, "dense", "density", "critical", "c1", "", "10s", began, None, "", 2.5, 2.0, "1",
                 "new", True, "", "", None, "")  # fmt: skip
    return replace(made, **changes)


def open_situation(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("#alerts-panel .alert, #alerts-panel .alerts-none:not(:empty)").first.wait_for(state="attached")


def items(page: Page) -> Locator:
    return page.locator("#alerts-panel .alerts-hand > .alerts-list > .alert")


def serious(page: Page) -> list[tuple[str, str]]:
    found = Axe().run(page).response["violations"]
    return [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
