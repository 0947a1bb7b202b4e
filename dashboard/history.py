"""The figures of zones over time, what is usual then, and what comes next: GET /api/history.

    ?run=&window=&from=&to=&zones=a,b     from and to in ms, both optional: the last HOUR_MS up to the newest window

The run is that of the page where none is asked for, the window 1m. At most ROWS rows: 1,000 zones for an hour of
minutes, or a few zones for a day. ``normal`` is told of all hours in the span (dashboard/normal.py), ``forecast`` from
the newest minute that had closed by ``to`` (dashboard/forecast.py), so that a replay shows what was forecast then.

Both are kept for a while, by the newest minute and the newest hour: however many tabs ask, they are worked out once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import asked, normal
from dashboard.asked import Refused
from dashboard.forecast import HORIZONS, LATEST_MIN, LONGEST, PAST_MIN, forecast
from dashboard.reach import MINUTE_MS, Limits, to_limit
from engine.model import F64, HOUR, LENGTH_MS, LOS, MINUTE, STATUS, TS_MAX, WINDOWS
from engine.timezone import TimeZone

if TYPE_CHECKING:
    from dashboard.feed import Feed
    from dashboard.layout import Register
    from sinks.clickhouse.store import Run

ROWS = 60_000
ZONES = 1_000  # that a request can name
LONGEST_MS = 90_000_000  # 25 hours: a day, however the clocks change
HOUR_MS = LENGTH_MS[HOUR]
KEPT = 200  # answers: an hour's normal of 1,000 zones is some 80 kB
STALE_MS = 300_000  # of a minute that ended so long before what is asked for there is no forecast: it has passed


class Kept:
    """The last answers by key. Several who ask for the same at once wait for one working it out. One event loop."""

    def __init__(self, size: int = KEPT) -> None:
        self._size = size
        self._held: OrderedDict[Any, asyncio.Task[Any]] = OrderedDict()

    async def get(self, key: Any, make: Callable[[], Awaitable[Any]]) -> Any:
        """The answer of that key, made where it is not held. What ``make`` raises is raised and not kept."""
        task = self._held.get(key)
        if task is None:
            task = self._held[key] = asyncio.ensure_future(make())
            task.add_done_callback(lambda done: self._drop(key, done))
        self._held.move_to_end(key)
        while len(self._held) > self._size:
            self._held.popitem(last=False)
        return await asyncio.shield(task)  # one who goes away does not end it for the others

    def _drop(self, key: Any, done: asyncio.Task[Any]) -> None:
        if (done.cancelled() or done.exception() is not None) and self._held.get(key) is done:
            del self._held[key]


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks for; None = not said. ``zones`` None = all."""

    run_id: str | None
    window: str
    start_ms: int | None
    end_ms: int | None
    zones: frozenset[str] | None

    @classmethod
    def of(cls, request: Request) -> Question:
        """From query parameters. Raises Refused."""
        start, end = (asked.instant(request, name) for name in ("from", "to"))
        if start is not None and end is not None and start >= end:
            raise Refused("from")
        named = frozenset((request.query_params.get("zones") or "").split(",")) - {""}
        if len(named) > ZONES:
            raise Refused("zones")
        window = asked.window(request) or WINDOWS[MINUTE]
        return cls(asked.ident(request, "run"), window, start, end, named or None)

    def wants(self, zone: str) -> bool:
        """Whether it asks for that zone."""
        return self.zones is None or zone in self.zones


async def _history(request: Request) -> Response:
    async def told() -> bytes:
        body = await answer(request.app.state.feed, request.app.state.kept, Question.of(request))
        return await asyncio.to_thread(orjson.dumps, body, option=orjson.OPT_SERIALIZE_NUMPY)

    return await asked.small(request, await asked.told(told()))


ROUTES = [Route("/api/history", _history)]


