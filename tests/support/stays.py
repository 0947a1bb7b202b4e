"""Partitions that tell of zones, without logs: what they tell of stays as partials, cut and interleaved at will.

And the rows that follow from it, told once more rule by rule, one stay and one window at a time, for one registry.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from engine import registry
from engine.book import Book
from engine.model import END, NO_TIME
from engine.partial import (
    ACTIVE_COLUMNS,
    BEAT_COLUMNS,
    COUNTED_COLUMNS,
    COVER_COLUMNS,
    HEADING_COLUMNS,
    PANE_COLUMNS,
    REJECT_COLUMNS,
    STOCK_COLUMNS,
    VERSION_COLUMNS,
    Partial,
)
from engine.sets import SET_COLUMNS
from engine.shard import Shard
from engine.tables import Follow, Tables
from tests.support.engine_run import to_dicts
from tests.support.naive import LENGTH, when, window

CELL, DAY = LENGTH["10s"], LENGTH["1d"]
LABELS = ("1m", "5m", "15m", "1h", "1d")
Row = dict[str, Any]


class Rule(NamedTuple):
    """K of headings, and how long a track may be unseen."""

    threshold: int
    track_ms: int


@dataclass
class Story:
    """What one partition tells. Times in ms; cells of 10 s.

    ``stays``: (cell, sensor, zone, sector, n); ``heard``: (cell, sensor, ms of it); ``active``: cells; ``versions``:
    (line, registry document) that come to hold.
    """

    stays: list[tuple[int, str, str, int, int]] = field(default_factory=list)
    heard: list[tuple[int, str, int]] = field(default_factory=list)
    active: list[int] = field(default_factory=list)
    versions: list[tuple[int, dict[str, Any]]] = field(default_factory=list)


@dataclass
class Outcome:
    """Rows of headings, those of each unit of insertion, and people that wait or have been released."""

    rows: list[Row]
    units: dict[str, list[Row]]
    rest: int
    released: int

    def of(self, label: str, start: int, zone: str) -> list[Row]:
        """The rows of a zone's window, by sector."""
        found = [r for r in self.rows if (r["window"], r["window_start"], r["zone"]) == (label, start, zone)]
        assert [r["sector"] for r in found] in ([], list(range(8)))
        return found


def tell(
    document: dict[str, Any],
    stories: Sequence[Story],
    rule: Rule,
    *,
    seed: int | None = None,
    restart: bool = False,
    by_line: bool = False,
    until: int = END,
) -> Outcome:
    """What shard 0 makes of the stories up to the watermark ``until``.

    ``seed`` cuts and interleaves at random, None: all at once; ``restart``: through a snapshot now and then.
    """
    book, rng = Book(_parsed(document), follow=Follow(rule.track_ms)), random.Random(seed)
    waiting = [
        _blobs(number, story, book, rule, _cuts(stories, rng, until, seed)) for number, story in enumerate(stories)
    ]

    def made(state: bytes | None = None) -> Shard:
        return Shard(0, 3, len(stories), book, 6, headings=rule.threshold, by_line=by_line, state=state)

    shard, out = made(), Outcome([], {}, 0, 0)
    while any(waiting):
        number = rng.choice([i for i, blobs in enumerate(waiting) if blobs])
        size = rng.randint(1, 3)
        batch, waiting[number] = waiting[number][:size], waiting[number][size:]
        for rows in shard.take(batch).rows:
            if rows.product == "headings":
                assert rows.unit not in out.units
                out.units[rows.unit] = list(to_dicts(rows))
                out.rows += out.units[rows.unit]
        if restart and rng.random() < 0.4:
            shard = made(shard.snapshot())
    assert shard.watermark == until
    out.rest = int(shard._headings._chains._rest.sum())
    out.released = int(shard._headings._figures._total.sum())
    return out


def _parsed(document: dict[str, Any]) -> registry.Registry:
    return registry.parse(json.dumps(document).encode())


