"""A topic of Arrow messages gives the rows that the same events give in JSON."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import loadgen
from engine.config import Config
from engine.model import ARROW, AUTO, JSON
from engine.partition import Partition
from flows.external_sort import people_stamps
from flows.live import empty_parts
from flows.logs import open_logs
from flows.runs import Setup
from tests.realservices.kafka import Kafka
from tests.services.test_live_replay import hitonami, produce
from tests.support.engine_run import run
from tests.support.streams import arrow_of, stream, table_of

TICK, SIZES = b'{"type":"tick","ts":0}', (1, 40, 300, 7)


def weekday(seconds: int) -> Any:
    return loadgen.SCENARIOS["weekday"](seed=5, seconds=seconds, start_ms=1_770_450_000_000, rate=40)


def in_streams(values: Sequence[bytes]) -> Iterator[bytes]:
    """The events in streams of some rows each, with a tick of the engine's own in JSON before each."""
    left = iter(values)
    for size in itertools.cycle(SIZES):
        records = [json.loads(value) for value in itertools.islice(left, size)]
        if not records:
            return
        yield TICK
        yield arrow_of(records, max(1, size // 3))


def test_an_arrow_log_gives_the_rows_of_the_same_events(kernels: Any, tmp_path: Path) -> None:
    scenario = weekday(150)
    values = [message.value for message in scenario.events()]
    broken = arrow_of([json.loads(value) for value in values[:5]])[:-20]
    loadgen.write_registry(scenario, tmp_path / "registry.json")
    document = json.loads((tmp_path / "registry.json").read_bytes())
    plain = [(value, None) for value in [TICK, *values]]  # health of sensors begins with the first tick
    streams = [(message, None) for message in in_streams(values)]
    expected = run(document, [plain])
    found = run(document, [[*streams[:9], (broken, None), *streams[9:]]], seed=3, restart=True)
    assert expected.accepted == found.accepted == len(values) > 3_000
    assert (expected.rejected, found.rejected) == ({}, {"malformed": 1})
    assert {p: rows for p, rows in found.canonical().items() if p != "rejects"} == expected.canonical()


@pytest.mark.kafka
def test_an_arrow_topic_is_replayed_as_its_events_are(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    scenario = weekday(100)
    values = [message.value for message in scenario.events()]
    loadgen.write_registry(scenario, tmp_path / "registry.json")
    (tmp_path / "events.jsonl").write_bytes(b"".join(value + b"\n" for value in [TICK, *values]))
    (tmp_path / "arrow.toml").write_text('[topics]\npeople = "arrow"\n')
    name = topic(timestamps="LogAppendTime")
    messages = [*in_streams(values), values[0]]  # the last is JSON: no event of this topic
    produce(kafka, name, [(0, message) for message in messages], lambda _number: None)
    at = ("--store", f"chdb://{tmp_path}/store", "--registry", tmp_path / "registry.json", "--run-id")
    lines = json.loads(hitonami("replay", tmp_path / "events.jsonl", *at, "lines"))
    as_arrow = (*at, "arrow", "--config", tmp_path / "arrow.toml")
    streams = json.loads(hitonami("replay", "--kafka", kafka.bootstrap, "--topic", name, *as_arrow))
    # by Kafka's record times, which come long after the events, their sensors' clocks are slow: health is another
    for product in ("flow", "runs_of_flow", "zones"):
        told = []
        for run_id in ("lines", "arrow"):
            out = tmp_path / f"{product}-{run_id}.csv"
            hitonami("export", product, *at[:2], "--run-id", run_id, "-o", out)
            told.append(out.read_text().replace(f",{run_id},", ",,"))
        assert told[0] == told[1] and len(told[0].splitlines()) > 10
    assert streams["accepted"] == lines["accepted"] == len(values)
    assert (lines["rejected"], streams["rejected"]) == ({}, {"malformed": 1})


def test_a_log_takes_what_its_topic_is_set_to_and_lines_are_json(tmp_path: Path) -> None:
    for word, wire in (("auto", AUTO), ("json", JSON), ("arrow", ARROW)):
        setup = SimpleNamespace(
            config=Config({"topics": {"people": word}}),
            registry=SimpleNamespace(gates=[]),
            letters=None,
            shards=None,
            events="people",
        )
        topic = cast(Any, SimpleNamespace(topic="people"))
        parts = empty_parts(cast(Setup, setup), topic, cast(Any, None), Partition)
        assert parts.wire == wire
    lines = tmp_path / "events.jsonl"
    lines.write_bytes(TICK + b"\n")
    (log,) = open_logs([lines], "log", people_stamps(None), tmp_path, None)
    assert log.wire == JSON
    log.close()


def test_streams_of_one_dictionary_and_many_rows_grow_the_columns(kernels: Any) -> None:
    from engine.batch import decode_events
    from tests.support.engine_run import payloads

    records = [{"sensor": f"s{i % 9}", "ts": i, "type": "heartbeat"} for i in range(3_000)]
    messages = [stream([table_of(records)])] * 3 + [TICK] * 5 + [stream([table_of(records[:0])])]
    events = decode_events(payloads(messages), kernels.Ids([b"s%d" % i for i in range(9)]))
    assert len(events) == 9_005
    assert events.sensor[:9_000].tolist() == [i % 9 for i in range(3_000)] * 3
    assert events.message[8_999:].tolist() == [2, 3, 4, 5, 6, 7]
