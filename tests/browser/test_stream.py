"""One stream a browser; cut, restarted, late: no gap, no duplicate, and the page says when it is cut off."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.serve import Server
from tests.browser.conftest import Clock, Served, cell, open_page
from tests.browser.fake_store import FakeStore
from tests.browser.relay import Relay

pytestmark = pytest.mark.browser

# How long the page or its server stays away. `make soak-page` makes it five minutes, and then times the banner too.
AWAY_S = float(os.environ.get("HITONAMI_AWAY_S", "0"))

SPY = """
  delete globalThis.SharedWorker;
  window.ids = [];
  const real = EventSource;
  globalThis.EventSource = class extends real {
    constructor(url) {
      super(url);
      for (const type of ['snapshot', 'delta']) {
        this.addEventListener(type, e => window.ids.push([type, e.lastEventId]));
      }
    }
  };
"""


@pytest.fixture
def relay(served: Served, store: FakeStore) -> Iterator[Relay]:
    relay = Relay(port(served(store)))
    yield relay
    relay.stop()


def port(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def numbers(page: Page) -> list[tuple[str, str, int]]:
    return [(kind, *split(event)) for kind, event in page.evaluate("window.ids")]


def wait_until(page: Page, expression: str) -> None:
    """Like page.wait_for_function, which needs eval: the page's policy forbids it."""
    for _ in range(150):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"never true: {expression}")


def split(event: str) -> tuple[str, int]:
    epoch, _, number = event.rpartition("-")
    return epoch, int(number)


def cut_off(page: Page, relay: Relay) -> None:
    """Cut the line, see it said, and leave it cut for AWAY_S."""
    page.evaluate(
        """() => {
             const banner = document.querySelector('#trouble'), began = performance.now();
             new MutationObserver(() => { window.said ??= performance.now() - began; })
               .observe(banner, {childList: true, characterData: true, subtree: true});
           }"""
    )
    began = time.monotonic()
    relay.cut()
    expect(page.locator("#trouble")).to_contain_text("切断")
    expect(page.locator("#trouble")).to_be_visible()
    if AWAY_S:
        print(f"banner after {page.evaluate('window.said'):.0f} ms")
        assert page.evaluate("window.said") <= 3_000
    page.wait_for_timeout(max(0.0, AWAY_S - (time.monotonic() - began)) * 1000)


def test_op_14_cut_off_is_said_soon_and_the_stream_goes_on_without_gap_or_duplicate(
    page: Page, relay: Relay, store: FakeStore, clock: Clock
):
    page.add_init_script(SPY)
    open_page(page, relay.url)
    other = page.context.new_page()  # keeps the ticks of the server coming while the first is away
    other.goto(f"http://127.0.0.1:{relay.target}/?view=tables")
    wait_until(page, "window.ids.length >= 2")
    expect(page.locator("#trouble")).to_have_text("")
    cut_off(page, relay)
    expect(cell(page, "j1", 0)).to_have_text("14確定" if AWAY_S < 10 else "不明古い")
    store.put("j1", "ab", clock.last_start(), (77, 77))
    relay.mend()
    expect(cell(page, "j1", 0)).to_have_text("77確定", timeout=15_000)
    expect(page.locator("#trouble")).to_have_text("")
    seen = numbers(page)
    assert [kind for kind, _, _ in seen] == ["snapshot"] + ["delta"] * (len(seen) - 1)
    assert [n for _, _, n in seen] == list(range(seen[0][2], seen[0][2] + len(seen)))
    other.close()


def test_op_14_a_server_that_was_away_gives_a_snapshot_and_goes_on(
    page: Page, relay: Relay, served: Served, store: FakeStore, clock: Clock
):
    page.add_init_script(SPY)
    first = served(store)
    relay.point_at(port(first))
    open_page(page, relay.url)
    first.stop()
    cut_off(page, relay)
    store.put("j1", "ab", clock.last_start(), (77, 77))
    relay.point_at(port(served(store)))
    relay.mend()
    expect(cell(page, "j1", 0)).to_have_text("77確定", timeout=15_000)
    expect(page.locator("#trouble")).to_have_text("")
    page.evaluate("window.before = window.ids.length")
    wait_until(page, "window.ids.length > window.before + 1")
    seen = numbers(page)
    epochs = list(dict.fromkeys(epoch for _, epoch, _ in seen))
    assert len(epochs) == 2
    for epoch in epochs:
        mine = [(kind, n) for kind, e, n in seen if e == epoch]
        assert mine[0][0] == "snapshot" and {kind for kind, _ in mine[1:]} <= {"delta"}
        assert [n for _, n in mine] == list(range(mine[0][1], mine[0][1] + len(mine)))


