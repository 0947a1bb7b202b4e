"""Reads the fields of one row of a registry, with a fault for each that cannot be."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any, TypeGuard

from engine import rfc3339
from engine.model import END, FAR_M, ID_BYTES

_MOST = 1e12  # metres, seconds, square metres: finite, and exact in milliseconds
_HOUR_MINUTE = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class Fields:
    """Reads the fields of one row; notes what is wrong under the row's place."""

    def __init__(self, row: Any, place: str, faults: list[str]) -> None:
        self.row = row if isinstance(row, dict) else {}
        self.place, self.faults, self.good = place, faults, isinstance(row, dict)
        if not self.good:
            faults.append(f"{place}: not an object")

    def bad(self, name: str, why: str) -> None:
        """Note a fault of a field."""
        self.good = False
        self.faults.append(f"{self.place}.{name}: {why}")

    def text(self, name: str, *, required: bool = False) -> str | None:
        """An id or word of up to ID_BYTES bytes; None where it is absent or null, or a fault.

        It is a copy: strings of the document that live on would keep the memory of all that was read beside them.
        """
        value = self.row.get(name)
        if value is None:
            if required:
                self.bad(name, "missing")
            return None
        encoded = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""
        if not 0 < len(encoded) <= ID_BYTES:
            self.bad(name, f"must be text of 1 to {ID_BYTES} bytes")
            return None
        return encoded.decode("utf-8", "surrogatepass")

    def word(self, name: str, words: Sequence[str], default: str | None = None) -> int:
        """The code of one of ``words``."""
        value = self.row.get(name, default)
        value = default if value is None else value
        if not isinstance(value, str) or value not in words:
            self.bad(name, "missing" if value is None else f"must be one of {', '.join(words)}")
            return 0
        return words.index(value)

    def number(
        self,
        name: str,
        default: float | None,
        *,
        least: float | None = None,
        above: float | None = None,
        most: float | None = None,
    ) -> float | None:
        """A finite number in ``[least, most]``, or greater than ``above``; ``default`` where it is absent or null."""
        value = self.row.get(name)
        if value is None:
            return default
        if _finite(value) and not (
            (least is not None and value < least)
            or (above is not None and value <= above)
            or (most is not None and value > most)
        ):
            return value
        if most is not None:
            self.bad(name, f"must be a number from {least or 0:g} to {most:g}")
        else:
            self.bad(name, "must be a number " + (f"of at least {least:g}" if above is None else f"above {above:g}"))
        return default

    def points(self, name: str, least: int, most: int | None) -> tuple[tuple[float, float], ...] | None:
        """Places ``[x, y]`` in metres, of which ``least`` differ, FAR_M off at most; None where null, or a fault."""
        rows = self.row.get(name)
        if rows is None:
            return None
        good = isinstance(rows, list) and all(
            isinstance(p, list) and len(p) == 2 and all(_finite(v) and abs(v) <= FAR_M for v in p) for p in rows
        )
        if not good or (most is not None and len(rows) > most) or len({(x, y) for x, y in rows}) < least:
            count = f"{least} different points" if most == least else f"at least {least} different points"
            self.bad(name, f"must be {count} [x, y] in metres")
            return None
        return tuple((x, y) for x, y in rows)

    def words(self, name: str, known: Sequence[str]) -> frozenset[str]:
        """Some of ``known``, none twice; empty where it is absent or null, or a fault."""
        rows = self.row.get(name)
        if rows is None:
            return frozenset()
        good = isinstance(rows, list) and rows and all(isinstance(row, str) for row in rows)
        if not good or len(set(rows)) < len(rows):
            self.bad(name, "must be a list of different words")
            return frozenset()
        for i, row in enumerate(rows):
            if row not in known:
                self.bad(f"{name}[{i}]", "not known")
        return frozenset(rows)

    def minute(self, name: str) -> int | None:
        """A local time ``HH:MM`` as minute of the day; None where it is absent or null, or a fault."""
        value = self.row.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not _HOUR_MINUTE.fullmatch(value):
            self.bad(name, "must be a local time HH:MM")
            return None
        return int(value[:2]) * 60 + int(value[3:])

    def closed(self) -> tuple[tuple[int, int], ...]:
        """The closing times, (from, to) in minutes of the day: local ``HH:MM``, from ≠ to; from > to over midnight."""
        rows = self.row.get("closed")
        if rows is None:
            return ()
        if not isinstance(rows, list):
            self.bad("closed", "not a list")
            return ()
        found = []
        for i, row in enumerate(rows):
            ends = [row.get(end) if isinstance(row, dict) else None for end in ("from", "to")]
            if ends[0] == ends[1] or not all(isinstance(e, str) and _HOUR_MINUTE.fullmatch(e) for e in ends):
                self.bad(f"closed[{i}]", "needs two different times from and to, 00:00 to 23:59")
                continue
            start, end = (int(e[:2]) * 60 + int(e[3:]) for e in map(str, ends))
            found.append((start, end))
        return tuple(found)

    def approved(self) -> tuple[tuple[int, int], ...]:
        """When the row was approved: intervals [from, to) in ms, ascending, apart; ``to`` = END while it holds."""
        rows = self.row.get("approved")
        if not isinstance(rows, list):
            self.bad("approved", "missing or not a list")
            return ()
        found = []
        for i, row in enumerate(rows):
            since = row.get("from") if isinstance(row, dict) else None
            until = row.get("to") if isinstance(row, dict) else None
            start = rfc3339.parse_ms(since) if isinstance(since, str) else None
            end = END if until is None else rfc3339.parse_ms(until) if isinstance(until, str) else None
            if start is None or end is None or start >= end:
                self.bad(f"approved[{i}]", "needs from < to, RFC 3339 with offset (to null = still)")
                continue
            found.append((start, end, i))
        found.sort()
        for (_, end, _), (start, _, i) in itertools.pairwise(found):
            if start < end:
                self.bad(f"approved[{i}]", "overlaps another")
        return tuple((start, end) for start, end, _ in found)


def _finite(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_MOST < value < _MOST
