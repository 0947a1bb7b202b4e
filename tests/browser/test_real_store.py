"""The page over a real embedded ClickHouse: rows go in by the sink's own door and come out as figures."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from engine.model import DIRECTIONS, NO_TIME, NULL_INT, PRODUCTS, STATUS, Released
from sinks.clickhouse.store import Run, Store
from tests.browser.conftest import Clock, Served, cell, open_page, zone_cell
from tests.browser.fake_store import CONFIG, REGISTRY

pytestmark = pytest.mark.browser


def flow(start: int, figures: list[tuple[str, str, int, int, str]]) -> Released:
    """Rows of one 10 s window: gate, direction, n_low, n_high, status."""
    n = [(low + high) // 2 if status in ("released", "range") else NULL_INT for _, _, low, high, status in figures]
    gates = tuple(sorted({gate for gate, *_ in figures}))
    columns = {
        "window": np.zeros(len(figures), np.int32),
        "window_start": np.full(len(figures), start, np.int64),
        "gate": np.array([gates.index(gate) for gate, *_ in figures], np.int32),
        "direction": np.array([DIRECTIONS.index(direction) for _, direction, *_ in figures], np.int32),
        "n": np.array(n, np.int64),
        "n_low": np.array([low for _, _, low, _, _ in figures], np.int64),
        "n_high": np.array([high for _, _, _, high, _ in figures], np.int64),
        "status": np.array([STATUS.index(status) for *_, status in figures], np.int32),
        "coverage": np.array([0.0 if status == "unknown" else 0.9 for *_, status in figures]),
    }
    names = {"window": ("10s",), "gate": gates, "direction": DIRECTIONS, "status": STATUS}
    return Released("flow", f"flow-{start}", columns, names, "1")


def zones(start: int, zone: str, inflow: tuple[int, int], outflow: tuple[int, int]) -> Released:
    words = {"window": ("10s",), "zone": (zone,), "los_scheme": ("",), "los": ("unknown",), "status": ("range",)}
    numbers = {"window_start": start}
    for side, (low, high) in (("inflow", inflow), ("outflow", outflow)):
        numbers |= {side: (low + high) // 2, f"{side}_low": low, f"{side}_high": high}
    empty = {
        "i": (NULL_INT, np.int64),
        "n": (NO_TIME, np.int64),
        "f": (np.nan, np.float64),
        "d": (0, np.int32),
        "t": (0, np.int64),
    }
    columns = {}
    for name, kind in PRODUCTS["zones"][1].items():
        fill, dtype = empty[kind]
        columns[name] = np.array([numbers.get(name, fill)], dtype)
    return Released("zones", f"zones-{start}", columns, words, "1")


def test_rows_put_into_the_store_are_shown_and_change(page: Page, real: Store, served: Served, clock: Clock):
    start = clock.last_start()
    run = Run(
        run_id="live",
        kind="live",
        config=CONFIG,
        config_hash="c",
        registry_version="1",
        registry_hash="h1",
        code_version="0",
        timezone="Asia/Tokyo",
        leaves={"j1": "10s", "j2": "10s", "j3": "1m"},
        closed_ms=start + 10_000,
        read=20,
        accepted=19,
        rejected={"late": 1},
        started_ms=start,
        updated_ms=start,
    )
    real.put_registry("1", "h1", json.dumps(REGISTRY))
    real.start_run(run)
    first = [("j1", "ab", 14, 14, "released"), ("j1", "ba", 12, 22, "range"), ("j1", "unknown", 0, 5, "suppressed")]
    first += [("j2", direction, NULL_INT, NULL_INT, "unknown") for direction in DIRECTIONS]
    real.insert(flow(start, first), "live")
    real.insert(zones(start, "c1", (14, 14), (12, 22)), "live")
    server = served(real)
    open_page(page, server.url)
    expect(cell(page, "j1", 0)).to_have_text("14確定")
    expect(cell(page, "j1", 1)).to_have_text("12–22約 17")
    expect(cell(page, "j1", 2)).to_have_text("<6少数")
    expect(cell(page, "j1", 3)).to_have_text("90 %")
    expect(cell(page, "j2", 0)).to_have_text("不明観測なし")
    expect(zone_cell(page, "北1条", 0)).to_have_text("14確定")
    expect(zone_cell(page, "北1条", 1)).to_have_text("12–22約 17")
    expect(zone_cell(page, "北2条", 0)).to_have_text("不明集計なし")

    start += 10_000
    clock.ahead_s += 10
    real.insert(flow(start, [("j1", "ab", 31, 31, "released"), ("j2", "ab", 0, 5, "suppressed")]), "live")
    real.insert(zones(start, "c1", (31, 31), (0, 5)), "live")
    real.update_run(replace(run, closed_ms=start + 10_000, read=40, accepted=39, updated_ms=start))
    expect(cell(page, "j1", 0)).to_have_text("31確定")
    expect(cell(page, "j2", 0)).to_have_text("<6少数")
    expect(zone_cell(page, "北1条", 1)).to_have_text("<6少数")
    expect(page.locator("#read")).to_have_text("40")

    with urllib.request.urlopen(server.url + "/api/status", timeout=10) as answer:
        told = json.load(answer)
    age = told.pop("watermark_age_ms")
    assert told == {
        "read": 40, "accepted": 39, "rejected": {"late": 1}, "run_id": "live", "kind": "live", "state": "running",
    }  # fmt: skip
    assert abs(age - (clock.ms() - start - 10_000)) < 5_000


def test_reading_beside_a_writer_holds_neither_up(page: Page, real: Store, served: Served, clock: Clock):
    """The flow inserts in its thread while the page reads from its own, over the one connection."""
    first = clock.last_start() - 1_000 * 10_000
    real.start_run(Run("live", "live", CONFIG, "c", "1", "", "0", "UTC", {"j1": "10s"}, started_ms=1, updated_ms=1))
    open_page(page, served(real).url)
    until = time.monotonic() + 3
    n = 0
    while time.monotonic() < until and n < 900:
        real.insert(flow(first + n * 10_000, [("j1", "ab", 6 + n, 6 + n, "released")]), "live")
        n += 1
    real.insert(flow(clock.last_start(), [("j1", "ab", 9_999, 9_999, "released")]), "live")
    expect(cell(page, "j1", 0)).to_have_text("9,999確定")
    assert n > 3
