"""The audit of the rule alone: no store, no real people."""

from __future__ import annotations

from collections.abc import Sequence

from hitonami.audit.enumeration import SIZES, Size, enumerate_size, size_of
from hitonami.audit.report import Report
from hitonami.audit.rerun import rerun_days
from hitonami.audit.rules import Rule


def audit_rule(rule: Rule | None = None, *, sizes: Sequence[Size] = SIZES, k: int = 5, guard: int = 1) -> Report:
    """Enumerate every small data set and re-run simulated days with ``k`` and ``guard`` (some seconds on one core).

    ``rule``: the functions to judge, by default those in use. ``sizes``: what to enumerate; ``k`` and ``guard`` are
    enumerated too where they are small enough. k = 1 asks for exact counts: of them nothing is to be proved.
    """
    rule = Rule() if rule is None else rule
    report = Report()
    own = size_of(k, guard)
    if own is not None and (k, guard) not in [(size.k, size.guard) for size in sizes]:
        sizes = (*sizes, own)
    for size in sizes:
        report.add(enumerate_size(rule, size))
    report.add(rerun_days(rule, k, guard))
    return report