def test_a_gap_is_healed_by_a_snapshot(page: Page, relay: Relay):
    page.add_init_script(
        SPY
        + """
        let lost = null;
        const add = real.prototype.addEventListener;
        real.prototype.addEventListener = function (type, f) {
          add.call(this, type, type !== 'delta' ? f : e => {
            lost ??= e.lastEventId;
            if (e.lastEventId !== lost) f(e);
          });
        };"""
    )
    open_page(page, relay.url)
    wait_until(page, "window.ids.filter(([type]) => type === 'snapshot').length === 2")
    expect(cell(page, "j1", 0)).to_have_text("14確定")


def test_tabs_share_one_stream_and_a_late_one_has_figures_at_once(
    browser: Browser, relay: Relay, store: FakeStore, clock: Clock
):
    context = browser.new_context(locale="ja-JP", viewport={"width": 1600, "height": 900})
    pages: list[Any] = []
    for _ in range(8):  # more than HTTP/1.1 connections to a host
        pages.append(context.new_page())
        open_page(pages[-1], relay.url)
    assert sum(line.startswith(b"GET /events") for line in relay.requests) == 1
    store.put("j1", "ab", clock.last_start(), (31, 31))
    for page in (pages[0], pages[-1]):
        expect(cell(page, "j1", 0)).to_have_text("31確定")
    assert pages[-1].evaluate("fetch('/api/status').then(r => r.status)") == 200
    first = pages.pop(0)
    first.close()  # the stream is not the first tab's
    store.put("j1", "ab", clock.last_start(), (32, 32))
    expect(cell(pages[-1], "j1", 0)).to_have_text("32確定")
    context.close()


def test_the_shared_stream_comes_back_too(page: Page, relay: Relay, store: FakeStore, clock: Clock):
    open_page(page, relay.url)
    relay.cut()
    expect(page.locator("#trouble")).to_contain_text("切断", timeout=20_000)
    store.put("j1", "ab", clock.last_start(), (55, 55))
    relay.mend()
    expect(cell(page, "j1", 0)).to_have_text("55確定", timeout=15_000)
    expect(page.locator("#trouble")).to_have_text("")
    assert any(b"last=" in line for line in relay.requests if line.startswith(b"GET /events"))


def test_a_worker_that_never_answers_is_done_without(page: Page, served: Served, store: FakeStore):
    page.add_init_script(
        """globalThis.SharedWorker = class extends EventTarget {
             port = Object.assign(new MessageChannel().port1, {}); };"""
    )
    open_page(page, served(store).url)
    expect(cell(page, "j1", 0)).to_have_text("14確定", timeout=10_000)


def test_a_store_that_fails_is_said_and_ages_go_on(shown: Page, store: FakeStore, clock: Clock):
    store.broken = True
    expect(shown.locator("#trouble")).to_contain_text("保存先が応答しません")
    expect(cell(shown, "j1", 0)).to_have_text("14確定")
    clock.ahead_s = 60
    expect(cell(shown, "j1", 0)).to_have_text("不明古い")
    store.broken = False
    expect(shown.locator("#trouble")).to_have_text("")


def test_a_store_that_hangs_is_silence_and_said_as_such(shown: Page, store: FakeStore):
    release = threading.Event()
    runs = store.runs
    store.runs = lambda: (release.wait(20), runs())[1]  # type: ignore[method-assign]
    expect(shown.locator("#trouble")).to_contain_text("切断", timeout=20_000)
    release.set()
    expect(shown.locator("#trouble")).to_have_text("", timeout=15_000)
