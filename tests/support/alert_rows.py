"""Released rows of zones and gates for tests of alerts, written as values per window; changes told as short lines."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine import registry
from engine.alerts import Alerts
from engine.model import DIRECTIONS, LENGTH_MS, NO_TIME, NULL_INT, PRODUCTS, STATUS, WINDOWS, Released
from engine.tables import Tables
from tests.support.engine_run import to_dicts

T0 = 1_770_447_600_000  # 2026-02-07T07:00:00Z, Saturday 16:00 in Tokyo
STEP = 10_000
REGISTRY: dict[str, Any] = {
    "version": "v1",
    "timezone": "Asia/Tokyo",
    "zones": [
        {"id": "c1", "kind": "walkway", "area_m2": 100, "width_m": 10},
        {"id": "c2", "kind": "plaza", "area_m2": 200, "width_m": 20},
    ],
    "gates": [
        {"id": "g1", "a": "c1", "b": None, "leaf": "10s", "width_m": 4},
        {"id": "g2", "a": "c2", "b": "c1", "leaf": "10s"},
    ],
    "sensors": [],
}
_DTYPES = {"d": np.int32, "f": np.float64}
_NULL = {"d": 0, "t": 0, "i": NULL_INT, "n": NO_TIME, "f": np.nan}


def tables(*rules: Mapping[str, Any], before: Tables | None = None, **changed: Any) -> Tables:
    """Tables of REGISTRY with these rules and changes."""
    raw = json.dumps({**REGISTRY, "thresholds": list(rules), **changed}).encode()
    return Tables(registry.parse(raw), before)


def rule(kind: str, *limits: float | Mapping[str, Any], **told: Any) -> dict[str, Any]:
    """A rule without delays unless told; a limit is its number, or all of it."""
    made = [limit if isinstance(limit, Mapping) else {"limit": limit} for limit in limits]
    return {"id": kind, "kind": kind, "on_delay_s": 0, "off_delay_s": 0, "limits": made, **told}


def zones(
    of: Tables, rows: Sequence[Mapping[str, Any] | None], *, start: int = T0, window: str = "10s", zone: str = "c1"
) -> Released:
    """Rows of one zone, window after window; None = unknown. What a row does not tell is null, its status range."""
    length = LENGTH_MS[WINDOWS.index(window)]
    told = [
        {"status": "unknown" if row is None else "range", "coverage": 0.0 if row is None else 1.0, **(row or {})}
        | {"window": window, "window_start": start + i * length, "zone": zone}
        for i, row in enumerate(rows)
    ]
    names = {"window": WINDOWS, "zone": of.zone_ids, "los_scheme": ("",), "los": ("unknown",), "status": STATUS}
    return _released("zones", told, names, of)


def gates(
    of: Tables, rows: Sequence[tuple[int, int] | None], *, start: int = T0, window: str = "10s", gate: str = "g1"
) -> Released:
    """Rows of one gate, window after window: people ab and ba, exact; None = unknown."""
    length = LENGTH_MS[WINDOWS.index(window)]
    told = []
    for i, row in enumerate(rows):
        for direction, n in zip(DIRECTIONS, (*(row or (0, 0)), 0), strict=True):
            cells = {"window": window, "window_start": start + i * length, "gate": gate, "direction": direction}
            known = {"n": n, "n_low": n, "n_high": n, "status": "released", "coverage": 1.0}
            told.append({**cells, **({"status": "unknown", "coverage": 0.0} if row is None else known)})
    names = {"window": WINDOWS, "gate": of.gate_ids, "direction": DIRECTIONS, "status": STATUS}
    return _released("flow", told, names, of)


def _released(
    product: str, rows: Sequence[Mapping[str, Any]], names: Mapping[str, tuple[str, ...]], of: Tables
) -> Released:
    columns = {}
    for name, kind in PRODUCTS[product][1].items():
        values = [row.get(name) for row in rows]
        if kind == "d":
            values = [0 if value is None else names[name].index(value) for value in values]
        columns[name] = np.array(
            [_NULL[kind] if value is None else value for value in values], _DTYPES.get(kind, np.int64)
        )
    return Released(product, "test", columns, names, of.registry.version)


class Run:
    """Alerts of versions that hold one after the other from the given instants on (ms; the first from the start)."""

    def __init__(self, *versions: Tables, since: Sequence[int] = ()) -> None:
        self.versions = versions
        self._since = (NO_TIME, *since)
        self.alerts = self._made()
        self.rows: list[dict[str, Any]] = []
        self._told: list[tuple[int, str, str]] = []  # states of sensors to come

    def _made(self) -> Alerts:
        return Alerts(lambda v: self.versions[v], lambda v: self._since[v], lambda: len(self.versions))

    def take(self, *rows: Released, version: int = 0, w: int = NO_TIME) -> list[str]:
        """Take in rows of a version; what changed."""
        return self.take_versions([(version, block) for block in rows], w)

    def take_versions(self, rows: Sequence[tuple[int, Released]], w: int = NO_TIME) -> list[str]:
        """Take in rows of several versions at once; what changed."""
        at = len(self.rows)
        for released in self.alerts.take(w, rows, "unit"):
            self.rows += to_dicts(released)
        return [line(row) for row in self.rows[at:]]

    def tell(self, second: float, *changes: str) -> None:
        """Changes of sensors as "s1 silent", at the line so many seconds behind T0."""
        told = [change.split() for change in changes]
        self._told += [(T0 + round(second * 1000), sensor, state) for sensor, state in told]

    def pass_to(self, second: float) -> list[str]:
        """Let W come so many seconds behind T0, without any row; what changed."""
        return self.watch(T0 + round(second * 1000))

    def watch(self, w: int) -> list[str]:
        """Let W come to ``w`` with the states of sensors that were told up to there; what changed."""
        now, self._told = ([c for c in self._told if (c[0] <= w) == come] for come in (True, False))
        at = len(self.rows)
        for released in self.alerts.watch(w, now, str):
            self.rows += to_dicts(released)
        return [line(row) for row in self.rows[at:]]

    def restart(self) -> None:
        """Go on from a snapshot."""
        kept = pickle.dumps(self.alerts.state())
        self.alerts = self._made()
        self.alerts.restore(pickle.loads(kept))


def line(row: Mapping[str, Any]) -> str:
    """A change in words: seconds behind T0, state or reason, rule, where."""
    at = (row["changed"] - T0) / 1000
    place = row["gate"] or row["zone"]
    return f"{at:g} {row['reason'] or row['state']} {row['rule']} {place}"
