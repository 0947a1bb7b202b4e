"""Export files in the contract's exact form."""

from __future__ import annotations

import csv
import io
import os
import stat
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import UsageError
from engine.model import PRODUCTS
from sinks import files
from sinks.clickhouse import reader
from sinks.clickhouse.store import Store
from tests.services.released import (
    T0,
    TABLES,
    alert_row,
    alerts,
    day,
    flow,
    headings,
    released,
    runs_of_flow,
    zone_row,
    zones,
)

FLOW = [
    ("10s", T0 + 123, "j1", "ab", 2**40, 0, 7, "range", 0.5),
    ("10s", T0, "j1", "ba", None, 0, 5, "suppressed", None),
    ("1m", T0, 'a "quoted", id', "ab", 0, 0, 0, "released", 1 / 3),
]


def text(store: Store, product: str, path: Path, **choice: str) -> list[str]:
    rows = store.rows(product, "r1", **choice).num_rows
    assert (
        files.export(store.slices(product, "r1", **choice), product, "csv", path, window_column="window" not in choice)
        == rows
    )
    return path.read_bytes().decode("utf-8").split("\n")


def test_csv_of_all_windows(store: Store, tmp_path: Path) -> None:
    store.insert(flow("u", *FLOW), "r1")
    assert text(store, "flow", tmp_path / "x.csv") == [
        "window,window_start,gate,direction,n,n_low,n_high,status,coverage,run_id,registry_version,revision",
        "10s,2026-02-07T07:00:00.000Z,j1,ba,,0,5,suppressed,,r1,v1,0",
        "10s,2026-02-07T07:00:00.123Z,j1,ab,1099511627776,0,7,range,0.5,r1,v1,0",
        '1m,2026-02-07T07:00:00.000Z,"a ""quoted"", id",ab,0,0,0,released,0.3333333333333333,r1,v1,0',
        "",
    ]


def test_csv_of_one_window(store: Store, tmp_path: Path) -> None:
    store.insert(flow("u", *FLOW), "r1")
    assert text(store, "flow", tmp_path / "x.csv", window="1m") == [
        "window_start,gate,direction,n,n_low,n_high,status,coverage,run_id,registry_version,revision",
        '2026-02-07T07:00:00.000Z,"a ""quoted"", id",ab,0,0,0,released,0.3333333333333333,r1,v1,0',
        "",
    ]


def test_csv_of_the_other_products(store: Store, tmp_path: Path) -> None:
    store.insert(runs_of_flow("u", ("j1", "ab", T0, T0 + 10_000, 7)), "r1")
    inside = {"occupancy": 1_234_567, "occupancy_low": -12, "occupancy_high": 11.625}
    store.insert(zones("u", zone_row("1h", T0, "c1", los_scheme="", density=0.25, inflow=7, **inside)), "r1")
    ways = [(7, 9, 7, 12, "range"), (0, None, 0, 5, "suppressed")]
    store.insert(headings("u", *(("1m", T0, "c1", *way, 315.0, 1.0) for way in ways)), "r1")
    store.insert(released("rejects", "u", [(T0, "j1-03", "late", 6)]), "r1")
    assert text(store, "runs_of_flow", tmp_path / "x.csv") == [
        "gate,direction,run_start,run_end,n,run_id,registry_version,revision",
        "j1,ab,2026-02-07T07:00:00.000Z,2026-02-07T07:00:10.000Z,7,r1,v1,0",
        "",
    ]
    header, row, end = text(store, "zones", tmp_path / "x.csv")
    assert header == ",".join([*PRODUCTS["zones"][1], "run_id", "registry_version", "revision"])
    assert row == '1h,2026-02-07T07:00:00.000Z,c1,7,,,,,,1234567,-12,11.625,0.25,,"",unknown,unknown,,,,,r1,v1,0'
    assert end == ""
    assert text(store, "headings", tmp_path / "x.csv") == [
        "window,window_start,zone,sector,n,n_low,n_high,status,mean_heading,resultant_length,run_id,registry_version,revision",
        "1m,2026-02-07T07:00:00.000Z,c1,0,,0,5,suppressed,315,1,r1,v1,0",
        "1m,2026-02-07T07:00:00.000Z,c1,7,9,7,12,range,315,1,r1,v1,0",
        "",
    ]
    assert text(store, "rejects", tmp_path / "x.csv")[1] == "2026-02-07T07:00:00.000Z,j1-03,late,6,r1,v1,0"


def test_no_rows_are_a_header(store: Store, tmp_path: Path) -> None:
    assert text(store, "runs_of_flow", tmp_path / "x.csv")[1:] == [""]


def test_a_csv_reader_finds_every_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK_ROWS", 3)
    words = ["plain", "", " space ", "a,b", 'say "hi"', "line\nbreak", "return\r", "日本", "'", "=1+1"]
    table = pa.table({"word": words, "n": pa.array([None, *range(1, len(words))], pa.int64())})
    out = io.BytesIO()
    files.Csv(out).write(table)
    rows = list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))
    assert rows == [["word", "n"], *([word, "" if i == 0 else str(i)] for i, word in enumerate(words))]


