"""Messages -> event columns: the wire format, rule by rule. Readable twin of engine/fast/_decode.pyx.

A message is one JSON object, an array of them, or an Arrow IPC stream (engine.arrow); each object, each array element
whatever it is, and each Arrow row makes one row. A message of nothing but white space makes none; one that orjson
refuses, that holds another kind of document, or a stream that cannot be read makes one ``malformed`` row, also where
elements before the fault were well formed. Null is as good as absent, unknown fields and fields that a type does not
use are ignored whatever they hold.

A topic takes JSON, Arrow, or either (``wire``; a stream begins with 0xFF, which no JSON does). Control records are
JSON in every topic: where events come as Arrow, a JSON message of anything else is ``malformed``.

The first check that fails gives the reason:

    malformed       not JSON, or no object; no Arrow stream
    unknown_type    ``type`` is none of the words in KINDS, or no string
    missing_field   ``type``; ``ts``; of an event ``sensor``; of a count ``span_ms`` and all of ab, ba, un; of a point
                    ``track``, ``x``, ``y``; of a beam ``beam``, ``on``; of an occupancy ``people``
    bad_value       a field that is used holds what it may not

``seq`` is used by every event (of a point it is checked, and its track is kept in its place), ``record_ts`` only where
the message has none of its own. x, y and speed are any numbers within their limits, as the nearest double.
``set`` and ``registry`` records are not checked here: whoever acts on them does that.

What a row keeps. A row that is not rejected has the columns of its type. A rejected row keeps its kind (none where
the type is missing or unknown), the sensor where that is a valid id of the table, and ts and record_ts where they
can be read; its other columns hold the defaults of engine.model.Events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from engine import arrow, rfc3339
from engine.flat import Unreadable
from engine.model import (
    ARROW,
    AUTO,
    BAD_VALUE,
    BEAM,
    COUNT,
    COUNT_MAX,
    CROSS,
    DIRECTION_COUNT,
    F64,
    FAR_M,
    FAST_M_S,
    I8,
    I32,
    I64,
    ID_BYTES,
    JSON,
    KIND_NONE,
    KINDS,
    MALFORMED,
    MISSING_FIELD,
    NO_TIME,
    OCCUPANCY,
    POINT,
    REGISTRY,
    SET,
    TICK,
    TS_MAX,
    TS_MIN,
    U8,
    UNKNOWN_TYPE,
)

ENOUGH = 2**31 - 1  # rows: as many as fit
SPAN_MAX_MS = 366 * 86_400_000  # longest span one count may tell
BLANK = b" \t\n\r"  # white space of JSON
CONTROL = (TICK, SET, REGISTRY)
PLACED = (POINT, OCCUPANCY)  # kinds with values in x and y
NAN = float("nan")

# Columns of engine.model.Events in the order of decode's arguments.
COLUMNS: Mapping[str, type[np.generic]] = {
    "kind": np.int8,
    "reason": np.uint8,
    "sensor": np.int32,
    "ts": np.int64,
    "span_ms": np.int64,
    "n": np.int64,  # (rows, 3)
    "seq": np.int64,
    "has_seq": np.uint8,
    "x": np.float64,
    "y": np.float64,
    "record_ts": np.int64,
    "message": np.int32,
}


class Ids:
    """Exact-match table of sensor ids: UTF-8 bytes -> their place in ``ids``; None in it is a row without an id.

    Raises ValueError for an id of more than ID_BYTES bytes and for one that comes twice.
    """

    def __init__(self, ids: Sequence[bytes | None]) -> None:
        self._rows: dict[bytes, int] = {}
        self._size = len(ids)
        for row, sensor_id in enumerate(ids):
            if sensor_id is None:
                continue
            if len(sensor_id) > ID_BYTES:
                raise ValueError(f"id {row} is longer than {ID_BYTES} bytes")
            if sensor_id in self._rows:
                raise ValueError(f"ids {self._rows[sensor_id]} and {row} are the same")
            self._rows[sensor_id] = row

    def __len__(self) -> int:
        return self._size

    def find(self, id: bytes) -> int:
        """Row of the id, -1 where there is none."""
        return self._rows.get(id, -1)


class Row(NamedTuple):
    """One row of the columns, with the defaults of what is not known."""

    kind: int = KIND_NONE
    reason: int = 0
    sensor: int = -1
    ts: int = NO_TIME
    span_ms: int = 0
    n: tuple[int, int, int] = (0, 0, 0)
    seq: int = 0
    has_seq: int = 0
    x: float = 0.0  # this and y are not written where they hold no meaning (engine.model.Events)
    y: float = 0.0
    record_ts: int = NO_TIME


def decode(
    data: bytes | memoryview | U8,
    starts: I64,
    ends: I64,
    record_ts: I64,
    ids: Ids,
    kind: I8,
    reason: U8,
    sensor: I32,
    ts: I64,
    span_ms: I64,
    n: I64,
    seq: I64,
    has_seq: U8,
    x: F64,
    y: F64,
    out_record_ts: I64,
    message: I32,
    first: int,
    wire: int = AUTO,
    enough: int = ENOUGH,
) -> tuple[int, int]:
    """Decode messages from index ``first`` on into the columns; return (next message, rows filled).

    Message i is ``data[starts[i]:ends[i]]``, ``record_ts[i]`` its record timestamp in ms, or NO_TIME where the
    records tell it (field ``record_ts``, else ts, + span_ms for a count). The columns (shape (cap,), n (cap, 3),
    as in engine.model.Events) are written from row 0; rows behind those filled hold no meaning. A message whose
    rows do not fit in what is left waits for the next call, and all after it; so do all once ``enough`` rows are
    filled. ``wire``: AUTO, JSON or ARROW. Raises ValueError where lengths or types of the arrays differ from this, a
    message that is reached lies outside ``data`` or ``first`` outside 0 … messages.
    """
    columns: dict[str, NDArray[Any]] = dict(
        zip(COLUMNS, (kind, reason, sensor, ts, span_ms, n, seq, has_seq, x, y, out_record_ts, message), strict=True)
    )
    cap, count = len(kind), len(starts)
    for given in (starts, ends, record_ts):
        check_column(given, np.int64, (count,))
    if not 0 <= first <= count:
        raise ValueError("first must be 0 … the number of messages")
    for name, column in columns.items():
        check_column(column, COLUMNS[name], (cap, DIRECTION_COUNT) if name == "n" else (cap,))
    buffer = np.frombuffer(data, np.uint8)
    filled = 0
    for i in range(first, count):
        if filled >= enough:
            return i, filled
        if not 0 <= starts[i] <= ends[i] <= len(data):
            raise ValueError("a message lies outside data")
        rows = _rows(buffer[starts[i] : ends[i]].tobytes(), int(record_ts[i]), ids, wire)
        if filled + len(rows) > cap:
            return i, filled
        for at, row in enumerate(rows, filled):
            message[at] = i
            for name, value in row._asdict().items():
                if name not in ("x", "y") or (row.kind in PLACED and not row.reason):
                    columns[name][at] = value
        filled += len(rows)
    return count, filled


def check_column(column: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    """Raises ValueError where a column has another type or shape, or does not lie in one piece."""
    if column.dtype != np.dtype(dtype) or column.shape != shape or not column.flags.c_contiguous:
        raise ValueError(f"a column is not a contiguous array of {dtype.__name__} and shape {shape}")


def _rows(payload: bytes, message_ts: int, ids: Ids, wire: int) -> list[Row]:
    """The rows of one message."""
    malformed = Row(reason=MALFORMED, record_ts=message_ts)
    return rows_of(payload, wire, malformed, partial(_row, message_ts=message_ts, ids=ids))


class Judged(Protocol):
    """A row as far as it matters here: what kind of record it is of."""

    @property
    def kind(self) -> int:
        """A code of engine.model's kinds."""