def _cuts(stories: Sequence[Story], rng: random.Random, until: int, seed: int | None) -> list[int]:
    """Watermarks at which a partition tells: lines of the grid, ``until`` last."""
    cells = [cell for story in stories for cell in story.active]
    if seed is None or not cells:
        return [until]
    lines = range(min(cells) - 2 * CELL, max(cells) + 8 * CELL, CELL)
    return [*sorted(line for line in set(rng.choices(lines, k=rng.randint(1, 12))) if line < until), until]


def _blobs(number: int, story: Story, book: Book, rule: Rule, cuts: list[int]) -> list[bytes]:
    sequences = [(NO_TIME, book.start)]
    changes = []
    for at, document in story.versions:
        made = _parsed(document)
        book.meet(made)
        sequences.append((at, (*sequences[-1][1], made.hash)))
        changes.append([at, *np.frombuffer(bytes.fromhex(made.hash), np.int64).tolist()])

    def tables(cell: int) -> Tables:  # a version holds from inside the cell on at whose start it came
        return book.tables([sequence for at, sequence in sequences if at < cell + CELL][-1])

    def row(cell: int, sensor: str) -> int:
        known = tables(cell)
        return next(row for row in known.sensor_row if known.sensor_ids[row] == sensor)

    headings = [
        [cell, cell + CELL + rule.track_ms, row(cell, sensor), tables(cell).zone_ids.index(zone), sector, n]
        for cell, sensor, zone, sector, n in story.stays
    ]
    watch = [[cell, cell + CELL, row(cell, sensor), ms] for cell, sensor, ms in story.heard]
    active = [[cell, cell] for cell in sorted(set(story.active))]

    def part(rows: list[list[int]], columns: int, by: int, low: int, high: int) -> Any:
        return np.array([r for r in rows if low < r[by] <= high], np.int64).reshape(-1, columns)

    out, before = [], NO_TIME
    for w in cuts:
        none = [np.empty((0, columns), np.int64) for columns in (PANE_COLUMNS, COVER_COLUMNS, REJECT_COLUMNS)]
        line = [[at + 1, *words] for at, *words in changes]  # told as soon as W lies behind it
        versions = part(line, VERSION_COLUMNS, 0, before, w)
        versions[:, 0] -= 1
        ends = part([[end + CELL, first, end] for first, end in active], 3, 0, before, w)[:, 1:]
        blob = Partial(
            number, 0, before, w, 0, 0, *none, ends.reshape(-1, ACTIVE_COLUMNS),
            np.empty((0, COUNTED_COLUMNS), np.int64), versions, np.empty((0, SET_COLUMNS), np.int64),
            np.empty((0, STOCK_COLUMNS), np.int64), part(watch, COVER_COLUMNS, 1, before, w),
            part(headings, HEADING_COLUMNS, 1, before, w), np.empty((0, BEAT_COLUMNS), np.int64),
        )  # fmt: skip
        out.append(blob.encode())
        before = w
    return out


