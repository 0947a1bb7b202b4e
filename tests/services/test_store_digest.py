"""Digests of windows: equal for the same figures however stored, different for any changed cell."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.errors import HitonamiError, UsageError
from engine.model import DIGESTED, PRODUCTS
from sinks.clickhouse.digest import run_digest
from sinks.clickhouse.store import Store
from tests.services.released import (
    T0,
    TABLES,
    alert_row,
    alerts,
    day,
    flow,
    released,
    run,
    runs_of_flow,
    zone_row,
    zones,
)

FLOW = [
    ("10s", T0, "j1", "ab", 7, 7, 7, "released", 0.5),
    ("10s", T0, "j1", "ba", None, 0, 5, "suppressed", None),
    ("1m", T0, "j1", "ab", 7, 7, 12, "range", 0.0),
    ("1m", T0, "j2", "ab", None, None, None, "unknown", 0.0),
    ("1d", T0, "j1", "ab", 0, 0, 0, "released", 1.0),
]
RUNS = [("j1", "ab", T0 - 20_000, T0 + 10_000, 7), ("j2", "ab", T0 - 60_000, T0 + 60_000, 6)]
ZONES = [zone_row("10s", T0, "c1", 7, density=0.25, status="released")]
ALERTS = [alert_row("a", T0 + 10_000, threshold=1.5), alert_row("a", T0 + 50_000, "resolved", T0 + 10_000)]


HEADINGS = [
    ("1m", T0, "c1", 3, 7, 7, 7, "released", 135.0, 1.0),
    ("1m", T0, "c1", 4, None, 0, 5, "suppressed", None, None),
]
HEALTH = [("1m", T0, "j1-03", "silent", T0)]


def fill(store: Store, run_id: str, rows: dict[str, Sequence[Sequence[Any]]], version: str = "v1") -> None:
    store.start_run(run(run_id))
    for product, given in rows.items():
        if given:
            store.insert(released(product, "all", given, version), run_id)


def everything() -> dict[str, Sequence[Sequence[Any]]]:
    return {
        "flow": list(FLOW),
        "runs_of_flow": list(RUNS),
        "zones": list(ZONES),
        "headings": list(HEADINGS),
        "alerts": list(ALERTS),
        "health": list(HEALTH),
        "screens": [(*TABLES["screens"], 12, 12, 12, "released")],
    }


def test_windows_are_told_by_length_and_start(store: Store) -> None:
    fill(store, "r1", everything())
    assert list(store.window_digests("r1")) == [("10s", T0), ("1m", T0), ("1h", T0), ("1d", T0)]


def test_order_batches_and_run_id_do_not_matter(store: Store) -> None:
    rows = day()
    rng = np.random.default_rng(7)
    # A merge would take the repeated rows away before a query without FINAL could count them twice.
    store._connection.command(f"SYSTEM STOP MERGES {store._connection.table('flow')}")
    store.start_run(run("r1"))
    store.insert(flow("all", *rows), "r1")
    store.insert(runs_of_flow("all", *RUNS), "r1")
    store.start_run(run("r2", kind="live", config_hash="other", updated_ms=T0 + 1))
    shuffled = [rows[i] for i in rng.permutation(len(rows))]
    store.insert(runs_of_flow("b", RUNS[1]), "r2")
    for i in range(0, len(rows), 37):
        store.insert(flow(f"u{i}", *shuffled[i : i + 37]), "r2")
    store.insert(runs_of_flow("a", RUNS[0]), "r2")
    store.insert(flow("again, cut otherwise", *shuffled[20:90]), "r2")
    first, second = store.window_digests("r1"), store.window_digests("r2")
    assert len(first) == 41  # 40 windows of 10s, and of the two runs' windows the 1m has no other rows
    assert first == second
    assert store.digest("r1") == store.digest("r2")


def other(value: Any, kind: str) -> list[Any]:
    if kind == "t":
        return [value + 1]
    if kind in ("i", "n"):
        more = [0] if kind == "i" else [0, -1]  # n may be negative: -1 is a number of it
        return [value + 1, None] if value is not None else more
    if kind == "f":
        return [float(np.nextafter(value, 2)), None] if value is not None else [0.0]
    return [f"{value}x", *([""] if value else [])]


def changes() -> list[tuple[str, int, Any]]:
    found = []
    for product, rows in everything().items():
        for column, kind in enumerate(PRODUCTS[product][1].values()):
            key = list(PRODUCTS[product][1])[column] in PRODUCTS[product][0]
            values = [value for value in other(rows[0][column], kind) if value is not None or not key]
            found += [(product, column, value) for value in values]
    return found


def test_any_changed_cell_is_seen(store: Store) -> None:
    """Product by product: what a run holds besides changes nothing of it, and costs an insert a case.

    A run's digest is made of those of its windows, which a case reads once: a query for each product.
    """
    cases = changes()
    # of the four tables, which are alike, the one whose columns are words of SQL
    assert {product for product, _, _ in cases} == set(DIGESTED) - set(TABLES) | {"screens"}
    seen, unchanged = set(), {}
    for i, (product, column, value) in enumerate(cases):
        name = list(PRODUCTS[product][1])[column]
        if name == "window" or (name == "gate" and product in ("flow", "runs_of_flow")):
            continue  # another window or leaf: tested below
        rows = everything()[product]
        row = list(rows[0])
        row[column] = value
        if product not in unchanged:
            fill(store, product, {product: rows})
            unchanged[product] = store.window_digests(product)
            assert store.digest(product) == run_digest(unchanged[product])
            seen.add(run_digest(unchanged[product]))
        fill(store, f"c{i}", {product: [tuple(row), *rows[1:]]})
        changed = store.window_digests(f"c{i}")
        assert changed != unchanged[product], (product, name, value)
        seen.add(run_digest(changed))
    assert len(seen) > 40
    # in no run did the others change anything
    assert {product: store.window_digests(product) for product in unchanged} == unchanged


def test_registry_version_and_missing_rows_are_seen(store: Store) -> None:
    fill(store, "r1", everything())
    fill(store, "r2", everything(), version="v2")
    assert not set(store.window_digests("r1").values()) & set(store.window_digests("r2").values())
    for i, product in enumerate(everything()):
        rows = everything()
        rows[product] = rows[product][1:]
        fill(store, f"m{i}", rows)
        assert store.window_digests(f"m{i}") != store.window_digests("r1"), product


def test_words_cannot_be_moved_between_columns(store: Store) -> None:
    cells = (7, 7, 7, "released", None)
    digests = set()
    for i, (gate, direction) in enumerate([("a1", "ab"), ("a", "1ab"), ("a1:ab", ""), ("", "a1ab"), ("a12:ab", "")]):
        store.start_run(run(f"r{i}"))
        store.insert(flow("u", ("10s", T0, gate, direction, *cells)), f"r{i}")
        digests.add(store.digest(f"r{i}"))
    assert len(digests) == 5


def test_null_zero_and_numbers_cannot_be_confused(store: Store) -> None:
    digests = set()
    cells = [(None, 0, 5), (0, None, 5), (0, 0, 5), (None, None, 5), (0, 5, None), (1, 11, 1), (11, 1, 1), (1, 1, 11)]
    for i, counts in enumerate(cells):
        store.start_run(run(f"r{i}"))
        store.insert(flow("u", ("10s", T0, "j1", "ab", *counts, "range", None)), f"r{i}")
        digests.add(store.digest(f"r{i}"))
    assert len(digests) == len(cells)


@pytest.mark.parametrize(
    ("changed", "minute"),
    [(T0 + 1, T0), (T0 + 10_000, T0), (T0 + 60_000, T0), (T0 + 60_001, T0 + 60_000), (T0, T0 - 60_000), (-1, -60_000)],
)
def test_a_change_of_an_alert_belongs_to_the_minute_that_ends_with_it(store: Store, changed: int, minute: int) -> None:
    store.start_run(run("r1"))
    store.insert(alerts("u", alert_row("a", changed)), "r1")
    assert list(store.window_digests("r1")) == [("1m", minute)]
    for start, end, n in ((minute, minute + 1, 1), (minute + 1, minute + 60_001, 0), (minute - 60_000, minute, 0)):
        assert len(store.rows("alerts", "r1", start_ms=start, end_ms=end)) == n
    for before, n in ((minute + 60_000, 1), (minute, 0)):
        assert len(store.rows("alerts", "r1", before={"1m": before})) == n
        assert len(store.window_digests("r1", before={"1m": before})) == n


def test_minus_zero_is_zero(store: Store) -> None:
    for run_id, coverage in (("r1", 0.0), ("r2", -0.0)):
        store.start_run(run(run_id))
        store.insert(flow("u", ("10s", T0, "j1", "ab", None, None, None, "unknown", coverage)), run_id)
    assert store.digest("r1") == store.digest("r2")


def test_the_digest_is_what_it_says(store: Store) -> None:
    """The same hash from the rule alone, so that no version of ClickHouse can change it unseen."""
    store.start_run(run("r1"))
    store.insert(flow("u", *FLOW[:2]), "r1")

    def words(*texts: str) -> str:
        return "".join(f"{len(text.encode())}:{text}" for text in texts)

    half = int(np.array([0.5]).view(np.uint64)[0])
    texts = [
        f"{words('10s')}{T0};{words('j1', 'ab')}7;7;7;{words('released')}{half};{words('v1')}0;",
        f"{words('10s')}{T0};{words('j1', 'ba')}N;0;5;{words('suppressed')}N;{words('v1')}0;",
    ]
    inner = hashlib.sha256(b"".join(sorted(hashlib.sha256(text.encode()).digest() for text in texts))).hexdigest()
    window = hashlib.sha256(f"flow:{inner}\n".encode()).hexdigest()
    assert store.window_digests("r1") == {("10s", T0): window}
    assert store.digest("r1") == hashlib.sha256(f"10s {T0} {window}\n".encode()).hexdigest()


def test_a_run_belongs_to_the_leaf_window_that_ends_with_it(store: Store) -> None:
    store.start_run(run("r1", leaves={"j1": "10s", "j2": "1m", "j3": "15m"}))
    rows = [
        ("j1", "ab", T0 - 5_000_000, T0 + 10_000, 7),
        ("j2", "ab", T0, T0 + 60_000, 7),
        ("j3", "ab", T0, T0 + 900_000, 7),
    ]
    store.insert(runs_of_flow("u", *rows), "r1")
    assert list(store.window_digests("r1")) == [("10s", T0), ("1m", T0), ("15m", T0)]


def test_an_hour_follows_the_clock(store: Store) -> None:
    """Lord Howe Island turns its clocks by half an hour: two windows of half an hour."""
    turn = 1_775_314_800_000  # 2026-04-04T15:00Z, 02:00 → 01:30
    hours = [turn - 3_600_000, turn, turn + 1_800_000, turn + 5_400_000]
    unknown = (None, None, None, "unknown", 0.0)
    store.start_run(run("r1", leaves={"j1": "1h", "j2": "10s"}, timezone="Australia/Lord_Howe"))
    store.insert(flow("f", *[("1h", hour, "j1", "ab", *unknown) for hour in hours]), "r1")
    before = store.window_digests("r1")
    rows = [
        ("j1", "ab", turn - 7_200_000, turn, 7),
        ("j1", "ab", turn, turn + 1_800_000, 7),
        ("j1", "ab", turn + 1_800_000, turn + 5_400_000, 7),
        ("j2", "ab", turn, turn + 10_000, 7),
    ]
    store.insert(runs_of_flow("u", *rows), "r1")
    after = store.window_digests("r1")
    assert list(after) == [("10s", turn), *(("1h", hour) for hour in hours)]
    assert [window for window in before if before[window] != after[window]] == [("1h", hour) for hour in hours[:3]]


def test_a_span_of_windows(store: Store) -> None:
    store.start_run(run("r1"))
    store.insert(flow("u", *day()), "r1")
    store.insert(runs_of_flow("u", ("j1", "ab", T0, T0 + 30_000, 7), ("j1", "ab", T0 + 30_000, T0 + 40_000, 7)), "r1")
    whole = store.window_digests("r1")
    part = store.window_digests("r1", start_ms=T0 + 20_000, end_ms=T0 + 30_000)
    assert part == {("10s", T0 + 20_000): whole["10s", T0 + 20_000]}
    assert store.window_digests("r1", start_ms=-(2**63), end_ms=2**62) == whole


def test_a_gate_without_known_leaf_is_an_error(store: Store) -> None:
    store.start_run(run("r1", leaves={"j2": "1m"}))
    store.insert(runs_of_flow("u", RUNS[0]), "r1")
    with pytest.raises(HitonamiError, match="leaf is not known"):
        store.window_digests("r1")
    with pytest.raises(UsageError, match="no run r2"):
        store.window_digests("r2")


def test_the_first_difference_is_named(store: Store) -> None:
    fill(store, "r1", everything())
    fill(store, "same", everything())
    assert store.first_difference("r1", "same", "10s", T0) == ""
    rows = everything()
    rows["flow"] = [FLOW[0], (*FLOW[1][:4], 3, 0, 5, "range", None), *FLOW[2:]]
    fill(store, "cell", rows)
    assert store.first_difference("r1", "cell", "10s", T0) == (
        "flow window=10s window_start=2026-02-07T07:00:00.000Z gate=j1 direction=ba: n is null in r1, 3 in cell"
    )
    assert store.first_difference("r1", "cell", "1m", T0) == ""
    rows = everything()
    rows["runs_of_flow"] = RUNS[1:]
    rows["zones"] = []
    fill(store, "less", rows)
    assert store.first_difference("less", "r1", "10s", T0) == (
        "runs_of_flow gate=j1 direction=ab run_start=2026-02-07T06:59:40.000Z: only in r1"
    )
    rows["runs_of_flow"] = [("j1", "ab", T0 - 20_000, T0 + 10_000, 8)]
    fill(store, "n", rows)
    assert store.first_difference("r1", "n", "10s", T0).endswith(
        "run_start=2026-02-07T06:59:40.000Z: n is 7 in r1, 8 in n"
    )
    with pytest.raises(UsageError):
        store.first_difference("r1", "nobody", "10s", T0)
    with pytest.raises(UsageError):
        store.first_difference("r1", "n", "2m", T0)


def test_rejects_and_runs_are_in_no_digest(store: Store) -> None:
    fill(store, "r1", everything())
    before = store.window_digests("r1")
    store.insert(released("rejects", "u", [(T0, "j1-03", "late", 6)]), "r1")
    store.update_run(run("r1", read=7, accepted=7, updated_ms=T0 + 5))
    assert store.window_digests("r1") == before
    store.insert(zones("more", zone_row("10s", T0, "c2")), "r1")
    assert store.window_digests("r1") != before