R = TypeVar("R", bound=Judged)


def rows_of(
    payload: bytes,
    wire: int,
    malformed: R,
    judge: Callable[[Mapping[str, Any]], R],
    taken: Mapping[bytes, tuple[int, ...]] = arrow.TAKEN,
) -> list[R]:
    """The rows of one message, whoever judges its records; ``taken``: the Arrow columns that are read."""
    if not payload.strip(BLANK):
        return []
    if payload[:1] == arrow.MARK[:1] and wire != JSON:
        try:
            return [judge(record) for record in arrow.records(payload, taken)]
        except Unreadable:
            return [malformed]
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return [malformed]
    if isinstance(document, dict):
        told = [judge(document)]
    elif isinstance(document, list):
        told = [judge(element) if isinstance(element, dict) else malformed for element in document]
    else:
        return [malformed]
    if wire == ARROW and any(row.kind not in CONTROL for row in told):
        return [malformed]
    return told


class BadValue(Exception):
    """A field that is used holds what it may not."""


def _row(record: Mapping[str, Any], message_ts: int, ids: Ids) -> Row:
    """Judge one object in the order of the checks."""
    word = record.get("type")
    kind = KINDS.index(word) if isinstance(word, str) and word in KINDS[1:] else KIND_NONE
    ts = read_or(NO_TIME, time, record.get("ts"))
    record_ts = message_ts
    if message_ts == NO_TIME:
        record_ts = read_or(NO_TIME, time, record.get("record_ts"))
    if kind in (SET, REGISTRY):
        return Row(kind, ts=ts, record_ts=ts if record_ts == NO_TIME else record_ts)

    sensor = -1 if kind == TICK else read_or(-1, sensor_row, record.get("sensor"), ids)
    rejected = Row(kind, sensor=sensor, ts=ts, record_ts=record_ts)
    if word is None:
        return rejected._replace(reason=MISSING_FIELD)
    if kind == KIND_NONE:
        return rejected._replace(reason=UNKNOWN_TYPE)
    if any(record.get(name) is None for name in required(kind)):
        return rejected._replace(reason=MISSING_FIELD)
    if kind == COUNT and all(record.get(name) is None for name in ("ab", "ba", "un")):
        return rejected._replace(reason=MISSING_FIELD)
    try:
        return _accepted(record, kind, message_ts, ids)
    except BadValue:
        return rejected._replace(reason=BAD_VALUE)


