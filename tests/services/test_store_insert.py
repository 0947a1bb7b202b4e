"""Rows in, exactly once: tokens, repeats, other content, restarts."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import HitonamiError
from engine.model import PRODUCTS, Released
from sinks.clickhouse import writer
from sinks.clickhouse.store import Store
from tests.services.released import T0, TABLES, day, flow, run, runs_of_flow, table, zone_row, zones


def blocks(store: Store, product: str = "flow") -> int:
    """Rows on disk, repeated ones counted each."""
    table = store._connection.table(product)
    return int(store._connection.rows(f"SELECT count() FROM {table}")[0][0])


def test_columns_and_nulls_come_back(store: Store) -> None:
    rows = flow(
        "s0/a",
        ("10s", T0 + 10_000, "j1", "ba", 0, 0, 0, "released", 1.0),
        ("10s", T0, "j1", "ab", None, 0, 5, "suppressed", None),
        ("10s", T0, "日本 '\\\t\"", "ab", 2**40, 0, 2**41, "range", 0.1 + 0.2),
    )
    store.insert(rows, "r1")
    table = store.rows("flow", "r1")
    assert table.column_names == [*PRODUCTS["flow"][1], "run_id", "registry_version", "revision"]
    assert table.schema.field("window_start").type == pa.timestamp("ms", "UTC")
    assert table.schema.field("n").type == pa.int64()
    assert [(row["gate"], row["direction"], row["n"], row["n_high"], row["coverage"]) for row in table.to_pylist()] == [
        ("j1", "ab", None, 5, None),
        ("日本 '\\\t\"", "ab", 2**40, 2**41, 0.1 + 0.2),
        ("j1", "ba", 0, 0, 1.0),
    ]
    assert set(table["run_id"].to_pylist()) == {"r1"}
    assert set(table["revision"].to_pylist()) == {0}
    assert table["window_start"].cast(pa.int64()).to_pylist() == [T0, T0, T0 + 10_000]


@pytest.mark.parametrize("product", TABLES)
def test_columns_named_like_words_of_sql_are_columns(store: Store, product: str) -> None:
    """``from``, ``table``: read, read in slices, known again when they come twice, and compared."""
    key = TABLES[product]
    shown, hidden = (*key, 12, 12, 12, "released"), (*key, None, 0, 4, "suppressed")
    for name, row in (("a", shown), ("b", hidden)):
        store.start_run(run(name))
        store.insert(table(product, "u", row), name)
        store.insert(table(product, "cut otherwise", row), name)
    (kept,) = store.rows(product, "a").to_pylist()
    assert (kept["n"], kept["n_low"], kept["n_high"], kept["status"]) == (12, 12, 12, "released")
    assert sum(part.num_rows for part in store.slices(product, "a")) == 1
    said = store.first_difference("a", "b", *key[:2])
    assert said.startswith(f"{product} ") and said.endswith("n is 12 in a, null in b")


def test_tables_have_the_products_columns(store: Store) -> None:
    for product, (key, kinds) in PRODUCTS.items():
        table = store._connection.table(product)
        names = [row[0] for row in store._connection.rows(f"DESCRIBE TABLE {table}")]
        assert names == ["run_id", *kinds, "registry_version", "revision", "inserted_at"]
        sorting = store._connection.rows(
            "SELECT sorting_key, engine_full FROM system.tables WHERE database = {db:String} AND name = {name:String}",
            {"db": store._connection.database.strip("`"), "name": product},
        )
        assert sorting[0][0].replace("`", "") == ", ".join(["run_id", *key])
        assert "non_replicated_deduplication_window = 10000" in sorting[0][1]


def test_the_same_unit_twice_is_one_block(store: Store) -> None:
    rows = flow("s0/a", *day())
    store._connection.command(f"SYSTEM STOP MERGES {store._connection.table('flow')}")
    store.insert(rows, "r1")
    store.insert(rows, "r1")
    assert blocks(store) == len(rows)


def test_the_same_unit_after_a_restart_is_one_block(store_url: str) -> None:
    rows = flow("s0/a", *day())
    for _ in range(3):
        with Store.open(store_url) as store:
            store.migrate()
            store._connection.command(f"SYSTEM STOP MERGES {store._connection.table('flow')}")
            store.insert(rows, "r1")
            assert blocks(store) == len(rows)


def test_units_and_runs_do_not_hide_each_other(store: Store) -> None:
    row = ("10s", T0, "j1", "ab", 7, 7, 7, "released", None)
    store.insert(flow("s0/a", row), "r1")
    store.insert(flow("s0/a", row), "r2")
    store.insert(flow("s0/b", ("10s", T0 + 10_000, *row[2:])), "r1")
    assert store.rows("flow", "r1").num_rows == 2
    assert store.rows("flow", "r2").num_rows == 1


def test_other_content_of_a_unit_is_an_error(store: Store) -> None:
    rows = day()
    store.insert(flow("s0/a", *rows), "r1")
    changed = [*rows[:-1], (*rows[-1][:4], 99, 99, 99, "released", None)]
    with pytest.raises(HitonamiError, match=r"^run r1 product flow unit s0/a was stored with other rows$"):
        store.insert(flow("s0/a", *changed), "r1")
    assert blocks(store) == len(rows)
    store.insert(flow("s0/a", *rows), "r1")


@pytest.mark.parametrize("unit", ["s0/a", "s0/cut-otherwise"])
@pytest.mark.parametrize(
    "cells",
    [
        (8, 8, 8, "released", 0.5),
        (7, 7, 7, "released", 0.25),
        (7, 7, 7, "released", None),
        (7, 7, 7, "range", 0.5),
        (None, 7, 7, "released", 0.5),
    ],
)
def test_other_content_after_a_restart_is_an_error(store_url: str, unit: str, cells: tuple[object, ...]) -> None:
    key = ("10s", T0, "j1", "ab")
    later = ("10s", T0 + 10_000, "j1", "ab", 9, 9, 9, "released", 0.5)
    with Store.open(store_url) as store:
        store.migrate()
        store.insert(flow("s0/a", (*key, 7, 7, 7, "released", 0.5), later), "r1")
    with Store.open(store_url) as store:
        with pytest.raises(HitonamiError, match="other rows"):
            store.insert(flow(unit, (*key, *cells)), "r1")
        with pytest.raises(HitonamiError, match="other rows"):
            store.insert(flow(unit, (*key, 7, 7, 7, "released", 0.5), version="v2"), "r1")
        assert blocks(store) == 2


def test_rows_cut_otherwise_after_a_restart_are_one(store_url: str) -> None:
    rows = day()
    with Store.open(store_url) as store:
        store.migrate()
        store.insert(flow("s0/a", *rows[:200]), "r1")
        whole = store.rows("flow", "r1")
    with Store.open(store_url) as store:
        store._connection.command(f"SYSTEM STOP MERGES {store._connection.table('flow')}")
        store.insert(flow("s0/b", *rows[100:200]), "r1")
        assert store.rows("flow", "r1").equals(whole)
        store.insert(flow("s0/c", *rows[150:]), "r1")
        assert store.rows("flow", "r1").num_rows == len(rows)


def test_a_unit_that_comes_with_more_rows_loses_none(store_url: str) -> None:
    """The content is part of the token: the same unit with other, not contradicting rows is stored."""
    rows = day()
    for last in (100, 200, 150):
        with Store.open(store_url) as store:
            store.migrate()
            store.insert(flow("s0/a", *rows[:last]), "r1")
            assert store.rows("flow", "r1").num_rows == (100 if last == 100 else 200)


def test_other_codes_for_the_same_rows_are_no_error(store: Store) -> None:
    rows = flow("s0/a", *day())
    turned = tuple(reversed(rows.names["gate"]))
    codes = (len(turned) - 1 - rows.columns["gate"]).astype(np.int32)
    store.insert(rows, "r1")
    store.insert(replace(rows, columns={**rows.columns, "gate": codes}, names={**rows.names, "gate": turned}), "r1")
    assert store.rows("flow", "r1").num_rows == len(rows)


def test_runs_of_flow_are_compared_by_their_start(store_url: str) -> None:
    with Store.open(store_url) as store:
        store.migrate()
        store.insert(runs_of_flow("s0/a", ("j1", "ab", T0, T0 + 10_000, 7), ("j1", "ba", T0, T0 + 50_000, 6)), "r1")
    with Store.open(store_url) as store:
        store.insert(
            runs_of_flow("s0/b", ("j1", "ab", T0, T0 + 10_000, 7), ("j1", "ab", T0 + 10_000, T0 + 20_000, 8)), "r1"
        )
        with pytest.raises(HitonamiError, match="other rows"):
            store.insert(runs_of_flow("s0/c", ("j1", "ba", T0, T0 + 60_000, 6)), "r1")
        assert store.rows("runs_of_flow", "r1").num_rows == 3


def test_a_new_run_and_new_windows_ask_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> tuple[bool, int]:
        raise AssertionError("compared")

    compared = writer.Writer._compared
    monkeypatch.setattr(writer.Writer, "_compared", refuse)
    store.insert(flow("s0/a", *day()), "r1")
    store.insert(flow("s1/a", *[(*row[:2], "z" + row[2], *row[3:]) for row in day()]), "r1")
    store._writer.forget("r1")
    # of an earlier process may have been the first unit of each shard behind what is stored, and only that one
    later = [("10s", T0 + 86_400_000 + i * 10_000, "j1", "ab", 7, 7, 7, "released", None) for i in range(3)]
    for shard in ("s0", "s1"):
        monkeypatch.setattr(writer.Writer, "_compared", refuse)
        with pytest.raises(AssertionError, match="compared"):
            store.insert(flow(f"{shard}/b", later[0]), "r1")
        monkeypatch.setattr(writer.Writer, "_compared", compared)
        store.insert(flow(f"{shard}/b", later[0]), "r1")
        monkeypatch.setattr(writer.Writer, "_compared", refuse)
        store.insert(flow(f"{shard}/c", later[1]), "r1")
        store.insert(flow(f"{shard}/d", later[2]), "r1")
    with pytest.raises(AssertionError, match="compared"):
        store.insert(flow("s0/e", ("1m", T0, "j1", "ab", 7, 7, 7, "released", None)), "r1")


def test_many_rows_go_in_slices_and_a_repeat_stays_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SLICE_ROWS", 100)
    rows = flow("s0/a", *day())
    assert len(rows) == 360
    for _ in range(2):
        store.insert(rows, "r1")
        assert blocks(store) == len(rows)
    table = store._connection.table("flow")
    parts = store._connection.rows(f"SELECT _part, count() FROM {table} GROUP BY _part")
    assert sum(int(n) for _, n in parts) == len(rows)


def test_a_large_insert_is_one_block(store: Store) -> None:
    rows = flow("s0/a", *day(gates=4, windows=1000))
    store._connection.command(f"SYSTEM STOP MERGES {store._connection.table('flow')}")
    store.insert(rows, "r1")
    table = store._connection.table("flow")
    assert store._connection.rows(f"SELECT uniqExact(_part), count() FROM {table}")[0] == (1, len(rows))


def test_an_empty_insert_stores_nothing(store: Store) -> None:
    store.insert(flow("s0/a"), "r1")
    assert blocks(store) == 0


@pytest.mark.parametrize("change", ["product", "missing", "extra", "length", "code", "time"])
def test_rows_that_are_not_the_products_are_refused(change: str) -> None:
    good = flow("s0/a", *day())
    columns = dict(good.columns)
    rows: Released = good
    if change == "product":
        rows = replace(good, product="nothing")
    elif change == "missing":
        columns.pop("n")
    elif change == "extra":
        columns["sensor"] = columns["gate"]
    elif change == "length":
        columns["n"] = columns["n"][:-1]
    elif change == "code":
        columns["gate"] = columns["gate"] + 1
    else:
        columns["window_start"] = columns["window_start"] - 2**62
    from sinks.clickhouse.schema import check

    check(good)
    with pytest.raises(ValueError):
        check(replace(rows, columns=columns))


def test_threads_share_a_store(store: Store) -> None:
    rows = day(gates=8, windows=30)
    failures: list[BaseException] = []

    def write(gate: int) -> None:
        try:
            mine = [row for row in rows if row[2] == f"g{gate}"]
            for i in range(0, len(mine), 30):
                store.insert(flow(f"s{gate}/{i}", *mine[i : i + 30]), "r1")
                store.rows("flow", "r1", window="10s")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(gate,)) for gate in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.rows("flow", "r1").num_rows == len(rows)


def test_drop_removes_one_run_and_it_can_be_stored_again(store: Store) -> None:
    inserts = [
        flow("s0/a", *day()),
        runs_of_flow("s0/a", ("j1", "ab", T0, T0 + 10_000, 7)),
        zones("z/a", zone_row("10s", T0, "c1", 7)),
    ]
    for run_id in ("r1", "r'2"):
        store.start_run(run(run_id))
        for rows in inserts:
            store.insert(rows, run_id)
    store.drop_run("r'2")
    store.drop_run("r'2")
    store.drop_run("never")
    assert [known.run_id for known in store.runs()] == ["r1"]
    for rows in inserts:
        assert store.rows(rows.product, "r'2").num_rows == 0
        assert store.rows(rows.product, "r1").num_rows == len(rows)
        store.insert(rows, "r'2")
        assert store.rows(rows.product, "r'2").num_rows == len(rows)