async def answer(feed: Feed, kept: Kept, question: Question) -> dict[str, Any]:
    """The body of /api/history. Raises Refused, and what the store raises."""
    run = await (feed.run_shown() if question.run_id is None else feed.call(lambda s: s.run(str(question.run_id))))
    if run is None:
        raise Refused("run", 404)
    register = await feed.call(lambda _: feed.views.register(run))
    start, end = await _span(feed, run, question)
    rows = -(-(end - start) // LENGTH_MS[WINDOWS.index(question.window)])
    if end - start > LONGEST_MS or rows * len(question.zones or register.zones) > ROWS:
        raise Refused("span too long")
    zones = None if question.zones is None else sorted(question.zones)
    table = await feed.call(lambda s: s.zone_span(run.run_id, question.window, start, end, zones))
    if table.num_rows > ROWS:  # of zones that the registry does not know
        raise Refused("span too long")
    clock = await kept.get(("clock", run.timezone), lambda: asyncio.to_thread(TimeZone, run.timezone))
    return {
        "window": question.window,
        "length_ms": LENGTH_MS[WINDOWS.index(question.window)],
        "zones": await asyncio.to_thread(columns, table, register),
        "normal": await _normal(feed, kept, clock, start, end, question),
        "forecast": await _forecast(feed, kept, run, register, clock, question),
    }


async def _span(feed: Feed, run: Run, question: Question) -> tuple[int, int]:
    """From when to when: the last hour up to the newest window where nothing is said."""
    start, end = question.start_ms, question.end_ms
    if end is None:
        newest = await feed.call(lambda s: s.newest_start("zones", run.run_id, question.window, TS_MAX))
        end = (start or 0) if newest is None else newest + LENGTH_MS[WINDOWS.index(question.window)]
    return (end - HOUR_MS if start is None else start), end


def columns(table: pa.Table, register: Register) -> dict[str, dict[str, Any]]:
    """Rows of ``zone_span`` as the answer's ``zones``; bounds of density are those of the people, with the error of
    their count, by the area: as it is graded."""
    figures = {
        name: table[of].to_numpy().astype(np.float64)
        for name, of in (
            ("occ", "occupancy"),
            ("occ_lo", "occupancy_low"),
            ("occ_hi", "occupancy_high"),
            ("dens", "density"),
        )
    }
    codes = {
        "s": pc.index_in(table["status"], pa.array(STATUS)).to_numpy(),
        "los": pc.index_in(table["los"], pa.array(LOS)).to_numpy(),
    }
    starts, errors = table["t"].to_numpy(), table["error"].to_numpy().astype(np.float64)
    found = {}
    for zone, first, last in _spans(table["zone"]):
        area = register.zones.get(zone, {}).get("area_m2") or np.nan
        wrong = np.maximum(np.nan_to_num(errors[first:last]), 0)
        of = {name: np.round(column[first:last], 4) for name, column in figures.items()}
        found[zone] = {
            "t": starts[first:last],
            **of,
            "dens_lo": np.round((of["occ_lo"] - wrong) / area, 4),
            "dens_hi": np.round((of["occ_hi"] + wrong) / area, 4),
            **{name: column[first:last] for name, column in codes.items()},
        }
    return found


def _spans(zones: pa.ChunkedArray) -> list[tuple[str, int, int]]:
    """Each zone, and the rows [first, last) it has in a column in which equal ones stand together."""
    runs = pc.run_end_encode(zones.combine_chunks()) if len(zones) else None
    if runs is None:
        return []
    ends = runs.run_ends.to_pylist()
    return list(zip(runs.values.to_pylist(), [0, *ends], ends, strict=False))


async def _normal(
    feed: Feed, kept: Kept, clock: TimeZone, start: int, end: int, question: Question
) -> dict[str, dict[str, Any]]:
    parts = []
    if end > start:
        runs = normal.telling(await feed.call(lambda s: s.runs()), clock.name)
        for hours in normal.hours_of(start, end, clock):
            # what is stored of earlier days changes seldom: once an hour is looked again
            key = ("normal", clock.name, tuple(runs), tuple(hours.starts.tolist()), feed.now_ms() // HOUR_MS)

            def read(hours: normal.Hours = hours) -> Awaitable[pa.Table]:
                return feed.call(lambda s: normal.read(s, runs, hours, clock))

            parts.append((hours, await kept.get(key, read)))
    return await asyncio.to_thread(normal.told, parts, question.wants)


async def _forecast(
    feed: Feed, kept: Kept, run: Run, register: Register, clock: TimeZone, question: Question
) -> dict[str, dict[str, Any]]:
    label, until = WINDOWS[MINUTE], question.end_ms
    if until is None and run.kind == "live":
        until = feed.now_ms()
    last = TS_MAX if until is None else until - MINUTE_MS
    newest = await feed.call(lambda s: s.newest_start("zones", run.run_id, label, last))
    if newest is None or (until is not None and last - newest > STALE_MS):
        return {}
    first = newest - (PAST_MIN - 1) * MINUTE_MS

    async def make() -> dict[str, dict[str, Any]]:
        table = await feed.call(lambda s: s.zone_densities(run.run_id, label, first, newest + 1))
        return await asyncio.to_thread(_ahead, table, newest, register, clock)

    made = await kept.get(("forecast", run.run_id, newest, run.registry_hash, *run.versions), make)
    return {zone: told for zone, told in made.items() if question.wants(zone)}


def by_minute(table: pa.Table, newest_ms: int) -> tuple[list[str], F64]:
    """Zones, and their ``zone_densities`` (minutes, zones) up to ``newest_ms``, as many minutes as there are."""
    names = table["zone"].combine_chunks().dictionary_encode()
    zones = names.dictionary.to_pylist()
    minute = (table["t"].to_numpy() - newest_ms) // MINUTE_MS
    density = np.full((int(1 - minute.min()) if len(minute) else 0, len(zones)), np.nan)
    density[minute - 1 + len(density), names.indices.to_numpy()] = table["density"].to_numpy()
    order = sorted(range(len(zones)), key=zones.__getitem__)
    return [zones[place] for place in order], density[:, order]


def _lost(table: pa.Table, newest_ms: int) -> set[str]:
    """Zones whose newest row says that nothing is known: that is told, unlike a row that has not come yet."""
    recent = table.filter(pc.greater(table["t"], newest_ms - (LATEST_MIN + 1) * MINUTE_MS)).sort_by("t")
    newest = dict(zip(recent["zone"].to_pylist(), recent["density"].to_pylist(), strict=True))
    return {zone for zone, density in newest.items() if density is None}


def _ahead(table: pa.Table, newest_ms: int, register: Register, clock: TimeZone) -> dict[str, dict[str, Any]]:
    """The answer's ``forecast``: of zones in which any horizon is better than persistence, at those horizons.

    None of zones that are unknown now: what follows from minutes before would stand beside the word as if it held.
    """
    zones, density = by_minute(table, newest_ms)
    told = forecast(density)
    judged, now_ms = told.judged, newest_ms + MINUTE_MS
    limits = Limits.of(register, clock, newest_ms + MINUTE_MS * np.arange(LONGEST + 1))
    found, lost = {}, _lost(table, newest_ms)
    for place, zone in enumerate(zones):
        at = [minutes for minutes in HORIZONS if not np.isnan(told.mid[minutes, place])]
        if not at or zone in lost:
            continue
        paths = [path[:, place] for path in (told.mid, told.low, told.high)]
        found[zone] = {
            "t": [now_ms + minutes * MINUTE_MS for minutes in at],
            **{
                name: [round(float(path[minutes]), 4) for minutes in at]
                for name, path in zip(("mid", "low", "high"), paths, strict=True)
            },
            "to_limit": to_limit(float(told.now[place]), paths, limits.at(zone), now_ms),
            "backtest": {
                str(minutes): {
                    "mae": round(float(judged.mae[row, place]), 4),
                    "persistence": round(float(judged.persistence[row, place]), 4),
                    "n": int(judged.n[row, place]),
                }
                for row, minutes in enumerate(HORIZONS)
                if minutes in at
            },
        }
    return found
