"""Messages of signage -> columns: the wire format, rule by rule. Readable twin of engine/fast/_touch.pyx.

Messages are those of engine.decode: one JSON object, an array, or an Arrow IPC stream, whose columns ``device``,
``type``, ``session``, ``screen``, ``to`` and ``lang`` hold text. What makes a row, what is malformed and what is
ignored is told there; so is what a rejected row keeps. Types are ``touch``, ``heartbeat`` (of a device) and the
control records ``tick``, ``set`` and ``registry``, which are no events. The first check that fails gives the reason:

    malformed       not JSON, or no object; no Arrow stream
    unknown_type    ``type`` is none of these words, or no string
    missing_field   ``type``; ``ts``; of an event ``device``; of a touch ``session`` and ``screen``
    bad_value       a field that is used holds what it may not
    unknown_sensor  the device is not in the registry

``device`` is a string of at most ID_BYTES bytes of UTF-8; ``session``, ``screen`` and, where it is told, ``to`` are
such strings that are not empty: among what is published an empty name stands for all. ``lang`` is such a string too, a
language tag: its primary subtag in lower case (``zh-Hant`` and ``ZH_TW`` are zh), or the last of the languages where
that is none of them.

Words become numbers where they are met, in tables that the caller hands in (``Names``); only accepted touches have any.
A session lives in a table of its own, which the caller empties now and then (engine/touches.py: pseudonyms).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import arrow
from engine.decode import ENOUGH, BadValue, check_column, read_or, rows_of, time
from engine.model import (
    AUTO,
    BAD_VALUE,
    HEARTBEAT,
    I8,
    I32,
    I64,
    ID_BYTES,
    KIND_NONE,
    MALFORMED,
    MISSING_FIELD,
    NO_TIME,
    REGISTRY,
    SET,
    TICK,
    TOUCH,
    U8,
    UNKNOWN_SENSOR,
    UNKNOWN_TYPE,
)

TYPES: Mapping[object, int] = {
    "touch": TOUCH,
    "heartbeat": HEARTBEAT,
    "tick": TICK,
    "set": SET,
    "registry": REGISTRY,
}
TAKEN = {
    **dict.fromkeys((b"device", b"type", b"session", b"screen", b"to", b"lang"), (arrow.TEXT, arrow.WORDS)),
    **{name: arrow.TAKEN[name] for name in (b"ts", b"record_ts")},
}

# The columns in the order of touch's arguments.
COLUMNS: Mapping[str, type[np.generic]] = {
    "kind": np.int8,
    "reason": np.uint8,
    "device": np.int32,
    "ts": np.int64,
    "session": np.int32,
    "screen": np.int32,
    "to": np.int32,
    "lang": np.int32,
    "record_ts": np.int64,
    "message": np.int32,
}


class Names:
    """Words of at most ID_BYTES bytes and their numbers, in the order in which they came: 0, 1, 2 …

    None among the first ``words`` takes a number that nothing finds. Raises ValueError for a word that is longer, and
    for one that stands there twice.
    """

    def __init__(self, words: Iterable[bytes | None] = ()) -> None:
        self._words: list[bytes | None] = []
        self._numbers: dict[bytes, int] = {}
        for word in words:
            if word in self._numbers:
                raise ValueError("a word stands there twice")
            if word is None:
                self._words.append(None)
            else:
                self.take(word)

    def __len__(self) -> int:
        return len(self._words)

    def find(self, word: bytes) -> int:
        """Number of a word, -1 where it has none."""
        return self._numbers.get(word, -1)

    def take(self, word: bytes) -> int:
        """Number of a word, a new one where it has none. Raises ValueError for more than ID_BYTES bytes."""
        if len(word) > ID_BYTES:
            raise ValueError(f"a word is longer than {ID_BYTES} bytes")
        if word not in self._numbers:
            self._numbers[word] = len(self._words)
            self._words.append(word)
        return self._numbers[word]

    def words(self, first: int = 0) -> list[bytes | None]:
        """The words from number ``first`` on. Raises ValueError for a number beyond the last."""
        if not 0 <= first <= len(self._words):
            raise ValueError("first must be 0 … the number of words")
        return self._words[first:]

    def keep(self, count: int) -> None:
        """Forget all words but the first ``count``. Raises ValueError where there are not so many."""
        for word in self.words(count):
            if word is not None:
                del self._numbers[word]
        del self._words[count:]


class Row(NamedTuple):
    """One row; of an accepted touch also its words, None where they are not told."""

    kind: int = KIND_NONE
    reason: int = 0
    device: int = -1
    ts: int = NO_TIME
    record_ts: int = NO_TIME
    session: bytes | None = None
    screen: bytes | None = None
    to: bytes | None = None
    lang: bytes | None = None  # the primary subtag in lower case


def touch(
    data: bytes | memoryview | U8,
    starts: I64,
    ends: I64,
    record_ts: I64,
    devices: Names,
    names: Names,
    languages: int,
    sessions: Names,
    kind: I8,
    reason: U8,
    device: I32,
    ts: I64,
    session: I32,
    screen: I32,
    to: I32,
    lang: I32,
    out_record_ts: I64,
    message: I32,
    first: int,
    wire: int = AUTO,
    enough: int = ENOUGH,
) -> tuple[int, int]:
    """Decode messages from index ``first`` on into the columns; return (next message, rows filled).

    Messages, ``record_ts``, ``first``, ``wire``, ``enough`` and which message waits are those of engine.decode.decode.
    The columns have shape (cap,). ``device`` is a number among ``devices``, ``session`` among ``sessions``, ``screen``,
    ``to`` and ``lang`` among ``names``, whose first ``languages`` are the languages, the last of them what stands for
    all others; -1 = none. Words of a message that waits or is malformed are in no table. Raises ValueError as decode
    does, and where there are no languages or not so many names.
    """
    columns: dict[str, NDArray[Any]] = dict(
        zip(COLUMNS, (kind, reason, device, ts, session, screen, to, lang, out_record_ts, message), strict=True)
    )
    cap, count = len(kind), len(starts)
    for given in (starts, ends, record_ts):
        check_column(given, np.int64, (count,))
    if not 0 <= first <= count:
        raise ValueError("first must be 0 … the number of messages")
    if not 1 <= languages <= len(names):
        raise ValueError("the languages must be the first of the names")
    for name, column in columns.items():
        check_column(column, COLUMNS[name], (cap,))
    buffer = np.frombuffer(data, np.uint8)
    filled = 0
    for i in range(first, count):
        if filled >= enough:
            return i, filled
        if not 0 <= starts[i] <= ends[i] <= len(data):
            raise ValueError("a message lies outside data")
        at_ms = int(record_ts[i])
        malformed = Row(reason=MALFORMED, record_ts=at_ms)
        judge = partial(_row, message_ts=at_ms, devices=devices)
        rows = rows_of(buffer[starts[i] : ends[i]].tobytes(), wire, malformed, judge, TAKEN)
        if filled + len(rows) > cap:
            return i, filled
        for at, row in enumerate(rows, filled):
            for name in ("kind", "reason", "device", "ts", "record_ts"):
                columns[name][at] = getattr(row, name)
            message[at] = i
            lang[at] = -1 if row.lang is None else _language(row.lang, names, languages)
            for into, word, table in (
                (session, row.session, sessions),
                (screen, row.screen, names),
                (to, row.to, names),
            ):
                into[at] = -1 if word is None else table.take(word)
        filled += len(rows)
    return count, filled


def _language(subtag: bytes, names: Names, languages: int) -> int:
    found = names.find(subtag)
    return found if 0 <= found < languages else languages - 1


def _row(record: Mapping[str, Any], message_ts: int, devices: Names) -> Row:
    """Judge one object in the order of the checks."""
    type_ = record.get("type")
    kind = TYPES.get(type_, KIND_NONE) if isinstance(type_, str) else KIND_NONE
    ts = read_or(NO_TIME, time, record.get("ts"))
    record_ts = message_ts
    if message_ts == NO_TIME:
        record_ts = read_or(NO_TIME, time, record.get("record_ts"))
    if kind in (SET, REGISTRY):
        return Row(kind, ts=ts, record_ts=ts if record_ts == NO_TIME else record_ts)
    device = -1 if kind == TICK else read_or(-1, lambda told: devices.find(word(told, 0)), record.get("device"))
    row = Row(kind, 0, device, ts, record_ts)
    if type_ is None:
        return row._replace(reason=MISSING_FIELD)
    if kind == KIND_NONE:
        return row._replace(reason=UNKNOWN_TYPE)
    if any(record.get(name) is None for name in required(kind)):
        return row._replace(reason=MISSING_FIELD)
    try:
        row = _good(record, row, message_ts)
    except BadValue:
        return row._replace(reason=BAD_VALUE)
    if kind != TICK and device < 0:
        return Row(kind, UNKNOWN_SENSOR, device, row.ts, row.record_ts)
    return row


def required(kind: int) -> Sequence[str]:
    """Fields a record of this kind must have."""
    if kind == TICK:
        return ("ts",)
    return ("device", "ts", "session", "screen") if kind == TOUCH else ("device", "ts")


def _good(record: Mapping[str, Any], row: Row, message_ts: int) -> Row:
    """The row of a record that has all it needs. Raises BadValue."""
    time(record["ts"])
    if row.kind != TICK:
        word(record["device"], 0)
    if row.kind == TOUCH:
        to, lang = record.get("to"), record.get("lang")
        row = row._replace(
            session=word(record["session"]),
            screen=word(record["screen"]),
            to=None if to is None else word(to),
            lang=None if lang is None else primary(word(lang, 0)),
        )
    if message_ts == NO_TIME:
        row = row._replace(record_ts=row.ts if record.get("record_ts") is None else time(record["record_ts"]))
    return row


def word(value: object, least: int = 1) -> bytes:
    """A string of ``least`` to ID_BYTES bytes, as UTF-8. Raises BadValue."""
    if not isinstance(value, str) or not least <= len(value.encode()) <= ID_BYTES:
        raise BadValue
    return value.encode()


def primary(tag: bytes) -> bytes:
    """The primary subtag of a language tag, in lower case."""
    return tag.replace(b"_", b"-").partition(b"-")[0].lower()
