"""Points as messages through a partition (decode, judging, crossing, time in zones), beside orjson and numpy."""

from functools import partial

import numpy as np
import orjson
import pytest

from benchmarks.kernels.bench_crossing import WORLD, numpy_crossing, told, walks
from engine import registry
from engine.book import Book
from engine.model import END, NO_TIME, Payloads
from engine.partial import PANE_COLUMNS, STOCK_COLUMNS
from engine.partition import Partition

BATCH, POINTS_IN_ARRAY, BOUND_MS = 1 << 20, 50, 5_000  # a batch is what a live run reads at once, in bytes


def version() -> registry.Registry:
    """The square of bench_crossing with one tracker of everything."""
    _, *_, lines, at, corners = WORLD.plan()
    metres = (corners / 1_000_000).tolist()
    rest = {"a": None, "b": None, "leaf": "10s"}
    return registry.parse(
        orjson.dumps(
            {
                "version": "square",
                "timezone": "Asia/Tokyo",
                "gates": [
                    {"id": f"g{i}", "line_m": [line[:2], line[2:]], **rest}
                    for i, line in enumerate((lines / 1_000_000).tolist())
                ],
                "zones": [
                    {"id": f"z{i}", "kind": "plaza", "polygon_m": metres[at[i] : at[i + 1]]} for i in range(len(at) - 1)
                ],
                "sensors": [
                    {"id": "cam", "kind": "tracker", "approved": [{"from": "2020-01-01T00:00:00Z", "to": None}]}
                ],
            }
        )
    )


def messages(ts: np.ndarray, track: np.ndarray, x: np.ndarray, y: np.ndarray, arrays: int) -> list[bytes]:
    """One message each, or arrays of so many."""
    made = [
        b'{"sensor":"cam","ts":%d,"type":"point","track":%d,"x":%.3f,"y":%.3f}' % row
        for row in zip(ts.tolist(), track.tolist(), x.tolist(), y.tolist(), strict=True)
    ]
    if arrays == 1:
        return made
    return [b"[" + b",".join(made[i : i + arrays]) + b"]" for i in range(0, len(made), arrays)]


def batches(made: list[bytes]) -> list[Payloads]:
    """Messages as the source hands them in."""
    lengths = np.array([len(m) for m in made], np.int64)
    ends = np.cumsum(lengths)
    out, first = [], 0
    while first < len(made):
        behind = max(first + 1, int(np.searchsorted(ends, ends[first] + BATCH)))
        base, none = ends[first] - lengths[first], np.full(behind - first, NO_TIME, np.int64)
        data = b"".join(made[first:behind]) + b" "
        out.append(
            Payloads(
                data,
                (ends - lengths)[first:behind] - base,
                ends[first:behind] - base,
                none,
                np.arange(first, behind, dtype=np.int64),
            )
        )
        first = behind
    return out


def partition(given: list[Payloads], book: Book):
    """What the partials of a partition tell of them."""
    part, panes, stock = Partition(0, book, BOUND_MS, 1), [], []
    for batch in given:
        part.feed(batch)
        for partial_ in part.partials():
            panes.append(partial_.panes)
            stock.append(partial_.stock)
    part.finish()
    assert part.watermark == END
    for partial_ in part.partials():
        panes.append(partial_.panes)
        stock.append(partial_.stock)
    return np.concatenate(panes).reshape(-1, PANE_COLUMNS), np.concatenate(stock).reshape(-1, STOCK_COLUMNS)


def orjson_numpy(made: list[bytes], arrays: int):
    """The same with orjson and numpy, a whole log at once."""
    rows = [orjson.loads(m) for m in made]
    flat = rows if arrays == 1 else [row for array in rows for row in array]
    ts, track = (np.array([row[name] for row in flat], np.int64) for name in ("ts", "track"))
    x, y = (np.array([row[name] for row in flat], np.float64) for name in ("x", "y"))
    return numpy_crossing(ts, track, x, y)


def counted(passages, zones):
    """People by gate and direction; of each zone and pane people_ms, path, tracks."""
    ways = np.zeros((4, 2), np.int64)
    for _, gate, way in passages:
        ways[gate, way] += 1
    return ways.tolist(), zones


@pytest.mark.parametrize("arrays", [1, POINTS_IN_ARRAY])
@pytest.mark.parametrize("name", ["partition", "orjson and numpy"])
def test_points(benchmark, scale, name, arrays):
    made = walks(500, scale(2_000, 20))
    texts = messages(*made, arrays)
    book, given = Book(version()), batches(texts)
    ours = partial(partition, given, book)
    benchmark.extra_info["events"] = len(made[0])
    found = benchmark(ours if name == "partition" else partial(orjson_numpy, texts, arrays))
    panes, stock = ours()
    rows = [[0, g, w] for g in range(4) for w in range(2) for _ in range(int(panes[panes[:, 2] == g + 1, 3 + w].sum()))]
    want = counted(*numpy_crossing(*made))
    assert counted(*told([], [])) != want
    assert counted(*told([[0, 0, *row[1:]] for row in rows], [[*z[:1], 0, *z[2:7]] for z in stock.tolist()])) == want
    assert name == "partition" or counted(*found) == want
