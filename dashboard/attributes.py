"""What analysts see of signage and of consenting people: tables of distinct people, as they were released.

GET /api/signage    ?run= &device= &from= &to=   touches and moves from screen to screen of one device
GET /api/profiles   ?run= &day=YYYY-MM-DD        what people are, in the tables the config names
GET /api/trips      ?run= &day=YYYY-MM-DD        from place to place

All answer ``{"run": {"id", "kind", "timezone"} | null, "runs": [{"run_id", "kind"}], "k": {product: k}, …}``; without
?run= they tell the newest live run that has such rows, else the newest replay, and ``run`` is null where none has any.

signage: ``{"from", "to", "device", "devices": [{"id", "zone": name | null}], "touches": columns, "screens": columns}``,
by default the first device and the day up to the newest window.
profiles and trips: ``{"day", "days": [day], "rows": columns | null}``, by default the newest day; ``names`` of trips
has the names of zones, that of profiles the words of codes (attribute → code → name), in the order of their lists.
``columns`` are the key's columns but the window, with ``t`` = start in ms, and ``n``, ``low``, ``high``, ``s`` (place
in STATUS). What is not listed is hidden: fewer than k. ``more``: rows beyond ROWS were left off.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import asked
from dashboard.asked import Refused
from dashboard.layout import name_of
from engine import codes
from engine.config import DEFAULTS
from engine.model import LENGTH_MS, PRODUCTS, STATUS, WINDOWS
from engine.timezone import TimeZone

if TYPE_CHECKING:
    from dashboard.layout import Register
    from sinks.clickhouse.store import Run, Store

ROWS = 50_000  # of one product in one answer
DAYS = 92  # that can be chosen from
DAY_MS = 86_400_000
LONGEST_MS = 8 * DAY_MS  # of signage
LISTS = {"prefecture": "prefectures", **{name: name for name in codes.LISTS if name != "prefectures"}}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def chosen(store: Store, products: Sequence[str], run_id: str | None) -> tuple[Run | None, list[Run]]:
    """The run to tell of, and all that have rows of any of the products, the newest first. Raises Refused."""
    having = set(store.runs_with(products))
    runs = sorted((r for r in store.runs() if r.run_id in having), key=lambda r: (r.started_ms, r.run_id), reverse=True)
    if run_id is not None:
        found = store.run(run_id)
        if found is None:
            raise Refused("run", 404)
        return found, runs
    rank = {"live": 1, "replay": 0}  # a workbench run is another release of the same people: only by its name
    return max((r for r in reversed(runs) if r.kind in rank), key=lambda r: rank[r.kind], default=None), runs


def head(run: Run | None, runs: Sequence[Run], products: Sequence[str]) -> dict[str, Any]:
    """What all answers begin with."""
    return {
        "run": None if run is None else {"id": run.run_id, "kind": run.kind, "timezone": run.timezone},
        "runs": [{"run_id": r.run_id, "kind": r.kind} for r in runs],
        "k": {} if run is None else {product: k_of(run, product) for product in products},
    }


def k_of(run: Run, product: str) -> int:
    """The least number of people that a cell of a run's table shows."""
    config = json.loads(run.config) if run.config else {}
    return int(config.get(product, {}).get("k", DEFAULTS[product]["k"]))


def columns(table: pa.Table, product: str) -> dict[str, Any]:
    """Rows of ``table_rows`` as columns; at most ROWS, and ``more`` = there are others."""
    kept = table.slice(0, ROWS)
    names = [name for name in PRODUCTS[product][0] if name not in ("window", "window_start")]
    return {
        "t": kept["window_start"].cast(pa.int64()).to_pylist(),
        **{name: kept[name].to_pylist() for name in names},
        **{short: kept[name].to_pylist() for short, name in (("n", "n"), ("low", "n_low"), ("high", "n_high"))},
        "s": pc.index_in(kept["status"], pa.array(STATUS)).to_pylist(),
        "more": table.num_rows > ROWS,
    }


def signage(
    store: Store, register: Callable[[Run], Register], run_id: str | None, device: str | None,
    start: int | None, end: int | None,
) -> dict[str, Any]:  # fmt: skip
    """The body of /api/signage. Raises Refused."""
    run, runs = chosen(store, ("touches", "screens"), run_id)
    told = head(run, runs, ("touches", "screens"))
    if run is None:
        return told
    if end is None:
        newest = [
            begun + LENGTH_MS[WINDOWS.index(window)]
            for product, window in (("touches", "15m"), ("screens", "1h"))
            for begun in store.starts(product, run.run_id, 1)
        ]
        end = max(newest, default=(start or 0) + DAY_MS)
    start = end - DAY_MS if start is None else start
    if start >= end:
        raise Refused("from")
    if end - start > LONGEST_MS:
        raise Refused("span too long", longest_ms=LONGEST_MS)
    known = register(run)
    ids = list(dict.fromkeys([*known.devices, *store.devices(run.run_id, start, end)]))
    device = device or next(iter(ids), None)
    rows = {
        product: columns(store.table_rows(product, run.run_id, start, end, ROWS + 1, device or ""), product)
        for product in ("touches", "screens")
    }
    return {**told, "from": start, "to": end, "device": device, "devices": [_device(known, i) for i in ids], **rows}


