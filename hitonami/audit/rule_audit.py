"""The audit of the rule alone: no store, no real people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.config import Config
from hitonami.audit.enumeration import SIZES, Size, enumerate_size, sample, size_of
from hitonami.audit.readings import KS, enumerate_readings
from hitonami.audit.report import Report
from hitonami.audit.rerun import rerun_days
from hitonami.audit.rules import Rule

_DEFAULT = Config()
DEFAULT_SETTINGS = ((int(_DEFAULT["flow", "k"]), int(_DEFAULT["flow", "guard"])),)


def audit_rule(
    rule: Rule | None = None,
    *,
    sizes: Sequence[Size] = SIZES,
    settings: Iterable[tuple[int, int]] = DEFAULT_SETTINGS,
    readings: Iterable[int] = KS,
) -> Report:
    """Enumerate small data sets and re-run simulated days: up to three seconds on one core for each of ``settings``.

    ``rule``: the functions to judge, by default those in use. ``sizes``: what to enumerate besides; ``settings``: the
    (k, guard) to judge. Their small data sets are enumerated, or drawn with a seed where K is too large; what was done
    stands in ``Report.checked``. k = 1 with guard = 0 asks for exact counts: of them only the arithmetic is judged.
    ``readings``: the k for which readings of zones are judged.
    """
    rule = Rule() if rule is None else rule
    report = Report()
    done = list(sizes)
    for size in sizes:
        report.add(enumerate_size(rule, size))
    for k, guard in sorted(set(settings)):
        name, own = f"k={k} guard={guard}", size_of(k, guard)
        if k + guard == 1:
            report.checked.append(f"{name}: exact counts, nothing to hide; only the arithmetic is checked")
        elif own is None:
            report.add(sample(rule, k, guard))
        else:
            if k == 1:
                report.checked.append(f"{name}: promises an insider nothing; judged as k={own.k} guard=0")
            if own not in done:
                report.add(enumerate_size(rule, own))
                done.append(own)
        report.add(rerun_days(rule, k, guard))
    for k in sorted(set(readings)):
        report.add(enumerate_readings(rule, k))
    return report
