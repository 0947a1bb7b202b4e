"""GET /api/why: what a figure of a zone or gate rests on.

    ?run= (default: as /events) &window= (default: its finest) &zone=ID | &gate=ID [&at=ms]

    {"run", "place", "window", "start", "end", "status", "coverage", "inputs", "grade", "thresholds", "changes",
     "sensors"}

Of the newest window, or of the one that was shown when the run had closed up to ``at``. ``run.registry_version`` is the
one the row was made by; thresholds and sensors are those of the newest version. ``start``, ``end``, ``status`` and
``coverage`` are null, ``inputs`` empty where no row is there; ``grade`` is null of a gate too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import asked, past
from dashboard.asked import Refused
from dashboard.because import LOST, Figure, graded, inputs, thresholds
from dashboard.columns import keys_of
from dashboard.layout import Register, finest, k_of, name_of, windows_of
from dashboard.snapshot import Views, choose, closed_ms, end_of
from engine.model import DIRECTIONS, LENGTH_MS, MINUTE

if TYPE_CHECKING:
    from sinks.clickhouse.store import Run, Store

CHANGES = 20  # edits of thresholds told, the newest first


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for; ``at_ms`` None = now."""

    run_id: str | None
    window: str | None
    zone: str | None
    gate: str | None
    at_ms: int | None


def why(store: Store, views: Views, question: Question) -> dict[str, Any]:
    """The answer. Raises Refused for no such run, zone or gate."""
    if (question.zone is None) == (question.gate is None):
        raise Refused("zone")
    run = choose(store, question.run_id)
    if run is None:
        raise Refused("run", 404)
    zone, gate = question.zone, question.gate
    closed, register = closed_ms(run), views.register(run)
    own = windows_of(views.layout(run, None, register, {}), "zones" if zone is not None else "flow")
    window = question.window or own.get(zone or gate or "") or finest(run)
    at = question.at_ms if question.at_ms is None or closed is None else min(question.at_ms, closed)
    start = _start(store, views, run, window, question, at)
    known = zone in register.zones if zone is not None else gate in register.gates or gate in run.leaves
    if start is None and not known:
        raise Refused("zone" if zone is not None else "gate", 404)
    figure = None if start is None else _figure(store, run, window, start, zone, gate, register)
    then = at if at is not None else closed if closed is not None else run.last_ms
    sensors = _sensors(store, run, register, zone, gate, then, question.at_ms is not None)
    row: Mapping[str, Any] = {}
    if figure is not None:
        row = figure.zone if zone is not None else next(iter(figure.gates[gate or ""].values()))
    made_by = views.version(row["registry_version"]) if row else register
    rows, ident = (register.zones, zone) if zone is not None else (register.gates, gate or "")
    instant = figure.start_ms if figure is not None else then if then is not None else run.started_ms
    sides = [register.gates.get(ident, {}).get(side) for side in ("a", "b")] if zone is None else [zone]
    of_zones = [side for side in sides if side is not None]
    place = made_by.zones.get(zone or "", {})
    return {
        "run": {
            "id": run.run_id,
            "kind": run.kind,
            "registry_version": row.get("registry_version") or register.version or run.registry_version,
            "code_version": run.code_version,
            "config_hash": run.config_hash,
            "k": k_of(json.loads(run.config) if run.config else {}, "flow"),
        },
        "place": {"id": ident, "name": name_of(rows.get(ident, {}), ident)},
        "window": window,
        "start": None if figure is None else figure.start_ms,
        "end": None if figure is None else figure.end_ms,
        "status": row.get("status"),
        "coverage": row.get("coverage"),
        "inputs": [] if figure is None else inputs(figure, place, made_by),
        "grade": graded(figure, place) if figure is not None and zone is not None else None,
        "thresholds": thresholds(figure, instant, of_zones, gate, register, run.timezone, _share(sensors)),
        "changes": views.changes(run)[:CHANGES],
        "sensors": sensors,
    }


