"""Which stream a run is of, and what its entry makes ready."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from dashboard.layout import finest
from dashboard.snapshot import choose
from engine import registry
from engine.book import Book
from engine.config import Config
from engine.errors import UsageError
from flows import profiles, signage
from flows.files import PLAIN, LineReader
from flows.live import shards_of
from flows.logs import open_logs, topic_of
from flows.recovery import open_recovery
from flows.runs import Setup
from flows.streams import STREAMS, events_of, stream_of
from sinks.clickhouse.runs import PEOPLE, Run
from sinks.deadletter import FIELDS
from tests.support.engine_run import payloads
from tests.support.signage_run import REGISTRY, T0, touch

FIRST = registry.parse(json.dumps(REGISTRY).encode())


def test_the_topic_s_name_says_which_stream_unless_it_is_told(tmp_path: Path) -> None:
    assert [events_of(topic) for topic in ("people", "signage", "cli", "")] == ["people", "signage", "people", "people"]
    assert stream_of("signage").logs == "signage.logs"
    with pytest.raises(UsageError, match="--events: one of people, signage"):
        stream_of("traffic")
    (tmp_path / "lines").write_bytes(b"{}\n")
    assert topic_of(tmp_path / "lines") == ""
    assert set(FIELDS) == set(STREAMS)


def test_one_key_and_one_shard_whatever_the_registry() -> None:
    setup: Any = Setup(None, FIRST, Config(), "live", "0", events="signage")  # type: ignore[arg-type]
    assert (shards_of(setup), stream_of("signage").keys(1)) == (1, ["00"])


def test_all_lives_of_a_run_know_its_sessions_and_no_other_run_does(tmp_path: Path) -> None:
    for name in ("one", "two"):
        open_recovery(tmp_path / name, {"run id": name})
        signage.begin(tmp_path / name)
    book = Book(FIRST)
    told = []
    for recovery in (tmp_path / "one", tmp_path / "one", tmp_path / "two", None, None):
        signage.begin(tmp_path / "one")
        part = signage.maker(recovery)(0, book, 0, 1, None, 0, 0)
        part.feed(payloads([json.dumps(touch(T0, "s")).encode()], [T0]))
        part.finish()
        (facts,) = part.partials()
        told.append(facts.rows[0, 3:5].tolist())  # type: ignore[attr-defined]
    assert told[0] == told[1] and len({tuple(pseudonym) for pseudonym in told}) == 4


def test_lines_of_touches_are_sorted_by_their_times(tmp_path: Path) -> None:
    path = tmp_path / "touches.jsonl"
    times = [5_000, 1_000, 3_000, 2_000]
    path.write_text("".join(json.dumps(touch(T0 + ms, "s", record_ts=T0 + ms)) + "\n" for ms in times))
    stamps = signage.stamps(Book(FIRST).tables((FIRST.hash,)))
    lines = LineReader(path, PLAIN).read(1 << 20)
    assert lines is not None
    message, record_ts = stamps(lines)
    assert (message.tolist(), (record_ts - T0).tolist()) == ([0, 1, 2, 3], times)
    (log,) = open_logs([path], None, stamps, tmp_path, None, "signage")
    read = log.read(1 << 20)
    assert read is not None and log.topic == "signage"
    data = np.asarray(read.data).tobytes()
    found = [json.loads(data[a:b])["ts"] - T0 for a, b in zip(read.starts.tolist(), read.ends.tolist(), strict=True)]
    assert found == sorted(times)
    log.close()


def test_a_run_s_row_says_which_stream_it_is_of() -> None:
    about = ("live", "live", "{}", "c", "v1", "h", "0", "Asia/Tokyo")
    devices = signage.places(Book(FIRST).tables((FIRST.hash,)))
    assert (Run(*about, **devices).events, devices["gate_delay_ms"]) == ("signage", 0)
    assert set(devices["leaves"]) == {"device d1", "device d2", "device old"}
    assert Run(*about, leaves={"g1": "1m"}).events == Run(*about).events == PEOPLE
    people = Run(*about, **profiles.places(Book(FIRST).tables((FIRST.hash,))))
    assert (people.events, people.decided_once) == ("profiles", True)
    runs = [Run(*about, leaves={"g1": "1m"}), Run("newer", *about[1:], **devices, started_ms=9)]
    shown = choose(cast(Any, SimpleNamespace(runs=lambda: runs)), None)
    assert shown is not None and shown.run_id == "live"  # the page's figures are those of people
    assert finest(runs[1]) == "10s"  # asked for by name it has no gates, and no page of an error
