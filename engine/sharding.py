"""Which shard the rows of a partition belong to: a chain, and whatever is told of one thing, is in one place."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from engine.model import I32
from engine.registry import CAMERA, TRACKER
from engine.tables import Tables


def sensor_shards(tables: Tables, shards: int) -> I32:
    """Shard of every sensor row (S,): that of its gate, so a chain is in one place; of its id where it has none."""
    gates = tables.gate_ids
    names = [gates[g] if g >= 0 else tables.sensor_ids[s] for s, g in enumerate(tables.sensor_gate.tolist())]
    return np.array([shard_of(name, shards) for name in names], np.int32)


def watches(tables: Tables) -> NDArray[np.bool_]:
    """Which sensor rows (S,) tell of zones in panes of 10 s: trackers and occupancy cameras, not at their gates."""
    own = np.ones(len(tables.sensors), np.bool_)
    own[tables.roaming[:, 1]] = False
    own &= tables.sensor_leaf == 0
    return own & np.array([s.kind in (TRACKER, CAMERA) for s in tables.sensors], np.bool_)


def reject_shards(tables: Tables, shards: int) -> I32:
    """Shard of every sensor row's rejects (S + 1,), last those of no sensor: by id, one chain if it moves too."""
    by_name = [shard_of(name, shards) for name in tables.names]
    return np.array([*by_name, 0], np.int32)[np.append(tables.sensor_name, np.int32(-1))]


def shard_of(name: str, shards: int) -> int:
    """Stable shard of a gate or sensor id (CRC-32)."""
    return zlib.crc32(name.encode()) % shards
