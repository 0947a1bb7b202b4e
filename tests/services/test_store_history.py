"""Zones over time, from the embedded ClickHouse and the server: spans, densities, what is usual."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import UsageError
from engine.model import TS_MAX
from sinks.clickhouse.history import DENSITIES, SPAN, USUAL, USUAL_MS
from sinks.clickhouse.store import Store
from tests.services.released import T0, zone_row, zones

DAY = 86_400_000


def test_spans_of_zones_are_told_by_zone_and_time(store: Store):
    rows = [
        zone_row("1m", T0 + minute * 60_000, zone, 10.0 + minute, density=0.1, status="range", los="B")
        for minute in range(3)
        for zone in ("c2", "c1")
    ]
    rows.append(zone_row("15m", T0, "c1", 99.0))
    store.insert(zones("a", *rows), "live")
    store.insert(zones("b", zone_row("1m", T0 + 60_000, "c1", 7.0)), "other")
    told = store.zone_span("live", "1m", T0 + 60_000, T0 + 180_000)
    assert told.schema == SPAN
    assert told.select(["zone", "t", "occupancy"]).to_pylist() == [
        {"zone": zone, "t": T0 + minute * 60_000, "occupancy": 10.0 + minute}
        for zone in ("c1", "c2")
        for minute in (1, 2)
    ]
    assert told["status"].to_pylist() == ["range"] * 4 and told["los"].to_pylist() == ["B"] * 4
    assert set(store.zone_span("live", "1m", 0, TS_MAX, ["c2", "c9"])["zone"].to_pylist()) == {"c2"}
    densities = store.zone_densities("live", "1m", T0, T0 + 60_000)
    assert densities.schema == DENSITIES
    assert sorted(densities.to_pylist(), key=str) == [{"zone": z, "t": T0, "density": 0.1} for z in ("c1", "c2")]
    with pytest.raises(UsageError):
        store.zone_span("live", "2m", 0, TS_MAX)


def test_what_is_usual_is_what_numpy_finds_of_one_run_s_known_rows(store: Store):
    rng = np.random.default_rng(1)
    days = np.repeat(np.arange(6), 4)
    starts = T0 + days * DAY + np.tile(np.arange(4), 6) * USUAL_MS
    people = rng.integers(0, 500, len(starts)).astype(float)
    # unknown, or few: one window, and a whole day
    told = [None if number == 5 or number >= 20 else count for number, count in enumerate(people.tolist())]

    def row(number: int, factor: float, area: float | None) -> tuple[object, ...]:
        count = None if told[number] is None else told[number] * factor
        density = None if count is None or area is None else count / area
        return zone_row("15m", int(starts[number]), "c1" if area else "c2", count, density=density)

    every = range(len(starts))
    store.insert(zones("a", *(row(n, 1, 100.0) for n in every), *(row(n, 1, None) for n in every)), "live")
    store.insert(zones("b", *(row(n, 9, 100.0) for n in every if 4 <= n < 20)), "again")
    store.insert(zones("c", zone_row("15m", int(starts[-1]) + USUAL_MS, "c1", 9e9)), "live")  # not asked for
    store.insert(zones("d", *(row(n, 77, 100.0) for n in every)), "not asked")
    found = store.usual_zones(["live", "again"], starts, days)
    assert found.schema == USUAL
    c1, c2 = found.to_pylist()
    known = np.delete(people[:20], 5)
    expected = np.quantile(known, [0.1, 0.5, 0.9])
    names = ("low", "middle", "high")
    assert [c1[f"occupancy_{name}"] for name in names] == pytest.approx(expected)
    assert [c1[f"density_{name}"] for name in names] == pytest.approx(expected / 100)
    assert [c2[f"occupancy_{name}"] for name in names] == pytest.approx(expected)
    assert all(c2[f"density_{name}"] is None or np.isnan(c2[f"density_{name}"]) for name in names)
    assert (c1["days"], c2["days"]) == (5, 5)
    # the other run first: it tells what it has, this one the first day
    other = store.usual_zones(["again", "live"], starts, days).to_pylist()[0]
    mixed = np.delete(np.where(np.arange(20) >= 4, people[:20] * 9, people[:20]), 5)
    assert other["occupancy_middle"] == pytest.approx(np.quantile(mixed, 0.5))
    # what the first one does not know the next one tells
    store.insert(zones("e", zone_row("15m", int(starts[5]), "c1", 123.0)), "again")
    filled = store.usual_zones(["live", "again"], starts, days).to_pylist()[0]
    assert filled["occupancy_low"] == pytest.approx(np.quantile([*known, 123.0], 0.1))
    assert store.usual_zones([], starts, days).num_rows == 0
    assert store.usual_zones(["live"], starts[:0], days[:0]).num_rows == 0
