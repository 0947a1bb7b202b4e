"""What streams are told, and what reads the store beside them."""

from __future__ import annotations

import asyncio
import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from dashboard.feed import PATIENCE_S, Channel, Feed, TooLate
from dashboard.public import Public
from dashboard.snapshot import Views
from tests.browser.apart import run_apart
from tests.browser.fake_store import FakeRun, FakeStore

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


def test_op_02_figures_grow_old_though_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch):
    """The server's clock stands an hour behind: what comes is new, and what comes no more is unknown in time."""
    store = FakeStore(None, FakeRun(closed_ms=NOW))
    store.put_zone("c1", NOW - 10_000, (14, 14), (8, 8), los="A", occupancy=6.0, occupancy_low=6.0, occupancy_high=6.0)
    passed = [0.0]
    monkeypatch.setattr("dashboard.feed.time", SimpleNamespace(monotonic=lambda: 1e6 + passed[0]))
    told: list[Any] = []

    async def main() -> None:
        feed = Feed(store, None, lambda: (NOW - 3_600_000) / 1000, 9.0)  # type: ignore[arg-type]
        channel, public = feed.channel(None, None), Public(feed)
        for each in (0.0, 8.0, 9.5, 60.0, 61.0):
            passed[0] = each
            if each == 9.5:
                store.update(closed_ms=NOW + 9_000)  # the run closes on: that counts from now on
            if each == 61.0:
                store.broken = True
            await feed.refresh(channel)
            head = json.loads(channel.snapshot(channel.now_ms(feed.now_ms())).split(b"data: ")[1])
            stream = public.listen()
            zone = json.loads((await anext(stream)).split(b"data: ")[1])["zones"][0]
            await stream.aclose()  # type: ignore[attr-defined]
            told.append((head["now"] - NOW, head["problem"], zone["word"], zone["age_ms"]))
        feed.close()

    run_apart(main())
    assert told == [
        (0, None, 0, 0), (8_000, None, 0, 8_000), (9_000, None, 0, 9_000),
        (59_500, "quiet", None, 59_500), (60_500, "store", None, 60_500),
    ]  # fmt: skip


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


def test_what_has_waited_too_long_behind_a_store_that_hung_is_not_done(monkeypatch: pytest.MonkeyPatch):
    """Nobody waits for it any more: an act that was told to have failed must not be done minutes later."""
    now, done = [0.0], []
    monkeypatch.setattr("dashboard.feed.time", SimpleNamespace(monotonic=lambda: now[0]))

    async def main() -> list[Any]:
        feed = Feed(FakeStore(), None, lambda: 0.0, 9.0)  # type: ignore[arg-type]
        both_hang, answers_again = threading.Barrier(3), threading.Event()

        def hang(*_: Any) -> None:
            both_hang.wait(10)
            answers_again.wait(10)

        hung = [asyncio.ensure_future(ask(hang)) for ask in (feed.call, feed.beside)]
        await asyncio.to_thread(both_hang.wait, 10)
        waiting = [asyncio.ensure_future(feed.call(lambda _: done.append("act")))]
        waiting += [asyncio.ensure_future(feed.beside(lambda *_: done.append("frames")))]
        await asyncio.sleep(0)
        now[0] = PATIENCE_S + 0.1
        later = asyncio.ensure_future(feed.call(lambda _: done.append("later")))
        await asyncio.sleep(0)
        answers_again.set()
        await asyncio.gather(*hung, later)
        failed = await asyncio.gather(*waiting, return_exceptions=True)
        feed.close()
        return [type(error) for error in failed]

    assert run_apart(main()) == [TooLate] * 2
    assert done == ["later"]


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
