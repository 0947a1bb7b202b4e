"""Live counters of streams beside people: all small windows through the key that closes them (engine/subjects.py).

What a run shows while it goes on is its rows and by how much ``accepted`` has grown, before a window closes and when it
does. A counter that is exact tells how many people the hidden cells hold, or that there was nobody. Worlds: the people
of a few cells of one window, and events of the same people beside the first of each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from engine import profile_facts, profile_rows, signage, signage_rows
from engine.book import Book
from engine.config import Config
from engine.facts import CLOSE, CODE, START, Facts
from engine.ingress import ATTRIBUTES
from engine.model import DAY, I64, LENGTH_MS, NO_TIME, Released
from engine.partial import REJECT_COLUMNS, VERSION_COLUMNS
from engine.registry import parse
from engine.subjects import Outcome, Subjects
from engine.timezone import TimeZone
from hitonami.audit.report import Report
from hitonami.audit.table_enumeration import all_worlds, insiders, judged, left_to_others, subsets

_START_MS = 1_770_390_000_000  # 2026-02-07T00:00:00+09:00
_BOOK = Book(parse(json.dumps({"version": "1", "timezone": "Asia/Tokyo"}).encode()))
_CLOCK = TimeZone("Asia/Tokyo")
CELLS = 2  # of which people are in: of two hidden ones the total is never told, guard being k - 1


class Window(NamedTuple):
    """All windows of a stream with 0..``most`` people in each of CELLS cells, and up to ``more`` further events."""

    events: str
    k: int
    guard: int
    most: int
    more: int


WINDOWS = tuple(Window(events, *of) for events in ("signage", "profiles") for of in ((2, 1, 3, 2), (3, 2, 4, 1)))
# settings of a stream, K of its rejects -> the key in which its partitions meet
Key = Callable[[str, Config, int], Subjects]


def key_of(events: str, config: Config, threshold: int, *, exact: bool = False) -> Subjects:
    """The key of a stream as its flow makes it, over one partition; ``exact``: its counters count all there is."""
    if events == "signage":
        rows = signage_rows.SignageRows(config, _CLOCK)
        how: dict[str, Any] = {"proven": signage_rows.proven, "keep": rows.state, "restore": rows.restore}
        return Subjects(1, _BOOK, rows.release, threshold=threshold, exact=exact, **how)
    release = profile_rows.ProfileRelease(profile_rows.Rule.of(config), _CLOCK)
    return Subjects(1, _BOOK, release, threshold=threshold, exact=exact, proven=profile_rows.proven)


def enumerate_live(key: Key, window: Window) -> Report:
    """Judge what the public and insiders learn from the rows and the live counter of all worlds of one window."""
    k, guard = window.k, window.guard
    place = f"live counters of {window.events} k={k} guard={guard}"
    config = _config(window)
    people = all_worlds(CELLS, window.most)
    world = np.repeat(np.arange(len(people)), window.more + 1)
    more = np.tile(np.arange(window.more + 1), len(people))
    some = (people[world].sum(axis=1) > 0) | (more == 0)  # nobody has no further events
    world, more = world[some], more[some]
    told: dict[object, int] = {}
    seen = [
        told.setdefault(_seen(key(window.events, config, k + guard), window.events, people[i], n), len(told))
        for i, n in zip(world.tolist(), more.tolist(), strict=True)
    ]
    group, worlds = np.array(seen, np.int64), people[world]
    sets = subsets(CELLS)
    asked, report = worlds @ sets, Report()
    report.add(judged(place, "", group, asked, k))
    for mine, own, others in insiders(worlds, guard):
        least = left_to_others(own, k)[others]
        report.add(judged(place, "an insider: ", group[mine], (asked[mine] - own @ sets)[:, others], least))
    report.findings = list(dict.fromkeys(report.findings))
    report.count(live_worlds=len(worlds))
    report.checked.append(f"{place}: all {len(worlds):,} worlds, 0 to {window.most} people in each of {CELLS} cells")
    return report


def _config(window: Window) -> Config:
    privacy = {"k": window.k, "guard": window.guard}
    return Config({"touches": privacy, "profiles": {**privacy, "providers": 1, "tables": ["gender"]}})


def _seen(key: Subjects, events: str, people: I64, more: int) -> object:
    """What is shown of one world: counters while the window is open, then its rows and the counters beside them."""
    rows, names, coded, length = _touches(people) if events == "signage" else _profiles(people)
    end, n = _START_MS + length, len(rows) + more
    rows[:, CLOSE], rows[:, START] = end, _START_MS
    opened = Facts(0, NO_TIME, end - 1, n, _none(REJECT_COLUMNS), _none(VERSION_COLUMNS), (), rows[:0], coded)
    closed = Facts(0, end - 1, end, 0, _none(REJECT_COLUMNS), _none(VERSION_COLUMNS), names, rows, coded)
    return tuple(_shown(key.take([facts.encode()])) for facts in (opened, closed))


def _none(columns: int) -> I64:
    return np.empty((0, columns), np.int64)


def _shown(out: Outcome) -> object:
    rows = tuple(_told(one) for one in out.rows)
    return rows, out.accepted, tuple(sorted(out.rejected.items())), out.first_ms, out.last_ms


def _told(one: Released) -> object:
    """Rows as they are stored: names that no row uses are told to nobody."""
    columns = [
        [one.names[name][code] for code in column.tolist()] if name in one.names else column.tolist()
        for name, column in one.columns.items()
    ]
    return one.product, one.unit, tuple(zip(*columns, strict=True))


def _touches(people: I64) -> tuple[I64, tuple[str, ...], tuple[int, ...], int]:
    """A quarter of one screen: sessions in two languages."""
    rows = np.zeros((int(people.sum()), signage.COLUMNS), np.int64)
    rows[:, CODE], rows[:, signage.LOW] = signage.QUARTER, np.arange(len(rows))
    rows[:, signage.SCREEN], rows[:, signage.OTHER] = 1, 2 + np.repeat(np.arange(CELLS), people)
    return rows, ("kita2-01", "top", "en", "ja"), signage.CODED, LENGTH_MS[signage.QUARTER]


def _profiles(people: I64) -> tuple[I64, tuple[str, ...], tuple[int, ...], int]:
    """A day of people who told one of two genders."""
    rows = np.zeros((int(people.sum()), profile_facts.WIDTH), np.int64)
    rows[:, CODE], rows[:, profile_facts.LOW], rows[:, profile_facts.ZONE] = DAY, np.arange(len(rows)), -1
    rows[:, profile_facts.TS] = _START_MS
    rows[:, profile_facts.TOLD + ATTRIBUTES.index("gender")] = 1 + np.repeat(np.arange(CELLS), people)
    return rows, ("acme",), profile_facts.CODED, LENGTH_MS[DAY]
