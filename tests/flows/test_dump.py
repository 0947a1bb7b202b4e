"""Dumps: what was written is read, record by record; nothing else is taken for one."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BadInput, HitonamiError, UsageError
from engine.model import NO_TIME
from flows import dump
from flows.dump import GROUPS_KEY, SCHEMA, TOPIC_KEY, VERSION_KEY, DumpReader, DumpWriter
from flows.external_sort import people_stamps
from flows.logs import Log, open_logs

Record = tuple[int, int, bytes | None, bytes | None]  # offset, record_ts, key, value


def write(path: Path, records: dict[int, list[Record]], batch: int = 1000) -> None:
    """All partitions in turn, a few records at a time, as a consumer sees them."""
    with DumpWriter(path, "people") as writer:
        for start in range(0, max(map(len, records.values()), default=0), batch):
            for partition, rows in records.items():
                part = rows[start : start + batch]
                writer.add(partition, *([row[column] for row in part] for column in range(4)))


def read(log: Log, max_bytes: int = 1 << 20) -> list[tuple[int, int, bytes]]:
    found = []
    batches = []
    while (rows := log.read(max_bytes)) is not None:
        assert len(rows) > 0
        assert len(rows) == 1 or rows.ends[-1] - rows.starts[0] <= max_bytes
        batches.append(rows)
    for rows in batches:
        data = bytes(rows.data)
        found += [
            (int(at), int(ts), data[start:end])
            for at, ts, start, end in zip(rows.offsets, rows.record_ts, rows.starts, rows.ends, strict=True)
        ]
    return found


def wanted(rows: list[Record]) -> list[tuple[int, int, bytes]]:
    return [(at, ts, value or b"") for at, ts, _, value in rows]


def logs_of(path: Path, order: str | None = None) -> list[Log]:
    return open_logs([path], order, people_stamps(None), path.parent, None)


@settings(max_examples=60, deadline=None)
@given(
    records=st.dictionaries(
        st.integers(0, 40),
        st.lists(
            st.tuples(
                st.integers(1, 50),
                st.sampled_from([NO_TIME, -1, 0, 1_770_450_000_123]),
                st.none() | st.binary(max_size=3),
                st.none() | st.binary(max_size=30),
            ),
            min_size=1,
            max_size=30,
        ),
        max_size=4,
    ),
    batch=st.integers(1, 31),
    group_rows=st.integers(1, 40),
    max_bytes=st.sampled_from([1, 40, 1 << 20]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    records: dict[int, list[Record]],
    batch: int,
    group_rows: int,
    max_bytes: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "dump.parquet"
    for partition, steps in records.items():
        offsets = np.cumsum([step[0] for step in steps])  # gaps: compaction and transactions leave them
        records[partition] = [
            (int(offset), *step[1:])
            for offset, step in zip(offsets, steps, strict=True)  # type: ignore[misc]
        ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dump, "GROUP_ROWS", group_rows)
        write(path, records, batch)
        logs = logs_of(path)
        assert [log.partition for log in logs] == list(range(len(records)))
        assert [log.source_partition for log in logs] == sorted(records)
        for log in logs:
            assert read(log, max_bytes) == wanted(records[log.source_partition])
            assert log.fraction() == 1.0
            assert log.topic == "people"
            log.close()
            log.close()
    table = pq.read_table(path)
    assert table.schema.equals(SCHEMA)
    for partition, rows in records.items():
        mine = table.filter(pa.compute.equal(table["partition"], partition))
        assert mine["key"].to_pylist() == [row[2] for row in rows]
        assert mine["value"].to_pylist() == [row[3] for row in rows]
    metadata = pq.read_metadata(path)
    assert all(metadata.row_group(i).num_rows <= group_rows for i in range(metadata.num_row_groups))


def test_takes_arrow_columns_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "d"
    with DumpWriter(path, "people") as writer:
        values = pa.array([b"zero", b"one", None, b"three"], pa.binary())[1:]
        writer.add(3, np.arange(3), np.arange(3) * 1000, pa.nulls(3, pa.binary()), values)
        writer.add(3, [], [], [], [])
    (log,) = logs_of(path)
    assert read(log) == [(0, 0, b"one"), (1, 1000, b""), (2, 2000, b"three")]


def test_buffers_are_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "d"
    write(path, {0: [(i, i, None, b"v%d" % i) for i in range(1000)]})
    (log,) = logs_of(path)
    first, second = log.read(100), log.read(100)
    assert first is not None
    assert second is not None
    assert isinstance(first.data, np.ndarray)
    assert not first.data.flags.owndata
    assert np.shares_memory(first.data, second.data)


def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump, "GROUP_BYTES", 10_000)
    monkeypatch.setattr(dump, "BUFFER_BYTES", 30_000)
    path = tmp_path / "d"
    with DumpWriter(path, "people") as writer:
        for i in range(400):
            writer.add(i % 20, [i], [0], [None], [os.urandom(500)])
            assert writer._held <= 30_000
    metadata = pq.read_metadata(path)
    assert all(metadata.row_group(i).total_byte_size < 12_000 for i in range(metadata.num_row_groups))
    assert sum(len(read(log)) for log in logs_of(path)) == 400


def test_no_file_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    path.write_text("older")
    with pytest.raises(RuntimeError), DumpWriter(path, "people") as writer:
        writer.add(0, [0], [0], [None], [b"x"])
        assert path.read_text() == "older"
        raise RuntimeError
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["d.parquet"]
    write(path, {0: [(0, 0, None, b"x")]})
    assert os.listdir(tmp_path) == ["d.parquet"]
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(HitonamiError, match=r"cannot write .*: No such file or directory$"):
        DumpWriter(tmp_path / "none" / "d", "people")


def test_writer_refuses_wrong_columns(tmp_path: Path) -> None:
    with DumpWriter(tmp_path / "d", "people") as writer:
        writer.add(0, [5], [0], [None], [b"x"])
        with pytest.raises(ValueError, match=r"ascend"):
            writer.add(0, [5], [0], [None], [b"x"])
        with pytest.raises(ValueError, match=r"ascend"):
            writer.add(1, [7, 6], [0, 0], [None, None], [b"x", b"y"])
        with pytest.raises(ValueError, match=r"length"):
            writer.add(0, [6, 7], [0, 0], [None], [b"x"])


def test_no_records_are_no_logs(tmp_path: Path) -> None:
    write(tmp_path / "d", {})
    assert DumpReader(tmp_path / "d").topic == "people"
    assert logs_of(tmp_path / "d") == []


def test_dumps_and_files_together(tmp_path: Path) -> None:
    write(tmp_path / "d", {4: [(0, 9, None, b"{}")], 1: [(0, 8, None, b"[]")]})
    (tmp_path / "f").write_bytes(b"x\n")
    paths = [tmp_path / "d", tmp_path / "f"]
    logs = open_logs(paths, "log", people_stamps(None), tmp_path, None)
    assert [(log.partition, log.source_partition, Path(log.name).name) for log in logs] == [
        (0, 1, "d"),
        (1, 4, "d"),
        (2, 0, "f"),
    ]
    with pytest.raises(UsageError, match=r"--order ts is for JSON Lines"):
        open_logs(paths, "ts", people_stamps(None), tmp_path, None)


def foreign(path: Path, schema: pa.Schema, metadata: dict[bytes, bytes] | None, **columns: object) -> None:
    """Two rows in a row group each, or as ``rows`` says."""
    rows = columns.pop("rows", 1)
    arrays = [pa.array(columns.get(f.name, [0, 1] if f.type != pa.binary() else [b"", b""]), f.type) for f in schema]
    pq.write_table(pa.table(arrays, schema=schema.with_metadata(metadata)), path, row_group_size=rows)


MARKS = {VERSION_KEY: b"1", TOPIC_KEY: b"people", GROUPS_KEY: b"[[0, 1], [0, 1]]"}


def test_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "p"
    cases = [
        (SCHEMA, None, "is a Parquet file, but no dump of Hitonami"),
        (SCHEMA, {VERSION_KEY: b"1", TOPIC_KEY: b"people"}, "is a Parquet file, but no dump of Hitonami"),
        (SCHEMA, MARKS | {VERSION_KEY: b"2"}, "is a dump of another version than 1"),
        (pa.schema(list(SCHEMA)[:4]), MARKS, "does not have the columns of a dump"),
        (SCHEMA, MARKS | {GROUPS_KEY: b"[[0, 1]]"}, "is a damaged dump"),
        (SCHEMA, MARKS | {GROUPS_KEY: b"[[0, 1], [0, 2]]"}, "is a damaged dump"),
        (SCHEMA, MARKS | {GROUPS_KEY: b"{"}, "is a damaged dump"),
        (SCHEMA, MARKS | {GROUPS_KEY: b"[0, null]"}, "is a damaged dump"),
    ]
    for schema, metadata, message in cases:
        foreign(path, schema, metadata)
        with pytest.raises(BadInput) as caught:
            logs_of(path)
        assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("second", [4, 3])
def test_offsets_that_do_not_ascend(tmp_path: Path, rows: int, second: int) -> None:
    path = tmp_path / "p"
    groups = b"[[0, 2]]" if rows == 2 else b"[[0, 1], [0, 1]]"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dump, "GROUP_ROWS", rows)  # also of the batches read: the check goes across them
        foreign(path, SCHEMA, MARKS | {GROUPS_KEY: groups}, rows=rows, partition=[0, 0], offset=[4, second])
        with pytest.raises(BadInput, match=r"offsets of partition 0 do not ascend$"):
            read(logs_of(path)[0])


def test_rows_that_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "p"
    foreign(path, SCHEMA, MARKS | {GROUPS_KEY: b"[[0, 2], [1, 0]]"}, partition=[0, 0])
    first = DumpReader(path).log(0, 0)
    with pytest.raises(BadInput, match=r"p: is a damaged dump$"):
        read(first)


def test_a_row_group_of_two_partitions(tmp_path: Path) -> None:
    path = tmp_path / "p"
    foreign(path, SCHEMA, MARKS | {GROUPS_KEY: b"[[0, 2]]"}, rows=2)
    with pytest.raises(BadInput, match=r"holds a row group that is not of one partition$"):
        read(logs_of(path)[0])


def test_bounds_of_sliced_values() -> None:
    data, bounds = dump._binary(pa.array([b"zero", b"one", None, b"three"], pa.binary())[1:])
    cuts = bounds.tolist()
    assert [bytes(data[a:b]) for a, b in pairwise(cuts)] == [b"one", b"", b"three"]
    assert dump._binary(pa.array([None, b""], pa.binary()))[1].tolist() == [0, 0, 0]


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "d"
    write(path, {0: [(i, i, b"key", b"SECRET %d" % i) for i in range(3000)]})
    whole = path.read_bytes()
    for damaged in (b"PAR1", whole[:-1], whole[: len(whole) // 2], b"PAR1" + b"junk" * 9):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"d: is a damaged Parquet file$"):
            logs_of(path)
    # One bit inside the pages: the checksum finds it.
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(BadInput, match=r"d: is a damaged dump$"):
        read(logs_of(path)[0])
