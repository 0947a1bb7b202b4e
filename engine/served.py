"""Which sensors tell of which places, and which of redundant ones counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.model import I64
from engine.registry import BEAM_PAIR, TRACKER, Sensor
from engine.tables import Tables


class Served(NamedTuple):
    """One sensor that tells of one place: a gate or a zone, numbered by whoever asks; ``row`` names the pair."""

    place: int
    row: int
    sensor: Sensor


def of_gates(tables: Tables, gates: Sequence[int]) -> list[Served]:
    """The sensors of gates (rows), gate by gate in the registry's order, trackers of all gates behind them.

    Places as in ``gates``, rows those of the sensors.
    """
    at = tables.once("sensors at gates", lambda: _at_gates(tables))
    return [Served(place, *of) for place, gate in enumerate(gates) for of in at.get(gate, ())]


def _at_gates(tables: Tables) -> dict[int, list[tuple[int, Sensor]]]:
    """Gate -> rows and sensors that stand there in this version: looked up by the classes of all shards."""
    out: dict[int, list[tuple[int, Sensor]]] = {}
    rows = np.array(tables.standing_row, np.int64)
    for gate, row, sensor in zip(tables.sensor_gate[rows].tolist(), tables.standing_row, tables.standing, strict=True):
        out.setdefault(gate, []).append((row, sensor))
    return out


def following(tables: Tables) -> NDArray[np.bool_]:
    """Whether a tracker or beam pair stands at a gate (G + 1,), or has; the last for those without gate."""

    def found() -> NDArray[np.bool_]:
        out = np.zeros(len(tables.gate_ids) + 1, np.bool_)
        out[tables.sensor_gate[[s.kind in (TRACKER, BEAM_PAIR) for s in tables.sensors]]] = True
        return out

    return tables.once("following", found)


def groups(served: Iterable[Served]) -> list[list[int]]:
    """Rows of the sensors that share a group at one place, in the order given."""
    found: dict[tuple[int, str], list[int]] = {}
    for place, row, sensor in served:
        if sensor.group:
            found.setdefault((place, sensor.group), []).append(row)
    return [rows for rows in found.values() if len(rows) > 1]


def counting(rows: Sequence[int], alive: Sequence[int], mute: NDArray[np.bool_]) -> int:
    """Which row of a group counts: the first alive, else the first that is ``mute`` about it, else the first listed."""
    return (alive or [row for row in rows if mute[row]] or rows)[0]


def chosen(
    panes: I64, covers: I64, of: Sequence[Sequence[int]], mute: NDArray[np.bool_], delay_ms: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows of people and covers count, where each group counts by one of its sensors.

    That is, per pane, the first listed with coverage ≥ 0.5, else the first that cannot tell its coverage, else the
    first listed. ``panes``, ``covers`` begin with pane_ms, close_ms (``delay_ms`` behind the pane's end) and the row
    of Served; covers go on with covered_ms. ``of``: the groups; ``mute``, by row: cannot tell its coverage.
    """
    covered = {(p, s): ms for p, s, ms in covers[:, [0, 2, 3]].tolist()}
    length = {p: close - delay_ms - p for p, close in np.concatenate([panes[:, :2], covers[:, :2]]).tolist()}
    drop: set[tuple[int, int]] = set()
    for rows in of:
        for pane, ms in length.items():
            alive = [s for s in rows if 2 * covered.get((pane, s), 0) >= ms]
            choice = counting(rows, alive, mute)
            drop |= {(pane, s) for s in rows if s != choice}
    keep = [[(p, s) not in drop for p, s in rows[:, [0, 2]].tolist()] for rows in (panes, covers)]
    return np.array(keep[0], np.bool_), np.array(keep[1], np.bool_)
