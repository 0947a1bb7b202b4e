"""Registry versions in the log: they hold for the records behind them; what they do depends on the logs alone."""

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import book, registry
from engine.config import Config
from tests.property.test_engine import APPROVED, LOG, PLAIN, REGISTRY, START, Log, message
from tests.support.engine_run import Result, run
from tests.support.naive import approved
from tests.support.worlds import SILENCE

WINDOWS = ("10s", "1m", "5m", "15m", "1h", "1d")


def version(name: str, change: dict[str, Any] | None = None, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """REGISTRY under another name: sensors or gates put in or changed, sensors left out."""
    made: dict[str, Any] = copy.deepcopy(REGISTRY) | {"version": name}
    for part in ("zones", "gates", "sensors"):
        rows = {row["id"]: row for row in made[part]}
        for row in (change or {}).get(part, []):
            rows[row["id"]] = rows.get(row["id"], {}) | row
        made[part] = [row for row in rows.values() if row["id"] not in without]
    return made


def sensor(name: str, gate: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": "counter", "gate": gate, "approved": APPROVED} | more


VERSIONS = [
    version("v2", {"gates": [{"id": "g3", "a": "c1", "b": "c2", "leaf": "10s"}], "sensors": [sensor("s4", "g3")]}),
    version("v3", {"sensors": [sensor("s0", "g1")]}),  # s0 moves from g0 to g1
    version("v4", without=("s1",)),
    version(
        "v5",
        {
            "zones": [{"id": "c3", "kind": "exit"}],
            "gates": [{"id": "g4", "a": "c3", "b": None, "leaf": "1m", "delay_s": 40}],
            "sensors": [sensor("s1", "g4"), sensor("s5", "g4", reporting="every_span")],
        },
    ),
    version("v6", without=("g2", "s2", "s3", "s4")) | {"gates": REGISTRY["gates"][:2]},
]
UNTIL = [{"from": "2020-01-01T00:00:00Z", "to": "2026-02-07T07:40:20Z"}]  # START + 20 s
VERSIONS.append(version("v7", {"sensors": [sensor("s1", "g1", approved=UNTIL), sensor("s2", "g2", approved=UNTIL)]}))
VERSIONS[4]["sensors"] = [s for s in VERSIONS[4]["sensors"] if s["gate"] != "g2"]


def record(made: dict[str, Any]) -> tuple[bytes, int | None]:
    return json.dumps({"type": "registry", "registry": made}).encode(), None


@st.composite
def logs_with_versions(draw: st.DrawFn) -> list[Log]:
    """Logs of sensors s0 … s5 with the same versions in the same order, each at a place of its own per log."""
    order = draw(st.lists(st.sampled_from(range(len(VERSIONS))), max_size=4))
    out = []
    for events in draw(st.lists(LOG, min_size=1, max_size=3)):
        log = [_spread(i, event, draw) for i, event in enumerate(events)]
        places = sorted(draw(st.lists(st.integers(0, len(log)), min_size=len(order), max_size=len(order))))
        for place, which in reversed(list(zip(places, order, strict=True))):
            log.insert(place, record(VERSIONS[which]))
        out.append(log)
    return out


def _spread(at: int, event: Any, draw: st.DrawFn) -> tuple[bytes, int | None]:
    value, stamp = message(at, event)
    if event[0] in ("cross", "count"):
        document = json.loads(value)
        document["sensor"] = f"s{draw(st.integers(0, 5))}"
        value = json.dumps(document).encode()
    return value, stamp


def ticked(logs: list[Log]) -> list[Log]:
    """Logs that end with a tick by which most windows close: a live run's logs have no end."""
    events = [json.loads(value) for log in logs for value, _ in log if value.endswith(b"}")]
    last = max((event["ts"] for event in events if "ts" in event), default=START) + 2 * SILENCE
    tick = json.dumps({"type": "tick", "ts": last}).encode()
    return [[*log, (tick, last if log and log[-1][1] is not None else None)] for log in logs]


def busy_logs(rng: random.Random) -> list[Log]:
    """Three logs of 100 events, with the same four versions in the same order, each at a place of its own per log."""
    order, logs = rng.sample(VERSIONS, 4), []
    for _ in range(3):
        log: Log = []
        for i in range(100):
            kind = rng.choice(["cross"] * 6 + ["count", "count", "heartbeat", "heartbeat", "tick", "bad"])
            value, stamp = message(
                i, (kind, 0, rng.randint(-80_000, 0), rng.choice(["ab", "ba", None]), rng.randint(0, 9))
            )
            log.append((value.replace(b'"s0"', b'"s%d"' % rng.randint(0, 5)), stamp))
        for place, version in zip(sorted(rng.sample(range(100), 4), reverse=True), reversed(order), strict=True):
            log.insert(place, record(version))
        logs.append(log)
    return ticked(logs)


@given(logs_with_versions(), st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=80)
def test_cuts_interleavings_shards_and_restarts_change_nothing(logs: list[Log], seed: int, shards: int) -> None:
    for config in (None, PLAIN):
        plain, mixed = (
            run(REGISTRY, logs, config),
            run(REGISTRY, logs, config, seed=seed, shards=shards, restart=True, by_line=seed % 2 == 1),
        )
        assert mixed.canonical() == plain.canonical()
        assert (mixed.read, mixed.accepted, mixed.rejected) == (plain.read, plain.accepted, plain.rejected)


@given(logs_with_versions())
@settings(max_examples=60)
def test_nobody_is_lost_or_counted_twice(logs: list[Log]) -> None:
    result = run(REGISTRY, logs, PLAIN)
    assert result.read == result.accepted + sum(result.rejected.values())
    assert _of_runs(result) == judged_people(logs)
    safe = run(REGISTRY, logs)
    exact = {(w, *key): row["n"] for w in WINDOWS for key, row in result.flow(w).items()}
    for window in WINDOWS:
        for key, row in safe.flow(window).items():
            if row["status"] != "unknown":
                assert row["n_low"] <= exact[window, *key] <= row["n_high"]


def _of_runs(result: Result) -> int:
    return sum(row["n"] for row in result.rows.get("runs_of_flow", []))


def judged_people(logs: list[Log]) -> int:
    """People of the accepted records, judged by hand: known, approved, not late, not told before."""
    people = 0
    lengths = {"10s": 10_000, "1m": 60_000}
    for log in logs:
        held: dict[str, Any] = REGISTRY
        w, told = -(10**18), set()
        for value, _ in log:
            try:
                event = json.loads(value)
            except ValueError:
                continue
            if event["type"] == "registry":
                held = event["registry"]
                continue
            span, at = event.get("span_ms", 0), event["ts"]
            if event["type"] != "tick":
                gates = {g["id"]: g for g in held["gates"]}
                known = {s["id"]: s for s in held["sensors"]}
                if event["sensor"] not in known:
                    continue
                gate = gates[known[event["sensor"]]["gate"]]
                length = lengths[gate["leaf"]]
                end = (at + span // 2) // length * length + length
                if not approved(known[event["sensor"]], at if event["type"] == "heartbeat" else end - length):
                    continue
                if end + gate.get("delay_s", 0) * 1000 <= w:
                    continue
                if event["type"] == "count":
                    key = (event["sensor"], at)
                    if key in told:
                        continue
                    told.add(key)
                    people += event["ab"] + event["ba"]
                people += event["type"] == "cross"
            w = max(w, at + span - 5_000)
    return people


def crosses(names: str, first: int, step_ms: int = 1_000) -> Log:
    """One crossing a step of the named sensors: "04" = s0, then s4."""
    made = (
        {"sensor": f"s{n}", "type": "cross", "dir": "ab", "ts": START + first + i * step_ms}
        for i, n in enumerate(names)
    )
    return [(json.dumps(m).encode(), None) for m in made]


def test_rows_carry_the_version_that_holds_when_their_window_ends() -> None:
    log = [*crosses("0" * 17, 0), record(VERSIONS[0]), *crosses("04" * 10, 17_000)]
    rows = run(REGISTRY, [log], PLAIN).flow("10s")
    at = {(start - START, gate): row for (start, gate, direction), row in rows.items() if direction == "ab"}
    # W stands at 11 s before the record: the window that ended by then has the old version, the next ones the new
    assert at[0, "g0"]["registry_version"] == "v1" and (0, "g3") not in at
    assert at[10_000, "g0"]["registry_version"] == "v2" == at[10_000, "g3"]["registry_version"]
    assert sum(row["n"] for (_, gate), row in at.items() if gate == "g3") == 10


def test_panes_closed_before_a_version_keep_their_coverage() -> None:
    beats = [
        json.dumps({"sensor": "s1", "type": "heartbeat", "ts": START + at}).encode() for at in range(0, 120_000, 5_000)
    ]
    log: Log = [*((beat, None) for beat in beats), record(VERSIONS[5]), *crosses("0", 121_000)]
    whole = run(REGISTRY, [log])
    at = {key[0] - START: row for key, row in whole.flow("10s").items() if key[1:] == ("g1", "ab")}
    assert at[50_000]["coverage"] == 1  # W has passed its end + delay before the record came
    assert at[100_000]["status"] == "unknown"  # nobody was approved to watch it
    for seed in range(8):
        assert run(REGISTRY, [log], seed=seed, restart=True).canonical() == whole.canonical()


def test_the_same_version_again_changes_nothing() -> None:
    events = crosses("0" * 30, 0)
    once = [*events[:10], record(VERSIONS[0]), *events[10:]]
    twice = [*events[:10], record(VERSIONS[0]), *events[10:15], record(VERSIONS[0]), *events[15:]]
    assert run(REGISTRY, [twice]).canonical() == run(REGISTRY, [once]).canonical()


@pytest.mark.parametrize(
    "change",
    [
        {"gates": [{"id": "g0", "leaf": "1m"}]},
        {"gates": [{"id": "g0", "a": "c2"}]},
        {"gates": [{"id": "g0", "b": "c2"}]},
        {"gates": [{"id": "g0", "delay_s": 5}]},
        {"gates": [{"id": "g0", "line_m": [[0, 0], [1, 1]]}]},
        {"sensors": [sensor("s9", "nowhere")]},
    ],
)
def test_a_record_that_cannot_hold_is_passed_over(change: dict[str, Any]) -> None:
    events = crosses("0" * 30, 0)
    assert (
        run(REGISTRY, [[*events[:10], record(version("v2", change)), *events[10:]]]).canonical()
        == run(REGISTRY, [events]).canonical()
    )


@pytest.mark.parametrize("junk", [None, 7, [], {"version": "v2"}, "x", {"timezone": "Asia/Seoul", "version": "v2"}])
def test_junk_in_a_registry_record_is_passed_over(junk: Any) -> None:
    events = crosses("0" * 30, 0)
    log = [*events[:10], (json.dumps({"type": "registry", "registry": junk}).encode(), None), *events[10:]]
    assert run(REGISTRY, [log]).canonical() == run(REGISTRY, [events]).canonical()


def test_a_moved_sensors_repeat_is_still_a_duplicate() -> None:
    count = {"sensor": "s0", "type": "count", "ts": START // 60_000 * 60_000, "span_ms": 10_000, "ab": 7}
    again = (json.dumps(count).encode(), None)
    result = run(REGISTRY, [[again, record(VERSIONS[1]), again, *crosses("0", 10_000)]], PLAIN)
    assert result.rejected == {"duplicate": 1}
    assert {row["gate"]: row["n"] for row in result.rows["runs_of_flow"]} == {"g0": 7, "g1": 1}


def test_a_version_in_pieces_holds_from_its_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "PART_CHARS", 300)
    found = registry.parse(json.dumps(VERSIONS[0]).encode())
    pieces: Log = [(value, None) for value in book.records_of(found)]
    assert len(pieces) > 3
    events = crosses("04" * 15, 0)
    whole = run(REGISTRY, [[*events[:10], record(VERSIONS[0]), *events[10:]]])
    for seed in range(5):
        cut = run(
            REGISTRY, [[*events[:8], *pieces[:2], *events[8:10], *pieces[2:], *events[10:]]], seed=seed, restart=True
        )
        assert cut.rejected["unknown_sensor"] == whole.rejected["unknown_sensor"] == 5
        assert cut.canonical() == whole.canonical()
    # a piece that is missing: nothing of the version holds
    lost = run(REGISTRY, [[*events[:10], *pieces[:1], *pieces[2:], *events[10:]]])
    assert lost.rejected["unknown_sensor"] == 15


def test_partitions_that_met_other_versions_keep_their_sensors_apart() -> None:
    """Two writers at once: the partitions number new sensors in another order."""
    one = [record(VERSIONS[0]), record(VERSIONS[3]), *crosses("4" * 20, 0)]
    two = [record(VERSIONS[3]), record(VERSIONS[0]), *crosses("4" * 20, 0)]
    result = run(REGISTRY, [one, two], Config({"flow": {"k": 1, "guard": 0}}), seed=1, restart=True)
    # in the second the later record knows s4, in the first it does not
    assert result.rejected == {"unknown_sensor": 20}
    assert {row["gate"] for row in result.rows["runs_of_flow"]} == {"g3"}
    assert _of_runs(result) == 20
