"""What a start looks at: replays that a live run overlaps, state without its store; spans of stored windows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.book import Book
from engine.config import Config
from engine.errors import UsageError
from engine.model import END, Progress, Released
from engine.registry import parse
from engine.timezone import TimeZone
from flows.kafka import Cluster
from flows.live import prepare
from flows.runs import Setup
from flows.store_sink import Advance, RunRow, Span
from hitonami.common import ended_by
from sinks.clickhouse.runs import overlapping
from sinks.clickhouse.store import Store
from tests.realservices.kafka import Kafka
from tests.services.released import T0, flow, released, run
from tests.services.test_live_replay import hitonami
from tests.services.test_verify import REGISTRY
from tests.support.columns import tables

HOUR = 3_600_000


def test_a_live_run_makes_replays_of_its_time_with_other_settings_workbench_runs(
    chdb_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store.open(chdb_url) as store:
        store.migrate()
        base = {"state": "finished", "first_ms": T0, "last_ms": T0 + 60_000}
        store.start_run(run("same", **base))
        store.start_run(run("other", **{**base, "config_hash": "d"}))
        store.start_run(run("registry", **{**base, "registry_hash": "i"}))
        store.start_run(run("before", **{**base, "config_hash": "d", "first_ms": T0 - HOUR, "last_ms": T0 - 20_000}))
        store.start_run(run("elsewhere", {"j9": "10s"}, **{**base, "config_hash": "d"}))
        book = Book(tables().registry)
        row = RunRow(store, run("live", kind="live"), book)
        row.put(Advance(Progress(T0, 0, {}), T0, T0, book.start))  # its first cell is open: nothing is out
        assert {known.run_id for known in store.runs() if known.kind == "workbench"} == set()
        row.put(Advance(Progress(T0 + 20_000, 0, {}), T0, T0, book.start))
        assert {known.run_id for known in store.runs() if known.kind == "workbench"} == {"other", "registry"}
        kept = store.run("other")
        assert kept is not None
        assert replace(kept, kind="replay", updated_ms=T0) == run("other", **{**base, "config_hash": "d"})
    assert capsys.readouterr().err.count("it is a workbench run now") == 2


def test_an_exact_time_is_compared_with_the_cells_that_a_row_tells() -> None:
    stored = [run("r1", state="finished", first_ms=T0, last_ms=T0 + 60_000)]
    assert overlapping(stored, ["j1"], T0 + 65_000, T0 + HOUR) == stored  # its last cell ends at T0 + 70 s
    assert overlapping(stored, ["j1"], T0 + 70_000, T0 + HOUR) == []


def test_a_live_row_tells_its_first_event_when_the_rows_begin(chdb_url: str) -> None:
    with Store.open(chdb_url) as store:
        store.migrate()
        book = Book(tables().registry)
        row = RunRow(store, run("live", kind="live"), book)
        for closed, times in ((T0, (None, None)), (T0 + 10_000, (T0, T0 + 10_000))):
            row.put(Advance(Progress(closed, 0, {}), T0, T0, book.start))
            stored = store.run("live")
            assert stored is not None and (stored.first_ms, stored.last_ms) == times


@pytest.mark.kafka
def test_state_of_a_run_that_the_store_does_not_know_is_not_gone_on_from(
    kafka: Kafka, topic: Callable[..., str], chdb_url: str, tmp_path: Path
) -> None:
    cluster, state = Cluster(kafka.bootstrap, topic=topic()), tmp_path / "state"
    with Store.open(chdb_url) as store:
        store.migrate()
        setup = Setup(store, parse(json.dumps(REGISTRY).encode()), Config(), "live", "0")
        prepare(setup, cluster, state, "stored")
        store.drop_run("live")
        prepare(setup, cluster, state, "stored")  # nothing was committed: as if the first start had been killed
        store.drop_run("live")
        (base,) = state.glob("part-*.sqlite3")
        with sqlite3.connect(base) as held:
            held.execute("INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (1, 1, 5)")
        with pytest.raises(UsageError, match=r"holds the state of run live, which this store does not know$"):
            prepare(setup, cluster, state, "stored")
        assert store.run("live") is None


def test_a_span_holds_the_hours_of_rejects_that_lie_inside() -> None:
    half = 1_770_449_400_000 - HOUR * 3  # a half hour of UTC is a full hour in Adelaide
    span = Span(TimeZone("Australia/Adelaide"), half - 1, half + 2 * HOUR)

    def kept(*hours: int) -> list[int]:
        rows = span.clip(Released("rejects", "0", {"hour": np.array(hours, np.int64)}, {}, "v"))
        return [] if rows is None else rows.columns["hour"].tolist()

    assert kept(half - HOUR, half, half + HOUR, half + 2 * HOUR) == [half, half + HOUR]
    assert kept(half - HOUR, half + 2 * HOUR) == []


def test_stored_windows_are_cut_at_their_ends(chdb_url: str) -> None:
    """Lord Howe Island turns its clocks by half an hour: an hour ends at 15:00 UTC, the next two at 15:30 and 16:30."""
    turn, late = 1_775_314_800_000, 6
    starts = [turn - HOUR, turn, turn + HOUR // 2]
    before = ended_by("Australia/Lord_Howe", turn + HOUR)
    assert before is not None
    with Store.open(chdb_url) as store:
        store.migrate()
        store.start_run(run("r1", timezone="Australia/Lord_Howe"))
        rows = [(label, start, "j1", "ab", 7, 7, 7, "released", 1.0) for start in starts for label in ("10s", "1h")]
        store.insert(flow("u", *rows), "r1")
        store.insert(released("rejects", "u", [(start, "s", "late", late) for start in starts]), "r1")
        assert set(store.window_digests("r1", before=before)) == {
            *(("10s", start) for start in starts),
            *(("1h", start) for start in starts[:2]),
        }
        assert store.rows("flow", "r1", window="1h", before=before).num_rows == 2
        assert store.rows("rejects", "r1", before=before).num_rows == 2
        assert store.rows("rejects", "r1", before=ended_by("UTC", END)).num_rows == 3


@pytest.mark.parametrize(("reporting", "warned"), [(None, True), ("heartbeat", False), ("every_span", False)])
def test_a_registry_whose_sensors_say_nothing_of_rest_is_warned_of(
    reporting: str | None, warned: bool, tmp_path: Path
) -> None:
    second = {**REGISTRY["sensors"][0], "id": "s2"} | ({} if reporting is None else {"reporting": reporting})
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**REGISTRY, "sensors": [*REGISTRY["sensors"], second]}))
    assert ("sensors that report only on change: " in hitonami("registry", "check", path)) == warned