def test_parquet_has_the_contracts_types(store: Store, tmp_path: Path) -> None:
    store.insert(flow("u", *FLOW), "r1")
    table = store.rows("flow", "r1")
    files.export([table], "flow", "parquet", tmp_path / "x.parquet", window_column=True)
    found = pq.read_table(tmp_path / "x.parquet")
    assert found.column_names == [*PRODUCTS["flow"][1], "run_id", "registry_version", "revision"]
    assert found.schema.field("window_start").type == pa.timestamp("ms", "UTC")
    assert {found.schema.field(name).type for name in ("n", "n_low", "n_high", "revision")} == {pa.int64()}
    assert found["n"].to_pylist() == [None, 2**40, 0]
    assert found.equals(table)
    files.export([table], "flow", "parquet", tmp_path / "x.parquet", window_column=False)
    assert pq.read_schema(tmp_path / "x.parquet").names == found.column_names[1:]


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.csv"
    path.write_text("before")
    table = pa.table({name: pa.array([], pa.string()) for name in [*PRODUCTS["flow"][1], *files.COMMON]})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(files.WRITERS, "csv", fail)
    with pytest.raises(UsageError, match="No space left on device"):
        files.export([table], "flow", "csv", path, window_column=True)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    table = pa.table({name: pa.array([], pa.string()) for name in [*PRODUCTS["flow"][1], *files.COMMON]})
    with pytest.raises(UsageError, match="format"):
        files.export([table], "flow", "xml", tmp_path / "x", window_column=True)
    with pytest.raises(UsageError, match="product"):
        files.export([table], "runs", "csv", tmp_path / "x", window_column=True)
    with pytest.raises(UsageError, match="cannot be written"):
        files.export([table], "flow", "csv", tmp_path / "none" / "x", window_column=True)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    table = pa.table({name: pa.array([], pa.string()) for name in [*PRODUCTS["flow"][1], *files.COMMON]})
    files.export([table], "flow", "csv", pipe, window_column=True)
    reader.join(30)
    assert read[0].startswith(b"window,window_start,")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_many_rows_are_in_order(store: Store, tmp_path: Path) -> None:
    rows = day()
    store.insert(flow("u", *rows), "r1")
    lines = text(store, "flow", tmp_path / "x.csv")[1:-1]
    assert len(lines) == len(rows)
    assert lines == sorted(lines, key=lambda line: line.split(",")[:4])


def test_slices_are_all_rows_once_in_order_and_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SLICE_ROWS", 10_000)
    rows = day(gates=11, windows=1_000)
    store.insert(flow("u", *rows[::2]), "r1")  # two parts over the same keys
    store.insert(flow("v", *rows[1::2], *rows[:3_000:2]), "r1")  # and rows that stand in both
    store.insert(flow("w", *(("1m", *row[1:]) for row in rows[:9_000])), "r1")
    store.insert(flow("u", *rows[:100]), "other")
    whole = store.rows("flow", "r1")
    assert len(whole) == len(rows) + 9_000
    slices = list(store.slices("flow", "r1"))
    assert len(slices) >= 3
    assert max(map(len, slices)) <= 10_000 + 2 * 8_192  # an edge comes with a granule, of which there is one per part
    assert pa.concat_tables(slices).combine_chunks().equals(whole)
    for choice in ({"window": "1m"}, {"start_ms": T0 + 1_234_560, "end_ms": T0 + 5_000_000}, {"end_ms": T0}):
        assert (
            pa.concat_tables(store.slices("flow", "r1", **choice))
            .combine_chunks()
            .equals(  # type: ignore[arg-type]
                store.rows("flow", "r1", **choice)  # type: ignore[arg-type]
            )
        )


def test_slices_beyond_what_is_asked_for_are_not_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The live page waits while a file's next rows are read: an hour of a month is not a query a slice."""
    monkeypatch.setattr(reader, "SLICE_ROWS", 1)  # an edge at every granule
    store.insert(zones("u", *(zone_row("10s", T0 + 10_000 * w, "c1", inflow=7) for w in range(33_000))), "r1")
    store.insert(zones("v", *(zone_row("1m", T0 + 60_000 * w, "c1", inflow=7) for w in range(9_000))), "r1")
    queries, select = [], reader.select
    monkeypatch.setattr(reader, "select", lambda *asked: queries.append(asked) or select(*asked))
    for choice, rows, most in (
        ({"start_ms": T0 + 1_000_000, "end_ms": T0 + 2_000_000}, 100 + 17, 1),
        ({"start_ms": T0 + 310_000_000, "window": "10s"}, 2_000, 2),
        ({"window": "1m"}, 9_000, 3),
        ({}, 42_000, 9),
    ):
        queries.clear()
        found = pa.concat_tables(store.slices("zones", "r1", **choice))  # type: ignore[arg-type]
        assert (len(found), len(queries) <= most) == (rows, True), (choice, len(queries))


def test_slices_of_every_product_and_of_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SLICE_ROWS", 1)  # an edge at every granule
    store.insert(
        runs_of_flow("u", *((f"j{g}", "ab", T0 + w, T0 + w + 1, 7) for g in range(9) for w in range(2_000))), "r1"
    )
    store.insert(zones("u", *(zone_row("10s", T0 + 10_000 * w, "c1", inflow=7) for w in range(17_000))), "r1")
    ways = (("1m", T0 + 60_000 * w, "c1", s, 7, 7, 7, "released", 45.0, 0.5) for w in range(2_200) for s in range(8))
    store.insert(headings("u", *ways), "r1")
    store.insert(alerts("u", *(alert_row(f"{i:05}", T0 + i) for i in range(17_000))), "r1")
    minutes = [T0 + 60_000 * i for i in range(17_000)]
    store.insert(released("health", "u", [("1m", at, "j1-01", "ok", at) for at in minutes]), "r1")
    store.insert(released("rejects", "u", [(T0 + h, "j1", "late", 6) for h in range(17_000)]), "r1")
    for product in PRODUCTS:
        slices = list(store.slices(product, "r1"))
        assert len(slices) == (1 if product in ("flow", *TABLES) else 3)
        assert pa.concat_tables(slices).combine_chunks().equals(store.rows(product, "r1"))
    with pytest.raises(UsageError, match="no product"):
        store.slices("runs", "r1")