def _start(store: Store, views: Views, run: Run, window: str, question: Question, at: int | None) -> int | None:
    """Start (ms) of the window whose figure is shown, now or at an instant; None where none is."""
    product, key = ("zones", (question.zone,)) if question.zone is not None else ("flow", (question.gate,))
    if at is not None:
        then = past.read(store, views, run, window, at, at)
        times = next(then.figures([at]))[product]["t"]
        shown = zip(keys_of(then.layout, product), times, strict=True)
        return max((time for of, time in shown if of[:1] == key and time is not None), default=None)
    rows = store.latest_zones(run.run_id, window) if product == "zones" else store.latest(run.run_id, window)
    ids, times = rows["zone" if product == "zones" else "gate"], rows["window_start"].cast("int64")
    mine = [time for of, time in zip(ids.to_pylist(), times.to_pylist(), strict=True) if of == key[0]]
    return max(mine, default=None)


def _figure(
    store: Store, run: Run, window: str, start: int, zone: str | None, gate: str | None, register: Register
) -> Figure:
    """The row of a zone with those of its gates, or the rows of a gate, of the window that starts then."""
    span = {"window": window, "start_ms": start, "end_ms": start + 1}
    gates = {gate} if gate is not None else set(register.touching(zone or ""))
    found: dict[str, dict[str, dict[str, Any]]] = {}
    if gates:
        for row in store.rows("flow", run.run_id, **span).to_pylist():  # type: ignore[arg-type]
            if row["gate"] in gates:
                found.setdefault(row["gate"], {})[row["direction"]] = row
    of_zone: dict[str, Any] = {}
    if zone is not None:
        rows = store.rows("zones", run.run_id, **span).to_pylist()  # type: ignore[arg-type]
        of_zone = next(row for row in rows if row["zone"] == zone)
    ordered = {of: {way: found[of][way] for way in DIRECTIONS if way in found[of]} for of in sorted(found)}
    return Figure(window, start, end_of(run, window, start), of_zone, ordered)


def _sensors(
    store: Store, run: Run, register: Register, zone: str | None, gate: str | None, at: int | None, past_only: bool
) -> list[dict[str, Any]]:
    """The sensors that serve a zone or gate, with their approval and state as of ``at`` (None: at any time)."""
    gates = [gate] if gate is not None else register.touching(zone or "")
    lined = any(register.gates.get(of, {}).get("line_m") for of in gates)
    outlined = zone is not None and bool(register.zones.get(zone, {}).get("polygon_m"))
    # a state belongs to the minute that ends behind it
    before = at - LENGTH_MS[MINUTE] + 1 if past_only and at is not None else None
    states = {sensor: (state, since) for sensor, state, since in store.sensor_states(run.run_id, before)}
    approved = register.approved(at)
    found = []
    for sensor, row in register.sensors.items():
        roams = row.get("kind") == "tracker" and row.get("gate") is None and row.get("zone") is None
        at_zone = zone is not None and row.get("zone") == zone
        if not (row.get("gate") in gates or at_zone or (roams and (lined or outlined))):
            continue
        state, since = states.get(sensor, (None, None))
        told = {name: row.get(name) for name in ("kind", "gate", "zone", "group")}
        found.append({"id": sensor, **told, "approved": sensor in approved, "state": state, "since": since})
    return found


def _share(sensors: list[dict[str, Any]]) -> float | None:
    """Share of the approved sensors that are not lost, those of a group as one; None where none is approved."""
    lanes: dict[Any, bool] = {}
    for sensor in sensors:
        if sensor["approved"]:
            lane = (sensor["gate"] or sensor["zone"], sensor["group"]) if sensor["group"] else sensor["id"]
            lanes[lane] = lanes.get(lane, False) or sensor["state"] not in LOST
    return sum(lanes.values()) / len(lanes) if lanes else None


async def _why(request: Request) -> Response:
    feed = request.app.state.feed

    async def made() -> dict[str, Any]:
        run_id = asked.ident(request, "run")
        question = Question(
            run_id if run_id is not None else feed.run_id,
            asked.window(request),
            asked.ident(request, "zone"),
            asked.ident(request, "gate"),
            asked.instant(request, "at"),
        )
        answer: dict[str, Any] = await feed.beside(lambda store, views: why(store, views, question))
        return answer

    return await asked.told(made())


ROUTES = [Route("/api/why", _why)]
