"""Devices of the registry: since when they are approved, and rows that stay through versions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from engine import registry
from engine.devices import devices_of
from engine.tables import Tables

Y = {year: f"{year}-01-01T00:00:00Z" for year in range(2020, 2027)}


def version(name: str, *devices: dict[str, Any]) -> registry.Registry:
    zones = [{"id": "z", "kind": "plaza"}]
    return registry.parse(
        json.dumps({"version": name, "timezone": "UTC", "zones": zones, "devices": list(devices)}).encode()
    )


def device(name: str, *spans: tuple[int, int | None], zone: str | None = None) -> dict[str, Any]:
    approved = [{"from": Y[a], "to": None if b is None else Y[b]} for a, b in spans]
    return {"id": name, "zone": zone, "approved": approved}


def test_the_registry_tells_its_devices() -> None:
    found = version("a", device("d1", (2020, 2021), (2022, None), zone="z")).devices
    assert [(d.id, d.zone, len(d.approved)) for d in found] == [("d1", "z", 2)]


def test_a_device_is_approved_in_its_intervals_alone() -> None:
    made = devices_of(Tables(version("a", device("d1", (2020, 2021), (2022, 2023)), device("d2", (2025, None)))))
    years = range(2020, 2026)
    at = np.array([registry.rfc3339.parse_ms(Y[year]) for year in years], np.int64)
    for row, good in ((0, [True, False, True, False, False, False]), (1, [False] * 5 + [True])):
        assert made.approved(np.full(6, row, np.int32), at).tolist() == good
    assert made.approved(np.array([0, 0], np.int32), np.array([at[1] - 1, at[0] - 1])).tolist() == [True, False]


def test_rows_stay_and_what_is_gone_has_no_id(kernels: Any) -> None:
    before = Tables(version("a", device("d1", (2020, None)), device("d2", (2020, None))))
    made = devices_of(Tables(version("b", device("d3", (2020, None)), device("d2", (2021, None))), before))
    assert (made.names, made.here.tolist()) == (("d1", "d2", "d3"), [False, True, True])
    ids = made.ids()
    assert [ids.find(name) for name in (b"d1", b"d2", b"d3")] == [-1, 1, 2]
    # d2 as the newest version approves it
    assert made.approved(np.array([1], np.int32), np.array([registry.rfc3339.parse_ms(Y[2020])])).tolist() == [False]
