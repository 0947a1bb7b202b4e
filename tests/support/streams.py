"""Arrow IPC streams made with pyarrow, and the same rows as the JSON objects they stand for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from engine.flat import Flat, Table

ZONED = [pa.timestamp(unit, "UTC") for unit in ("s", "ms", "us", "ns")]
SIGNED = [pa.int8(), pa.int16(), pa.int32(), pa.int64()]
INTEGERS = [*SIGNED, pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
TEXTS = [pa.utf8(), pa.large_utf8(), *(pa.dictionary(index, pa.utf8()) for index in INTEGERS)]
TEXTS += [pa.dictionary(pa.int32(), pa.large_utf8())]
PLAIN = {  # what a producer would take
    "sensor": pa.dictionary(pa.int32(), pa.utf8()),
    "ts": pa.int64(),
    "type": pa.dictionary(pa.int8(), pa.utf8()),
    "dir": pa.dictionary(pa.int8(), pa.utf8()),
    "span_ms": pa.int64(),
    **dict.fromkeys(("seq", "ab", "ba", "un", "record_ts", "track", "people"), pa.int64()),
    **dict.fromkeys(("x", "y", "speed"), pa.float64()),
    "beam": pa.dictionary(pa.int8(), pa.utf8()),
    "on": pa.bool_(),
}
REALS = [pa.float32(), pa.float64()]
LONG = "longer than what a view holds in itself"
STRANGE: list[tuple[pa.DataType, Any]] = [  # columns that nobody asked for, with a value of each
    (pa.null(), None),
    (pa.bool_(), True),
    (pa.float16(), 1.5),
    (pa.decimal128(20, 2), 7),
    (pa.binary(3), b"abc"),
    (pa.large_binary(), b"abc"),
    (pa.duration("us"), 7),
    (pa.list_(pa.int16()), [1, None, 3]),
    (pa.large_list(pa.utf8()), ["a", "b"]),
    (pa.list_(pa.int8(), 2), [1, 2]),
    (pa.list_view(pa.int32()), [1]),
    (pa.struct({"ab": pa.int64(), "more": pa.struct({"sensor": pa.utf8()})}), {"ab": 7, "more": {"sensor": "x"}}),
    (pa.struct({"word": pa.dictionary(pa.int8(), pa.utf8())}), {"word": "x"}),
    (pa.map_(pa.utf8(), pa.list_(pa.float64())), [("a", [1.5])]),
    (pa.string_view(), LONG),
    (pa.struct({"v": pa.binary_view()}), {"v": LONG.encode()}),
    (pa.dictionary(pa.int8(), pa.float64()), 1.5),
]


def unions(rows: int) -> list[pa.Array]:
    """Types that pyarrow makes of no plain list: unions, and runs."""
    tags, numbers, words = pa.array([0, 1] * rows, pa.int8())[:rows], pa.array(range(rows)), pa.array(["x"] * rows)
    places = pa.array(range(rows), pa.int32())
    out = [
        pa.UnionArray.from_dense(tags, places, [numbers, words]),
        pa.UnionArray.from_sparse(tags, [numbers, words]),
    ]
    return [*out, pa.RunEndEncodedArray.from_arrays([rows], pa.array([LONG]))] if rows else out


def table_of(records: Sequence[Mapping[str, Any]], types: Mapping[str, pa.DataType] = PLAIN) -> pa.RecordBatch:
    """The records as columns, of those fields only that one of them has."""
    names = [name for name in types if any(name in record for record in records)]
    columns = [column([record.get(name) for record in records], types[name]) for name in names]
    return pa.RecordBatch.from_arrays(columns, names)


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """An array of any type, also of those that take no Python values."""
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(values, kind)


def stream(batches: Sequence[pa.RecordBatch], **options: Any) -> bytes:
    """The batches as one IPC stream; options of ``IpcWriteOptions``."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def arrow_of(records: Sequence[Mapping[str, Any]], per_batch: int | None = None) -> bytes:
    """The records as one stream, in batches of so many rows."""
    whole = table_of(records)
    size = per_batch or max(len(records), 1)
    return stream([whole[at : at + size] for at in range(0, max(len(records), 1), size)])


def root_of(message: bytes | bytearray, at: int = 0) -> Table:
    """The metadata of the message that begins at ``at`` in a stream."""
    flat = Flat(bytes(message[at + 8 : at + 8 + int.from_bytes(message[at + 4 : at + 8], "little")]))
    return flat.table(flat.target(0))


def header_of(message: bytes | bytearray, at: int = 0) -> Table:
    """Its header: schema, dictionary or batch."""
    header = root_of(message, at).child(2)
    assert header is not None
    return header


def body_of(message: bytes | bytearray, at: int = 0) -> int:
    """Bytes of its body."""
    return root_of(message, at).number(3, 8)


def batch_at(message: bytes | bytearray) -> int:
    """Where the first record batch of a stream begins."""
    at = 0
    while root_of(message, at).number(1, 1) != 3:
        at += 8 + int.from_bytes(message[at + 4 : at + 8], "little") + body_of(message, at)
    return at


def json_of(batch: pa.RecordBatch) -> list[bytes]:
    """The objects that the rows of a batch stand for; what no field takes is ``true``."""
    out: list[dict[str, Any]] = [{} for _ in range(len(batch))]
    for name, kind, values in zip(batch.schema.names, batch.schema.types, batch.columns, strict=True):
        for record, value in zip(out, _plain(name, values, kind), strict=True):
            record[name] = "?" if name == "type" and value in ("set", "registry") else value
    return [json.dumps(record).encode() for record in out]


def _plain(name: str, values: pa.Array, kind: pa.DataType) -> list[Any]:
    if pa.types.is_timestamp(kind) and kind.tz is not None and name in ("ts", "record_ts"):
        up, down = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 10**6)}[kind.unit]
        return [None if v is None else v * up // down for v in values.cast(pa.int64()).to_pylist()]
    if kind == pa.bool_():  # true is what no field takes, but for this one
        return values.to_pylist() if name == "on" else [None if v is None else True for v in values.to_pylist()]
    if name == "on":
        return ["?" if there else None for there in values.is_valid().to_pylist()]
    known = pa.types.is_integer(kind) or kind in REALS
    text = kind.value_type if pa.types.is_dictionary(kind) else kind
    known |= pa.types.is_string(text) or pa.types.is_large_string(text)
    nulls = values.is_null().to_pylist()
    told = values.to_pylist() if known else [True] * len(values)
    told = [True if isinstance(v, float) and not math.isfinite(v) else v for v in told]
    return [None if null else v for null, v in zip(nulls, told, strict=True)]
