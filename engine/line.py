"""The watermark of one partition of a stream without a kernel of its own: too far in the future, late, and how W moves.

W = max of min(ts, record_ts) over the admitted records, minus ``bound``; record by record in log order, ticks too. A
record is judged before it moves W itself::

    bound 5 s    ts       0      9      4     20     7       windows of 10 s
                 W was    -     -5      4      4    15
                                        |            late: its window [0, 10) has closed

A late record cannot move W: its ts lies before the end of its window, and that end is at or behind W. So the maximum
over all records is the maximum over the admitted ones, and one pass over columns does what a loop over records would.
"""

from __future__ import annotations

import numpy as np

from engine.model import END, FUTURE_MS, I64, LATE, NO_TIME, TOO_FAR_IN_FUTURE, U8


class Line:
    """W of one partition, in ms. ``since``: W before the first record; ``state``: what ``state()`` gave.

    ``watermark`` is NO_TIME before the first admitted record, ``first`` the first W there was.
    """

    def __init__(self, bound_ms: int, since: int = NO_TIME, state: tuple[int, int] | None = None) -> None:
        self._bound_ms = bound_ms
        self.watermark, self.first = (since, since) if state is None else state

    def judge(self, reason: U8, ts: I64, record_ts: I64, close_ms: I64) -> I64:
        """Judge rows (m,) in log order and move W; returns W as it was before each of them (m,).

        IN    ts, record_ts: ms, of what is not refused; close_ms: when the first window that holds the row closes,
              behind its ts; model.END of a tick, which is neither late nor in the future.
        INOUT reason: rows other than 0 stay as they are and move nothing; others get TOO_FAR_IN_FUTURE (ts more than
              60 s ahead of record_ts) or LATE (W has reached close_ms).

        Raises ValueError where columns differ in length or a window closes at or before the ts it holds.
        """
        if not len(reason) == len(ts) == len(record_ts) == len(close_ms):
            raise ValueError("columns differ in length")
        good = reason == 0
        if bool((close_ms[good] <= ts[good]).any()):
            raise ValueError("a window closes before what it holds")
        ahead = np.zeros(len(ts), np.bool_)
        ahead[good] = (ts[good] - record_ts[good] > FUTURE_MS) & (close_ms[good] != END)
        reason[ahead] = TOO_FAR_IN_FUTURE
        good &= ~ahead
        marks = np.full(len(ts) + 1, self.watermark, np.int64)
        marks[1:][good] = np.minimum(ts[good], record_ts[good]) - self._bound_ms
        marks = np.maximum.accumulate(marks)
        before = marks[:-1]
        reason[good & (close_ms <= before)] = LATE
        if self.first == NO_TIME:
            at = int(np.searchsorted(marks, NO_TIME, "right"))
            self.first = int(marks[at]) if at < len(marks) else NO_TIME
        self.watermark = int(marks[-1])
        return before

    def state(self) -> tuple[int, int]:
        """Everything a later ``Line(..., state=)`` needs to go on."""
        return self.watermark, self.first
