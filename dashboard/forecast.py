"""Time to the limit: where a zone's density will be in 5, 15 and 30 minutes, and when that reaches a limit.

The forecast is Holt's linear method with a damped trend, minute by minute:

    level_t = α·y_t + (1 − α)·(level_{t−1} + φ·trend_{t−1})
    trend_t = β·(level_t − level_{t−1}) + (1 − β)·φ·trend_{t−1}
    y(t + h) = level_t + (φ + φ² + … + φ^h)·trend_t

E. S. Gardner, E. McKenzie, Forecasting Trends in Time Series, Management Science 31 (1985) 1237–1246; as R. J. Hyndman,
G. Athanasopoulos, Forecasting: Principles and Practice, 3rd ed. (2021), 8.2, writes it. α, β and φ are fixed:
benchmarks/forecast.py says how good they are, and nothing is fitted to what it is then judged by.

Every answer is judged by the zone's own past: from each of the last hours' minutes the same forecast is made, of what
was known then, and compared with what came. Its errors make the interval: P10 to P90 of what came, less the forecast,
and always the forecast itself. A horizon is shown only where its mean absolute error is below that of persistence,
which says that all stays as it is. What is not known is a gap, never a zero: level and trend go on by themselves for
GAP_MIN minutes, then begin anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.model import F64, I64

Flags = NDArray[np.bool_]

HORIZONS = (5, 15, 30)  # minutes
LONGEST = HORIZONS[-1]
PAST_MIN = 360  # minutes of the past by which a forecast is made and judged
ALPHA, BETA, PHI = 0.25, 0.03, 0.97
WARM = 10  # minutes known since the beginning or a gap before a forecast is made
GAP_MIN = 5
LATEST_MIN = 2  # so many of the newest minutes may be missing: a zone whose rows come later than others'
LEAST = 60  # forecasts that could be compared; fewer are no judgement
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True, slots=True)
class Judged:
    """How good forecasts were (horizons, zones): mean absolute errors, how many, and P10, P90 of what they lacked."""

    mae: F64
    persistence: F64
    n: I64
    low: F64
    high: F64

    @property
    def better(self) -> Flags:
        """Where a forecast may be shown: judged often enough, and better than to say that all stays as it is."""
        return (self.n >= LEAST) & (self.mae < self.persistence)


@dataclass(frozen=True, slots=True)
class Forecast:
    """From the newest minute on, (LONGEST + 1, zones): row m is m minutes later, row 0 now; NaN where not shown.

    ``low``, ``high``: between horizons their distances from ``mid`` grow evenly. ``now`` (zones,): the last density
    known, NaN where it is too old.
    """

    mid: F64
    low: F64
    high: F64
    now: F64
    judged: Judged


def states(density: F64) -> tuple[F64, F64]:
    """Level and trend after each minute, of density (minutes, zones) with NaN where not known.

    NaN where no forecast can be made: before WARM minutes were known, and after more than GAP_MIN without.
    """
    level, trend = np.full(density.shape, np.nan), np.full(density.shape, np.nan)
    zones = density.shape[1]
    held, slope = np.full(zones, np.nan), np.zeros(zones)
    known, missed = np.zeros(zones, np.int64), np.zeros(zones, np.int64)
    for minute, told in enumerate(density):
        here = ~np.isnan(told)
        missed = np.where(here, 0, missed + 1)
        known = np.where(missed > GAP_MIN, 0, known + here)
        expected = held + PHI * slope
        first = here & (known == 1)
        new = np.where(here, np.where(first, told, ALPHA * told + (1 - ALPHA) * expected), expected)
        moved = np.where(first, 0.0, BETA * (new - held) + (1 - BETA) * PHI * slope)
        slope = np.where(here, moved, PHI * slope)
        held = new
        ready = known >= WARM
        level[minute], trend[minute] = np.where(ready, held, np.nan), np.where(ready, slope, np.nan)
    return level, trend


def ahead(minutes: int) -> float:
    """By how many trends the forecast so many minutes ahead lies above the level: φ + φ² + … + φ^h."""
    return PHI * (1 - PHI**minutes) / (1 - PHI)


def judge(density: F64, level: F64, trend: F64, horizons: Sequence[int] = HORIZONS) -> Judged:
    """Compare what was forecast from every minute of ``density`` (minutes, zones) with what came.

    Only forecasts from minutes that are known count, so that persistence is judged on the same ones.
    """
    rows: list[tuple[F64, F64, I64, F64, F64]] = []
    for horizon in horizons:
        last = max(len(density) - horizon, 0)
        came, then = density[horizon:], density[:last]
        lacked = came - (level[:last] + ahead(horizon) * trend[:last])
        lacked = np.where(np.isnan(then), np.nan, lacked)
        moved = np.where(np.isnan(lacked), np.nan, came - then)
        n = np.sum(~np.isnan(lacked), axis=0)
        in_order = np.sort(lacked, axis=0)  # NaN last
        rows.append(
            (_mean(np.abs(lacked), n), _mean(np.abs(moved), n), n, _at(in_order, n, LOW), _at(in_order, n, HIGH))
        )
    mae, persistence, count, low, high = (np.array(each) for each in zip(*rows, strict=True))
    return Judged(mae, persistence, count.astype(np.int64), low, high)


def _mean(errors: F64, n: I64) -> F64:
    return np.asarray(np.divide(np.nansum(errors, axis=0), n, out=np.full(len(n), np.nan), where=n > 0))


def _at(in_order: F64, n: I64, share: float) -> F64:
    """The quantile of each column's first ``n`` values, as ``numpy.quantile`` finds it by default; NaN of none."""
    if not len(in_order):
        return np.full(len(n), np.nan)
    place = share * np.maximum(n - 1, 0)
    below = place.astype(np.int64)
    columns = np.arange(len(n))
    left, right = in_order[below, columns], in_order[np.minimum(below + 1, np.maximum(n - 1, 0)), columns]
    return np.asarray(np.where(n > 0, left + (place - below) * (right - left), np.nan))


