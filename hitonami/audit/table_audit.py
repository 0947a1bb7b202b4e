"""The audit of the rules of tables alone: no store, no real people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from engine.config import Config
from hitonami.audit.report import Report
from hitonami.audit.table_capped import HOURS, Hour, enumerate_hours
from hitonami.audit.table_enumeration import (
    TABLE_SIZES,
    TableSize,
    enumerate_groups,
    enumerate_providers,
    enumerate_tables,
    table_size_of,
)
from hitonami.audit.table_live import WINDOWS, Key, Window, enumerate_live, key_of
from hitonami.audit.table_readers import reread_table
from hitonami.audit.table_rerun import rerun_tables
from hitonami.audit.table_rules import TableRule

_DEFAULT = Config()
_TABLES = ("touches", "screens", "profiles", "trips")
TABLE_SETTINGS = tuple(sorted({(int(_DEFAULT[of, "k"]), int(_DEFAULT[of, "guard"])) for of in _TABLES}))
GROUPS = ((2, 1, (2, 2), 4), (2, 1, 5, 3), (3, 1, (2, 2), 4))

# Kinds of people by the providers that know them, and what a cell may hold of each kind.
THREE = np.eye(3, dtype=np.int64)
SHARED = np.vstack([THREE, [[1, 1, 0]]])
_ANY = tuple((a, b, c) for a in range(4) for b in range(4) for c in range(4))
_SHARED = tuple((a, b, c, both) for a in range(3) for b in range(3) for c in range(3) for both in range(3))
_FEW = tuple((a, b, c) for a in range(2) for b in range(2) for c in range(2))
PROVIDERS = ((2, _ANY, THREE, 2), (3, _ANY, THREE, 2), (2, _SHARED, SHARED, 2), (3, _FEW, THREE, 5))


def audit_tables(
    rule: TableRule | None = None,
    *,
    sizes: Sequence[TableSize] = TABLE_SIZES,
    settings: Iterable[tuple[int, int]] = TABLE_SETTINGS,
    hours: Sequence[Hour] = HOURS,
    key: Key = key_of,
    windows: Sequence[Window] = WINDOWS,
) -> Report:
    """Enumerate small tables, groups, providers, hours of a screen, live counters; re-run simulated tables: seconds.

    ``rule``, ``key``: the functions to judge, by default those in use. ``sizes``, ``hours``, ``windows``: what to
    enumerate besides; ``settings``: the (k, guard) to judge. Where their k is too large to enumerate, the re-runs
    alone judge them; ``Report.checked`` says what was done.
    """
    rule = TableRule() if rule is None else rule
    report = Report()
    asked = sorted(set(settings))
    own = [size for size in (table_size_of(*each) for each in asked) if size is not None]
    for size in dict.fromkeys((*sizes, *own)):
        report.add(enumerate_tables(rule, size))
    for k, guard, shape, most in GROUPS:
        report.add(enumerate_groups(rule, k, guard, shape, most))
    for least, kinds, knows, cells in PROVIDERS:
        report.add(enumerate_providers(rule, least, kinds, knows, cells))
    for hour in hours:
        report.add(enumerate_hours(rule, hour))
    for window in windows:
        report.add(enumerate_live(key, window))
    for each in asked:
        report.add(rerun_tables(rule, *each))
        report.add(reread_table(rule, *each))
    return report
