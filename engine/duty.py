"""A duty to report every so many days or months: when reports are due. Months are those of the clock it begins by."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta

UNITS = {"days": 3_660, "months": 120}  # and how many at most
_DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Duty:
    """A report is due ``every`` so many ``unit`` (one of UNITS) after ``from_ms``, and a last one at ``to_ms``.

    Months are counted on the clock ``offset_ms`` east of UTC, always from ``from_ms``: what begins on 31 January is due
    on 28 February and then on 31 March (or the day the period is long). All times in ms, from < to.
    """

    every: int
    unit: str
    from_ms: int
    to_ms: int
    offset_ms: int

    def last_ms(self, at_ms: int) -> int | None:
        """The last instant up to ``at_ms`` at which a report was due; None before the first."""
        if at_ms >= self.to_ms:
            return self.to_ms
        number = self._number(at_ms)
        return self._due(number) if number >= 1 else None

    def next_ms(self, at_ms: int) -> int | None:
        """The first instant behind ``at_ms`` at which a report will be due; None behind the last."""
        return self._due(self._number(at_ms) + 1) if at_ms < self.to_ms else None

    def _number(self, at_ms: int) -> int:
        """How many reports became due in (from, at]; at < to."""
        if at_ms < self.from_ms:
            return 0
        if self.unit == "days":
            return (at_ms - self.from_ms) // (self.every * _DAY_MS)
        first, now = self._local(self.from_ms), self._local(at_ms)
        whole = ((now.year - first.year) * 12 + now.month - first.month) // self.every
        return whole - 1 if self._due(whole) > at_ms else whole

    def _due(self, number: int) -> int:
        """When the report of that number is due: 0 = from; none lies behind to."""
        if self.unit == "days":
            return min(self.from_ms + number * self.every * _DAY_MS, self.to_ms)
        first = self._local(self.from_ms)
        months = first.month - 1 + number * self.every
        year, month = first.year + months // 12, months % 12 + 1
        at = first.replace(year=year, month=month, day=min(first.day, monthrange(year, month)[1]))
        return min((at - _EPOCH) // timedelta(milliseconds=1) - self.offset_ms, self.to_ms)

    def _local(self, ms: int) -> datetime:
        return _EPOCH + timedelta(milliseconds=ms + self.offset_ms)


def offset_of(text: str) -> int:
    """How far (ms) the clock of an RFC 3339 time is east of UTC."""
    tail = text[-6:]
    if tail[:1] not in ("+", "-"):
        return 0
    return (1 if tail[0] == "+" else -1) * (int(tail[1:3]) * 60 + int(tail[4:6])) * 60_000