def forecast(density: F64) -> Forecast:
    """Forecast from the last row of ``density``: people per m² by minute and zone (minutes, zones), NaN = not known.

    Nothing but these rows counts, so the forecast of a time is the same whatever came after it. A density forecast is
    never below 0.
    """
    minutes, zones = density.shape
    level, trend = states(density)
    judged = judge(density, level, trend)
    path = np.full((LONGEST + 1, zones), np.nan)
    if not minutes:
        return Forecast(path, path, path, np.full(zones, np.nan), judged)
    now = _last_known(density[-1 - LATEST_MIN :])
    steps = np.array([ahead(minute) for minute in range(LONGEST + 1)])
    shown = judged.better[np.searchsorted(HORIZONS, np.arange(LONGEST + 1))]  # a minute belongs to the next horizon
    mid = np.where(shown & ~np.isnan(now), level[-1] + steps[:, None] * trend[-1], np.nan)
    low, high = mid + np.minimum(_spread(judged.low), 0), mid + np.maximum(_spread(judged.high), 0)
    return Forecast(np.maximum(mid, 0), np.maximum(low, 0), np.maximum(high, 0), now, judged)


def _last_known(density: F64) -> F64:
    now = np.full(density.shape[1], np.nan)
    for told in density:
        now = np.where(np.isnan(told), now, told)
    return now


def _spread(lacked: F64) -> F64:
    """Distances at the horizons (horizons, zones) → at every minute (LONGEST + 1, zones), from 0 now."""
    at = np.array((0, *HORIZONS))
    held = np.vstack([np.zeros(lacked.shape[1]), lacked])
    minute = np.arange(LONGEST + 1)
    right = np.clip(np.searchsorted(at, minute), 1, len(at) - 1)
    share = ((minute - at[right - 1]) / (at[right] - at[right - 1]))[:, None]
    return np.asarray(held[right - 1] + share * (held[right] - held[right - 1]))


def first_at(path: F64, limit: F64) -> int | None:
    """The first minute (row) in which ``path`` (minutes,) is at ``limit`` (minutes,) or above; None for never.

    NaN in ``path`` is not shown, NaN in ``limit`` is no limit.
    """
    reached = np.flatnonzero(path >= limit)
    return int(reached[0]) if len(reached) else None
