"""What benchmarks of the page share: Chromium as its tests start it, what the page has measured, what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from playwright.sync_api import CDPSession, Page, sync_playwright

from tests.realservices.browser import ARGUMENTS, INSTALL, chromium


@contextmanager
def shown(url: str) -> Iterator[tuple[Page, CDPSession]]:
    """A page of 1920 × 1080 at ``url``, and the line to its debugger. Raises SystemExit without Chromium."""
    path = chromium()
    if path is None:
        raise SystemExit(INSTALL)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            page = browser.new_page(viewport={"width": 1920, "height": 1080}, locale="ja-JP")
            page.goto(url)
            page.locator("#paint time").wait_for(state="visible")
            yield page, page.context.new_cdp_session(page)
        finally:
            browser.close()


def measured(page: Page) -> dict[str, Any]:
    """What the page has measured in its last ten minutes (dashboard/static/latency.js)."""
    told: dict[str, Any] = page.evaluate(
        """async () => { const root = document.querySelector('link[rel=stylesheet]').href.replace(/[^/]+$/, '');
        return (await import(root + 'latency.js')).measured.report(); }"""
    )
    return told


def browser_cpu_s() -> float:
    """CPU seconds so far of the browser's living processes, which are all children of this one."""
    found = 0.0
    for child in psutil.Process().children(recursive=True):
        if "chrom" in child.name():
            found += sum(child.cpu_times()[:2])
    return found


def kept(line: CDPSession) -> tuple[float, int]:
    """MB of JavaScript's heap and number of DOM nodes of the page, after a collection of garbage."""
    line.send("HeapProfiler.collectGarbage")
    line.send("Performance.enable")
    told = {row["name"]: row["value"] for row in line.send("Performance.getMetrics")["metrics"]}
    return told["JSHeapUsedSize"] / (1 << 20), int(told["Nodes"])


def rounded(quantiles: dict[str, float | None]) -> dict[str, int]:
    """Quantiles of the page in whole ms; those of nothing are left out."""
    return {name: round(value) for name, value in quantiles.items() if value is not None}
