"""A live run before it starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine import registry
from engine.config import Config
from engine.errors import BadInput, UsageError
from engine.model import END, NO_TIME
from flows import live, runs
from flows.live import Prepared, check_alone, prepare, shards_of
from flows.runs import Setup
from flows.store_sink import RunRow
from flows.streams import PROFILES
from loadgen import bulk_registry
from sinks.clickhouse.runs import Run, overlapping
from tests.services.released import T0, run

DAY_MS = 86_400_000


def setup(gates: int, shards: int | None = None) -> Setup:
    parsed: Any = registry.parse(json.dumps(bulk_registry(sensors=gates, gates=gates)).encode())
    return cast(Setup, SimpleNamespace(registry=parsed, shards=shards, events="people"))


@pytest.mark.parametrize(("gates", "shards"), [(1, 8), (512, 8), (513, 9), (4_096, 64), (10_000, 64)])
def test_shards_follow_from_the_gates(gates: int, shards: int) -> None:
    assert shards_of(setup(gates)) == shards


def test_a_setup_may_say_how_many() -> None:
    assert shards_of(setup(513, 1)) == 1


def people(run_id: str, state: str = "running", **fields: Any) -> Run:
    """A run of consenting people, live where nothing else is said."""
    return run(run_id, **{"kind": "live", "leaves": {"profiles": "profiles"}, "state": state, **fields})


class Runs:
    """A store that has runs, and nothing else."""

    def __init__(self, *stored: Run) -> None:
        self.stored: Sequence[Run] = stored

    def run(self, run_id: str) -> Run | None:
        return next((each for each in self.stored if each.run_id == run_id), None)

    def overlapping_runs(self, leaves: Any, first_ms: int, last_ms: int) -> list[Run]:
        return overlapping(self.stored, leaves, first_ms, last_ms)

    def put_registry(self, *_version: str) -> None:
        """Is forgotten."""

    def start_run(self, row: Run) -> None:
        self.stored = [*self.stored, row]

    def update_run(self, row: Run) -> None:
        self.stored = [row if row.run_id == each.run_id else each for each in self.stored]


class Topic:
    """A topic of two partitions, with records."""

    topic = "profiles"

    def partitions(self) -> int:
        return 2

    def topic_id(self) -> str:
        return "id"

    def check_offsets(self, _offsets: dict[int, int]) -> None:
        """They are there."""

    def ends(self, _partitions: int) -> list[tuple[int, int]]:
        return [(0, 7), (0, 8)]


def started(store: Any, how: str, recovery: Path) -> Prepared:
    """A start of run b."""
    first = registry.parse(b'{"version":"1","timezone":"Asia/Tokyo"}')
    topic: Any = Topic()
    return prepare(Setup(store, first, Config(), "b", "0", events="profiles"), topic, recovery, how)


def refused(mine: Run, other: Run, start: str = "stored", *, is_new: bool = True) -> bool:
    """Whether ``mine`` may not start beside ``other``."""
    beside: Any = SimpleNamespace(store=Runs(mine, other))
    try:
        check_alone(beside, mine, is_new=is_new, start=start)
    except UsageError as error:
        assert f"run {other.run_id} is live" in str(error)
        return True
    return False


def test_a_day_of_consenting_people_has_one_live_run() -> None:
    """other: T0 ── told ──▶ T0 + 1 d"""
    mine = people("b", started_ms=T0 + DAY_MS // 2)
    told = {"first_ms": T0, "last_ms": T0 + DAY_MS, "closed_ms": T0 + DAY_MS // 4}
    assert refused(mine, people("a")) and refused(mine, people("a", **told)) and refused(mine, people("a"), "latest")
    ended = people("a", "stopped", **told)
    assert refused(mine, ended) and refused(mine, ended, "latest")
    tomorrow = people("b", started_ms=T0 + DAY_MS + 10_000)
    assert not refused(tomorrow, ended, "latest")  # nothing that both tell of
    assert refused(tomorrow, ended) and refused(tomorrow, ended, "earliest")  # from the beginning of the log
    assert not refused(tomorrow, ended, is_new=False)  # it had not closed anything, and is started again
    follows = people("b", started_ms=T0 + DAY_MS + 5_000)
    assert not refused(follows, ended, "latest")
    began = people("b", started_ms=T0 + DAY_MS // 2, closed_ms=T0 + DAY_MS)  # at W where the other has ended
    assert not refused(began, ended, is_new=False)
    # the one that was there first must not go on either, when the other has begun
    assert refused(ended, tomorrow, is_new=False)
    over = people("b", "stopped", first_ms=T0 - 9 * DAY_MS, last_ms=T0)
    assert not refused(ended, over, is_new=False)


def test_other_runs_do_not_stop_one_of_consenting_people() -> None:
    mine, told = people("b"), {"first_ms": T0, "last_ms": T0 + DAY_MS}
    assert not refused(mine, people("a", "stopped"))  # it has told nothing
    assert not refused(mine, people("a", "finished", kind="replay", **told))  # becomes a workbench run
    assert not refused(mine, run("a", kind="live", state="running", leaves={"signage": "15m"}, **told))
    counted = {"kind": "live", "state": "running", "leaves": {"j1": "1m"}}
    assert not refused(run("b", **counted), run("a", **counted, **told))  # of logs alone: the same rows


@pytest.mark.parametrize("consenting", [True, False])
def test_a_replay_of_consenting_people_is_not_shown_beside_their_live_run(consenting: bool) -> None:
    """With the same settings too: their consents are of another time. Of logs alone it is the same release."""
    leaves = {"profiles": "profiles"} if consenting else {"j1": "1m"}
    lived = run("a", leaves, kind="live", state="running", first_ms=T0, last_ms=T0 + DAY_MS)
    again = run("b", leaves, kind="workbench", state="running", first_ms=T0, last_ms=T0 + DAY_MS)
    kind = "workbench" if consenting else "replay"
    row: Any = SimpleNamespace(run=again)
    summary: Any = SimpleNamespace(first_ms=T0, last_ms=T0 + DAY_MS)
    runs._judge(Setup(Runs(lived, again), *[cast(Any, None)] * 4), row, summary)
    assert row.run.kind == kind
    # and where the live run comes to days of which a replay has told
    store: Any = Runs(lived, replace(again, kind="replay", state="finished"))
    RunRow(store, lived, cast(Any, None))._judge_replays(T0)
    told = store.run("b")
    assert told is not None and told.kind == kind


def test_a_second_live_run_of_consenting_people_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "joined", lambda *_how: {1: END - 1})
    recovery = tmp_path / "recovery"
    store = Runs(people("a", "stopped", first_ms=T0, last_ms=T0 + DAY_MS))
    with pytest.raises(UsageError, match="run a is live and tells of the same consenting people"):
        started(store, "stored", recovery)
    assert store.run("b") is None
    begun = started(store, "latest", recovery)
    assert begun.row.run.closed_ms == NO_TIME and store.run("b") is not None
    again = started(store, "stored", recovery)  # its processes start again before anything has closed
    assert again.row.run.run_id == "b"
    # who comes late is of a day that a has told of
    assert begun.since == again.since and begun.since[0] > T0 + DAY_MS and begun.since[1] == END - 1


def test_a_run_that_follows_another_begins_behind_it() -> None:
    at = T0 - T0 % DAY_MS + 15 * 3_600_000  # midnight in Tokyo
    for last_ms, started_ms, since in (
        (at, at + 10_000, at),
        (at + 3_600_000, at + 7_200_000, at + 3_600_000),
        (at, at + 30 * DAY_MS + 10_000, at + 30 * DAY_MS),  # there may be replays of the days between
        (None, at, NO_TIME),
    ):
        ended = people("a", "stopped", first_ms=None if last_ms is None else T0 - DAY_MS, last_ms=last_ms)
        mine = people("b", started_ms=started_ms)
        beside: Any = SimpleNamespace(store=Runs(ended, people("c", "stopped", first_ms=0, last_ms=9), mine))
        if last_ms is None:
            beside.store = Runs(ended, mine)
        assert check_alone(beside, mine, is_new=True, start="latest") == since


def test_of_two_that_start_at_once_none_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Both(Runs):
        def start_run(self, row: Run) -> None:
            super().start_run(row)
            self.stored = [*self.stored, people("a")]

    store = Both()
    with pytest.raises(UsageError, match="run a is live"):
        started(store, "latest", tmp_path / "recovery")
    mine = store.run("b")
    assert mine is not None and mine.state == "failed"  # so it does not stop the other's next start
    assert not refused(people("a"), mine)


def test_a_run_that_cannot_go_on_does_not_say_that_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else no other run of its people could ever begin."""

    def lost(*_how: Any) -> None:
        raise BadInput("the key of an open day is lost")

    monkeypatch.setattr(live, "joined", lambda *_how: {})
    store = Runs()
    started(store, "latest", tmp_path / "recovery")
    monkeypatch.setattr(live, "stream_of", lambda _events: replace(PROFILES, begin=lost))
    with pytest.raises(BadInput, match="lost"):
        started(store, "stored", tmp_path / "recovery")
    mine = store.run("b")
    assert mine is not None and mine.state == "failed"
