"""A live run whose store goes away, refuses, loses answers or is full: it tries again, and nothing is lost or double.

One run goes through all the faults one after the other; the last test compares what is stored with a replay.
"""

from __future__ import annotations

import base64
import re
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.kills import STOP_S
from tests.faults.relay import INSERT
from tests.faults.storing import ANSWERS, Storing, await_that
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.slow]
Record = Callable[[str, object], None]
_MORE_THAN_ANY_DISK = 1 << 60


@pytest.fixture(scope="module")
def storing(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storing]:
    """A run that stores; its server is its own."""
    work = tmp_path_factory.mktemp("storing")
    with ClickHouse(work / "clickhouse") as server:
        running = Storing(kafka, kafka.create_topic("people-storing", 4), server, work)
        try:
            running.start()
            yield running
        finally:
            running.end()


def settled(storing: Storing, why: str) -> None:
    """Two processes have said at most every 5 s why they try again, each time that it is over, and nothing else."""

    def lines(pattern: str) -> list[str]:
        return re.findall(pattern, (storing.work / "errors.txt").read_text())

    await_that(lambda: len(lines("; trying again")) == len(lines(ANSWERS.pattern)), "the store answers again")
    seconds, told = time.monotonic() - storing.asked, storing.said()
    failed = [line for line in told if line.endswith("; trying again")]
    assert len(failed) <= 2 * (1 + seconds / 5) and len(told) == 2 * len(failed), told
    assert all(re.search(why, line) for line in failed), failed


def test_it_is_killed(storing: Storing, record_property: Record) -> None:
    with storing.trouble(record_property):
        vain, begun = storing.relay.vain, time.monotonic()
        storing.server.kill()
        storing.await_said("trying again")
        await_that(lambda: storing.relay.vain >= vain + 12, "two processes try again")
        tried, seconds = storing.relay.vain - vain, time.monotonic() - begun
        storing.server.restart()
    # an insert is tried after 0.1, 0.2, 0.5, 1 and then every 2 s, and urllib3 knocks twice: no spinning
    assert tried <= 2 * 2 * (6 + seconds / 2)
    settled(storing, r"^hitonami: store http://default@127\.0\.0\.1:[0-9]+/live does not answer; trying again$")


def test_it_is_restarted(storing: Storing, record_property: Record) -> None:
    with storing.trouble(record_property):
        storing.server.stop()
        storing.server.restart()
    settled(storing, "does not answer|cannot now")


def test_answers_get_lost(storing: Storing, record_property: Record) -> None:
    with storing.trouble(record_property):
        hits = storing.relay.hits
        storing.relay.lose_answers(INSERT, 6)
        await_that(lambda: storing.relay.hits == hits + 6, "6 answers are lost")
    settled(storing, "does not answer")


def test_requests_break_off(storing: Storing, record_property: Record) -> None:
    with storing.trouble(record_property):
        hits = storing.relay.hits
        storing.relay.cut_requests(INSERT, 6)
        await_that(lambda: storing.relay.hits == hits + 6, "6 requests break off")
    settled(storing, "does not answer")


def test_it_has_too_many_parts(storing: Storing, record_property: Record) -> None:
    query = storing.server.query
    with storing.trouble(record_property):
        parts = query("SELECT count() FROM system.parts WHERE active AND database = 'live' AND table = 'flow'")
        query(f"ALTER TABLE live.flow MODIFY SETTING parts_to_throw_insert = {int(parts)}, parts_to_delay_insert = 0")
        storing.await_said("ClickHouse error 252 TOO_MANY_PARTS; trying again")
        assert storing.doubled() == {}  # before merges hide it
        query("SYSTEM START MERGES live.flow")
        query("OPTIMIZE TABLE live.flow FINAL")
        query("ALTER TABLE live.flow RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
        query("SYSTEM STOP MERGES live.flow")
    settled(storing, "cannot now")


def test_its_disk_has_no_room(storing: Storing, record_property: Record) -> None:
    with storing.trouble(record_property):
        for table in ("flow", "runs_of_flow"):
            storing.server.query(
                f"ALTER TABLE live.{table} MODIFY SETTING min_free_disk_bytes_to_perform_insert = {_MORE_THAN_ANY_DISK}"
            )
        storing.await_said("ClickHouse error 243 NOT_ENOUGH_SPACE; trying again")
        for table in ("flow", "runs_of_flow"):
            storing.server.query(f"ALTER TABLE live.{table} RESET SETTING min_free_disk_bytes_to_perform_insert")
    settled(storing, "cannot now")


def test_it_refuses_the_user(storing: Storing, record_property: Record) -> None:
    """A live run waits for what an operator can mend at the store; started like this it ends (exit 4)."""

    def wrong_password(path: str, headers: dict[str, str]) -> str:
        headers["Authorization"] = "Basic " + base64.b64encode(b"default:changed").decode()
        return path

    with storing.trouble(record_property):
        storing.relay.rewrite = wrong_password
        storing.await_said("refuses this user; trying again")
        storing.relay.rewrite = None
    settled(storing, r"^hitonami: store \S+ refuses this user; trying again$")


def test_it_is_read_only(storing: Storing, record_property: Record) -> None:
    with storing.trouble(record_property):
        storing.relay.rewrite = lambda path, _: f"{path}&readonly=1" if "INSERT" in path else path
        storing.await_said("ClickHouse error 164 READONLY; trying again")
        storing.relay.rewrite = None
    settled(storing, "cannot now")


@pytest.mark.parametrize("how", ["is away", "hangs"])
def test_a_stop_does_not_wait_for_it(storing: Storing, how: str) -> None:
    if how == "hangs":
        storing.server.signal(signal.SIGSTOP)
    else:
        storing.server.kill()
    code, seconds, lines = storing.ended()
    if how == "hangs":
        storing.server.signal(signal.SIGCONT)
    else:
        storing.server.restart()
    assert code == 4 and seconds < 30, (code, seconds, lines)  # it waits 300 s for an answer while it runs
    assert re.fullmatch(r"hitonami: store \S+ does not answer", lines.pop()), lines
    assert all(line.endswith("; trying again") for line in lines), lines  # of a process, before it was asked to stop
    storing.live.start(2)
    storing.flows(storing.newest())
    assert storing.doubled() == {}


def test_nothing_is_lost_or_double(storing: Storing) -> None:
    report = storing.finish()
    assert not any(report.faults().values()), report
    assert report.rows > 300 and report.windows >= 5
    assert max(report.stop_s) <= STOP_S


def test_it_ends_where_trying_again_does_not_help(storing: Storing) -> None:
    """The run is stopped by now. Away at the start: at once. Without its tables: after some starts, told once."""
    storing.server.kill()
    storing.said()
    storing.live.start(1)
    assert storing.outlived() == 4
    assert re.fullmatch(r"hitonami: store \S+ does not answer", "\n".join(storing.said()))
    storing.server.restart()
    storing.live.start(1)
    await_that(lambda: len(storing.live.workers()) == 1, "a process is there")
    storing.server.query("DROP DATABASE live SYNC")
    storing.feed.tick(storing.feed.now_ms + 7_200_000)  # there is something to store
    assert storing.outlived() == 1
    lines = storing.said()
    why = r"hitonami: store \S+ has no tables of Hitonami: run 'hitonami schema apply'"
    assert len(lines) == 2, lines
    assert re.fullmatch(f"{why}; starting again", lines[0]) and re.fullmatch(why, lines[1]), lines
