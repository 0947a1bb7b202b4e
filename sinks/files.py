"""Export files of one product: CSV and Parquet.

CSV: header = names of the columns, UTF-8, times RFC 3339 UTC with milliseconds and Z, counts as integers, null = empty
cell, ordered by key, lines end with LF. Cells are quoted (RFC 4180) only where they must be; an empty word is ``""``,
so it is not a null. Parquet: timestamp(ms, UTC), int64. Both: the product's columns, then run_id, registry_version,
revision; the column ``window`` comes first where all windows are asked for, and is left out where one is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.errors import UsageError
from engine.model import PRODUCTS

COMMON = ("run_id", "registry_version", "revision")
CHUNK_ROWS = 65_536
_MUST_QUOTE = '[",\r\n]'
_TIME = pa.timestamp("ms", "UTC")


def check_product(product: str) -> None:
    """Raise UsageError unless there is such a product."""
    if product not in PRODUCTS:
        raise UsageError(f"no product {product}: one of {', '.join(PRODUCTS)}")


def shaped(table: pa.Table, product: str, window_column: bool) -> pa.Table:
    """The columns of an export in the contract's order and types, from rows as ``Store.rows`` gives them.

    ``window_column``: keep the column ``window`` (all windows were asked for). Raises UsageError for an unknown
    product, KeyError where a column of it is missing.
    """
    check_product(product)
    names = [name for name in PRODUCTS[product][1] if window_column or name != "window"]
    return table.select([*names, *COMMON]).cast(
        pa.schema([(name, _exported(table.schema.field(name).type)) for name in [*names, *COMMON]])
    )


class Csv:
    """Writes tables of one schema as one CSV; at most CHUNK_ROWS rows are text at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._begun = file, False

    def write(self, table: pa.Table) -> None:
        """Append the rows of a table."""
        if not self._begun:
            self._begun = True
            self._file.write((",".join(table.column_names) + "\n").encode())
        for first in range(0, len(table), CHUNK_ROWS):
            chunk = table.slice(first, CHUNK_ROWS)
            cells = [_cells(column.combine_chunks()) for column in chunk.columns]
            lines = pc.binary_join_element_wise(*cells, ",")
            self._file.write("\n".join(lines.to_pylist()).encode())
            self._file.write(b"\n")

    def close(self) -> None:
        """Write what ends the file: nothing."""


class Parquet:
    """Writes tables of one schema as one Parquet file (zstd)."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        """Append the rows of a table, in groups of their own."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=CHUNK_ROWS)

    def close(self) -> None:
        """Write what ends the file: where its row groups are."""
        if self._writer is not None:
            self._writer.close()


WRITERS: dict[str, Callable[[IO[bytes]], Csv | Parquet]] = {"csv": Csv, "parquet": Parquet}


def export(
    tables: Iterable[pa.Table],
    product: str,
    format: str,
    path: str | Path,
    *,
    window_column: bool,
    before: Callable[[int], object] | None = None,
) -> int:
    """Write rows of a product to a file; returns the number of rows.

    ``tables``: one or more, as ``Store.slices`` gives them; each is written before the next is asked for. The file
    appears whole or not at all: an existing one is replaced at the end; a device or pipe is written to directly.
    ``before`` is called with the number of rows before anything appears (in a pipe neither); where it raises, nothing
    does. Raises UsageError for another format or product, or a path that cannot be written.
    """
    if format not in WRITERS:
        raise UsageError(f"no format {format}: one of {', '.join(WRITERS)}")
    check_product(product)
    rows = 0
    with _replacing(Path(path), kept=before is not None) as file:
        out = WRITERS[format](file)
        for table in tables:
            rows += len(table)
            out.write(shaped(table, product, window_column))
        out.close()
        if before is not None:
            before(rows)
    return rows


def _exported(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return pa.int64()
    return _TIME if pa.types.is_timestamp(kind) else kind


def _cells(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_timestamp(kind):
        # Without zone the cast needs no time zone database; the value is UTC already.
        text = column.cast(pa.timestamp("ms")).cast(pa.string())
        text = pc.binary_join_element_wise(pc.utf8_replace_slice(text, 10, 11, "T"), "Z", "")
    elif pa.types.is_string(kind):
        quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
        must = pc.or_(pc.match_substring_regex(column, _MUST_QUOTE), pc.equal(column, ""))
        text = pc.if_else(must, quoted, column)
    else:
        text = column.cast(pa.string())
    return pc.fill_null(text, "")


@contextmanager
def _replacing(path: Path, *, kept: bool) -> Iterator[IO[bytes]]:
    """A file that takes the place of ``path`` at the end.

    ``kept``: until then it has no name, so that nothing is left of it where the process is killed; a device or pipe
    gets all at the end too.
    """
    piped = path.exists() and not path.is_file()
    try:
        if kept:
            with tempfile.TemporaryFile(dir=None if piped else path.parent) as nameless:
                yield nameless
                nameless.seek(0)
                with _replacing(path, kept=False) as file:
                    shutil.copyfileobj(nameless, file)
            return
        if piped:
            with open(path, "wb") as file:
                yield file
            return
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with open(part, "wb") as file:
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"-o: the file cannot be written: {error.strerror}") from None
