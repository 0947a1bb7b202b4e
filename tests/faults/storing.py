"""A live run that goes on while its store is troubled: real Kafka, a real ClickHouse server, a relay between."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import loadgen
from engine.errors import HitonamiError
from engine.model import PRODUCTS
from sinks.clickhouse.store import Store
from tests.faults.kills import Feed, Live, Report, await_closed, compare, replayed
from tests.faults.relay import Relay
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka
from tests.support.command import COMMAND

PATIENCE_S = 120  # of waits that a slow machine may need; none of them is a figure
PARTITIONS = 4
LENGTH_S = 3_600  # of the scenario: more than any test feeds
ANSWERS = re.compile(r"the store answers again, after \d+ s")


class Storing:
    """A run of two processes on a fed topic; ``server`` is asked directly, the run goes through ``relay``."""

    def __init__(self, kafka: Kafka, topic: str, server: ClickHouse, work: Path) -> None:
        self.server, self.relay, self.work = server, Relay(server.port), work
        start_ms = (int(time.time()) - LENGTH_S - 7_200) * 1000
        scenario = loadgen.SCENARIOS["weekday"](
            seed=7, seconds=LENGTH_S, start_ms=start_ms, clock_of_day_s=8 * 3600, rate=20
        )
        loadgen.write_registry(scenario, work / "registry.json")
        (work / "config.toml").write_text("[time]\ntick_ms = 1000000000\n")  # the feed ticks, in event time
        self._at = ["--kafka", kafka.bootstrap, "--topic", topic, "--registry", str(work / "registry.json")]
        self._at += ["--config", str(work / "config.toml")]
        words = [*COMMAND, "run", *self._at, "--store", self.relay.url("live"), "--recovery", str(work / "recovery")]
        self.live = Live(words, 1_000, work / "errors.txt")
        self.feed = Feed(kafka, topic, PARTITIONS, scenario, start_ms)
        self._heard, self.asked = 0, 0.0  # lines of stderr that were looked at, and in which second
        server.query("CREATE DATABASE IF NOT EXISTS live")

    def start(self) -> None:
        """Start feed and run, and wait until figures flow."""
        with Store.open(self.server.url("live")) as store:
            store.migrate()
            for table in PRODUCTS:  # a merge would hide what is stored twice
                store._connection.command(f"SYSTEM STOP MERGES {store._connection.table(table)}")
        self.feed.start()
        self.live.start(2)
        self.flows(self.newest())

    def newest(self) -> int:
        """Start of the newest window of 10 s in the store; 0 without one."""
        text = self.server.query(
            "SELECT toUnixTimestamp64Milli(max(window_start)) FROM live.flow WHERE run_id = 'live' AND window = '10s'"
        )
        return int(text)

    def flows(self, newest: int) -> float:
        """Wait until a window behind ``newest`` is in the store; seconds."""
        begun = time.monotonic()
        await_that(lambda: self.newest() > newest, "figures flow")
        return time.monotonic() - begun

    def said(self) -> list[str]:
        """What the run has said on stderr since this was asked last."""
        lines = (self.work / "errors.txt").read_text().splitlines()
        new, self._heard, self.asked = lines[self._heard :], len(lines), time.monotonic()
        return new

    def await_said(self, pattern: str) -> str:
        """Wait for a line on stderr; the lines before it are left for ``said``."""

        def found() -> str | None:
            lines = (self.work / "errors.txt").read_text().splitlines()[self._heard :]
            return next((line for line in lines if re.search(pattern, line)), None)

        await_that(lambda: found() is not None, f"the run says {pattern}")
        return found() or ""

    @contextlib.contextmanager
    def trouble(self, record: Callable[[str, object], None]) -> Iterator[None]:
        """A fault in the block, over at its end; then figures flow again in the same processes, nothing is double."""
        workers = {worker.pid for worker in self.live.workers()}
        self.said()
        yield
        record("figures_again_s", round(self.flows(self.newest()), 2))
        assert {worker.pid for worker in self.live.workers()} == workers, self.said()
        doubled = self.doubled()
        assert not doubled, doubled

    def doubled(self) -> dict[str, int]:
        """Product → rows that stand in the store more than once; products without such are left out."""
        found = {}
        for product, (key, _) in PRODUCTS.items():
            # in one query: the run goes on inserting
            text = self.server.query(f"SELECT count() - uniqExact(run_id, {', '.join(key)}) FROM live.{product}")
            if int(text):
                found[product] = int(text)
        return found

    def ended(self) -> tuple[int, float, list[str]]:
        """SIGTERM; exit code, seconds until all was gone, lines on stderr."""
        assert self.live.process is not None
        self.said()
        begun = time.monotonic()
        self.live.process.terminate()
        self.live.process.communicate(timeout=PATIENCE_S)
        return self.live.process.returncode, time.monotonic() - begun, self.said()

    def outlived(self) -> int:
        """Wait until the run has ended by itself; its exit code."""
        assert self.live.process is not None
        self.live.process.communicate(timeout=PATIENCE_S)
        return self.live.process.returncode

    def finish(self) -> Report:
        """End the feed, let the run store all, stop it, and compare it with a replay into the same store."""
        report = Report()
        self.feed.finish()
        with Store.open(self.server.url("live")) as store:
            await_closed(store, self.feed.now_ms + 3_580_000)
        summary, seconds = self.live.stop()
        report.stop_s.append(seconds)
        report.count(self.feed.sent, summary, replayed([*self._at, "--store", self.server.url("live")]))
        with Store.open(self.server.url("live")) as store:
            compare(store, report)
        return report

    def end(self) -> None:
        """Leave nothing behind."""
        self.feed.enough.set()
        self.live.end()
        self.relay.stop()


def await_that(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds; a store that does not answer does not hold it."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError, HitonamiError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError(f"waited in vain: {what}")
