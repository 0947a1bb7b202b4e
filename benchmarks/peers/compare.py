"""A peer's rows beside the truth, by what the peer says it counts (docs/adr/0032)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.topic import DIRECTIONS, GATES, LATE_MS, PANE_MS, Truth
from loadgen.bulk import START_MS

Cell = tuple[int, str, str]  # start of the window (ms), gate, direction
_LATE_PANES = LATE_MS // PANE_MS


@dataclass(frozen=True)
class Semantics:
    """What a peer, written as its users write it, does with an event; Hitonami's are the first words of each.

    late: ``dropped`` by the watermark in the log; ``by progress``, some of them, by where the reading stands; or
    ``counted``. unknown: events of sensors that no registry names. bad: all others that cannot be counted.
    """

    late: Literal["dropped", "by progress", "counted"] = "dropped"
    duplicates: Literal["dropped", "counted"] = "dropped"
    unknown: Literal["rejected", "dropped", "counted"] = "rejected"
    bad: Literal["rejected", "dropped"] = "rejected"
    rows_go: str = "into ClickHouse, once, after the release rules"


@dataclass(frozen=True)
class Verdict:
    """What a comparison found: rows compared, those that differ, late and unknown events that were counted."""

    rows: int
    differ: int
    late_counted: int
    unknown_counted: int
    example: str = ""

    @property
    def equal(self) -> bool:
        """Whether every row is what the peer's semantics say."""
        return not self.differ


def read_rows(path: Path) -> dict[Cell, int]:
    """The rows a peer wrote: window start (ms), gate, direction and count, by tabs; a cell told twice adds up."""
    rows: dict[Cell, int] = {}
    with path.open() as file:
        for line in file:
            start, gate, direction, count = line.rstrip("\n").split("\t")
            cell = int(start), gate, direction
            rows[cell] = rows.get(cell, 0) + int(count)
    return rows


def compared(rows: Mapping[Cell, int], truth: Truth, semantics: Semantics) -> Verdict:
    """Every row beside the truth, and the truth beside the rows.

    Windows with the closing events, and after those that are due, need not be told; where they are, they must be right.
    """
    told, late = np.zeros_like(truth.counts), np.zeros_like(truth.counts)
    unknown = strange = 0
    example = ""
    for (start, gate, direction), count in rows.items():
        place = _place(start, gate, direction, len(told))
        if gate.startswith("x"):
            unknown += count
        elif place is None:
            strange += 1
            example = example or f"{start} {gate} {direction} {count}: no such window, gate or direction"
        elif place[0] < 0:
            late[place[0] + _LATE_PANES, place[1], place[2]] += count
        else:
            told[place] += count
    wanted = truth.counts + truth.twice if semantics.duplicates == "counted" else truth.counts
    must = np.zeros(wanted.shape, bool)
    must[: truth.due] = True
    differs = (told != wanted) & (must | (told > 0))
    if not example and differs.any():
        pane, gate_row, way = np.argwhere(differs)[0].tolist()
        example = (
            f"{START_MS + PANE_MS * pane} {gate_row:03d} {DIRECTIONS[way]}: {told[pane, gate_row, way]}, "
            f"the truth is {wanted[pane, gate_row, way]}"
        )
    differ = strange + int(differs.sum())
    more_late = _wrong_late(late, truth.late, semantics)
    more_unknown = int(unknown != (truth.bad["unknown_sensor"] if semantics.unknown == "counted" else 0))
    if not example and (more_late or more_unknown):
        example = f"{int(late.sum())} late and {unknown} unknown events are counted"
    compared_rows = int((must | (told > 0)).sum())
    return Verdict(compared_rows, differ + more_late + more_unknown, int(late.sum()), unknown, example)


def _place(start: int, gate: str, direction: str, panes: int) -> tuple[int, int, int] | None:
    pane, rest = divmod(start - START_MS, PANE_MS)
    known = gate.isdecimal() and int(gate) < GATES and direction in DIRECTIONS
    if rest or not known or not (0 <= pane < panes or -_LATE_PANES <= pane < panes - _LATE_PANES):
        return None
    return pane, int(gate), DIRECTIONS.index(direction)


def _wrong_late(told: NDArray[np.int64], truth: NDArray[np.int64], semantics: Semantics) -> int:
    if semantics.late == "counted":
        return int((told != truth).sum())
    return int((told > (truth if semantics.late == "by progress" else 0)).sum())
