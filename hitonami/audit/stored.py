"""What a store holds of a run, as columns for the audit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.model import DAY, END, HOUR, I32, I64, LENGTH_MS, NO_TIME, NULL_INT, WINDOWS
from engine.timezone import TimeZone
from hitonami.audit.rules import Mask, Runs

Shares = NDArray[np.float64]
_DAY_MS = 86_400_000
_CHUNK_MS = (_DAY_MS, 7 * _DAY_MS, 28 * _DAY_MS, 28 * _DAY_MS)  # windows read at once, by code; longer ones all


class StoredRun(Protocol):
    """What the audit reads of sinks.clickhouse.store.Run."""

    run_id: str
    kind: str
    config: str
    config_hash: str
    registry_hash: str
    registry_version: str
    timezone: str
    leaves: Mapping[str, str]
    events: str
    gate_delay_ms: int
    first_ms: int | None
    last_ms: int | None
    closed_ms: int
    accepted: int
    rejected: Mapping[str, int]
    state: str


class Stored(Protocol):
    """What the audit asks of sinks.clickhouse.store.Store; it only reads."""

    def runs(self) -> Any:
        """All runs."""

    def registry(self, version: str) -> str | None:
        """JSON of a registry version."""

    def rows(
        self, product: str, run_id: str, *, window: str | None = None, start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> Any:  # fmt: skip
        """Rows as a pyarrow.Table."""


class Texts(NamedTuple):
    """A text column: ``words[codes[i]]`` is row i's."""

    codes: I64
    words: list[str]


def texts(table: Any, name: str) -> Texts:
    """A text column of an Arrow table, plain or dictionary-encoded."""
    column = table[name].cast(pa.string()).combine_chunks().dictionary_encode()
    return Texts(column.indices.to_numpy(zero_copy_only=False).astype(np.int64), column.dictionary.to_pylist())


def times(table: Any, name: str) -> I64:
    """A time column as ms."""
    return np.asarray(table[name].cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_numpy(), np.int64)


def counts(table: Any, name: str) -> I64:
    """A count column, null = NULL_INT."""
    return np.asarray(table[name].cast(pa.int64()).fill_null(NULL_INT).to_numpy(), np.int64)


def shares(table: Any, name: str) -> Shares:
    """A float column, null = NaN."""
    return np.asarray(table[name].cast(pa.float64()).fill_null(float("nan")).to_numpy(), np.float64)


@dataclass(frozen=True)
class Context:
    """One run and the settings it was released with."""

    run: StoredRun
    k: int
    guard: int
    clock: TimeZone
    known_ms: int  # rows of windows that end later may still be on their way into the store
    zones_k: int = 5
    beside_gates: bool = False

    @property
    def threshold(self) -> int:
        """K."""
        return self.k + self.guard

    @property
    def place(self) -> str:
        """How findings name it."""
        return f"run {self.run.run_id}"


def context(run: StoredRun) -> Context:
    """Read a run's settings. Raises ValueError, KeyError or TypeError where its config cannot be read."""
    config = json.loads(run.config)
    flow, zones = config["flow"], config.get("zones", {})
    whole = run.state in ("finished", "stopped") or run.closed_ms == END
    known = END if whole else NO_TIME if run.closed_ms == NO_TIME else run.closed_ms - run.gate_delay_ms
    ks = int(flow["k"]), int(flow["guard"])
    of_zones = int(zones.get("k", Context.zones_k)), bool(zones.get("beside_gates", False))
    return Context(run, *ks, TimeZone(run.timezone), known, *of_zones)


def headings_context(what: Context) -> Context:
    """The settings of ``headings`` of the same run; their rows come a track's wait later. Raises as ``context``."""
    config = json.loads(what.run.config)
    known = what.known_ms if what.known_ms in (NO_TIME, END) else what.known_ms - int(config["points"]["track_ms"])
    return replace(what, k=int(config["headings"]["k"]), guard=int(config["headings"]["guard"]), known_ms=known)


