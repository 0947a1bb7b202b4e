"""The load generator's points, beams and readings of occupancy are what the decoders read, in JSON and Arrow."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from engine import decode
from engine.fast import _decode
from engine.model import BEAM, OCCUPANCY, POINT
from loadgen import arrow, encode
from tests.support.decoded import listed, room_for

IDS = ["cam-7", "狸-8", "j2-01"]
MODULES = {"reference": decode, "compiled": _decode}
ROWS = 200
RNG = np.random.default_rng(6)
SENSOR, TS, N = RNG.integers(0, 3, ROWS), 1_770_450_000_000 + np.arange(ROWS), RNG.integers(0, 2**31, ROWS)
X, Y = RNG.normal(0, 30, ROWS), np.float32(RNG.normal(0, 3, ROWS)).astype(np.float64)
BIT, ON = RNG.integers(0, 2, ROWS), RNG.integers(0, 2, ROWS)
SPEED = np.where(RNG.integers(0, 3, ROWS) > 0, RNG.uniform(0, 3, ROWS), np.nan)


def rows_of(module: Any, message: bytes) -> list[list[Any]]:
    """The columns of one message."""
    out, at = room_for(ROWS), np.array([0, len(message)], np.int64)
    ids = module.Ids([i.encode() for i in IDS])
    assert module.decode(message, at[:1], at[1:], np.full(1, 5, np.int64), ids, *out, 0) == (1, ROWS)
    return listed(out, ROWS)


def by_json(name: str) -> bytes:
    """The events as an array of the encoder's objects."""
    at = [IDS[s].encode() for s in SENSOR]
    told = [None if math.isnan(v) else v for v in SPEED.tolist()]
    made = {
        "point": lambda i: encode.point(at[i], TS[i], N[i], X[i], Y[i]),
        "beam": lambda i: encode.beam(at[i], TS[i], BIT[i], bool(ON[i]), N[i]),
        "occupancy": lambda i: encode.occupancy(at[i], TS[i], N[i], told[i]),
    }[name]
    return b"[" + b",".join(made(i) for i in range(ROWS)) + b"]"


def by_arrow(name: str) -> bytes:
    return {
        "point": lambda: arrow.points(IDS, SENSOR, TS, N, X, Y),
        "beam": lambda: arrow.beams(IDS, SENSOR, TS, BIT, ON, N),
        "occupancy": lambda: arrow.occupancies(IDS, SENSOR, TS, N, SPEED),
    }[name]()


KIND = {"point": POINT, "beam": BEAM, "occupancy": OCCUPANCY}


@pytest.mark.parametrize("name", KIND)
@pytest.mark.parametrize("form", [by_json, by_arrow])
@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_decoders_read_what_was_told(module: Any, form: Any, name: str) -> None:
    columns = dict(zip(decode.COLUMNS, rows_of(module, form(name)), strict=True))
    zero, none = [0] * ROWS, np.full(ROWS, np.nan).view(np.int64).tolist()
    assert columns["kind"] == [KIND[name]] * ROWS
    assert columns["reason"] == columns["span_ms"] == zero
    assert (columns["sensor"], columns["ts"]) == (SENSOR.tolist(), TS.tolist())
    x, y, speed = (column.view(np.int64).tolist() for column in (X, Y, SPEED))
    n = {
        "point": np.zeros((ROWS, 3), np.int64),
        "beam": np.column_stack([ON * (1 - BIT), ON * BIT, 0 * ON]),
        "occupancy": np.column_stack([0 * N, 0 * N, N]),
    }[name]
    assert columns["n"] == n.tolist()
    assert columns["seq"] == (zero if name == "occupancy" else N.tolist())
    assert columns["has_seq"] == [int(name != "occupancy")] * ROWS
    assert (columns["x"], columns["y"]) == {"point": (x, y), "beam": (zero, zero), "occupancy": (speed, none)}[name]


def test_what_need_not_be_told_is_left_out() -> None:
    made = [encode.beam(b"j2-01", 5, 1, False), encode.occupancy(b"cam-7", 5, 3), encode.point(b"cam-7", 5, 2, 1, -0.5)]
    assert [json.loads(text) for text in made] == [
        {"sensor": "j2-01", "ts": 5, "type": "beam", "beam": "b", "on": False},
        {"sensor": "cam-7", "ts": 5, "type": "occupancy", "people": 3},
        {"sensor": "cam-7", "ts": 5, "type": "point", "track": 2, "x": 1.0, "y": -0.5},
    ]
