"""What a decoder of signage makes of messages, with its words in place of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engine import touch
from engine.languages import LANGUAGES
from engine.model import AUTO

Columns = list[np.ndarray[Any, Any]]
DEVICES = [b"kita2-01", None, b"kita2-02", "北2条".encode(), b"x" * 64, b"", b"12345678"]
STAMP = 1_770_450_099_000  # record_ts of a message, as Kafka gives it


class Tables(NamedTuple):
    """The tables of one decoder."""

    devices: Any
    names: Any
    sessions: Any

    @classmethod
    def of(cls, module: Any) -> Tables:
        """New ones."""
        return cls(module.Names(DEVICES), module.Names([code.encode() for code in LANGUAGES]), module.Names())

    def words(self) -> tuple[list[bytes | None], list[bytes | None]]:
        """Screens and sessions that were met."""
        return self.names.words(len(LANGUAGES)), self.sessions.words()


def room_for(rows: int, fill: int = 77) -> Columns:
    """Columns of so many rows in the order of touch's arguments."""
    return [np.full(rows, fill, dtype) for dtype in touch.COLUMNS.values()]


def laid_out(messages: Sequence[bytes], record_ts: int | Sequence[int]) -> tuple[Any, ...]:
    """The messages as one buffer, each between bytes that belong to none: data, starts, ends, record_ts."""
    data = np.frombuffer(b"".join(b'"' + message + b"}" for message in messages), np.uint8).copy()
    sizes = np.array([len(message) + 2 for message in messages], np.int64)
    ends = np.cumsum(sizes, dtype=np.int64)
    return data, ends - sizes + 1, ends - 1, np.broadcast_to(np.array(record_ts, np.int64), len(messages)).copy()


def decoded(
    module: Any,
    messages: Sequence[bytes],
    record_ts: int | Sequence[int] = STAMP,
    wire: int = AUTO,
    room: int | None = None,
    tables: Tables | None = None,
) -> list[tuple[int, touch.Row]]:
    """(message, Row) of all messages; ``room``: rows of a call, more where one message has more."""
    tables = Tables.of(module) if tables is None else tables
    given = laid_out(messages, record_ts)
    grown = room or 1 + int((given[0] == ord(",")).sum()) + len(messages)
    first, out = 0, []
    while first < len(messages):
        columns = room_for(grown)
        first, filled = module.touch(
            *given, tables.devices, tables.names, len(LANGUAGES), tables.sessions, *columns, first, wire
        )
        out += listed(columns, filled, tables)
        grown *= 1 if filled else 2
    return out


def listed(columns: Columns, rows: int, tables: Tables) -> list[tuple[int, touch.Row]]:
    """(message, Row) of the first rows."""
    names, sessions = [*tables.names.words(), None], [*tables.sessions.words(), None]
    out = []
    for values in zip(*(column[:rows].tolist() for column in columns), strict=True):
        kind, reason, device, ts, session, screen, to, lang, record_ts, message = values
        words = sessions[session], names[screen], names[to], names[lang]
        out.append((message, touch.Row(kind, reason, device, ts, record_ts, *words)))
    return out
