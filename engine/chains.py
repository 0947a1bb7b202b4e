"""Chains of one class of places: closed panes through the carry kernel, and what it keeps of each."""

from __future__ import annotations

import numpy as np

from engine import kernels
from engine.figures import Runs
from engine.model import I64, NO_TIME


class Chains:
    """State of ``count`` chains; threshold = K. ``begin`` before the first panes."""

    def __init__(self, count: int, threshold: int) -> None:
        self.threshold = threshold
        self._rest, self._crosses = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._since = np.full(count, NO_TIME, np.int64)

    def begin(self, start_ms: int) -> None:
        """Counting begins, at the same time for all of them."""
        self._since[:] = start_ms

    def grow(self, count: int, start_ms: int) -> None:
        """Take in so many more, counted from ``start_ms`` on."""
        none = np.zeros(count, np.int64)
        self._rest, self._crosses = np.append(self._rest, none), np.append(self._crosses, none)
        self._since = np.append(self._since, none + start_ms)

    def release(self, rows: I64) -> tuple[Runs, I64]:
        """The runs that end in panes, rows (start_ms, end_ms, chain, people, crosses), of each chain in time order.

        Also, for each run, the cross records that may now be told (release.carry, which raises ValueError for others).
        """
        start, end, chain, n, crossed = np.ascontiguousarray(rows.T)
        m = len(rows)
        run_chain, out = np.empty(m, np.int32), [np.empty(m, np.int64) for _ in range(4)]
        runs = kernels.active().carry(
            chain.astype(np.int32), start, end, n, crossed, self.threshold,
            self._rest, self._since, self._crosses, run_chain, *out,
        )  # fmt: skip
        run_start, run_end, run_n, run_crosses = (column[:runs] for column in out)
        return Runs(run_chain[:runs].astype(np.int64), run_start, run_end, run_n), run_crosses

    def state(self) -> tuple[I64, I64, I64]:
        """Everything a later ``restore`` needs."""
        return self._rest, self._since, self._crosses

    def restore(self, state: tuple[I64, I64, I64]) -> None:
        """Take back what ``state()`` gave."""
        self._rest, self._since, self._crosses = state
