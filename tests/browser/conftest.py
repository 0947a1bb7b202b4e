"""The page over a store in memory, and a clock that a test can move."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from dashboard.app import create_app
from dashboard.serve import Server, serve
from sinks.clickhouse.store import Store
from tests.browser.fake_store import FakeRun, FakeStore

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


class Clock:
    """The server's clock: the real one, moved by ``ahead_s``."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s

    def ms(self) -> int:
        return round(self() * 1000)

    def last_start(self, length_ms: int = 10_000) -> int:
        """Start of the newest window that has ended."""
        return self.ms() // length_ms * length_ms - length_ms


@pytest.fixture(scope="session", autouse=True)
def patient() -> None:
    """How long a page may take is no matter of these tests: a slow machine takes longer than five seconds."""
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> FakeStore:
    """One live run with each kind of figure."""
    start = clock.last_start()
    rejected = {"malformed": 4, "late": 8}
    store = FakeStore(
        None, FakeRun(read=12_345, accepted=12_333, rejected=rejected, closed_ms=start + 10_000, started_ms=start)
    )
    store.now_ms = clock.ms
    fill(store, start)
    return store


def fill(store: FakeStore, start: int, **where: Any) -> None:
    store.put("j1", "ab", start, (14, 14), **where)
    store.put("j1", "ba", start, (12, 22), **where)
    store.put("j1", "unknown", start, (0, 5), **where)
    for direction in ("ab", "ba", "unknown"):
        store.put("j2", direction, start, None, **where)
    store.put_zone("c1", start, (14, 14), (12, 22), **where)
    store.put_zone("c2", start, None, None, **where)


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "locale": "ja-JP", "viewport": {"width": 1920, "height": 1080}}


@pytest.fixture(autouse=True)
def no_script_errors(context: BrowserContext) -> Iterator[None]:
    """A script error on any page of the context fails its test, at the end: not inside the browser's callback."""
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield
    assert errors == []


@pytest.fixture
def real(chdb_url: str) -> Iterator[Store]:
    """A real embedded store, with its tables and nothing in them."""
    with Store.open(chdb_url) as store:
        store.migrate()
        yield store


Served = Callable[..., Server]


@pytest.fixture
def served(clock: Clock) -> Iterator[Served]:
    """Starts servers over a store; they are stopped at the end."""
    servers: list[Server] = []

    def start(store: Any, **options: Any) -> Server:
        servers.append(serve(create_app(store, clock=clock, poll_s=0.1, **options), port=options.pop("port", 0)))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def shown(page: Page, store: FakeStore, served: Served) -> Page:
    """The page, open and with figures."""
    open_page(page, served(store).url)
    return page


def open_page(page: Page, url: str) -> None:
    """The plain view: all figures in tables."""
    page.goto(f"{url}/?view=tables")
    page.locator("#gate-table tbody tr").first.wait_for(state="visible")


def cell(page: Page, gate: str, column: int) -> Any:
    """A gate's figure cell: 0 ab, 1 ba, 2 no direction."""
    return page.locator(f"#gate-table tbody tr:has(.name:text-is('{gate}')) td").nth(column)


def zone_cell(page: Page, zone: str, column: int) -> Any:
    """A zone's figure cell: -2 inside, -1 level of service, 0 inflow, 1 outflow, 2 drift."""
    return page.locator(f"#zone-table tbody tr:has(.name:text-is('{zone}')) td").nth(column + 2)