def _device(register: Register, device: str) -> dict[str, Any]:
    zone = register.devices.get(device, {}).get("zone")
    return {"id": device, "zone": None if zone is None else name_of(register.zones.get(zone, {}), str(zone))}


def daily(store: Store, product: str, run_id: str | None, day: str | None) -> tuple[dict[str, Any], Run | None]:
    """The body of /api/profiles and /api/trips but for its names, and the run. Raises Refused."""
    run, runs = chosen(store, (product,), run_id)
    told = head(run, runs, (product,))
    if run is None:
        return told, None
    clock = TimeZone(run.timezone)
    days = {_date(clock, start): start for start in store.starts(product, run.run_id, DAYS)}
    day = day or next(iter(days), None)
    if day is None or day not in days:
        return {**told, "day": day, "days": list(days), "rows": None}, run
    start = days[day]
    rows = columns(store.table_rows(product, run.run_id, start, start + 1, ROWS + 1), product)
    return {**told, "day": day, "days": list(days), "rows": rows}, run


def _date(clock: TimeZone, start_ms: int) -> str:
    return datetime.fromtimestamp(clock.local(start_ms) / 1000, UTC).date().isoformat()


def profiles(store: Store, run_id: str | None, day: str | None) -> dict[str, Any]:
    """The body of /api/profiles. Raises Refused."""
    told, _ = daily(store, "profiles", run_id, day)
    attributes = {name for table in (told.get("rows") or {}).get("table", ()) for name in table.split("*")}
    return {**told, "names": {name: words_of(LISTS[name]) for name in sorted(attributes & LISTS.keys())}}


def words_of(name: str) -> dict[str, dict[str, str]]:
    """The words of a code list (engine/codes): code → name in both languages."""
    held = codes.load(name)
    return {code: {"ja": ja, "en": en} for code, ja, en in zip(held.codes, held.ja, held.en, strict=True)}


def trips(store: Store, register: Callable[[Run], Register], run_id: str | None, day: str | None) -> dict[str, Any]:
    """The body of /api/trips. Raises Refused."""
    told, run = daily(store, "trips", run_id, day)
    rows = told.get("rows") or {}
    zones = {*rows.get("from", ()), *rows.get("to", ())} - {""}
    known = {} if run is None else register(run).zones
    return {**told, "names": {zone: name_of(known.get(zone, {}), zone) for zone in sorted(zones)}}


def _day(request: Request) -> str | None:
    """A local date; None where it is absent. Raises Refused where there is no such day."""
    value = request.query_params.get("day") or None
    if value is None:
        return None
    try:
        if _DAY.fullmatch(value):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise Refused("day")


async def _answer(request: Request, make: Callable[[], Awaitable[dict[str, Any]]]) -> Response:
    async def told() -> bytes:
        return await asyncio.to_thread(orjson.dumps, await make())

    return await asked.small(request, await asked.told(told()))


async def _signage(request: Request) -> Response:
    async def made() -> dict[str, Any]:
        feed, (run, device) = request.app.state.feed, (asked.ident(request, name) for name in ("run", "device"))
        span = asked.instant(request, "from"), asked.instant(request, "to")
        told: dict[str, Any] = await feed.call(lambda s: signage(s, feed.views.register, run, device, *span))
        return told

    return await _answer(request, made)


async def _profiles(request: Request) -> Response:
    async def made() -> dict[str, Any]:
        run, day = asked.ident(request, "run"), _day(request)
        told: dict[str, Any] = await request.app.state.feed.call(lambda s: profiles(s, run, day))
        return told

    return await _answer(request, made)


async def _trips(request: Request) -> Response:
    async def made() -> dict[str, Any]:
        feed, run, day = request.app.state.feed, asked.ident(request, "run"), _day(request)
        told: dict[str, Any] = await feed.call(lambda s: trips(s, feed.views.register, run, day))
        return told

    return await _answer(request, made)


ROUTES = [Route("/api/signage", _signage), Route("/api/profiles", _profiles), Route("/api/trips", _trips)]