# ---------------------------------------------------------------------------- the rows once more
@dataclass(frozen=True, eq=False)
class Truth:
    """Stories under one registry, rule by rule."""

    document: dict[str, Any]
    stories: Sequence[Story]
    rule: Rule

    @cached_property
    def zones(self) -> dict[str, list[dict[str, Any]]]:
        """Zones that have headings, with their trackers."""
        lines = any(gate.get("line_m") for gate in self.document["gates"])
        out = {}
        for zone in self.document["zones"]:
            roams = [
                s["kind"] == "tracker" and not s.get("gate") and not s.get("zone") for s in self.document["sensors"]
            ]
            mine = [
                (s, r)
                for s, r in zip(self.document["sensors"], roams, strict=True)
                if s.get("zone") == zone["id"] or (r and zone.get("polygon_m"))
            ]
            trackers = [s for s, _ in mine if s["kind"] == "tracker"]
            if zone.get("polygon_m") and trackers and not any(s.get("gate") or (r and lines) for s, r in mine):
                out[zone["id"]] = trackers
        return out

    def counts(self, zone: str, cell: int) -> list[str]:
        """The trackers of a zone that count in a pane: of a group one."""
        trackers, out = self.zones[zone], []
        for s in trackers:
            group = [t for t in trackers if t["group"] and t["group"] == s["group"]] or [s]
            alive = [t for t in group if self.heard(t["id"], cell) >= CELL // 2]
            mute = [t for t in group if t["reporting"] == "on_change"]
            if (alive or mute or group)[0] is s:
                out.append(s["id"])
        return out

    def heard(self, sensor: str, cell: int) -> int:
        return min(CELL, self._heard[cell, sensor])

    @cached_property
    def _heard(self) -> Counter[tuple[int, str]]:
        out: Counter[tuple[int, str]] = Counter()
        for story in self.stories:
            for cell, sensor, ms in story.heard:
                out[cell, sensor] += ms
        return out

    def people(self, zone: str) -> Counter[tuple[int, int]]:
        """People by (cell, sector)."""
        out: Counter[tuple[int, int]] = Counter()
        for story in self.stories:
            for cell, sensor, where, sector, n in story.stays:
                if where == zone and sensor in self.counts(zone, cell):
                    out[cell, sector] += n
        return out

    def coverage(self, zone: str, start: int, end: int) -> float | None:
        """Covered ÷ expected sensor time of a window; None where it cannot be told."""
        covered = expected = 0
        silent = False
        for cell in range(start, end, CELL):
            lanes = set()
            for s in self.zones[zone]:
                if not self._approved(s["id"], cell):
                    continue
                if s["reporting"] == "on_change":
                    silent = True
                else:
                    lanes.add(s["group"] or f"{s['id']} alone")
            expected += CELL * len(lanes)
            if any((cell, s["id"]) in self._heard for s in self.zones[zone]):
                covered += sum(self.heard(s, cell) for s in self.counts(zone, cell))
        share = min(covered, expected) / max(expected, 1)
        return None if silent and share == 0 else share

    def _approved(self, sensor: str, cell: int) -> bool:
        return any(low <= cell < high for low, high in self._approvals[sensor])

    @cached_property
    def _approvals(self) -> dict[str, list[tuple[int, int]]]:
        return {
            s["id"]: [(when(a["from"]), END if a["to"] is None else when(a["to"])) for a in s["approved"]]
            for s in self.document["sensors"]
        }

    def windows(self, label: str) -> list[tuple[int, int]]:
        cells = sorted({cell for story in self.stories for cell in story.active})
        out: dict[int, int] = {}
        for cell, behind in zip(cells, [*cells[1:], cells[-1] + 2 * DAY], strict=True):
            at = cell
            while at <= (behind if behind - cell <= DAY else cell):  # also the silence up to the next
                start, end = window(at, label, self.document["timezone"])
                out[start], at = end, end
        return sorted(out.items())

    def rows(self) -> dict[tuple[str, int, str, int], tuple[int | None, int | None, int | None, str]]:
        """(n, low, high, status) by window, start, zone and sector."""
        out = {}
        k = self.rule.threshold
        began = min(cell for story in self.stories for cell in story.active)
        for zone in self.zones:
            people = self.people(zone)
            windows = [(w, a, b, self.coverage(zone, a, b)) for w in LABELS for a, b in self.windows(w)]
            for sector in range(8):
                runs, rest = [], 0
                for cell in sorted(c for c, s in people if s == sector):
                    rest += people[cell, sector]
                    if rest >= k:
                        runs.append((cell + CELL, rest))
                        rest = 0

                def bounds(at: int, runs: list[tuple[int, int]] = runs) -> tuple[int, int]:
                    low = sum(n for end, n in runs if end <= at)
                    exact = at <= began or any(end == at for end, _ in runs)
                    return low, low if exact else low + k - 1

                for label, start, end, coverage in windows:
                    (la, ha), (lb, hb) = bounds(start), bounds(end)
                    low, high = max(0, lb - ha), hb - la
                    row: tuple[int | None, int | None, int | None, str]
                    row = ((low + high) // 2, low, high, "released" if low == high else "range")
                    if high < k and k > 1:
                        row = (None, 0, k - 1, "suppressed")
                    if coverage == 0:
                        row = (None, None, None, "unknown")
                    out[label, start, zone, sector] = row
        return out
