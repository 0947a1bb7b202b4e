"""Records of beam pairs, two of each passage: the kernel and its twin, ns per record; every passage is found."""

from functools import partial

import numpy as np
import pytest

from engine.model import END
from tests.support.walks import BEAMS, PAIR_MS, rows_of

START, SENSORS, BOUND_MS = 1_770_450_000_000, 200, 5_000


def records(passages: int):
    """sensor, ts, seq, has_seq, n: each sensor in turn is passed, one way or the other, in 200 ms."""
    at = np.arange(passages)
    sensor = np.repeat(at % SENSORS, 2).astype(np.int32)
    ts = START + np.repeat(at * 10, 2) + np.tile([0, 200], passages)
    n = np.zeros((2 * passages, 3), np.int64)
    n[::2, 0] = n[1::2, 1] = at // SENSORS % 2 == 0
    n[::2, 1] = n[1::2, 0] = at // SENSORS % 2 == 1
    seq = np.arange(2 * passages)
    order = np.argsort(ts, kind="stable")
    return tuple(np.ascontiguousarray(c[order]) for c in (sensor, ts, seq, np.ones(2 * passages, np.uint8), n))


def beam(name: str, sensor, ts, seq, has_seq, n):
    """Passages of a kernel, in batches as a live run has them."""
    beams, out, repeat = BEAMS[name](PAIR_MS), [], np.zeros(len(ts), np.uint8)
    wait, gate = np.zeros(SENSORS, np.int64), np.arange(SENSORS, dtype=np.int32)
    for first in range(0, len(ts), 20_000):
        rows = slice(first, first + 20_000)
        batch = [column[rows] for column in (sensor, ts, seq, has_seq, n, repeat)]
        beams.add(np.arange(len(batch[0])), *batch)
        out.append(beams.settle(int(batch[1][-1]) - BOUND_MS, wait, gate))
    return rows_of(b"".join([*out, beams.settle(END, wait, gate)]), 4)


@pytest.mark.parametrize("name", BEAMS)
def test_beam(benchmark, scale, name):
    passages = scale(100_000, 2_000) if name == "compiled" else scale(2_000, 1_000)
    made = records(passages)
    found = benchmark(partial(beam, name, *made))
    benchmark.extra_info["events"] = len(made[0])
    assert sorted(found) == sorted(beam("compiled", *made))
    ways = np.bincount([way for *_, way in found], minlength=3)
    assert ways.tolist() == [
        (np.arange(passages) // SENSORS % 2 == 0).sum(),
        (np.arange(passages) // SENSORS % 2).sum(),
        0,
    ]
