"""What can be wrong with a sensor for a while."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

SILENT, STUCK, CHATTERING, SKEWED, IMBALANCED = KINDS = ("silent", "stuck", "chattering", "skewed", "imbalanced")


class Fault(NamedTuple):
    """A fault of a sensor in [from_ms, to_ms).

    silent      tells nothing, not even that it is alive
    stuck       is alive, but sees nobody pass; a camera or a count repeats what it told last
    chattering  tells ``by`` things a second that did not happen
    skewed      its clock is wrong by ``by`` ms (negative: slow)
    imbalanced  misses a share ``by`` of those who pass in ``direction`` (ab, ba)
    """

    sensor: str
    kind: str
    from_ms: int
    to_ms: int
    by: float | None = None
    direction: str | None = None


class Faults:
    """The faults of a scenario, by sensor."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._of: dict[str, list[Fault]] = defaultdict(list)
        for fault in faults:
            self._of[fault.sensor].append(fault)

    def now(self, sensor: str, kind: str, at_ms: int) -> Fault | None:
        """The fault of a kind that a sensor has at a time."""
        for fault in self._of.get(sensor, ()):
            if fault.kind == kind and fault.from_ms <= at_ms < fault.to_ms:
                return fault
        return None

    def within(self, kind: str, from_ms: int, to_ms: int) -> list[Fault]:
        """Faults of a kind that touch [from_ms, to_ms)."""
        return [
            fault
            for of in self._of.values()
            for fault in of
            if fault.kind == kind and fault.from_ms < to_ms and fault.to_ms > from_ms
        ]

    def ever(self, sensor: str) -> bool:
        """Whether anything is ever wrong with a sensor."""
        return sensor in self._of
