"""Which windows have rows: those that touch a span of activity, however the logs are cut and rows are blocked."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import figures
from engine.model import CELL_MS, GAP_MS, LENGTH_MS, WINDOWS
from tests.property.test_engine import APPROVED, START, Log
from tests.support.engine_run import run

HOUR_MS = 3_600_000
REGISTRY = {
    "version": "v1",
    "timezone": "Asia/Tokyo",
    "zones": [{"id": "c1", "kind": "walkway"}],
    "gates": [
        {"id": "g0", "a": "c1", "b": None, "leaf": "15m"},
        {"id": "g1", "a": None, "b": None, "leaf": "15m", "delay_s": 90_000},
    ],
    "sensors": [
        {"id": f"s{i}", "kind": "counter", "gate": f"g{i}", "approved": APPROVED, "reporting": r}
        for i, r in enumerate(("on_change", "heartbeat"))
    ],
}
# hours to the next event: within a pane, within a day, just a day, more
STEPS = st.sampled_from([0.01, 0.4, 3.0, 23.9, 24.0, 24.1, 50.0, 71.3])
EVENT = st.tuples(STEPS, st.sampled_from(["cross", "cross", "heartbeat", "tick"]), st.integers(0, 1))
LOGS = st.lists(st.lists(EVENT, max_size=8), min_size=1, max_size=3)


def logs_of(made: list[Any]) -> tuple[list[Log], list[int]]:
    """Logs, and the times of their events."""
    logs, times = [], []
    for events in made:
        at, log = START, list[tuple[bytes, int | None]]()
        for hours, kind, sensor in events:
            at += round(hours * HOUR_MS)
            document: dict[str, Any] = {"type": kind, "ts": at}
            if kind != "tick":
                document["sensor"] = f"s{sensor}"
                times.append(at)
            log.append((json.dumps(document).encode(), None))
        logs.append(log)
    return logs, times


@given(LOGS, st.integers(0, 2**32))
@settings(max_examples=40)
def test_cuts_and_blocks_change_nothing(made: list[Any], seed: int) -> None:
    logs, _ = logs_of(made)
    plain = run(REGISTRY, logs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_ROWS_AT_ONCE", 30)
        small = run(REGISTRY, logs)
        mixed = run(REGISTRY, logs, seed=seed, shards=2, restart=True)
    assert small.canonical() == plain.canonical()
    assert mixed.canonical() == plain.canonical()


@given(LOGS)
@settings(max_examples=40)
def test_windows_have_rows_where_there_is_activity(made: list[Any]) -> None:
    logs, times = logs_of(made)
    spans: list[list[int]] = []
    for cell in sorted({t // CELL_MS * CELL_MS for t in times}):
        if spans and cell - spans[-1][1] <= GAP_MS:
            spans[-1][1] = cell
        else:
            spans.append([cell, cell])
    result = run(REGISTRY, logs)
    for window in ("15m", "1h", "1d"):
        length, shift = LENGTH_MS[WINDOWS.index(window)], 9 * HOUR_MS
        want = set[int]()
        for first, last in spans:
            want |= set(range((first + shift) // length * length - shift, last + 1, length))
        assert {start for start, _, _ in result.flow(window)} == want
