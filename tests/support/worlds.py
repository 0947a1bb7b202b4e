"""Small worlds to try the engine on: a registry of some gates and sensors, and the logs of some partitions."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from engine.config import Config
from tests.support.engine_run import Result, run
from tests.support.naive import LENGTH, Naive

START = (
    1_775_313_000_000  # 2026-04-05 01:30 on Lord Howe Island: half an hour before the clocks go back by half an hour
)
HOUR = 3_600_000
SILENCE = 30 * HOUR  # too long for rows; the other steps hardly bridge it
PAUSE = 23 * HOUR  # has rows: only where no gate has leaves so small that they would be many
PRIVACY = {k + guard: {"k": k, "guard": guard} for k, guard in ((1, 0), (2, 1), (5, 1))}  # by K
Log = list[tuple[bytes, int | None]]

# approved always; from the middle of the first hour on; not for a while
APPROVALS = (
    [("2020-01-01T00:00:00Z", None)],
    [("2026-04-04T14:40:07Z", None)],
    [("2020-01-01T00:00:00Z", "2026-04-04T14:31:00Z"), ("2026-04-04T14:36:30Z", None)],
)
GATES = st.lists(
    st.tuples(
        st.sampled_from([None, "c1", "c2"]),
        st.sampled_from([None, "c1", "c2"]),
        st.sampled_from(["10s", "1m", "5m", "15m", "15m", "1h", "1h"]),
        st.sampled_from([0, 0, 0, 7, 20, 600, 90_000]),
    ),
    min_size=1,
    max_size=4,
)
SENSORS = st.lists(
    st.tuples(
        st.sampled_from([0] * 8 + [1, 2, 3, None]),  # how many gates further than its own number; None = no gate
        st.sampled_from(["on_change", "on_change", "heartbeat", "every_span"]),
        st.sampled_from([0, 0, 0, 1, 2]),
        st.sampled_from([5, 15, 225, 900]),  # two of them: a leaf, half a minute, half of 15m, half an hour
        st.sampled_from([None, "twins"]),
    ),
    min_size=1,
    max_size=6,
)
KINDS = ["cross"] * 8 + ["count"] * 4 + ["heartbeat"] * 3 + ["tick", "edge", "again", "again", "bad", "bad", "stranger"]
KINDS += ["point", "beam", "occupancy"]
EVENT = st.tuples(
    st.sampled_from([0, 100, 1_500, 5_000, 5_000, 5_000, 10_000, 10_000, 60_000, 60_000, 600_000, PAUSE, SILENCE]),
    st.sampled_from(KINDS),
    st.integers(0, 5),
    # how late (None = by the leaf of its gate); < 0 = a clock that is fast
    st.sampled_from([0] * 9 + [5_000, 10_000, 31_700, None, None, 4_000_000, SILENCE, -4_000, -60_000, -70_000]),
    st.sampled_from(["ab", "ab", "ba", None]),
    st.sampled_from([0, 1, 2, 3, 5, 6, 9, 40]),
)
EVENTS = st.one_of(st.lists(EVENT, max_size=5), st.lists(EVENT, min_size=12, max_size=50))
LOGS = st.lists(st.tuples(st.sampled_from([0, 0, 700, 70_000, SILENCE]), st.booleans(), EVENTS), min_size=1, max_size=4)


@dataclass(frozen=True)
class World:
    """A registry, logs, K, and how far the watermark stays behind."""

    registry: dict[str, Any]
    logs: list[Log]
    threshold: int
    bound: int

    def run(self, **how: Any) -> Result:
        config = Config({"flow": PRIVACY[self.threshold], "time": {"bound_ms": self.bound}})
        return run(self.registry, self.logs, config, **how)

    @functools.cached_property
    def naive(self) -> Naive:
        return Naive(self.registry, self.logs, self.threshold, self.bound)

    def with_events(self, change: Callable[[dict[str, Any]], dict[str, Any]], shift_ms: int = 0) -> World:
        """The same world with every readable event changed, and the record times shifted."""

        def changed(message: bytes) -> bytes:
            try:
                return json.dumps(change(json.loads(message))).encode()
            except ValueError:
                return message

        logs = [[(changed(m), None if at is None else at + shift_ms) for m, at in log] for log in self.logs]
        return replace(self, logs=logs)

    def until(self, cuts: list[int]) -> World:
        """The same world whose logs are cut, each to a length of its own."""
        logs = [log[: cut % (len(log) + 1)] for log, cut in zip(self.logs, cuts, strict=False)]
        return replace(self, logs=logs)

    def with_registry(self, **parts: Any) -> World:
        return replace(self, registry=self.registry | parts)


def registry_of(zone: str, gates: list[Any], sensors: list[Any]) -> dict[str, Any]:
    return {
        "version": "v1",
        "timezone": zone,
        "zones": [{"id": "c1", "kind": "walkway"}, {"id": "c2", "kind": "plaza"}, {"id": "c3", "kind": "exit"}],
        "gates": [
            {"id": f"g{i}", "a": a, "b": b, "leaf": leaf, "delay_s": delay}
            for i, (a, b, leaf, delay) in enumerate(gates)
        ],
        "sensors": [
            {
                "id": f"s{i}",
                "kind": "counter",
                "gate": None if gate is None else f"g{(i + gate) % len(gates)}",
                "approved": [{"from": start, "to": end} for start, end in APPROVALS[approval]],
                "reporting": reporting,
                "beat_s": beat,
                "group": group,
            }
            for i, (gate, reporting, approval, beat, group) in enumerate(sensors)
        ],
    }


def again(message: bytes, how: str | None) -> bytes:
    """A message once more: as it was ("ab"), the same thing with other values ("ba"), or another thing of its time."""
    try:
        document = json.loads(message)
    except ValueError:
        return message
    if how == "ba":
        document |= {"count": {"ab": 7}, "point": {"x": -7}, "beam": {"on": False}}.get(document["type"], {"dir": None})
    elif how is None:
        document |= {name: document[name] + 1 for name in ("seq", "span_ms", "track") if name in document}
    return json.dumps(document).encode()


def log_of(registry: dict[str, Any], bound: int, start: int, in_kafka: bool, events: list[Any]) -> Log:
    """Messages with a clock that goes on step by step; an event may be late, early, or said again."""
    gates = {gate["id"]: gate for gate in registry["gates"]} | {None: {"leaf": "10s", "delay_s": 0}}
    coarse = all(LENGTH[gate["leaf"]] >= LENGTH["15m"] for gate in registry["gates"])
    now, log = start, Log()
    for step, kind, number, late, direction, n in events:
        now += step if coarse or step != PAUSE else 600_000
        sensor = registry["sensors"][number % len(registry["sensors"])]
        leaf, delay = LENGTH[gates[sensor["gate"]]["leaf"]], gates[sensor["gate"]]["delay_s"] * 1_000
        late = leaf if late is None else late
        stamp = now if in_kafka else None
        document: dict[str, Any] = {"type": kind, "ts": now - late, "sensor": sensor["id"]}
        if kind == "again":
            if log:
                log.append((again(log[-1 - n % len(log)][0], direction), stamp))
            continue
        if kind == "bad":
            log.append((b'{"sensor":"s0"', stamp))
            continue
        if kind == "tick":
            document = {"type": "tick", "ts": now - max(0, late)}
        if kind == "edge":  # a tick that moves W to just where a pane closes, or not quite
            document = {"type": "tick", "ts": now // leaf * leaf + delay % HOUR + bound - (direction is None)}
            stamp = max(now, document["ts"]) if in_kafka else None
        if kind in ("cross", "stranger"):
            document["dir"] = direction
            document |= {"seq": n} if number % 2 else {}
        if kind in ("beam", "occupancy"):
            document |= {"seq": n} if number % 2 else {}
            document |= {"beam": "ab"[n % 2], "on": n > 2} if kind == "beam" else {"people": n}
        if kind == "point":
            document |= {"track": n % 3, "x": n / 7, "y": -number}
        if kind == "stranger":
            document |= {"type": "cross", "sensor": "nobody"}
        if kind == "count":
            span = (leaf, leaf, 10_000, 1_001, leaf + 1)[number % 5]
            document |= {"ts": now - late - span, "span_ms": span, "ab": n, "ba": number, "un": n // 7}
        log.append((json.dumps(document).encode(), stamp))
    return log


def world_of(zone: str, gates: list[Any], sensors: list[Any], logs: list[Any], threshold: int, bound: int) -> World:
    registry = registry_of(zone, gates, sensors)
    made = [log_of(registry, bound, START + at, kafka, events) for at, kafka, events in logs]
    return World(registry, made, threshold, bound)


PARTS = (GATES, SENSORS, LOGS, st.sampled_from(sorted(PRIVACY)), st.sampled_from([5_000, 5_000, 0, 60_000]))
WORLDS = st.builds(world_of, st.sampled_from(["Asia/Tokyo", "Australia/Lord_Howe"]), *PARTS)
EVEN_WORLDS = st.builds(world_of, st.just("Asia/Tokyo"), *PARTS)  # all days are alike
