"""Points, beams and cameras through the engine: what comes out follows from the logs alone, and holds the truth."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.beam import Beams
from engine.config import Config
from engine.crossing import Tracks
from engine.model import END, EVERY, NOTHING, UM
from tests.support.engine_run import run

APPROVED = [{"from": "2020-01-01T00:00:00Z", "to": None}]
START = 1_770_450_000_000
BOUND_MS = 5_000
REGISTRY: dict[str, Any] = {
    "version": "v1",
    "timezone": "Asia/Tokyo",
    "zones": [{"id": "c1", "kind": "walkway"}, {"id": "c2", "kind": "plaza"}],
    "gates": [
        {"id": "g0", "a": "c1", "b": None, "leaf": "10s", "line_m": [[0, -5], [0, 5]]},
        {"id": "g1", "a": "c2", "b": "c1", "leaf": "1m", "line_m": [[2, -5], [2, 1]], "delay_s": 20},
        {"id": "g2", "a": None, "b": "c2", "leaf": "10s"},
    ],
    "sensors": [
        {"id": "everywhere", "kind": "tracker", "approved": APPROVED},
        {"id": "at-g1", "kind": "tracker", "gate": "g1", "approved": APPROVED},
        {"id": "pair", "kind": "beam_pair", "gate": "g2", "approved": APPROVED},
        {"id": "counter", "kind": "counter", "gate": "g0", "approved": APPROVED},
    ],
}
PLAIN = Config({"flow": {"k": 1, "guard": 0}, "time": {"bound_ms": BOUND_MS}})
LINES = [((0, -5), (0, 5)), ((2, -5), (2, 1))]

EVENT = st.tuples(
    st.sampled_from(["point"] * 6 + ["beam", "beam", "cross", "heartbeat"]),
    st.sampled_from(["everywhere", "everywhere", "at-g1", "pair", "counter"]),
    st.integers(0, 1_200),  # ms until the next one
    st.integers(-(BOUND_MS - 1_500) // 100, 0).map(lambda v: v * 100),  # how late, in steps: some share an instant
    st.integers(0, 2),  # track, seq
    st.integers(-3, 5),
    st.integers(-2, 2),
)
LOG = st.lists(EVENT, max_size=60)
Log = list[tuple[bytes, int | None]]


def documents(made: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    out, now = [], START
    for kind, sensor, step, late, number, x, y in made:
        now += step
        if kind in ("beam", "cross") and sensor == "everywhere":  # it has no gate to tell them of
            sensor = "counter"
        document: dict[str, Any] = {"sensor": sensor, "ts": now + late, "type": kind}
        if kind == "point":
            document |= {"track": number, "x": x / 2, "y": y}
        if kind == "beam":
            document |= {"beam": "ab"[x % 2], "on": y != 0} | ({"seq": number} if number else {})
        if kind == "cross":
            document |= {"dir": "ab"}
        out.append(document)
    return out


def log_of(events: list[dict[str, Any]]) -> Log:
    return [(json.dumps(event).encode(), None) for event in events]


def once(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what repeats an earlier one: a point by its track and ts, a beam by its seq and ts."""
    seen, out = set(), []
    for at, e in enumerate(events):
        key = (e["type"], e["sensor"], e["ts"], e.get("track", e.get("seq", -1 - at)))
        if e["type"] not in ("point", "beam") or key not in seen:
            out.append(e)
        seen.add(key)
    return out


