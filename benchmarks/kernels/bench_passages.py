"""window on passages in order, as most logs hold them, beside numpy that only counts and leaves out repeats."""

from functools import partial

import numpy as np
import pytest

from engine.fast._window import PaneTable
from engine.model import CROSS
from tests.support.columns import Columns

START, CELL, SENSORS, GAP_MS, BOUND_MS = 1_770_450_000_000, 10_000, 1_000, 0.05, 5_000
BATCH = 20_000
NO_REPEAT = np.zeros(BATCH, np.uint8)
NONE, NO_DELAY, LONG = np.zeros(SENSORS, np.int8), np.zeros(SENSORS, np.int64), np.full(SENSORS, 5_000, np.int64)


def passages(rows: int) -> tuple[Columns, np.ndarray]:
    """Passages of sensors in turn, 20,000 a second, of one person each; and the start of each one's pane."""
    at = np.arange(rows)
    sensor = np.random.default_rng(1).integers(0, SENSORS, rows).astype(np.int32)
    ts = START + (at * GAP_MS).astype(np.int64)
    n = np.zeros((rows, 3), np.int64)
    n[at, at % 2] = 1
    zero = np.zeros(rows, np.int64)
    made = Columns(
        np.full(rows, CROSS, np.int8), np.zeros(rows, np.uint8), sensor, ts, zero, n, at, np.ones(rows, np.uint8), ts
    )
    return made, ts - ts % CELL


def window(made: Columns, pane: np.ndarray, end: np.ndarray, reason: np.ndarray, told: np.ndarray) -> list[bytes]:
    """The panes of the kernel, in batches as a live run has them; every pane is taken."""
    table, out = PaneTable(BOUND_MS), []
    for first in range(0, len(told), BATCH):
        rows = slice(first, first + BATCH)
        kind, _, sensor, ts, span, n, seq, has_seq, record = (column[rows] for column in made)
        table.add(
            kind, reason[rows], sensor, ts, span, n, seq, has_seq, pane[rows], end[rows], record,
            NO_REPEAT[: len(kind)], NO_DELAY, NO_DELAY, NONE, LONG, told[rows],
        )  # fmt: skip
        out.append(table.take(table.watermark))
    return [*out, table.take(2**62)]


def numpy_window(made: Columns, pane: np.ndarray, *_) -> tuple[np.ndarray, np.ndarray]:
    """The same sums of a whole log at once, repeats left out: no watermark, nothing late, no coverage."""
    order = np.lexsort((made.seq, made.ts, made.sensor))
    same = (np.diff(made.sensor[order]) == 0) & (np.diff(made.ts[order]) == 0) & (np.diff(made.seq[order]) == 0)
    rows = order[np.append(True, ~same)]
    cell = (pane[rows] - pane.min()) // CELL * SENSORS + made.sensor[rows]
    sums = np.column_stack([np.bincount(cell, made.n[rows, d]) for d in range(3)]).astype(np.int64)
    filled = np.flatnonzero(sums.sum(axis=1))
    return filled, sums[filled]


def told(ways_panes, pane: np.ndarray) -> dict[tuple[int, int], list[int]]:
    """People by pane and sensor, of either way."""
    if isinstance(ways_panes, list):
        rows = np.frombuffer(b"".join(ways_panes), np.int64).reshape(-1, 9)
        return {(row[0], row[2]): row[3:6] for row in rows.tolist()}
    filled, sums = ways_panes
    starts, sensors = int(pane.min()) + filled // SENSORS * CELL, filled % SENSORS
    return dict(zip(zip(starts.tolist(), sensors.tolist(), strict=True), sums.tolist(), strict=True))


@pytest.mark.parametrize("name", ["compiled", "numpy"])
def test_passages(benchmark, scale, name):
    made, pane = passages(scale(200_000, 30_000))
    given = (made, pane, pane + CELL, made.reason.copy(), np.empty(len(pane), np.int64))
    panes = benchmark(partial({"compiled": window, "numpy": numpy_window}[name], *given))
    benchmark.extra_info["events"] = len(pane)
    assert not given[3].any()
    people = told(panes, pane)
    assert people == told(window(*given), pane) == told(numpy_window(*given), pane)
    assert sum(map(sum, people.values())) == len(pane)
