"""Health of the sensors of a run, as the page lists it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.model import END, HEALTH, HEALTH_OK, ON_CHANGE, REPORTING
from engine.rfc3339 import parse_ms

Rows = Mapping[str, Mapping[str, Any]]  # of a registry, by id


def health_of(
    registry: Mapping[str, Rows],
    now_ms: int | None,
    states: Sequence[tuple[str, str, int]],
    name: Callable[[Mapping[str, Any], str], Mapping[str, str]],
) -> dict[str, Any]:
    """Health of the sensors that stand in ``registry`` and are approved at ``now_ms`` (None: at any time).

    ``registry``: rows of its sensors, gates and zones; ``states``: (sensor, state, since in ms); ``name`` of a place in
    both languages, the id where it has none.

    ``{"ok": sensors, "unknown": sensors, "rows": [{"id", "place", "state", "since"}]}``: how many are ok, of how many
    nothing is known though they promised to be heard, and those that are not ok, in the registry's order. Nothing is
    expected of a sensor that tells changes only: without a row it is not unknown.
    """
    told = {sensor: (state, since) for sensor, state, since in states}
    ok, unknown = 0, 0
    rows: list[dict[str, Any]] = []
    for sensor, row in registry["sensors"].items():
        if now_ms is not None and not _approved(row, now_ms):
            continue
        state, since = told.get(sensor, (None, None))
        if state is None:
            unknown += row.get("reporting", REPORTING[ON_CHANGE]) != REPORTING[ON_CHANGE]
        elif state == HEALTH[HEALTH_OK]:
            ok += 1
        else:
            rows.append({"id": sensor, "place": _place(registry, row, name), "state": state, "since": since})
    return {"ok": ok, "unknown": unknown, "rows": rows}


def _place(
    registry: Mapping[str, Rows], sensor: Mapping[str, Any], name: Callable[[Mapping[str, Any], str], Mapping[str, str]]
) -> Mapping[str, str] | None:
    for part, field in (("gates", "gate"), ("zones", "zone")):
        at = sensor.get(field)
        if at is not None:
            return name(registry[part].get(at, {}), at)
    return None


def _approved(sensor: Mapping[str, Any], at_ms: int) -> bool:
    spans = ((parse_ms(span["from"]), span.get("to")) for span in sensor.get("approved") or ())
    return any(
        start is not None and start <= at_ms and (end is None or at_ms < (parse_ms(end) or END)) for start, end in spans
    )
