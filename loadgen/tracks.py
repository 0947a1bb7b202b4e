"""What trackers see: places of people, ten times a second, while they are within their reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadgen.motion import STEP_S, Path
from loadgen.place import site_xy
from loadgen.sensors import Sensor

RATE_HZ = 10
_SAMPLES = round(STEP_S * RATE_HZ)
_SHARES = np.arange(_SAMPLES) / _SAMPLES


class Seen(NamedTuple):
    """Points of one tracker in a step, in order of time: ms after its beginning, track, x, y (m, to the millimetre)."""

    after_ms: list[int]
    track: list[int]
    x: list[float]
    y: list[float]


class Tracker:
    """Follows people through its box; who leaves it and comes back is a new track."""

    def __init__(self, sensor: Sensor) -> None:
        if sensor.box is None:
            raise ValueError(f"{sensor.id} is no tracker")
        self.sensor, self.box = sensor, sensor.box
        self.tracks: dict[int, int] = {}  # person → track
        self.numbered = 0

    def see(self, path: Path) -> Seen:
        """The points of a step."""
        who = np.flatnonzero(self._may_see(path))
        share = _SHARES[None, :, None]
        bend = path.bend[who, None, None]
        start, knee, end = (place[who, None, :] for place in (path.start, path.knee, path.end))
        before = start + (knee - start) * (share / bend)
        behind = knee + (end - knee) * ((share - bend) / np.maximum(1.0 - bend, 1e-9))
        place = np.where(share < bend, before, behind)  # (people, samples, 2)
        from_along, to_along, from_across, to_across = self.box
        inside = (
            (place[..., 0] >= from_along)
            & (place[..., 0] < to_along)
            & (place[..., 1] >= from_across)
            & (place[..., 1] < to_across)
        )
        track = self._tracks(path.person[who], inside)
        sample, row = np.nonzero(inside.T)
        x, y = site_xy(place[row, sample, 0], place[row, sample, 1])
        after = (sample * (1000 // RATE_HZ)).tolist()
        return Seen(after, track[row].tolist(), np.round(x, 3).tolist(), np.round(y, 3).tolist())

    def _may_see(self, path: Path) -> NDArray[np.bool_]:
        places = np.stack([path.start, path.knee, path.end])
        low, high = places.min(axis=0), places.max(axis=0)
        from_along, to_along, from_across, to_across = self.box
        return (
            (high[:, 0] >= from_along) & (low[:, 0] < to_along) & (high[:, 1] >= from_across) & (low[:, 1] < to_across)
        )

    def _tracks(self, person: NDArray[np.int64], inside: NDArray[np.bool_]) -> NDArray[np.int64]:
        told = np.full(len(person), -1)
        following: dict[int, int] = {}
        seen = np.flatnonzero(inside.any(axis=1))
        for row, number, stays in zip(seen.tolist(), person[seen].tolist(), inside[seen, -1].tolist(), strict=True):
            track = self.tracks.get(number)
            if track is None:
                track, self.numbered = self.numbered, self.numbered + 1
            told[row] = track
            if stays:
                following[number] = track
        self.tracks = following
        return told


def trackers(sensors: Sequence[Sensor]) -> dict[int, Tracker]:
    """The trackers among some sensors, by row."""
    return {row: Tracker(sensor) for row, sensor in enumerate(sensors) if sensor.kind == "tracker"}
