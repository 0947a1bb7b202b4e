"""The forecast of density: what it may know, when it is shown, and that gaps are gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard import forecast as ahead_of
from dashboard.forecast import GAP_MIN, HORIZONS, LEAST, WARM, forecast, judge, states
from dashboard.layout import Register
from dashboard.reach import Limits, to_limit
from engine.timezone import TimeZone

NAN = float("nan")


def of_zones(seed: int, minutes: int = 130, zones: int = 3, gaps: float = 0.1) -> np.ndarray:
    """Densities that wander, with gaps."""
    rng = np.random.default_rng(seed)
    density = np.abs(np.cumsum(rng.normal(0, 0.05, (minutes, zones)), axis=0) + 1)
    density[rng.random(density.shape) < gaps] = NAN
    return density


def column(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float64)[:, None]


def test_a_density_that_stays_is_not_shown_for_persistence_is_as_good():
    assert np.isnan(forecast(column(np.full(300, 1.25))).mid).all()


def test_a_steady_rise_is_shown_at_every_horizon_and_ahead_of_now():
    told = forecast(column(np.arange(300) / 100))
    assert not np.isnan(told.mid).any()
    assert (np.diff(told.mid[:, 0]) > 0).all()
    assert (told.judged.mae < told.judged.persistence).all()
    assert told.judged.persistence[:, 0] == pytest.approx([h / 100 for h in HORIZONS])
    assert (told.low <= told.mid).all() and (told.mid <= told.high).all()


@given(st.integers(0, 2**32 - 1), st.permutations(range(3)))
@settings(max_examples=20)
def test_the_order_of_zones_changes_nothing(seed: int, order: list[int]):
    density = of_zones(seed)
    told, shuffled = forecast(density), forecast(density[:, order])
    for name in ("mid", "low", "high"):
        assert np.array_equal(getattr(told, name)[:, order], getattr(shuffled, name), equal_nan=True)
    assert np.array_equal(told.judged.mae[:, order], shuffled.judged.mae, equal_nan=True)


@given(st.integers(0, 2**32 - 1), st.integers(1, 129))
@settings(max_examples=40)
def test_what_is_forecast_at_a_minute_is_the_same_whatever_comes_after(seed: int, cut: int):
    density = of_zones(seed)
    later = density.copy()
    later[cut:] = of_zones(seed + 1)[cut:]
    for whole, part in zip(states(density), states(density[:cut]), strict=True):
        assert np.array_equal(whole[:cut], part, equal_nan=True)
    for whole, part in zip(states(later), states(density[:cut]), strict=True):
        assert np.array_equal(whole[:cut], part, equal_nan=True)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_errors_and_quantiles_are_those_of_a_plain_loop(seed: int):
    density = of_zones(seed, zones=2, gaps=0.2)
    level, trend = states(density)
    judged = judge(density, level, trend)
    for row, horizon in enumerate(HORIZONS):
        for zone in range(2):
            lacked, moved = [], []
            for minute in range(len(density) - horizon):
                guess = level[minute, zone] + sum(ahead_of.PHI**i for i in range(1, horizon + 1)) * trend[minute, zone]
                came, then = density[minute + horizon, zone], density[minute, zone]
                if not np.isnan([guess, came, then]).any():
                    lacked.append(came - guess)
                    moved.append(came - then)
            assert judged.n[row, zone] == len(lacked)
            if lacked:
                assert judged.mae[row, zone] == pytest.approx(np.mean(np.abs(lacked)))
                assert judged.persistence[row, zone] == pytest.approx(np.mean(np.abs(moved)))
                assert judged.low[row, zone] == pytest.approx(np.quantile(lacked, 0.1))
                assert judged.high[row, zone] == pytest.approx(np.quantile(lacked, 0.9))


def test_unknown_minutes_are_gaps_and_never_zero():
    rise = np.arange(300) / 100 + 1
    holes = rise.copy()
    holes[50:300:7] = NAN
    told = forecast(column(holes))
    assert told.mid[0, 0] == pytest.approx(rise[-1], abs=0.15)  # zeros would have pulled it far down
    assert told.judged.mae[0, 0] < 0.05


def test_after_a_long_gap_and_before_it_is_warm_nothing_is_forecast():
    density = np.arange(200) / 100 + 1
    density[100 : 100 + GAP_MIN + 1] = NAN
    level, _ = states(column(density))
    known = ~np.isnan(level[:, 0])
    assert not known[: WARM - 1].any() and known[WARM - 1 : 100 + GAP_MIN].all()
    again = 100 + GAP_MIN + 1
    assert not known[again - 1 : again + WARM - 1].any() and known[again + WARM - 1 :].all()


def test_nothing_is_forecast_of_a_zone_that_is_unknown_now():
    density = np.arange(200) / 100
    density[-3:] = NAN
    assert np.isnan(forecast(column(density)).mid).all()
    density[-3] = 1.97  # rows of some zones come later: two minutes may be missing
    assert not np.isnan(forecast(column(density)).mid).any()


def test_few_forecasts_are_no_judgement():
    minutes = WARM - 1 + HORIZONS[0] + LEAST
    shown = [~np.isnan(forecast(column(np.arange(n) / 100)).mid[HORIZONS[0], 0]) for n in (minutes - 1, minutes)]
    assert shown == [False, True]


def test_without_rows_there_is_nothing():
    assert forecast(np.empty((0, 2))).mid.shape == (31, 2)
    assert forecast(np.empty((3, 0))).mid.shape == (31, 0)


# ------------------------------------------------------------------------------------ time to the limit
RISE = np.arange(31) / 10  # 0 now, 3.0 in half an hour
NOW_MS, MINUTE = 1_000_000, 60_000


def whole(limit: float) -> np.ndarray:
    return np.full(31, limit)


def test_the_time_to_the_limit_is_told_for_the_forecast_and_its_interval():
    told = to_limit(0.0, (RISE, RISE - 1, RISE + 1), [("dense", whole(1.5))], NOW_MS)
    assert told == {
        "limit": 1.5,
        "rule": "dense",
        "mid_ms": NOW_MS + 15 * MINUTE,
        "low_ms": NOW_MS + 25 * MINUTE,
        "high_ms": NOW_MS + 5 * MINUTE,
    }
    told = to_limit(0.0, (RISE, RISE - 1, RISE + 1), [("dense", whole(2.5))], NOW_MS)
    assert (told["mid_ms"], told["low_ms"]) == (NOW_MS + 25 * MINUTE, None)
    assert to_limit(0.0, (RISE, RISE - 1, RISE + 1), [("dense", whole(4.5))], NOW_MS) is None


def test_a_limit_that_is_reached_already_gives_way_to_the_next_one():
    paths = (RISE + 1, RISE + 1, RISE + 1)
    told = to_limit(1.0, paths, [("warn", whole(0.5)), ("act", whole(2.0))], NOW_MS)
    assert (told["rule"], told["mid_ms"]) == ("act", NOW_MS + 10 * MINUTE)
    told = to_limit(1.0, paths, [("warn", whole(0.5)), ("act", whole(9.0))], NOW_MS)
    assert (told["rule"], told["mid_ms"], told["low_ms"], told["high_ms"]) == ("warn", NOW_MS, NOW_MS, NOW_MS)


REGISTRY = """{"version": "1", "timezone": "Asia/Tokyo", "sensors": [], "gates": [],
 "zones": [{"id": "c1", "kind": "walkway", "area_m2": 10}, {"id": "c2", "kind": "plaza", "area_m2": 10}],
 "thresholds": [
  {"id": "dense", "kind": "density", "limits": [
   {"zone_kinds": ["walkway"], "days": ["fri"], "from": "08:00", "to": "08:10", "limit": 1},
   {"zone_kinds": ["walkway"], "days": ["fri"], "limit": 2},
   {"zones": ["c2"], "days": ["thu"], "limit": 3}]},
  {"id": "slow", "kind": "speed", "limits": [{"limit": 0.5}]}]}"""


def test_the_limit_of_each_minute_is_the_first_that_fits_zone_day_and_time():
    friday = 1_770_332_400_000 - 5 * MINUTE  # 2026-02-06T07:55 in Sapporo
    limits = Limits.of(Register(REGISTRY), TimeZone("Asia/Tokyo"), friday + MINUTE * np.arange(31))
    ((rule, limit),) = limits.at("c1")
    assert (rule, limit.tolist()) == ("dense", [2.0] * 5 + [1.0] * 10 + [2.0] * 16)
    assert limits.at("c2") == limits.at("nowhere") == []


def test_a_limit_counts_from_when_its_hours_begin_and_not_where_nothing_is_shown():
    later = np.where(np.arange(31) >= 12, 0.5, NAN)
    told = to_limit(0.0, (RISE, RISE, RISE), [("night", later)], NOW_MS)
    assert told["mid_ms"] == NOW_MS + 12 * MINUTE
    hidden = np.where(np.arange(31) > 15, RISE, NAN)
    assert to_limit(0.0, (hidden, hidden, hidden), [("dense", whole(1.0))], NOW_MS)["mid_ms"] == NOW_MS + 16 * MINUTE
    assert to_limit(0.0, (whole(NAN),) * 3, [("dense", whole(1.0))], NOW_MS) is None
