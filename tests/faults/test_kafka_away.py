"""A broker that cannot be reached: its windows wait, nothing closes behind it, the page shows unknown.

::

    log of the silent partition   t  t  t  t  t |·····nobody can write·····| t  t  t
                                                kill                       serves again
    ticks of the run              none carries a time in between, also none that is delivered later
    what is closed                …………………… kill − bound, and stays there
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboard.snapshot import Views
from tests.faults.kafka_run import KafkaRun, RealTime, until
from tests.realservices.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.slow]
BOUND_MS, TICK_MS = 1_000, 300
AHEAD_MS = 25_000  # events that wait for the run, so that figures are there at once
CONFIG = f"[time]\nbound_ms = {BOUND_MS}\ntick_ms = {TICK_MS}\n[flow]\nk = 1\nguard = 0\n"


def now_ms() -> int:
    return int(time.time() * 1000)


def is_unknown(run: KafkaRun) -> bool:
    """Whether the page shows every place as unknown by now: its newest row is older than it may be."""
    view = Views(run.store).read("live", "10s")
    assert view is not None
    now = now_ms()
    flow = [t is None or now - t > view.layout["gates"][row // 3]["limit_ms"] for row, t in enumerate(view.flow["t"])]
    zones = [t is None or now - t > view.layout["zones"][row]["limit_ms"] for row, t in enumerate(view.zones["t"])]
    return all(flow) and all(zones)


def away(
    run: KafkaRun, leave: Callable[[], None], come_back: Callable[[], None], record: Callable[..., None]
) -> tuple[int, int]:
    """Take a leader away until the page shows unknown, and bring it back; returns from when to when (ms).

    Events go into partition 1, the others are silent.
    """
    feed = RealTime(run, [1])
    feed.start()
    run.start()
    try:
        until(lambda: run.newest_ms() and not is_unknown(run), "no figures")
        leave()
        left_ms = now_ms()
        until(lambda: is_unknown(run) and now_ms() - left_ms > 7_000, "the page goes on as if nothing were")
        before, closed = run.newest_ms(), run.closed_ms()
        assert closed <= left_ms - BOUND_MS and run.newest_end_ms() <= closed
        back_ms = now_ms()
        begun = time.monotonic()
        come_back()
        until(lambda: run.newest_ms() > before, "figures do not flow again")
        record("figures_again_s", round(time.monotonic() - begun, 2))
        until(lambda: not is_unknown(run), "figures stay behind")
        sent = feed.finish()
        ticks = len(run.ticks(1))
        until(
            lambda: len(run.ticks(1)) > ticks, "it does not come to the end"
        )  # a tick tells that it was read to there
        told, _ = run.live.stop()
    finally:
        feed.enough.set()
    assert told["read"] == sent
    assert run.said() == []
    run.equal_to_a_replay(told)
    return left_ms, back_ms


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Kafka]:
    with Kafka(tmp_path / "kafka") as kafka:
        yield kafka


def test_nothing_closes_behind_a_broker_that_is_killed(
    one: Kafka, clickhouse_url: str, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    run = KafkaRun(one, one.create_topic("people", 2), clickhouse_url, tmp_path, now_ms() - AHEAD_MS, CONFIG)
    try:
        left_ms, back_ms = away(run, one.kill, one.restart, record_property)
        ticks = run.ticks(0)
        assert min(ticks) < left_ms and max(ticks) > back_ms
        assert not [ts for ts in ticks if left_ms < ts < back_ms]
    finally:
        run.close()
