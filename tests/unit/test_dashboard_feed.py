"""What streams are told, and what reads the store beside them."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from dashboard.feed import Channel, Feed
from dashboard.snapshot import Views
from tests.browser.apart import run_apart
from tests.browser.fake_store import FakeStore

NOW = 1_770_450_020_000


def test_timing_keeps_when_the_newest_rows_were_read_first():
    store = FakeStore()
    views, channel = Views(store), Channel(None, None)  # type: ignore[arg-type]
    told: list[Any] = []

    def tell(now: int) -> None:
        channel._told = float("-inf")  # as if a second had passed
        view = views.read(None, "10s")
        assert view is not None
        channel.saw(view, now)
        channel.tell(view, None, now + 300)
        told.append(json.loads(channel.snapshot(now).split(b"data: ")[1])["timing"])

    start = NOW - 10_000
    store.put("j1", "ab", start, (14, 14))
    tell(NOW)
    store.put("j2", "ab", start - 10_000, (8, 8))  # an older window, late: no news
    tell(NOW + 1_000)
    store.put("j1", "ba", NOW, (8, 8))
    tell(NOW + 2_000)
    first = {"end": NOW, "line": NOW + 5_000, "inserted": NOW + 5_500, "read": NOW}
    assert told[:2] == [first, first]
    assert told[2] == {name: at + 10_000 for name, at in first.items()} | {"read": NOW + 2_000}


def test_long_work_lets_the_streams_read_between_its_own_reads():
    store = FakeStore()
    order: list[str] = []

    async def main() -> list[Any]:
        feed = Feed(store, None, lambda: 0.0, 9.0)  # type: ignore[arg-type]
        between = threading.Event()

        def work(behind: Any, _: Any) -> str:
            order.append(threading.current_thread().name)
            assert behind.run("live").run_id == "live"
            assert between.wait(10)
            behind.runs()
            return "done"

        def failing(behind: Any, _: Any) -> None:
            behind.run("live")

        long = asyncio.ensure_future(feed.beside(work))
        await feed.call(lambda _: order.append(threading.current_thread().name))  # not behind the long work
        between.set()
        answers: list[Any] = [await long]
        store.broken = True
        answers += await asyncio.gather(feed.beside(failing), return_exceptions=True)
        store.broken = False
        feed.close()
        answers += await asyncio.gather(feed.beside(work), return_exceptions=True)
        return answers

    done, *failed = run_apart(main())
    assert done == "done" and [str(error) for error in failed] == ["gone", "the page is being stopped"]
    assert sorted(order) == ["dashboard-reader", "dashboard-worker"]


def test_a_slow_client_gets_the_newest_instead_of_everything():
    channel = Channel(None, None)
    for _ in range(30):
        channel.hub.publish("delta", b"{}")
    assert len(channel.hub.after(0) or []) == 30

    async def main() -> list[bytes]:
        feed = Feed(FakeStore(), None, lambda: 0.0, 9.0)  # type: ignore[arg-type]
        stream = feed.listen(channel, None)
        assert await anext(stream) == b"retry: 1000\n\n"
        first = await anext(stream)
        for _ in range(30):
            channel.hub.publish("delta", b"{}")
        second = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        feed.close()
        return [first, second]

    first, second = run_apart(main())
    assert first.count(b"event: snapshot") == second.count(b"event: snapshot") == 1
    assert b"event: delta" not in second
