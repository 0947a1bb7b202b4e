"""Passages from the beams of one partition: two parallel beams tell a direction. Twin: fast/_beam.pyx.

Records come in any order within the bound, so they wait until the watermark W has passed them (their sensor's wait
added) and are paired in the order of their time::

    a   ──■──────■────────────■───▶       a1 b1 and a2 b2: two people, ab
    b   ─────■───────■────────────▶       a3 alone: one person, unknown, once pair_ms is over
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

import numpy as np

from engine.crossing import AB, BA, UNKNOWN, check, check_plan
from engine.model import I32, I64, NO_TIME, U8
from engine.pairs import BROKEN_A, BROKEN_B, FREE, BeamPair, Start, pack, unpack


class Beams:
    """Records of beam pairs of one partition → passages.

    ``pair_ms``: longest time from one beam to the other of one person. ``state``: what ``state()`` gave.
    """

    def __init__(self, pair_ms: int, state: bytes | None = None) -> None:
        self.pair_ms = pair_ms
        self._pairs = {pair.sensor: pair for pair in unpack(state or b"")}

    def add(self, rows: I64, sensor: I32, ts: I64, seq: I64, has_seq: U8, n: I64, repeat: U8) -> None:
        """Keep the beam records of a batch until they are final.

        IN  rows (m,): which rows of the columns are beam records to keep, in log order; sensor, ts (ms), seq, has_seq:
            the columns of the batch; n (rows of the batch, 3): beam a was broken in the first column, b in the second,
            neither: it was let free.
        OUT repeat (rows of the batch,): 1 where a record (sensor, ts, seq) stands here already, else 0, as without a
            seq; rows not named stay as they are.

        Raises ValueError where columns differ in length, a row does not exist or has no sensor.
        """
        check(rows, sensor, ts, seq, has_seq, n, repeat)
        _check_broken(n)
        for i in rows.tolist():
            ahead = self._pairs.setdefault(int(sensor[i]), BeamPair(int(sensor[i]))).ahead
            start = _start(i, ts, seq, has_seq, n)
            same = ahead[bisect_left(ahead, start.ts, key=_ts) : bisect_left(ahead, start.ts + 1, key=_ts)]
            repeat[i] = start.has_seq and any(other.has_seq and other.seq == start.seq for other in same)
            if not repeat[i]:
                insort(ahead, start)

    def drop(self, rows: I64, sensor: I32, ts: I64, seq: I64, has_seq: U8, n: I64) -> None:
        """Take out records that were too late after all: rows of the batch added last, no repeats among them."""
        check(rows, sensor, ts, seq, has_seq, n)
        _check_broken(n)
        for i in rows.tolist():
            pair, start = self._pairs.get(int(sensor[i])), _start(i, ts, seq, has_seq, n)
            if pair is not None and start in pair.ahead:
                pair.ahead.remove(start)

    def settle(self, watermark_ms: int, sensor_wait_ms: I64, sensor_gate: I32) -> bytes:
        """Pair the starts with ts + wait < W in the order of their time.

        IN  sensor_wait_ms, sensor_gate (S,): how much later than W the sensor's records are final, and its gate
            (below 0 = none: nothing is told).

        A start belongs to the earliest one of the other beam at most pair_ms before it that no other start has taken:
        one person, halfway between the two in time (rounded down), ab where a came first, of unknown direction where
        both have one ts. A start left alone is one person of unknown direction at its own time.

        Returns the passages as int64 rows (ms, sensor, gate, direction), in no order. Raises ValueError where columns
        differ in length or a sensor row does not exist.
        """
        check_plan(self._pairs, sensor_wait_ms, sensor_gate)
        if watermark_ms == NO_TIME:
            return b""
        out: list[list[int]] = []
        for pair in list(self._pairs.values()):
            s, gate = pair.sensor, int(sensor_gate[pair.sensor])
            found = list(self._paired(pair, watermark_ms - int(sensor_wait_ms[s])))
            out += [[ms, s, gate, direction] for ms, direction in found if gate >= 0]
            if not pair.ahead and not pair.waiting:
                del self._pairs[s]
        return np.array(out, np.int64).tobytes()

    def _paired(self, pair: BeamPair, final_ms: int) -> Iterator[tuple[int, int]]:
        """Passages (ms, direction) of the records before ``final_ms``."""
        done = bisect_left(pair.ahead, final_ms, key=_ts)
        for start in pair.ahead[:done]:
            if start.beam == FREE:
                continue
            yield from self._alone(pair, start.ts)
            if pair.waiting and pair.waiting[0].beam != start.beam:
                first = pair.waiting.pop(0)
                direction = UNKNOWN if first.ts == start.ts else AB if first.beam == BROKEN_A else BA
                yield (first.ts + start.ts) // 2, direction
            else:
                pair.waiting.append(start)
        del pair.ahead[:done]
        yield from self._alone(pair, final_ms)

    def _alone(self, pair: BeamPair, at_ms: int) -> Iterator[tuple[int, int]]:
        """Passages of the starts that nothing at ``at_ms`` or later can join."""
        while pair.waiting and pair.waiting[0].ts + self.pair_ms < at_ms:
            yield pair.waiting.pop(0).ts, UNKNOWN

    def state(self) -> bytes:
        """All that a later ``Beams(pair_ms, state)`` needs to go on, as engine.pairs packs it."""
        return pack(self._pairs.values())


def _ts(start: Start) -> int:
    return start.ts


def _start(i: int, ts: I64, seq: I64, has_seq: U8, n: I64) -> Start:
    beam = BROKEN_A if n[i, 0] else BROKEN_B if n[i, 1] else FREE
    return Start(int(ts[i]), beam, int(has_seq[i] > 0), int(seq[i]) if has_seq[i] else 0)


def _check_broken(n: I64) -> None:
    if n.shape[1:] != (3,):
        raise ValueError("columns differ in length")
