"""Part 3c: no second release of the same people: two sets of ranges, or two carries, subtract (PRIVACY.md R5)."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from hitonami.audit.report import Report
from hitonami.audit.rules import Runs
from hitonami.audit.stored import Chains, Context, Stored, StoredRun, chains

SERVED = ("live", "replay")  # classes served to the public


def audit_pairs(store: Stored, contexts: list[Context]) -> Report:
    """Judge every pair of live and replay runs that share gates and times."""
    report = Report()
    kept: dict[str, Chains] = {}
    for one, other in combinations([c for c in contexts if c.run.kind in SERVED], 2):
        a, b = one.run, other.run
        if not _meet(a, b):
            continue
        report.count(run_pairs=1)
        place = f"runs {a.run_id} and {b.run_id}"
        if (a.config_hash, a.registry_hash) != (b.config_hash, b.registry_hash):
            report.found(1, place, "share gates and times under other settings, and neither is a workbench")
            continue
        if one.threshold == 1:
            continue
        for run in (a, b):
            if run.run_id not in kept:
                kept[run.run_id] = chains(store, run.run_id)
        differ = _differing(kept[a.run_id], kept[b.run_id])
        report.found(differ, place, "cut the same people of a chain into other runs")
    return report


def _meet(a: StoredRun, b: StoredRun) -> bool:
    if a.first_ms is None or a.last_ms is None or b.first_ms is None or b.last_ms is None:
        return False
    return bool(set(a.leaves) & set(b.leaves)) and a.first_ms <= b.last_ms and b.first_ms <= a.last_ms


def _differing(one: Chains, other: Chains) -> int:
    """Number of chains whose runs differ where both have any."""
    return sum(not _agree(one.of(name), other.of(name)) for name in one.names if name in other)


def _agree(a: Runs, b: Runs) -> bool:
    start, end = max(a.start_ms[0], b.start_ms[0]), min(a.end_ms[-1], b.end_ms[-1])
    shared = [np.flatnonzero((runs.end_ms > start) & (runs.start_ms < end)) for runs in (a, b)]
    return all(x[shared[0]].tobytes() == y[shared[1]].tobytes() for x, y in zip(a[1:4], b[1:4], strict=True))
