"""Rows of the store as the page's columns: one list per column, null = not told.

The live page and a stored span (frames.py) make their figures here, so that the one cannot differ from the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from engine.model import DIRECTIONS, I64, LOS, STATUS

FLOW_COLUMNS = ("t", "n", "lo", "hi", "s", "c")
ZONE_COLUMNS = (
    "t", "in", "in_lo", "in_hi", "out", "out_lo", "out_hi", "s", "c",
    "occ", "occ_lo", "occ_hi", "err", "drift_lo", "drift_hi", "dens", "pace", "los",
)  # fmt: skip
HEADING_COLUMNS = ("t", "s", "way", "r")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "flow": FLOW_COLUMNS,
    "zones": ZONE_COLUMNS,
    "headings": HEADING_COLUMNS,
}
_SOURCE: Mapping[str, Mapping[str, str]] = {
    "flow": {"n": "n", "lo": "n_low", "hi": "n_high"},
    "zones": {
        "in": "inflow",
        "in_lo": "inflow_low",
        "in_hi": "inflow_high",
        "out": "outflow",
        "out_lo": "outflow_low",
        "out_hi": "outflow_high",
        "occ": "occupancy",
        "occ_lo": "occupancy_low",
        "occ_hi": "occupancy_high",
        "err": "error",
        "drift_lo": "drift_low",
        "drift_hi": "drift_high",
    },
    "headings": {},
}
_ROUNDED = {"c": "coverage", "dens": "density", "pace": "speed", "way": "mean_heading", "r": "resultant_length"}
_KEYS = {"flow": ("gate", "direction"), "zones": ("zone",), "headings": ("zone", "sector")}

Columns = dict[str, list[Any]]
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a product. ``keys``: (gate, direction), (zone,) or (zone, sector) of each row; ``cells``: the columns.

    ``start`` (r,): starts of their windows in ms. ``told`` (r,): whether a row tells a number of people.
    """

    product: str
    keys: Sequence[Key]
    start: I64
    cells: Columns
    told: Sequence[bool]

    def __len__(self) -> int:
        return len(self.keys)

    def only(self, rows: Sequence[int]) -> Table:
        """Some of the rows in their order."""
        return Table(
            self.product,
            [self.keys[row] for row in rows],
            self.start[list(rows)],
            self.picked(rows),
            [self.told[row] for row in rows],
        )

    def places(self, rows: Iterable[int]) -> dict[Key, int]:
        """Key as the layout has it → row, of some of the rows; of a key's rows the last.

        Of a zone's sectors that is the first that is told, else the first: mean heading and strength are the same in
        all of them.
        """
        if self.product != "headings":
            return {self.keys[row]: row for row in rows}
        out: dict[Key, int] = {}
        for row in sorted(rows, key=lambda row: self.keys[row]):
            held = out.setdefault(self.keys[row][:1], row)
            if self.told[row] and not self.told[held]:
                out[self.keys[row][:1]] = row
        return out

    def picked(self, rows: Sequence[int | None]) -> Columns:
        """The columns of some rows in their order; None = a row that holds None everywhere."""
        return {name: [None if row is None else column[row] for row in rows] for name, column in self.cells.items()}


def table_of(product: str, rows: pa.Table) -> Table:
    """Rows of flow, zones or headings, as the store gives them."""
    keys = list(zip(*(rows[name].to_pylist() for name in _KEYS[product]), strict=True))
    start = rows["window_start"].cast("int64").to_numpy()
    people = rows["n" if product != "zones" else "occupancy"]
    cells = {name: _cells(product, name, rows) for name in COLUMNS[product]}
    return Table(product, keys, np.asarray(start, np.int64), cells, people.is_valid().to_pylist())


def keys_of(layout: Mapping[str, Any], product: str) -> list[Key]:
    """The keys of a product's rows in the layout's order."""
    if product == "flow":
        return [(gate["id"], direction) for gate in layout["gates"] for direction in DIRECTIONS]
    of = layout["headings"]["zones"] if product == "headings" else layout["zones"]
    return [(zone["id"],) for zone in of]


def _cells(product: str, name: str, rows: pa.Table) -> list[Any]:
    if name == "t":
        return list(rows["window_start"].cast("int64").to_pylist())
    if name in ("s", "los"):
        words = STATUS if name == "s" else LOS
        code = {word: place for place, word in enumerate(words)}
        return [code[word] for word in rows["status" if name == "s" else "los"].to_pylist()]
    if name in _ROUNDED:
        return [None if told is None else round(told, 4) for told in rows[_ROUNDED[name]].to_pylist()]
    return list(rows[_SOURCE[product][name]].to_pylist())
