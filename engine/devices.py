"""Columns of the registry's devices for the streams beside people: one set of rows for all versions that a run meets.

As with sensors (engine/tables.py), a later version appends rows and never renumbers: what was counted under a row stays
there. A device that a version leaves out keeps its row, without an id on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.model import I32, I64
from engine.registry import Device
from engine.tables import Tables


@dataclass(frozen=True)
class Devices:
    """Rows of devices (D,). ``names``: their ids; ``here``: whether the row stands in the newest version.

    ``approved_at[d]:approved_at[d + 1]`` are device d's rows in ``approved_from`` and ``approved_to`` (ms).
    """

    names: tuple[str, ...]
    here: NDArray[np.bool_]
    approved_at: I32
    approved_from: I64
    approved_to: I64

    def ids(self) -> Any:
        """``Names`` of the active kernels: by what events name the rows."""
        words = zip(self.names, self.here.tolist(), strict=True)
        return kernels.active().Names([name.encode() if here else None for name, here in words])

    def approved(self, device: I32, at_ms: I64) -> NDArray[np.bool_]:
        """Whether each device (m,) was approved at an instant of its own (m,)."""
        first, behind = self.approved_at[device], self.approved_at[device + 1]
        good = np.zeros(len(device), np.bool_)
        for place in range(int((behind - first).max(initial=0))):  # few: how often a device was approved anew
            row = first + place
            rows = np.flatnonzero(row < behind)
            since, until = self.approved_from[row[rows]], self.approved_to[row[rows]]
            good[rows] |= (since <= at_ms[rows]) & (at_ms[rows] < until)
        return good


def devices_of(tables: Tables) -> Devices:
    """The devices of a sequence of versions."""
    return tables.once(Devices, lambda: _made(tables.devices, {d.id for d in tables.registry.devices}))


def _made(devices: tuple[Device, ...], here: set[str]) -> Devices:
    spans = [span for device in devices for span in device.approved]
    return Devices(
        tuple(device.id for device in devices),
        np.array([device.id in here for device in devices], np.bool_),
        np.cumsum([0, *(len(device.approved) for device in devices)]).astype(np.int32),
        np.array([since for since, _ in spans], np.int64),
        np.array([until for _, until in spans], np.int64),
    )
