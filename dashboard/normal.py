"""Normal for now: what a zone has at this hour on days of this kind, by what is stored of earlier days.

The kinds of days are the seven days of the week. A public holiday counts as a Sunday, and so do the days from 29
December to 3 January, when Japan is at home or away. Which holidays there are follows from the run's time zone; where
the zone tells no country here, the days of the week alone count.

Hours are hours of the local clock: where clocks change an hour may be missing on a day (then that day tells nothing of
it) or come twice (then both belong to it).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import holidays
import numpy as np

from engine.model import DAY, HOUR, I64, LENGTH_MS
from engine.timezone import TimeZone
from sinks.clickhouse.history import USUAL_MS
from sinks.clickhouse.runs import PEOPLE

if TYPE_CHECKING:
    import pyarrow as pa

    from sinks.clickhouse.store import Run, Store

WEEKS = 8  # looked back
LEAST_DAYS = 4  # fewer tell nothing of what is usual
COUNTRIES: Mapping[str, str] = {"Asia/Tokyo": "JP", "Japan": "JP"}  # time zone → whose holidays hold there
SUNDAY = 6
_HOUR_MS, _DAY_MS = LENGTH_MS[HOUR], LENGTH_MS[DAY]
_AWAY = ((12, 29), (1, 3))  # from, to: around the new year
_EPOCH = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=16_384)
def day_kind(day: int, country: str | None) -> int:
    """The kind of a day (0 = Monday … 6 = Sunday and holidays). ``day``: days since 1970-01-01 of the local clock."""
    of = date.fromordinal(_EPOCH + day)
    if country is not None and (_is_holiday(of, country) or not _AWAY[1] < (of.month, of.day) < _AWAY[0]):
        return SUNDAY
    return of.weekday()


def _is_holiday(day: date, country: str) -> bool:
    return day in _calendar(country, day.year)


@lru_cache(maxsize=256)
def _calendar(country: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, years=year))


@dataclass(frozen=True, slots=True)
class Hours:
    """One hour of a local day: which (0 to 23), and where it starts (n,) in ms: twice where the clock repeats it."""

    day: int
    hour: int
    starts: I64


def hours_of(start_ms: int, end_ms: int, zone: TimeZone) -> list[Hours]:
    """The local hours that share an instant with ``[start_ms, end_ms)``, one by one: a query for each is a short one.

    (All 24 of 1,000 zones would keep the store's reader for 2 s, an hour for 0.1 s.)
    """
    days, hours, starts, _ = _clock(start_ms, end_ms, zone)
    found = dict.fromkeys(zip(days.tolist(), hours.tolist(), strict=True))
    return [Hours(day, hour, starts[(days == day) & (hours == hour)]) for day, hour in found]


def _clock(start_ms: int, end_ms: int, zone: TimeZone) -> tuple[I64, I64, I64, I64]:
    """Local day, hour, start and end (ms) of each hour that shares an instant with ``[start_ms, end_ms)``.

    The edges are those of windows of 1h (``TimeZone.edges``), for the weeks looked back some hundred times as fast.
    """
    first = int(zone.floor(np.array([start_ms], np.int64), HOUR)[0])
    last = int(zone.next(np.array([end_ms - 1], np.int64), HOUR)[0])
    inside = zone.changes[(zone.changes > first) & (zone.changes < last)]
    cuts = [first, *inside.tolist(), last]
    pieces = []
    for begin, end in itertools.pairwise(cuts):
        offset = zone.local(begin) - begin
        hours = np.arange((begin + offset) // _HOUR_MS * _HOUR_MS - offset, end, _HOUR_MS, dtype=np.int64)
        hours[0] = begin  # where clocks change within an hour
        pieces.append((hours, hours + offset))
    starts, local = (np.concatenate(each) for each in zip(*pieces, strict=True))
    return local // _DAY_MS, local % _DAY_MS // _HOUR_MS, starts, np.append(starts[1:], last)


def earlier(asked: Hours, zone: TimeZone, step_ms: int) -> tuple[I64, I64]:
    """The windows of ``step_ms`` that tell what is usual: start (ms) and local day of each, ascending.

    Those of the same hour, on the days of the same kind in the WEEKS before, never on the day itself or after it.
    """
    days, hours, starts, ends, kinds = _past(asked.day, zone)
    wanted = (hours == asked.hour) & (kinds == day_kind(asked.day, COUNTRIES.get(zone.name)))
    told = [np.arange(-(-start // step_ms) * step_ms, end, step_ms) for start, end in zip(starts, ends, strict=True)]
    count = [len(each) if use else 0 for each, use in zip(told, wanted, strict=True)]
    used = [each for each, use in zip(told, wanted, strict=True) if use]
    windows = np.concatenate(used).astype(np.int64) if used else np.empty(0, np.int64)
    return windows, np.repeat(days, count)


@lru_cache(maxsize=16)
def _past(day: int, zone: TimeZone) -> tuple[I64, I64, I64, I64, I64]:
    """``_clock`` of the WEEKS before a local day, and the kind of day of each hour."""
    first, last = (zone.first_at(each * _DAY_MS) for each in (day - WEEKS * 7, day))
    days, hours, starts, ends = _clock(first, last, zone)
    kinds = {each: day_kind(each, COUNTRIES.get(zone.name)) for each in np.unique(days).tolist()}
    return days, hours, starts, ends, np.array([kinds[each] for each in days.tolist()], np.int64)


def telling(runs: Iterable[Run], timezone: str) -> list[str]:
    """Ids of the runs that tell what is usual: live ones and replays of that time zone, never a workbench's.

    In the order in which they are believed: live ones first, of equals the one that began last.
    """
    rank = {"live": 0, "replay": 1}
    told = [run for run in runs if run.kind in rank and run.timezone == timezone and run.events == PEOPLE]
    return [run.run_id for run in sorted(told, key=lambda r: (rank[r.kind], -r.started_ms, r.run_id))]


def read(store: Store, runs: Sequence[str], asked: Hours, zone: TimeZone) -> pa.Table:
    """What the store tells of that hour (sinks/clickhouse/history.py USUAL), before LEAST_DAYS is asked for."""
    return store.usual_zones(runs, *earlier(asked, zone, USUAL_MS))


Table = dict[str, dict[str, Any]]


def told(parts: Sequence[tuple[Hours, pa.Table]], wanted: Callable[[str], bool]) -> Table:
    """The answer's ``normal``: for each zone the starts of the hours asked for, and what is usual in each of them.

    ``p10``, ``p50``, ``p90`` of density in people per m² (null where the zone has no area), ``occ_p10`` … of people;
    null for an hour with fewer than LEAST_DAYS days; ``days``: of how many days the least known of the hours told
    rests. Zones of which no hour is known are left out.
    """
    names = {"density": "", "occupancy": "occ_"}
    shares = {"low": "p10", "middle": "p50", "high": "p90"}
    columns = {f"{of}_{share}": f"{names[of]}{shares[share]}" for of in names for share in shares}
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    for asked, table in parts:
        for row in table.to_pylist():
            if row["days"] >= LEAST_DAYS and wanted(row["zone"]):
                rows[row["zone"], asked.day, asked.hour] = row
    starts = sorted((start, asked.day, asked.hour) for asked, _ in parts for start in asked.starts.tolist())
    found: Table = {}
    for zone in sorted({zone for zone, _, _ in rows}):
        mine = [rows.get((zone, day, hour)) for _, day, hour in starts]
        found[zone] = {
            "t": [start for start, _, _ in starts],
            **{
                name: [None if row is None else _rounded(row[column]) for row in mine]
                for column, name in columns.items()
            },
            "days": min(row["days"] for row in mine if row is not None),
        }
    return found


def _rounded(figure: float | None) -> float | None:
    return None if figure is None or figure != figure else round(figure, 4)
