"""Health of the sensors of a run, as the page lists it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.layout import Register, Rows, name_of
from engine.model import HEALTH, HEALTH_OK, ON_CHANGE, REPORTING


def health_of(sensors: Rows, register: Register, states: Sequence[tuple[str, str, int]]) -> dict[str, Any]:
    """Health of ``sensors``, those of a registry version that are approved. ``states``: (sensor, state, since in ms).

    ``{"ok": sensors, "unknown": sensors, "rows": [{"id", "place", "state", "since"}]}``: how many are ok, of how many
    nothing is known though they promised to be heard, and those that are not ok, in the registry's order. Nothing is
    expected of a sensor that tells changes only: without a row it is not unknown.
    """
    told = {sensor: (state, since) for sensor, state, since in states}
    ok, unknown = 0, 0
    rows: list[dict[str, Any]] = []
    for sensor, row in sensors.items():
        state, since = told.get(sensor, (None, None))
        if state is None:
            unknown += row.get("reporting", REPORTING[ON_CHANGE]) != REPORTING[ON_CHANGE]
        elif state == HEALTH[HEALTH_OK]:
            ok += 1
        else:
            rows.append({"id": sensor, "place": _place(register, row), "state": state, "since": since})
    return {"ok": ok, "unknown": unknown, "rows": rows}


def _place(register: Register, sensor: Mapping[str, Any]) -> Mapping[str, str] | None:
    for rows, field in ((register.gates, "gate"), (register.zones, "zone")):
        at = sensor.get(field)
        if at is not None:
            return name_of(rows.get(at, {}), at)
    return None
