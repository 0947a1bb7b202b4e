"""Part 3c: no second release of the same people: two sets of ranges, or two carries, subtract (PRIVACY.md R5)."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from hitonami.audit.report import Report
from hitonami.audit.rules import Runs
from hitonami.audit.store_headings import differing_zones, zones_with_headings
from hitonami.audit.store_rows import registry_of
from hitonami.audit.stored import Chains, Context, Stored, StoredRun, chains, headings_context
from sinks.clickhouse.runs import PEOPLE

SERVED = ("live", "replay")  # classes served to the public


def audit_pairs(store: Stored, contexts: list[Context]) -> Report:
    """Judge every pair of live and replay runs that share gates, or zones with headings, and times."""
    report = Report()
    kept: dict[str, Chains] = {}
    served = [(c, _subjects(store, c)) for c in contexts if c.run.kind in SERVED]
    for (one, of_one), (other, of_other) in combinations(served, 2):
        a, b = one.run, other.run
        if not of_one & of_other or not _meet(a, b):
            continue
        report.count(run_pairs=1)
        place = f"runs {a.run_id} and {b.run_id}"
        if (a.config_hash, a.registry_hash) != (b.config_hash, b.registry_hash):
            report.found(1, place, "share gates and times under other settings, and neither is a workbench")
            continue
        if headings_context(one).threshold > 1:
            zones = differing_zones(store, one, other)
            report.found(zones, place, "cut the same people of a zone into other runs of headings")
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
    return a.first_ms <= b.last_ms and b.first_ms <= a.last_ms


def _subjects(store: Stored, what: Context) -> set[tuple[str, str]]:
    """Places of a run and, of a run of people, its zones with headings."""
    registry = registry_of(store, what) if what.run.events == PEOPLE else None
    zones = set() if registry is None else zones_with_headings(registry)
    return {("gate", gate) for gate in what.run.leaves} | {("zone", zone) for zone in zones}


def _differing(one: Chains, other: Chains) -> int:
    """Number of chains whose runs differ where both have any."""
    return sum(not _agree(one.of(name), other.of(name)) for name in one.names if name in other)


def _agree(a: Runs, b: Runs) -> bool:
    start, end = max(a.start_ms[0], b.start_ms[0]), min(a.end_ms[-1], b.end_ms[-1])
    shared = [np.flatnonzero((runs.end_ms > start) & (runs.start_ms < end)) for runs in (a, b)]
    return all(x[shared[0]].tobytes() == y[shared[1]].tobytes() for x, y in zip(a[1:4], b[1:4], strict=True))