class Chains:
    """All published runs of a run, ordered by chain and time; chain i is ``names[i]`` = (gate, direction)."""

    def __init__(self, names: list[tuple[str, str]], runs: Runs) -> None:
        self.names, self.runs = names, runs
        self._row = {name: i for i, name in enumerate(names)}
        self._edges = np.searchsorted(runs.chain, np.arange(len(names) + 1)).tolist()

    def __contains__(self, name: tuple[str, str]) -> bool:
        return name in self._row

    def of(self, name: tuple[str, str]) -> Runs:
        """The runs of one chain; none for a chain without any."""
        row = self._row.get(name)
        return self.runs.picked(slice(0, 0) if row is None else slice(self._edges[row], self._edges[row + 1]))


def chains(store: Stored, run_id: str) -> Chains:
    """The product ``runs_of_flow`` of a run."""
    table = store.rows("runs_of_flow", run_id)
    gate, direction = texts(table, "gate"), texts(table, "direction")
    code = gate.codes * max(len(direction.words), 1) + direction.codes
    start, end, n = times(table, "run_start"), times(table, "run_end"), counts(table, "n")
    used, chain = np.unique(code, return_inverse=True)
    chain = chain.reshape(-1).astype(np.int32)
    order = np.lexsort((end, start, chain))
    names = [(gate.words[c // len(direction.words)], direction.words[c % len(direction.words)]) for c in used.tolist()]
    return Chains(names, Runs(chain, start, end, n, np.zeros(len(n), np.int64)).picked(order))


class FlowRows(NamedTuple):
    """Rows of ``flow`` of one window length, ordered by chain and time."""

    gate: Texts
    direction: Texts
    chain: I64  # gate code × number of directions + direction code
    start_ms: I64
    end_ms: I64
    n: I64
    low: I64
    high: I64
    status: Texts
    coverage: Shares

    def name(self, row: int) -> tuple[str, str]:
        """(gate, direction) of a row."""
        return self.gate.words[self.gate.codes[row]], self.direction.words[self.direction.codes[row]]


def pieces(store: Stored, product: str, what: Context, code: int) -> Iterator[Any]:
    """Tables of one product and window length, cut by time so that memory stays small."""
    first, last = what.run.first_ms, what.run.last_ms
    edges: list[int | None] = [None, None]
    if code < HOUR and first is not None and last is not None:
        step = _CHUNK_MS[code]
        edges[1:1] = list(range((first // step + 1) * step, last + 1, step))
    for start, end in pairwise(edges):
        yield store.rows(product, what.run.run_id, window=WINDOWS[code], start_ms=start, end_ms=end)


def flow_rows(table: Any, what: Context, code: int) -> FlowRows:
    """Columns of a table of ``flow``, without windows that may still be on their way into the store."""
    start = times(table, "window_start")
    end = window_ends(start, what.clock, code)
    if (end > what.known_ms).any():
        table = table.filter(pa.array(end <= what.known_ms))
        start = times(table, "window_start")
        end = window_ends(start, what.clock, code)
    gate, direction = texts(table, "gate"), texts(table, "direction")
    chain = gate.codes * max(len(direction.words), 1) + direction.codes
    n, low, high = (counts(table, name) for name in ("n", "n_low", "n_high"))
    status, coverage = texts(table, "status"), shares(table, "coverage")
    order = np.lexsort((start, chain))
    gate, direction, status = (Texts(t.codes[order], t.words) for t in (gate, direction, status))
    chain, start, end, n, low, high = (column[order] for column in (chain, start, end, n, low, high))
    return FlowRows(gate, direction, chain, start, end, n, low, high, status, coverage[order])


def window_ends(start: I64, clock: TimeZone, code: int) -> I64:
    """Ends of windows of one length."""
    if code < HOUR:
        return start + LENGTH_MS[code]
    used, place = np.unique(start, return_inverse=True)
    return clock.next(used, code)[place.reshape(-1)] if len(used) else start


def pane_edges(at: I64, clock: TimeZone, code: int) -> tuple[I64, I64]:
    """The pane [start, end) that holds each time."""
    assert code < DAY
    return clock.floor(at, code), clock.next(at, code)


def is_word(column: Texts, word: str) -> Mask:
    """Where a text column holds this word."""
    if word not in column.words:
        return np.zeros(len(column.codes), np.bool_)
    where: Mask = column.codes == column.words.index(word)
    return where


def codes(column: Texts, words: tuple[str, ...]) -> I32:
    """Codes of a text column in ``words``; -1 for any other text."""
    table = np.array([words.index(w) if w in words else -1 for w in column.words], np.int32)
    return table[column.codes] if len(table) else np.empty(0, np.int32)
