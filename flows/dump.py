"""Parquet dumps of a Kafka topic: what ``dump`` writes and ``replay`` reads, record by record as in the log.

Columns: partition int32, offset int64, record_ts timestamp(ms, UTC) (null = the broker had none), key binary, value
binary (null = tombstone). A row group holds rows of one partition, offsets ascending; a partition's row groups stand
in offset order. The file metadata name the topic, the version of this format and, as JSON, [partition, rows] of each
row group and [partition, since] of each partition that was added to the topic later (flows/joins.py). Events are in
the clear in it, so a dump is readable by its owner only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import BadInput, HitonamiError
from engine.model import I64, NO_TIME, U8, Payloads
from flows.joins import join_in

VERSION = "1"
VERSION_KEY, TOPIC_KEY, GROUPS_KEY = b"hitonami.dump", b"hitonami.topic", b"hitonami.groups"
JOINS_KEY = b"hitonami.joins"  # absent in older dumps
GROUP_ROWS = 65536  # most rows of a row group
GROUP_BYTES = 16 * 1024 * 1024  # keys and values that close a row group
BUFFER_BYTES = 64 * 1024 * 1024  # keys and values held for all partitions together

SCHEMA = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("record_ts", pa.timestamp("ms", tz="UTC")),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
    ]
)

DAMAGE = (pa.ArrowException, OSError, ValueError)  # what pyarrow raises for it; ValueError: names that are no UTF-8

Column = Sequence[bytes | None]  # or a pyarrow.BinaryArray


class _Pending:
    """Rows of one partition that wait for their row group."""

    def __init__(self) -> None:
        self.parts: list[pa.RecordBatch] = []
        self.rows = 0
        self.bytes = 0
        self.last = -1  # offset of the last row added


class DumpWriter:
    """Writes a dump; the file appears under its name, whole, when it is closed.

    As a context manager: an exception inside leaves no file. Raises HitonamiError where the disk refuses.
    """

    def __init__(self, path: Path, topic: str) -> None:
        self.path = path
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._pending: dict[int, _Pending] = {}
        self._held = 0
        self._groups: list[tuple[int, int]] = []  # partition and rows of each row group written
        self._joins: dict[int, int] = {}
        schema = SCHEMA.with_metadata({VERSION_KEY: VERSION.encode(), TOPIC_KEY: topic.encode()})
        self._schema = schema
        self._closed = False
        try:
            # The writer's own open would leave the file's mode to the umask.
            self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        except OSError as error:
            raise self._error(error) from None
        self._writer = pq.ParquetWriter(
            self._file,
            schema,
            compression="zstd",
            use_dictionary=["partition", "key"],
            column_encoding={"offset": "DELTA_BINARY_PACKED", "record_ts": "DELTA_BINARY_PACKED"},
            write_statistics=["partition", "offset", "record_ts"],
            write_page_checksum=True,
        )

    def _error(self, error: OSError) -> HitonamiError:
        return HitonamiError(f"cannot write {self.path}: {error.strerror or 'the disk refuses'}")

    def add(
        self, partition: int, offsets: I64 | Sequence[int], record_ts: I64 | Sequence[int], keys: Column, values: Column
    ) -> None:
        """Append records of one partition in log order, all columns of one length.

        ``record_ts`` in ms, NO_TIME where there is none; None as a value is a tombstone. Raises ValueError for
        lengths that differ and offsets that do not ascend.
        """
        at = np.ascontiguousarray(offsets, np.int64)
        times = np.ascontiguousarray(record_ts, np.int64)
        if not len(at) == len(times) == len(keys) == len(values):
            raise ValueError("offsets, record_ts, keys and values differ in length")
        if not len(at):
            return
        pending = self._pending.setdefault(partition, _Pending())
        if at[0] <= pending.last or np.any(at[1:] <= at[:-1]):
            raise ValueError("offsets of a partition must ascend")
        pending.last = int(at[-1])
        if partition not in self._joins and (since := join_in(v for v in values if isinstance(v, bytes))) is not None:
            self._joins[partition] = since
        batch = pa.record_batch(
            [
                pa.repeat(pa.scalar(partition, pa.int32()), len(at)),
                pa.array(at),
                pa.array(times, mask=times == NO_TIME).cast(SCHEMA.field("record_ts").type),
                keys if isinstance(keys, pa.Array) else pa.array(keys, pa.binary()),
                values if isinstance(values, pa.Array) else pa.array(values, pa.binary()),
            ],
            schema=self._schema,
        )
        for start in range(0, len(batch), GROUP_ROWS):
            self._add(partition, pending, batch.slice(start, GROUP_ROWS))

    def _add(self, partition: int, pending: _Pending, batch: pa.RecordBatch) -> None:
        if pending.rows + len(batch) > GROUP_ROWS:
            self._flush(partition)
        pending.parts.append(batch)
        pending.rows += len(batch)
        pending.bytes += batch.nbytes
        self._held += batch.nbytes
        if pending.bytes >= GROUP_BYTES:
            self._flush(partition)
        while self._held > BUFFER_BYTES:
            self._flush(max(self._pending, key=lambda p: self._pending[p].bytes))

    def _flush(self, partition: int) -> None:
        """Write the waiting rows of ``partition`` as one row group."""
        pending = self._pending[partition]
        if not pending.rows:
            return
        table = pa.Table.from_batches(pending.parts, self._schema)
        self._held -= pending.bytes
        pending.parts, pending.rows, pending.bytes = [], 0, 0
        try:
            self._writer.write_table(table, row_group_size=GROUP_ROWS)
            self._groups.append((partition, len(table)))
        except OSError as error:
            raise self._error(error) from None

    def close(self) -> None:
        """Write what waits and give the file its name; a second call does nothing."""
        if self._closed:
            return
        try:
            for partition in sorted(self._pending):
                self._flush(partition)
            notes = {GROUPS_KEY: json.dumps(self._groups), JOINS_KEY: json.dumps(sorted(self._joins.items()))}
            self._writer.add_key_value_metadata(notes)
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._part, self.path)
        except OSError as error:
            self.abort()
            raise self._error(error) from None
        self._closed = True

    def abort(self) -> None:
        """Leave no file; does nothing once closed."""
        if not self._closed:
            self._closed = True
            with suppress(OSError, pa.ArrowException):
                self._writer.close()
            with suppress(OSError):
                self._file.close()
            self._part.unlink(missing_ok=True)

    def __enter__(self) -> DumpWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class DumpReader:
    """A dump's topic and partitions, from its metadata alone. Raises BadInput for any other or damaged file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            file = pq.ParquetFile(path)
            schema = file.schema_arrow
        except DAMAGE:
            raise BadInput(f"{path}: is a damaged Parquet file") from None
        with file:
            self._metadata = file.metadata
            notes = self._metadata.metadata or {}
            if not {VERSION_KEY, TOPIC_KEY, GROUPS_KEY} <= notes.keys():
                raise BadInput(f"{path}: is a Parquet file, but no dump of Hitonami")
            if notes[VERSION_KEY] != VERSION.encode():
                raise BadInput(f"{path}: is a dump of another version than {VERSION}")
            if not schema.equals(SCHEMA):
                raise BadInput(f"{path}: does not have the columns of a dump")
        self._groups: dict[int, list[int]] = {}
        self._rows: dict[int, int] = {}
        # Not from the statistics of the row groups: pyarrow ends the process where those are damaged.
        try:
            self.topic = notes[TOPIC_KEY].decode()
            groups = [(int(partition), int(rows)) for partition, rows in json.loads(notes[GROUPS_KEY])]
            self._joins = {int(partition): int(since) for partition, since in json.loads(notes.get(JOINS_KEY, b"[]"))}
        except (ValueError, TypeError):
            raise BadInput(f"{path}: is a damaged dump") from None
        if len(groups) != self._metadata.num_row_groups or sum(rows for _, rows in groups) != self._metadata.num_rows:
            raise BadInput(f"{path}: is a damaged dump")
        for index, (partition, rows) in enumerate(groups):
            self._groups.setdefault(partition, []).append(index)
            self._rows[partition] = self._rows.get(partition, 0) + rows

    @property
    def partitions(self) -> list[int]:
        """Kafka's numbers of the partitions that have records, ascending."""
        return sorted(self._groups)

    def log(self, source_partition: int, partition: int) -> DumpLog:
        """The records of Kafka's ``source_partition`` as the log with the number ``partition``."""
        groups, rows = self._groups[source_partition], self._rows[source_partition]
        since = self._joins.get(source_partition, NO_TIME)
        return DumpLog(self.path, self._metadata, self.topic, groups, rows, source_partition, partition, since)