def passages(events: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """(gate, direction) → people, by the reference's kernels on everything at once, and the counter's crosses."""
    out = Counter(("g0", "ab") for e in events if e["type"] == "cross" and e["sensor"] == "counter")
    out += Counter(("g1", "ab") for e in events if e["type"] == "cross" and e["sensor"] == "at-g1")
    out += Counter(("g2", "ab") for e in events if e["type"] == "cross" and e["sensor"] == "pair")
    trackers, row = ["everywhere", "at-g1"], {"everywhere": 0, "at-g1": 1, "pair": 0}
    points = [e for e in events if e["type"] == "point" and e["sensor"] in trackers]
    beams = [e for e in events if e["type"] == "beam" and e["sensor"] == "pair"]
    tracks, pairs, zero = Tracks(2_000), Beams(1_500), np.zeros(2, np.int64)

    def column(of: list[dict[str, Any]], name: str, kind: type = np.int64) -> np.ndarray:
        return np.array([e.get(name, 0) for e in of], kind)

    for of, keep in ((points, tracks), (beams, pairs)):
        sensor, rows = np.array([row[e["sensor"]] for e in of], np.int32), np.arange(len(of))
        repeat = np.zeros(len(of), np.uint8)
        if keep is tracks:
            xy = column(of, "x", np.float64), column(of, "y", np.float64)
            keep.add(rows, sensor, column(of, "ts"), column(of, "track"), *xy, repeat)
        else:
            on = [[e["on"] and e["beam"] == "a", e["on"] and e["beam"] == "b", 0] for e in of]
            n, has = np.array(on, np.int64).reshape(-1, 3), np.array(["seq" in e for e in of], np.uint8)
            keep.add(rows, sensor, column(of, "ts"), column(of, "seq"), has, n, repeat)
        assert not repeat.any()
    line_um = np.array([[v * UM for place in line for v in place] for line in LINES], np.int64)
    plan = (np.array([EVERY, 1], np.int32), np.array([NOTHING, NOTHING], np.int32), line_um)
    told = tracks.settle(END, zero, *plan, np.zeros(1, np.int32), np.empty((0, 2), np.int64))
    for _, _, gate, way in np.frombuffer(told, np.int64).reshape(-1, 4).tolist():
        out[f"g{gate}", ("ab", "ba")[way]] += 1
    for *_, way in np.frombuffer(pairs.settle(END, zero, np.zeros(2, np.int32)), np.int64).reshape(-1, 4).tolist():
        out["g2", ("ab", "ba", "unknown")[way]] += 1
    return out


@given(LOG, st.integers(0, 99))
def test_passages_are_those_of_all_records_at_once(made: list[tuple[Any, ...]], seed: int) -> None:
    events = documents(made)
    result = run(REGISTRY, [log_of(events)], PLAIN, seed=seed, restart=True)
    kept = once(events)
    assert result.rejected == ({"duplicate": len(events) - len(kept)} if len(events) > len(kept) else {})
    assert result.accepted == len(kept)
    want = passages(kept)
    for window in ("1m", "1h"):
        got: Counter[tuple[str, str]] = Counter()
        for (_, gate, way), row in result.flow(window).items():
            got[gate, way] += row["n"] or 0
        assert +got == want
    ten: Counter[tuple[str, str]] = Counter()
    for (_, gate, way), row in result.flow("10s").items():
        ten[gate, way] += row["n"] or 0
    assert +ten == Counter({key: n for key, n in want.items() if key[0] != "g1"})


@settings(max_examples=60)
@given(st.lists(LOG, min_size=1, max_size=3), st.integers(0, 999))
def test_rows_follow_from_the_logs_alone(made: list[list[tuple[Any, ...]]], seed: int) -> None:
    logs = [log_of(documents(log)) for log in made]
    plain = run(REGISTRY, logs, shards=2)
    for how in ({"restart": True}, {"shards": 3, "by_line": True}):
        other = run(REGISTRY, logs, seed=seed, **{"shards": 2, **how})
        assert other.canonical() == plain.canonical()
        assert (other.read, other.accepted, other.rejected) == (plain.read, plain.accepted, plain.rejected)


@given(LOG, st.randoms(use_true_random=False))
def test_a_shuffle_inside_the_bound_changes_nothing(made: list[tuple[Any, ...]], random: Any) -> None:
    # repeats leave the first of them, so they must not differ in what else they tell
    events = once(documents(made))
    newest = max((e["ts"] for e in events), default=START)
    events.sort(key=lambda e: e["ts"] + random.randint(0, BOUND_MS - 1))
    # the last record of a log moves the watermark whatever comes behind it
    events.append({"sensor": "counter", "ts": newest, "type": "heartbeat"})
    before = sorted(events, key=lambda e: e["ts"])
    one, two = (run(REGISTRY, [log_of(of)], PLAIN) for of in (before, events))
    assert (one.accepted, one.rejected) == (two.accepted, two.rejected) == (len(events), {})
    assert one.canonical() == two.canonical()


def test_late_points_and_beams_are_counted_and_make_no_passage() -> None:
    at = START + 50_000

    def point(ts: int, x: float) -> dict[str, Any]:
        return {"sensor": "everywhere", "ts": ts, "type": "point", "track": 1, "x": x, "y": 0}

    def beam(ts: int, of: str) -> dict[str, Any]:
        return {"sensor": "pair", "ts": ts, "type": "beam", "beam": of, "on": True}

    late = [point(at - BOUND_MS - 1, -1), point(at - BOUND_MS - 1, -1), beam(at - BOUND_MS - 1, "b")]
    events = [point(at - 6_000, 1), beam(at - 5_500, "a"), point(at, 1), *late]
    result = run(REGISTRY, [log_of(events)], PLAIN)
    assert result.rejected == {"late": 3}
    told = {(gate, way): row["n"] for (_, gate, way), row in result.flow("1h").items() if row["n"]}
    assert told == {("g2", "unknown"): 1}  # the first beam alone


def test_live_counters_show_points_and_beams_only_where_exact() -> None:
    rows = [("point", "everywhere", 100, 0, 1, x, 0) for x in (-1, 1, -1, 1)] + [("beam", "pair", 9, 0, 0, 0, 1)] * 3
    logs = [log_of(documents([*rows, ("heartbeat", "counter", 60_000, 0, 0, 0, 0)]))]
    exact = run(REGISTRY, logs, Config({"flow": {"k": 1, "guard": 0}, "status": {"exact": True}}))
    assert exact.shown_accepted == exact.accepted == 8
    assert run(REGISTRY, logs, PLAIN).shown_accepted == 1


def test_live_counters_show_no_crosses_where_a_tracker_or_beam_pair_stands() -> None:
    """A run less its crosses would be whom the tracker saw."""
    rows = [("cross", "counter", 100, 0, 0, 0, 0)] * 9 + [("cross", "pair", 100, 0, 0, 0, 0)] * 9
    logs = [log_of(documents(rows))]
    assert run(REGISTRY, logs, PLAIN).shown_accepted == 0
    alone = REGISTRY | {"sensors": REGISTRY["sensors"][2:]}
    first = documents(rows[:9])
    assert run(alone, [log_of(first)], PLAIN).shown_accepted == 9
    # the tracker comes while people pass: those of runs that ended before are shown
    later = json.dumps({"type": "registry", "registry": REGISTRY | {"version": "v2"}}).encode()
    second, third = ({"sensor": "counter", "ts": START + at, "type": "cross"} for at in (60_000, 90_000))
    known = run(alone, [[*log_of([*first, second]), (later, None), *log_of([third])]], PLAIN)
    assert {row["registry_version"] for row in known.rows["flow"]} == {"v1", "v2"}
    assert (known.accepted, known.shown_accepted) == (11, 9)


def test_a_tracker_of_all_gates_covers_each_of_them_by_its_heartbeats() -> None:
    sensors = [s | {"reporting": "heartbeat", "beat_s": 10} for s in REGISTRY["sensors"][:1]]
    events = [{"sensor": "everywhere", "ts": START + at * 1_000, "type": "heartbeat"} for at in (0, 20, 60)]
    result = run(REGISTRY | {"sensors": sensors}, [log_of(events)], PLAIN)
    told = {(start - START, gate): (row["status"], row["coverage"]) for (start, gate, way), row in
            result.flow("10s").items() if way == "ab"}  # fmt: skip
    assert told[0, "g0"] == ("released", 1.0)
    assert told[40_000, "g0"] == ("unknown", 0.0)
    assert {told[start, "g2"] for start, gate in told if gate == "g2"} == {("unknown", 0.0)}