def required(kind: int) -> tuple[str, ...]:
    """Fields a record of this kind must have (a count also one of ab, ba, un)."""
    if kind == TICK:
        return ("ts",)
    own = {COUNT: ("span_ms",), POINT: ("track", "x", "y"), BEAM: ("beam", "on"), OCCUPANCY: ("people",)}
    return ("sensor", "ts", *own.get(kind, ()))


def _accepted(record: Mapping[str, Any], kind: int, message_ts: int, ids: Ids) -> Row:
    """The row of a record that has all it needs. Raises BadValue."""
    ts = time(record["ts"])
    sensor, seq, span_ms, n, x, y = -1, None, 0, (0, 0, 0), 0.0, 0.0
    if kind != TICK:
        sensor = sensor_row(record["sensor"], ids)
        if record.get("seq") is not None:
            seq = integer(record["seq"])
    if kind == CROSS:
        n = one_hot(record.get("dir"))
    elif kind == COUNT:
        span_ms = integer(record["span_ms"], 1, SPAN_MAX_MS)
        ab, ba, un = (people(record.get(name)) for name in ("ab", "ba", "un"))
        n = (ab, ba, un)
    elif kind == POINT:
        seq = integer(record["track"], 0)
        x, y = (real(record[name], -FAR_M, FAR_M) for name in ("x", "y"))
    elif kind == BEAM:
        n = beam_on(record["beam"], record["on"])
    elif kind == OCCUPANCY:
        n = 0, 0, integer(record["people"], 0, COUNT_MAX)
        x, y = NAN if record.get("speed") is None else real(record["speed"], 0, FAST_M_S), NAN
    record_ts = message_ts
    if message_ts == NO_TIME:
        record_ts = ts + span_ms if record.get("record_ts") is None else time(record["record_ts"])
    return Row(kind, 0, sensor, ts, span_ms, n, seq or 0, int(seq is not None), x, y, record_ts)


def read_or(default: int, read: Any, value: object, *more: object) -> int:
    """What ``read`` makes of a value; ``default`` where that is a BadValue."""
    try:
        return int(read(value, *more))
    except BadValue:
        return default


def integer(value: object, least: int = -(2**63), most: int = 2**63 - 1) -> int:
    """A JSON number without point and exponent, least … most. Raises BadValue."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise BadValue


def real(value: object, least: float, most: float) -> float:
    """A number, least … most, as the nearest double. Raises BadValue, also for what is not a number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= float(value) <= most:
        return float(value)
    raise BadValue


def time(value: object) -> int:
    """Integer ms or RFC 3339 with offset, from TS_MIN to before TS_MAX. Raises BadValue."""
    return integer(rfc3339.parse_ms(value) if isinstance(value, str) else value, TS_MIN, TS_MAX - 1)


def sensor_row(value: object, ids: Ids) -> int:
    """Row of an id, -1 where the table has none. Raises BadValue for what is no string of at most ID_BYTES bytes."""
    if not isinstance(value, str) or len(value.encode()) > ID_BYTES:
        raise BadValue
    return ids.find(value.encode())


def people(value: object) -> int:
    """A count of people, 0 where absent. Raises BadValue."""
    return 0 if value is None else integer(value, 0, COUNT_MAX)


def one_hot(direction: object) -> tuple[int, int, int]:
    """One person as (ab, ba, unknown). Raises BadValue for another word than ab and ba."""
    if direction is None:
        return 0, 0, 1
    if direction not in ("ab", "ba"):
        raise BadValue
    return int(direction == "ab"), int(direction == "ba"), 0


def beam_on(beam: object, on: object) -> tuple[int, int, int]:
    """Which of two beams went on: a as (1, 0, 0), b as (0, 1, 0), none where one went off. Raises BadValue."""
    if beam not in ("a", "b") or not isinstance(on, bool):
        raise BadValue
    return int(on and beam == "a"), int(on and beam == "b"), 0
