"""Rows of ``flow`` of the gates that border zones, made anew from what shards tell the zones.

A shard's own rows go to the store by themselves; where shards meet, these are the same rows once more, for what is
decided there gate by gate (alerts).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.model import DIRECTION_COUNT, DIRECTIONS, STATUS, WINDOWS, Released
from engine.release import window_rows
from engine.tables import Tables
from engine.zone_reading import Reading
from engine.zones import Share


def gate_rows(
    shares: Sequence[Share | Reading], tables: Callable[[int], Tables], threshold: int, unit: str
) -> list[tuple[int, Released]]:
    """The product ``flow`` of the shares' gates and windows, a block per version with that version's place."""
    of_gates = [share for share in shares if isinstance(share, Share)]
    versions = sorted({share.version for share in of_gates})
    return [
        (v, _rows([share for share in of_gates if share.version == v], tables(v), threshold, f"{unit}/{v}"))
        for v in versions
    ]


def _rows(shares: Sequence[Share], tables: Tables, threshold: int, unit: str) -> Released:
    gates = np.concatenate([share.gates for share in shares])
    counts = [len(share.gates) for share in shares]
    low, high = (np.concatenate([getattr(share, end) for share in shares]) for end in ("low", "high"))
    known, blind, covered, expected = (
        np.concatenate([getattr(share, name) for share in shares]) for name in ("known", "blind", "covered", "expected")
    )
    nobody = np.zeros_like(low)  # of bounds since the window's start
    n, low, high, status = window_rows(nobody, nobody, low, high, threshold, known[:, None].astype(np.float64))
    coverage = np.where(blind > 0, np.nan, covered / np.maximum(expected, 1))
    columns: dict[str, NDArray[Any]] = {
        "window": _thrice(np.repeat(np.array([share.code for share in shares], np.int32), counts)),
        "window_start": _thrice(np.repeat(np.array([share.start_ms for share in shares], np.int64), counts)),
        "gate": _thrice(gates),
        "direction": np.tile(np.arange(DIRECTION_COUNT, dtype=np.int32), len(gates)),
        "n": n.ravel(),
        "n_low": low.ravel(),
        "n_high": high.ravel(),
        "status": status.ravel(),
        "coverage": _thrice(coverage),
    }
    names = {"window": WINDOWS, "gate": tables.gate_ids, "direction": DIRECTIONS, "status": STATUS}
    return Released("flow", unit, columns, names, tables.registry.version)


def _thrice(values: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(values, DIRECTION_COUNT)
