"""Limits of density that hold at a zone, minute by minute, and when a forecast reaches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.forecast import first_at
from dashboard.layout import Register, fits, kind_of
from engine.model import F64, I64, LENGTH_MS, MINUTE
from engine.thresholds import in_band
from engine.timezone import TimeZone

MINUTE_MS = LENGTH_MS[MINUTE]
_DAY_MIN = 1440


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of density of a registry version in minutes of local days (0 = Monday) and of the day (minutes,)."""

    register: Register
    days: I64
    minutes: I64

    @classmethod
    def of(cls, register: Register, zone: TimeZone, starts: I64) -> Limits:
        """``starts``: starts (ms) of the minutes."""
        piece = np.searchsorted(zone.changes, starts, side="right") - 1
        local = (starts + zone.offsets[piece]) // MINUTE_MS
        return cls(register, (local // _DAY_MIN + 3) % 7, local % _DAY_MIN)  # 1970-01-01 was a Thursday

    def at(self, zone: str) -> list[tuple[str, F64]]:
        """Each rule's limit at a zone in every minute (minutes,); NaN where it asks for nothing."""
        row = self.register.zones.get(zone, {})
        found = []
        for rule in self.register.rules:
            limit = np.full(len(self.days), np.nan)
            for each in reversed(rule.limits):  # the first that fits holds
                if rule.kind == "density" and fits(each, zone, kind_of(row)):
                    limit = np.where(in_band(each, self.days, self.minutes), each.limit, limit)
            if not np.isnan(limit).all():
                found.append((rule.id, limit))
        return found


def to_limit(now: float, paths: Sequence[F64], limits: Sequence[tuple[str, F64]], now_ms: int) -> Any:
    """When a zone's forecast reaches a limit of density: the answer's ``to_limit``, null for none.

    ``now``: its density; ``paths``: mid, low and high (minutes,) of its forecast, and ``limits`` as ``Limits.at`` gives
    them; row 0 is ``now_ms``.

    ``low_ms`` and ``high_ms``: when the lower and the upper end of the interval do, so ``high_ms`` ≤ ``mid_ms`` ≤
    ``low_ms``; null for an end that does not. Limits that are reached ``now`` already are told only where there is no
    other that will be: then the highest of them, and all three times are ``now_ms``. Of several the one that the upper
    end reaches first is told, of equals the lower limit.
    """
    mid, low, high = paths
    reached = [(float(limit[0]), rule) for rule, limit in limits if now >= limit[0]]
    found = []
    for rule, limit in limits:
        if now >= limit[0] or (first := first_at(high[1:], limit[1:])) is None:
            continue
        times = [first_at(path[1:], limit[1:]) for path in (mid, low)]
        ms = [None if minute is None else now_ms + (minute + 1) * MINUTE_MS for minute in (*times, first)]
        found.append((first, float(limit[first + 1]), rule, ms))
    if found:
        _, limit_then, rule, (mid_ms, low_ms, high_ms) = min(found)
        return {"limit": limit_then, "rule": rule, "mid_ms": mid_ms, "low_ms": low_ms, "high_ms": high_ms}
    if reached:
        limit_now, rule = max(reached)
        return {"limit": limit_now, "rule": rule, "mid_ms": now_ms, "low_ms": now_ms, "high_ms": now_ms}
    return None
