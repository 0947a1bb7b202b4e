"""A live run before it starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine import registry
from engine.config import Config
from engine.errors import UsageError
from engine.model import NO_TIME
from flows import live
from flows.live import check_alone, prepare, shards_of
from flows.runs import Setup
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


def test_a_second_live_run_of_consenting_people_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Topic:
        topic = "profiles"

        def partitions(self) -> int:
            return 1

        def topic_id(self) -> str:
            return "id"

        def check_offsets(self, _offsets: dict[int, int]) -> None:
            """They are there."""

        def ends(self, _partitions: int) -> list[tuple[int, int]]:
            return [(0, 7)]

    monkeypatch.setattr(live, "joined", lambda *_how: {})
    topic: Any = Topic()
    first = registry.parse(b'{"version":"1","timezone":"Asia/Tokyo"}')

    def start(store: Any, how: str) -> Run:
        mine = Setup(store, first, Config(), "b", "0", events="profiles")
        return prepare(mine, topic, tmp_path / "recovery", how).row.run

    store = Runs(people("a", "stopped", first_ms=T0, last_ms=T0 + DAY_MS))
    with pytest.raises(UsageError, match="run a is live and tells of the same consenting people"):
        start(store, "stored")
    assert store.run("b") is None
    assert start(store, "latest").closed_ms == NO_TIME and store.run("b") is not None
    assert start(store, "stored").run_id == "b"  # its processes start again before anything has closed
