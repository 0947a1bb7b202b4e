"""Part 3f: no second table over the same people: two sets of ranges subtract (PRIVACY.md R5)."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from hitonami.audit.report import Report
from hitonami.audit.second_release import SERVED
from hitonami.audit.store_tables import TABLES, Rows, read_table
from hitonami.audit.stored import Context, Stored


def audit_table_pairs(store: Stored, contexts: list[Context]) -> Report:
    """Judge every pair of live and replay runs that tell tables of the same times."""
    report = Report()
    served = [what for what in contexts if what.run.kind in SERVED]
    for product in TABLES:
        read = [(what, rows) for what in served if len((rows := read_table(store, what, product)).n)]
        for (one, mine), (other, theirs) in combinations(read, 2):
            shared = _places(product, mine) & _places(product, theirs)
            start, end = max(mine.start_ms[0], theirs.start_ms[0]), min(mine.start_ms[-1], theirs.start_ms[-1])
            if start > end or not shared:
                continue
            report.count(table_pairs=1)
            place = f"runs {one.run.run_id} and {other.run.run_id}, {product}"
            if one.run.config_hash != other.run.config_hash:
                report.found(1, place, "tell of the same times under other settings, and neither is a workbench")
                continue
            differ = _between(mine, shared, start, end) ^ _between(theirs, shared, start, end)
            report.found(len({window for window, *_ in differ}), place, "tell other figures of the same people")
    return report


def _places(product: str, rows: Rows) -> set[str]:
    """Whose people they are: of signage its devices', of profiles and trips everybody's."""
    return {key[0] for key in rows.keys} if product in ("touches", "screens") else {""}


def _between(rows: Rows, places: set[str], start: np.int64, end: np.int64) -> set[tuple[object, ...]]:
    return {
        (at, rows.keys[key], low, high)
        for key, at, _, low, high in rows.each()
        if start <= at <= end and (places == {""} or rows.keys[key][0] in places)
    }
