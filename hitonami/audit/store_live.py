"""Part 3g: the counters that live runs of signage and profiles show: what their released rows prove, nothing else.

Each session in a total of touches has touched its screen once, each person in the grand total of a day's table has sent
one event (docs/adr/0045). So ``accepted`` of a live run is the sum of the least ends of these totals, of the windows
that had closed: any other number comes from counts that were not released.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.model import MALFORMED, REASONS, UNKNOWN_TYPE
from hitonami.audit.report import Report
from hitonami.audit.stored import Context

if TYPE_CHECKING:
    from hitonami.audit.store_tables import Rows

_COUNTED = {"signage": "touches", "profiles": "profiles"}  # stream → the product whose totals prove its events
_OF_NOBODY = {REASONS[MALFORMED], REASONS[UNKNOWN_TYPE]}


def audit_counters(what: Context, read: Mapping[str, Rows]) -> Report:
    """Judge the counters in the row of one run; ``read``: its rows by product.

    Rows that the store no longer keeps prove nothing any more: then ``accepted`` is not judged.
    """
    report, run = Report(), what.run
    product = _COUNTED.get(run.events)
    if run.kind != "live" or product is None:
        return report
    place, config = f"{what.place}, live counters", json.loads(run.config)
    if config.get("status", {}).get("exact", False):
        report.checked.append(f"{place}: exact, for [status] exact asks for it; not judged")
        return report
    about = set(run.rejected) - _OF_NOBODY
    report.found(len(about), place, "a reason behind which may stand one person")
    report.count(live_counters=1)
    if _goes(config.get("store", {}), product):
        report.count(unjudged_counters=1)
        return report
    rows = read[product]
    total = np.array([not any(key[-2:] if product == "profiles" else key[-1:]) for key in rows.keys], bool)
    counts = (total[rows.key] if len(rows.keys) else np.zeros(0, bool)) & (rows.end_ms <= run.closed_ms)
    wrong = run.accepted != int(rows.low[counts].sum())
    report.found(int(wrong), place, "accepted is not what the released rows prove")
    return report


def _goes(kept: Mapping[str, Any], product: str) -> bool:
    """Whether the store lets rows of a product go after some days."""
    return bool(kept.get("keep_days_of", {}).get(product, kept.get("keep_days", 0)))
