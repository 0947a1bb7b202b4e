"""Calls of a live run with a real store and receiver: what a start posts again, and in which order all is done."""

from __future__ import annotations

import json

from engine import registry
from engine.book import Book
from engine.model import NO_TIME, Progress, Released
from flows.calls import Calls
from flows.store_sink import TICK, Advance, RunRow, StoreSink, _Part
from sinks.clickhouse.alerts import Action
from sinks.clickhouse.store import Store
from sinks.webhook import Webhook
from tests.services.receiver import Receiver, until
from tests.services.released import T0, alert_row, alerts, run
from tests.support.alert_rows import REGISTRY

HOUR = 3_600_000
_write = _Part.write_batch.__wrapped__  # type: ignore[attr-defined]  # without the guard: it would end the tests


class Process:
    """A process of the run r1 that begins at the wall clock ``at_ms``."""

    def __init__(self, store: Store, receiver: Receiver, at_ms: int) -> None:
        self.at_ms, self.receiver = at_ms, receiver
        self.hook = Webhook(receiver.url, "r1", lambda _line: None)
        self.calls = Calls(store, "r1", self.hook, lambda: self.at_ms / 1000, lambda: self.at_ms / 1000)
        book = Book(registry.parse(json.dumps(REGISTRY).encode()))
        found = store.run("r1")
        assert found is not None
        self._book = book
        self._sink = StoreSink(store, RunRow(store, found, book), ["all"], bulk=False, span=None, calls=self.calls)
        self._part = self._sink.build_part("store", "all", None)

    def batch(self, w_ms: int, *rows: Released) -> list[tuple[str, str]]:
        """Rows and how far the run has come, as the flow tells them; what was posted, in order."""
        before = len(self.receiver.alerts())
        advance = Advance(Progress(w_ms, 0, {}), None, None, self._book.start)
        _write(self._part, [*rows, advance, TICK])
        self._sink.settle()
        until(lambda: not self.hook._waiting and not self.hook._under_way)
        assert self.hook.lost == 0
        return [(a["annotations"]["alert"], a["status"]) for a in self.receiver.alerts()[before:]]


def test_a_start_posts_again_what_stands_but_not_what_people_have_put_aside(store: Store, receiver: Receiver) -> None:
    store.start_run(run("r1", kind="live", closed_ms=T0 + 5 * HOUR))
    names = ("stands", "seen", "shelved", "was shelved", "by hand", "over")
    rows = [alert_row(name, T0 + i * 1000) for i, name in enumerate(names)]
    store.insert(alerts("u", *rows, alert_row("over", T0 + HOUR, "resolved", T0 + 5000)), "r1")
    now = T0 + 10 * HOUR
    for alert, what, told in (
        ("seen", "acknowledge", {}),
        ("shelved", "shelve", {"reason": "works", "until_ms": now + 1}),
        ("was shelved", "shelve", {"reason": "works", "until_ms": now}),
        ("by hand", "resolve", {"reason": "false alarm"}),
    ):
        store.act(Action("r1", alert, what, "sato", now - HOUR, **told))  # type: ignore[arg-type]
    process = Process(store, receiver, now)
    assert process.batch(T0 + 6 * HOUR) == []  # it is hours behind
    process.at_ms += 1000
    assert process.batch(now) == [(name, "firing") for name in ("stands", "seen", "was shelved")]
    (first, *_) = receiver.alerts()
    assert first["startsAt"] == "2026-02-07T07:00:00.000Z" and first["annotations"]["limit"] == "2"
    process.at_ms += 10_000
    assert process.batch(now + 10_000) == []  # once


def test_what_is_read_again_after_a_crash_is_posted_to_its_end(store: Store, receiver: Receiver) -> None:
    """Both rows were stored, the epoch was not committed: whether the receiver was told of the end nobody knows."""
    store.start_run(run("r1", kind="live", closed_ms=T0))
    new, gone = alert_row("a", T0), alert_row("a", T0 + 60_000, "resolved", T0)
    store.insert(alerts("all/1", new), "r1")
    store.insert(alerts("all/2", gone), "r1")
    process = Process(store, receiver, T0 + HOUR)
    assert process.batch(T0 + 60_000, alerts("all/1", new), alerts("all/2", gone)) == [("a", "resolved")]
    assert process.batch(T0 + 120_000, alerts("all/3", alert_row("b", T0 + 60_000))) == []
    process.at_ms += 1000
    assert process.batch(T0 + HOUR, alerts("all/4", alert_row("b", T0 + 180_000, "resolved", T0 + 60_000))) == []


def test_a_first_run_has_nothing_to_post_again(store: Store, receiver: Receiver) -> None:
    store.start_run(run("r1", kind="live"))
    process = Process(store, receiver, T0 + 20_000)
    assert process.batch(NO_TIME) == []
    assert process.batch(T0 + 10_000, alerts("all/1", alert_row("a", T0))) == [("a", "firing")]
    process.at_ms += 10_000
    assert process.batch(T0 + 20_000, alerts("all/2", alert_row("a", T0 + 20_000, "resolved", T0))) == [
        ("a", "resolved")
    ]


def test_what_stands_before_an_insert_is_read_before_it(store: Store, receiver: Receiver) -> None:
    """Else its own alert would be one that stood already, and be posted twice."""
    store.start_run(run("r1", kind="live"))
    process = Process(store, receiver, T0 + 20_000)
    process._sink.insert(alerts("all/1", alert_row("a", T0)))
    until(lambda: process.hook.sent == 1)
    assert process.batch(T0 + 10_000) == []
    assert [alert["status"] for alert in receiver.alerts()] == ["firing"]