class DumpLog:
    """One partition of a dump, in log order (see flows.logs.Log)."""

    def __init__(
        self,
        path: Path,
        metadata: Any,
        topic: str,
        groups: list[int],
        rows: int,
        source_partition: int,
        partition: int,
        since: int,
    ) -> None:
        self.name = str(path)
        self.partition = partition
        self.source_partition = source_partition
        self.topic = topic
        self.since = since
        self.wire: int | None = None  # as its topic is set
        self._rows = rows
        self._given = 0
        self._last = -1  # offset of the last record read
        self._batch: Payloads | None = None
        self._at = 0  # next message of the batch
        try:
            # One reading thread and no read-ahead: memory is bounded by one row group.
            self._file = pq.ParquetFile(path, metadata=metadata, pre_buffer=False, page_checksum_verification=True)
        except DAMAGE:
            raise self._damaged() from None
        self._batches: Iterator[pa.RecordBatch] = self._file.iter_batches(
            GROUP_ROWS, row_groups=groups, columns=["partition", "offset", "record_ts", "value"], use_threads=False
        )

    def _damaged(self) -> BadInput:
        return BadInput(f"{self.name}: is a damaged dump")

    def read(self, max_bytes: int) -> Payloads | None:
        """The next messages of at most ``max_bytes`` together (at least one); None at the end."""
        while self._batch is None or self._at == len(self._batch):
            self._batch, self._at = self._next(), 0
            if self._batch is None:
                return None
        batch, start = self._batch, self._at
        limit = batch.starts[start] + max_bytes
        stop = max(start + 1, int(np.searchsorted(batch.ends, limit, side="right")))
        self._at = stop
        self._given += stop - start
        cut = slice(start, stop)
        return Payloads(batch.data, batch.starts[cut], batch.ends[cut], batch.record_ts[cut], batch.offsets[cut])

    def _next(self) -> Payloads | None:
        try:
            batch = next(self._batches, None)
        except DAMAGE:
            raise self._damaged() from None
        if batch is None:
            if self._given != self._rows:  # never a silent end
                raise self._damaged()
            return None
        offsets = batch.column(1).to_numpy()
        if np.any(batch.column(0).to_numpy() != self.source_partition):
            raise BadInput(f"{self.name}: holds a row group that is not of one partition")
        if len(offsets) and (offsets[0] <= self._last or np.any(offsets[1:] <= offsets[:-1])):
            raise BadInput(f"{self.name}: offsets of partition {self.source_partition} do not ascend")
        self._last = int(offsets[-1]) if len(offsets) else self._last
        record_ts = batch.column(2).cast(pa.int64()).fill_null(NO_TIME).to_numpy()
        data, bounds = _binary(batch.column(3))
        return Payloads(data, bounds[:-1], bounds[1:], record_ts, offsets)

    def fraction(self) -> float:
        """Share of the records handed out, 0 to 1."""
        return self._given / self._rows if self._rows else 1.0

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()


def _binary(values: pa.BinaryArray) -> tuple[U8, I64]:
    """The bytes of all values, not copied, and the bounds of each; a null is an empty one."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    return np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8), bounds
