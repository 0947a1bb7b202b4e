"""Arrow IPC streams -> records, as if their rows had been JSON objects. Readable twin of engine/fast/_arrow_*.pxd.

A message is one whole stream: a schema, then dictionaries and record batches, then its end mark or the end of the
message; nothing behind it. The columns are those of the JSON fields, by name; of two of one name the last counts.
A row is the object of its values that are not null, so engine.decode judges it like any other. Which column types a
field takes::

    sensor, type, dir, beam                         text
    ts, record_ts                                   integers; timestamps with a time zone, cut to a millisecond; text
                                                    (RFC 3339)
    seq, span_ms, ab, ba, un, track, people         integers
    x, y, speed                                     floats of 32 and 64 bits, integers
    on                                              booleans

Text is utf8 or large_utf8, plain or in a dictionary, whose indices are integers of any width. A value of any other
type is OTHER, which no field takes; so is text that is not UTF-8. ``set`` and ``registry`` are no types of a row: these
records hold objects, and come as JSON.

A stream is unreadable, as a whole and whatever was read before, where its framing, its metadata or a used column does
not fit into its bytes, an index is not in its dictionary, it is compressed, big-endian, older than Arrow 0.15 (no
continuation mark), or claims more rows than it has bytes. Columns that no field names are passed over unseen.

The rules are written out here rather than left to pyarrow: what is accepted must not change with the version of a
library (docs/adr/0031-arrow-by-our-own-rules.md). Tests hold the values equal to pyarrow's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.flat import Flat, Table, Unreadable, Vector

MARK = b"\xff\xff\xff\xff"  # every stream begins with it, and no JSON does
OTHER: Final = object()  # a value that no field takes
DEPTH_MAX = 64  # of columns within columns

VERSIONS = (3, 4)  # of the metadata: V4, V5
SCHEMA, DICTIONARY, BATCH = 1, 2, 3  # kinds of messages

# What a column gives.
NUMBERS, TIMES, TEXT, WORDS, REALS, BITS, NOTHING, WRONG = range(8)  # WORDS: text in a dictionary
TAKEN = {
    **dict.fromkeys((b"sensor", b"type", b"dir", b"beam"), (TEXT, WORDS)),
    **dict.fromkeys((b"ts", b"record_ts"), (NUMBERS, TIMES, TEXT, WORDS)),
    **dict.fromkeys((b"seq", b"span_ms", b"ab", b"ba", b"un", b"track", b"people"), (NUMBERS,)),
    **dict.fromkeys((b"x", b"y", b"speed"), (NUMBERS, REALS)),
    b"on": (BITS,),
}

# Arrow's types and the buffers of each: validity first, but for NULL, UNION and RUN_ENDS.
NULL, INT, FLOAT, UTF8, BOOL, TIMESTAMP, UNION, LARGE_UTF8 = 1, 2, 3, 5, 6, 10, 14, 20
RUN_ENDS, BINARY_VIEW, UTF8_VIEW = 22, 23, 24
BUFFERS = (0, 0, 2, 2, 3, 3, 2, 2, 2, 2, 2, 2, 2, 1, 1, 2, 1, 2, 2, 3, 3, 2, 0, 2, 2, 3, 3)
NO_VALIDITY = (NULL, UNION, RUN_ENDS)
HALF, DOUBLE = 0, 2  # precision of a float; between them 32 bits
UNITS = ((1000, 1), (1, 1), (1, 1000), (1, 1_000_000))  # s, ms, µs, ns to ms: times, then by


class Layout(NamedTuple):
    """Nodes and buffers of the columns so far; ``views``: those among them with buffers that the batch counts."""

    nodes: int = 0
    buffers: int = 0
    views: int = 0


class Column(NamedTuple):
    """A column that a field names. ``width``: bytes of a number, an index, or (TEXT) an offset of the text."""

    form: int
    width: int = 0
    signed: bool = True
    unit: int = 0
    text_width: int = 0  # bytes of an offset of the dictionary's text
    dictionary: int = 0  # id
    validity: bool = True
    start: Layout = Layout()


class Batch(NamedTuple):
    """A record batch: its rows, where its metadata tell of nodes, buffers and views, and the bytes behind them."""

    flat: Flat
    data: bytes
    rows: int
    nodes: Vector
    buffers: Vector
    views: Vector


def records(payload: bytes, taken: Mapping[bytes, tuple[int, ...]] = TAKEN) -> list[Mapping[str, object]]:
    """The rows of a stream, in order; ``taken``: the fields and what their columns may give. Raises Unreadable."""
    columns: dict[bytes, Column] | None = None
    words: dict[bytes, list[object]] = {}  # column -> its dictionary
    out: list[Mapping[str, object]] = []
    for table, body in _messages(payload):
        version, kind, header = table.number(0, 2), table.number(1, 1), table.child(2)
        if version not in VERSIONS or header is None:
            raise Unreadable
        if columns is None:
            if kind != SCHEMA:
                raise Unreadable
            columns = _columns(header, version, taken)
        elif kind == DICTIONARY:
            _take_dictionary(header, body, columns, words)
        elif kind == BATCH:
            out += _rows(_batch(header, body, len(payload) - len(out)), columns, words)
        else:
            raise Unreadable
    if columns is None:
        raise Unreadable
    return out


def _messages(payload: bytes) -> Iterator[tuple[Table, bytes]]:
    """Metadata and body of each message of the stream."""
    flat, at = Flat(payload), 0
    while at < len(payload):
        if payload[at : at + 4] != MARK:
            raise Unreadable
        size, at = flat.number(at + 4, 4), at + 8
        if size == 0 and at == len(payload):
            return
        if not 0 < size <= len(payload) - at:
            raise Unreadable
        metadata, at = Flat(payload[at : at + size]), at + size
        table = metadata.table(metadata.target(0))
        length = table.number(3, 8)
        if not 0 <= length <= len(payload) - at:
            raise Unreadable
        yield table, payload[at : at + length]
        at += length


# ---------------------------------------------------------------------------------------------- schema
def _columns(schema: Table, version: int, taken: Mapping[bytes, tuple[int, ...]]) -> dict[bytes, Column]:
    if schema.number(0, 2):  # big-endian
        raise Unreadable
    columns = {}
    layout, seen = Layout(), [0]
    for field in _tables(schema, 1):
        name = field.text(0)
        if name in taken:
            columns[name] = _column(taken[name], field, layout)
        layout = _behind(field, layout, version, 1, seen)
    return columns


def _tables(table: Table, field: int) -> Iterator[Table]:
    flat, (at, length) = table.flat, table.vector(field, 4)
    for i in range(length):
        yield flat.table(flat.target(at + 4 * i))


def _column(taken: tuple[int, ...], field: Table, start: Layout) -> Column:
    type_, encoding = field.number(2, 1), field.child(4)
    column = Column(WRONG, validity=type_ not in NO_VALIDITY)
    if encoding is not None:
        index = encoding.child(1)
        width, signed = (4, True) if index is None else _integer(index)
        column = Column(WRONG, width, signed, dictionary=encoding.number(0, 8))
        if type_ in (UTF8, LARGE_UTF8):
            column = column._replace(form=WORDS, text_width=_text_width(type_))
    elif type_ == NULL:
        column = column._replace(form=NOTHING)
    elif type_ == INT:
        column = Column(NUMBERS, *_integer(_type_of(field)))
    elif type_ in (UTF8, LARGE_UTF8):
        column = Column(TEXT, _text_width(type_))
    elif type_ == BOOL:
        column = Column(BITS)
    elif type_ == FLOAT:
        precision = _type_of(field).number(0, 2)
        if precision > DOUBLE:
            raise Unreadable
        column = Column(WRONG if precision == HALF else REALS, 2 << precision)
    elif type_ == TIMESTAMP:
        unit = _type_of(field).number(0, 2)
        if unit >= len(UNITS):
            raise Unreadable
        zoned = _type_of(field).text(1) != b""
        column = Column(TIMES if zoned else WRONG, 8, unit=unit)
    if column.form != NOTHING and column.form not in taken:
        column = column._replace(form=WRONG)
    return column._replace(start=start)


def _text_width(type_: int) -> int:
    return 4 if type_ == UTF8 else 8


def _type_of(field: Table) -> Table:
    found = field.child(3)
    if found is None:
        raise Unreadable
    return found


def _integer(type_: Table) -> tuple[int, bool]:
    """Bytes and sign of an integer type."""
    bits = type_.number(0, 4)
    if bits not in (8, 16, 32, 64):
        raise Unreadable
    return bits // 8, type_.number(1, 1) != 0


def _behind(field: Table, layout: Layout, version: int, depth: int, seen: list[int]) -> Layout:
    """The layout behind a column and those within it."""
    seen[0] += 1
    # offsets may lead to one table twice: without a bound a few of them would make a walk without end
    if depth > DEPTH_MAX or seen[0] > len(field.flat.data):
        raise Unreadable
    type_ = field.number(2, 1)
    if not NULL <= type_ < len(BUFFERS):
        raise Unreadable
    nodes, buffers, views = layout
    if field.child(4) is not None:  # indices; what is within lies in the dictionary
        return Layout(nodes + 1, buffers + 2, views)
    buffers += BUFFERS[type_]
    if type_ == UNION:
        # dense ones have offsets; before V5 they had validity
        buffers += (_type_of(field).number(0, 2) != 0) + (version < VERSIONS[-1])
    layout = Layout(nodes + 1, buffers, views + (type_ in (BINARY_VIEW, UTF8_VIEW)))
    for child in _tables(field, 5):
        layout = _behind(child, layout, version, depth + 1, seen)
    return layout


# ------------------------------------------------------------------------------- dictionaries and batches
def _batch(table: Table, body: bytes, most: int) -> Batch:
    """A batch of at most ``most`` rows, that one of nulls alone does not take the memory of all the world."""
    rows = table.number(0, 8)
    if not 0 <= rows <= most or table.place(3) is not None:  # compressed
        raise Unreadable
    return Batch(table.flat, body, rows, table.vector(1, 16), table.vector(2, 16), table.vector(4, 8))


def _take_dictionary(
    table: Table, body: bytes, columns: Mapping[bytes, Column], words: dict[bytes, list[object]]
) -> None:
    """Put the dictionary in the place of the one before, or a delta behind it."""
    used = [name for name, c in columns.items() if c.form == WORDS and c.dictionary == table.number(0, 8)]
    if not used:
        return
    data = table.child(1)
    if data is None:
        raise Unreadable
    for name in used:
        entries = _values(_batch(data, body, len(body)), Column(TEXT, columns[name].text_width), [])
        words[name] = (words.get(name, []) if table.number(2, 1) else []) + entries


def _rows(
    batch: Batch, columns: Mapping[bytes, Column], words: Mapping[bytes, list[object]]
) -> list[Mapping[str, object]]:
    found = {name.decode(): _values(batch, column, words.get(name, [])) for name, column in columns.items()}
    out: list[Mapping[str, object]] = []
    for row in range(batch.rows):
        record = {name: values[row] for name, values in found.items()}
        if record.get("type") in ("set", "registry"):
            record["type"] = OTHER
        out.append(record)
    return out


def _values(batch: Batch, column: Column, words: list[object]) -> list[object]:
    """The values of a column, None where they are null."""
    valid, first = _opened(batch, column)
    rows = batch.rows
    if column.form == NOTHING:
        return [None] * rows
    if column.form == WRONG:
        return [OTHER if v else None for v in valid]
    if column.form == TEXT:
        return _texts(batch, column.width, first, valid)
    data = _buffer(batch, first + 1)
    if column.form == BITS:
        return [bit if v else None for v, bit in zip(valid, _bits(data, rows), strict=True)]
    if len(data) < rows * column.width:
        raise Unreadable
    letter = "f" if column.form == REALS else "i" if column.signed else "u"
    numbers = np.frombuffer(data, f"<{letter}{column.width}", rows).tolist()
    if column.form == WORDS:
        if any(v and not 0 <= i < len(words) for v, i in zip(valid, numbers, strict=True)):
            raise Unreadable
        return [words[i] if v else None for v, i in zip(valid, numbers, strict=True)]
    if column.form == TIMES:
        times, by = UNITS[column.unit]
        numbers = [i * times // by for i in numbers]
    return [i if v else None for v, i in zip(valid, numbers, strict=True)]


def _opened(batch: Batch, column: Column) -> tuple[list[bool], int]:
    """Which rows of a column are not null, and the number of its first buffer."""
    node, first, views = column.start
    if node >= batch.nodes.length or views > batch.views.length:
        raise Unreadable
    length, nulls = (batch.flat.number(batch.nodes.at + 16 * node + part, 8) for part in (0, 8))
    if length != batch.rows or not 0 <= nulls <= length:
        raise Unreadable
    for view in range(views):
        more = batch.flat.number(batch.views.at + 8 * view, 8)
        if not 0 <= more <= batch.buffers.length:
            raise Unreadable
        first += more
    if not nulls or not column.validity:
        return [True] * length, first
    return _bits(_buffer(batch, first), length), first


def _bits(data: bytes, count: int) -> list[bool]:
    if len(data) < (count + 7) // 8:
        raise Unreadable
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count, bitorder="little")
    return [bool(bit) for bit in bits.tolist()]


def _buffer(batch: Batch, number: int) -> bytes:
    if number >= batch.buffers.length:
        raise Unreadable
    at, size = (batch.flat.number(batch.buffers.at + 16 * number + part, 8) for part in (0, 8))
    if not (0 <= at <= len(batch.data) and 0 <= size <= len(batch.data) - at):
        raise Unreadable
    return batch.data[at : at + size]


def _texts(batch: Batch, width: int, first: int, valid: list[bool]) -> list[object]:
    if not batch.rows:
        return []
    offsets, text = _buffer(batch, first + 1), _buffer(batch, first + 2)
    if len(offsets) // width <= batch.rows:
        raise Unreadable
    bounds: NDArray[np.signedinteger] = np.frombuffer(offsets, f"<i{width}", batch.rows + 1)
    if bounds[0] < 0 or bounds[-1] > len(text) or np.any(bounds[1:] < bounds[:-1]):
        raise Unreadable
    cuts = bounds.tolist()
    pieces = (text[start:end] for start, end in pairwise(cuts))
    return [_text(piece) if v else None for piece, v in zip(pieces, valid, strict=True)]


def _text(piece: bytes) -> object:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return OTHER
