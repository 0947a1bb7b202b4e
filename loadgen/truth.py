"""What is true about a load: people per gate, direction and window, and events by what the rules say of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadgen.bulk import gate_ids
from loadgen.files import opened

PANE_MS = 10_000
DIRECTIONS = ("ab", "ba", "unknown")
# What the rules say of an event: accepted, or why not, in the order of the checks.
REASONS = (
    "accepted",
    "malformed",
    "unknown_type",
    "missing_field",
    "bad_value",
    "unknown_sensor",
    "too_far_in_future",
    "late",
    "duplicate",
)
ACCEPTED, MALFORMED, UNKNOWN_TYPE, MISSING_FIELD, BAD_VALUE, UNKNOWN_SENSOR, TOO_FAR_IN_FUTURE, LATE, DUPLICATE = range(
    len(REASONS)
)


class Tally:
    """People of accepted events by 10 s window, gate and direction; all events by reason."""

    def __init__(self, gates: int) -> None:
        self.gates = gates
        self.panes: dict[int, NDArray[np.int64]] = {}  # number of the window since 1970 -> gate, direction -> people
        self.reasons = np.zeros(len(REASONS), np.int64)

    def add(self, pane: NDArray[np.int64], gate: NDArray[np.int64], direction: NDArray[np.int64]) -> None:
        """Count people of some windows that lie together."""
        if not len(pane):
            return
        first, last, width = int(pane.min()), int(pane.max()), self.gates * len(DIRECTIONS)
        place = (pane - first) * width + gate * len(DIRECTIONS) + direction
        counts = np.bincount(place, minlength=(last + 1 - first) * width).reshape(-1, width)
        for number, people in enumerate(counts, first):
            if number in self.panes:
                self.panes[number] += people
            else:
                self.panes[number] = people.copy()

    def merge(self, other: Tally) -> None:
        """Add what another process has counted."""
        self.reasons += other.reasons
        for number, people in other.panes.items():
            self.panes[number] = self.panes[number] + people if number in self.panes else people

    def totals(self) -> dict[str, object]:
        """All events, the accepted ones, the rejected ones by reason."""
        told = self.reasons.tolist()
        rejected = {reason: many for reason, many in zip(REASONS[1:], told[1:], strict=True) if many}
        return {"events": sum(told), "accepted": told[ACCEPTED], "people": told[ACCEPTED], "rejected": rejected}

    def rows(self) -> Iterator[dict[str, object]]:
        """A row for each window, gate and direction with people, in that order."""
        names = gate_ids(self.gates)
        for number in sorted(self.panes):
            people = self.panes[number]
            for place in np.flatnonzero(people).tolist():
                gate, direction = divmod(place, len(DIRECTIONS))
                yield {
                    "gate": names[gate],
                    "direction": DIRECTIONS[direction],
                    "leaf": "10s",
                    "start_ms": number * PANE_MS,
                    "n": int(people[place]),
                }

    def write(self, path: str | Path) -> None:
        """Write the truth as JSON Lines, as ``write_truth`` does of a weekday. Raises OSError."""
        with opened(path) as out:
            for row in self.rows():
                out.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
            out.write(json.dumps({"totals": self.totals()}, separators=(",", ":")).encode() + b"\n")

    def save(self, path: str | Path) -> None:
        """Leave it for another process to ``load``."""
        numbers = np.array(sorted(self.panes), np.int64)
        people = np.array([self.panes[number] for number in numbers.tolist()], np.int64)
        np.savez(path, numbers=numbers, people=people, reasons=self.reasons)

    @classmethod
    def load(cls, path: str | Path, gates: int) -> Tally:
        """What ``save`` has left."""
        told = cls(gates)
        with np.load(path) as saved:
            told.reasons = saved["reasons"]
            told.panes = dict(zip(saved["numbers"].tolist(), saved["people"], strict=True))
        return told
