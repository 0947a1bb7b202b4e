"""Millions of `cross` events in a file, for measuring: lines of one width, written column by column with NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen.files import opened

START_MS = 1_770_450_000_000
_CHUNK = 250_000
_PANE_MS = 10_000
_TS_DIGITS = 13
_GATES_PER_ZONE = 25
_DIGITS = np.frombuffer(b"".join(b"%04d" % i for i in range(10_000)), np.uint32)  # four bytes each
_DIRECTIONS = np.frombuffer(b'"ab""ba"null', np.uint32)


@dataclass(frozen=True)
class Bulk:
    """What a bulk file holds. ``counts`` (panes, gates, 2): people by 10 s pane, gate, direction (ab, ba).

    Pane p begins at ``start_ms + 10_000 * p``; the gates stand in the registry's order.
    """

    registry: dict[str, Any]
    start_ms: int
    counts: NDArray[np.int64]
    events: int
    line_bytes: int


def bulk_registry(sensors: int = 1_000, gates: int = 250) -> dict[str, Any]:
    """The registry of a bulk file: sensor s serves gate s % gates; gates lead from zones outside.

    Raises ValueError unless 1 ≤ gates ≤ sensors.
    """
    if not 1 <= gates <= sensors:
        raise ValueError("needs at least one gate, and a sensor for each")
    zones = [f"z{number}" for number in range(min(gates, max(10, gates // _GATES_PER_ZONE)))]
    names = gate_ids(gates)
    return {
        "version": "bulk-1",
        "timezone": "Asia/Tokyo",
        "zones": [{"id": zone, "kind": "walkway", "area_m2": 1000, "width_m": 20} for zone in zones],
        "gates": [
            {"id": name, "a": zones[gate % len(zones)], "b": None, "leaf": "10s"} for gate, name in enumerate(names)
        ],
        "sensors": [
            {
                "id": sensor.tobytes().decode(),
                "kind": "counter",
                "gate": names[number % gates],
                "approved": [{"from": "2020-01-01T00:00:00Z", "to": None}],
            }
            for number, sensor in enumerate(sensor_ids(sensors, gates))
        ],
    }


def write_bulk(
    path: str | Path,
    events: int = 10_000_000,
    sensors: int = 1_000,
    gates: int = 250,
    seed: int = 1,
    sorted: bool = True,
    *,
    rate: int = 20_000,
    start_ms: int = START_MS,
    on_progress: Callable[[int], None] | None = None,
) -> Bulk:
    """Write ``events`` cross events to ``path`` (compressed by suffix) and tell the truth about them.

    ``rate`` events per second of event time from ``start_ms`` (a whole 10 s), sensors and directions drawn by
    ``seed``; with the defaults a line has 75 bytes and its newline. ``sorted`` False: the same lines, shuffled over
    the whole file (memory: 16 bytes per event). Raises ValueError for counts below 1 or a start that is not a
    whole pane, OSError where the file cannot be written.
    """
    if events < 1 or rate < 1 or start_ms % _PANE_MS or len(str(start_ms + events * 1000 // rate)) != _TS_DIGITS:
        raise ValueError("needs at least one event, a rate of at least 1, and a start at a whole 10 s after 2001")
    registry = bulk_registry(sensors, gates)
    lines = Lines(sensor_ids(sensors, gates), first_seq=10 ** len(str(4 * events // sensors + 999)))
    counts = np.zeros(((events - 1) * 1000 // rate // _PANE_MS + 1) * gates * 2, np.int64)
    written = 0
    with opened(path) as out:
        for rows in _drawn(np.random.default_rng(seed), events, sensors, rate, lines.first_seq, sorted):
            offset_ms, sensor, direction, seq = rows
            out.write(lines.encode(start_ms + offset_ms, sensor, direction, seq))
            place = (offset_ms // _PANE_MS * gates + sensor % gates) * 2 + direction
            counts += np.bincount(place, minlength=len(counts))
            written += len(seq)
            if on_progress is not None:
                on_progress(written)
    return Bulk(registry, start_ms, counts.reshape(-1, gates, 2), events, lines.width - 1)


_Rows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _drawn(
    rng: np.random.Generator, events: int, sensors: int, rate: int, first_seq: int, in_order: bool
) -> Iterator[_Rows]:
    """Chunks of (ms after the start, sensor, direction, seq), by time or shuffled; seq counts up per sensor by time."""
    chunks = by_time(rng, events, sensors, rate, first_seq)
    if in_order:
        yield from chunks
        return
    sensor, direction = np.empty(events, np.int32), np.empty(events, np.int8)
    seq, at = np.empty(events, np.int32), 0
    for _, chunk_sensor, chunk_direction, chunk_seq in chunks:
        here = slice(at, at + len(chunk_seq))
        sensor[here], direction[here], seq[here] = chunk_sensor, chunk_direction, chunk_seq
        at = here.stop
    order = rng.permutation(np.arange(events, dtype=np.int32))
    for at in range(0, events, _CHUNK):
        rows = order[at : at + _CHUNK]
        yield (
            rows.astype(np.int64) * 1000 // rate,
            sensor[rows].astype(np.int64),
            direction[rows].astype(np.int64),
            seq[rows].astype(np.int64),
        )


def by_time(rng: np.random.Generator, events: int, sensors: int, rate: int, first_seq: int) -> Iterator[_Rows]:
    """Chunks of (ms after the start, sensor, direction, seq), by time; seq counts up per sensor from ``first_seq``."""
    following = np.full(sensors, first_seq, np.int64)
    for at in range(0, events, _CHUNK):
        number = np.arange(at, min(at + _CHUNK, events), dtype=np.int64)
        sensor = rng.integers(0, sensors, len(number))
        # how many of the same sensor came before, in this chunk
        order = np.argsort(sensor, kind="stable")
        many = np.bincount(sensor, minlength=sensors)
        before = np.empty(len(number), np.int64)
        before[order] = np.arange(len(number)) - np.repeat(many.cumsum() - many, many)
        yield number * 1000 // rate, sensor, rng.integers(0, 2, len(number)), following[sensor] + before
        following += many


class Lines:
    """Encodes cross events as lines of one width: the fixed text once, then only the bytes that differ.

    ``ids`` (sensors, bytes): as sensor_ids gives them. ``after``: the byte behind each event.
    """

    def __init__(self, ids: NDArray[np.uint8], first_seq: int, after: bytes = b"\n") -> None:
        id_width = ids.shape[1]
        self.ids = ids.view(np.dtype((np.void, id_width)))[:, 0]
        self.first_seq = first_seq
        self.seq_digits = len(str(first_seq))
        text = b'{"sensor":"%b","ts":%b,"type":"cross","dir":"ab","seq":%b}' % (
            b"s" * id_width,
            b"0" * _TS_DIGITS,
            b"0" * self.seq_digits,
        )
        self.text = text + after
        self.width = len(self.text)
        self.sensor_at = text.index(b"s" * id_width + b'"')
        self.ts_at = text.index(b'"ts":') + 5
        self.direction_at = text.index(b'"ab"')
        self.seq_at = text.index(b'"seq":') + 6
        self.block = np.empty((0, self.width), np.uint8)

    def fill(
        self, ts: NDArray[np.int64], sensor: NDArray[np.int64], direction: NDArray[np.int64], seq: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """The lines as rows of bytes, which hold until the next call; ``direction`` 0 = ab, 1 = ba, 2 = unknown."""
        if len(self.block) < len(ts):
            self.block = np.tile(np.frombuffer(self.text, np.uint8), (len(ts), 1))
        block = self.block[: len(ts)]
        _put(block, self.sensor_at, self.ids.take(sensor))
        _put(block, self.direction_at, _DIRECTIONS.take(direction))
        _put_digits(block, self.ts_at, _TS_DIGITS, ts)
        _put_digits(block, self.seq_at, self.seq_digits, seq)
        return block

    def encode(
        self, ts: NDArray[np.int64], sensor: NDArray[np.int64], direction: NDArray[np.int64], seq: NDArray[np.int64]
    ) -> bytes:
        """The lines as bytes."""
        return self.fill(ts, sensor, direction, seq).tobytes()


def _put_digits(block: NDArray[np.uint8], at: int, digits: int, values: NDArray[np.int64]) -> None:
    """Write ``values`` in exactly ``digits`` digits to the columns from ``at`` on, four at a time from the right."""
    end = at + digits
    while end > at:
        width = min(4, end - at)
        higher = values // 10_000  # quicker than divmod
        low = _DIGITS.take(values - higher * 10_000)
        if width == 4:
            _put(block, end - 4, low)
        else:
            block[:, end - width : end] = low.view(np.uint8).reshape(-1, 4)[:, 4 - width :]
        values, end = higher, end - width


def _put(block: NDArray[np.uint8], at: int, texts: NDArray[Any]) -> None:
    """Write a text of one size to each row; whole texts are moved several times as fast as columns of bytes."""
    whole = np.dtype((np.void, texts.itemsize))
    block[:, at : at + texts.itemsize].view(whole)[:, 0] = texts.view(whole)


def sensor_ids(sensors: int, gates: int, which: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    """The ids of all sensors, or of those whose numbers ``which`` holds, as rows of bytes: 003-12 is the thirteenth
    sensor of the fourth gate. All have one width; sensor s serves gate s % gates."""
    numbers = np.arange(sensors) if which is None else which
    gate_digits, lane_digits = _gate_digits(gates), len(str((sensors - 1) // gates))
    ids = np.full((len(numbers), gate_digits + 1 + lane_digits), ord("-"), np.uint8)
    _put_digits(ids, 0, gate_digits, numbers % gates)
    _put_digits(ids, gate_digits + 1, lane_digits, numbers // gates)
    return ids


def gate_ids(gates: int) -> list[str]:
    """The ids of the gates, in the registry's order."""
    return [f"{gate:0{_gate_digits(gates)}d}" for gate in range(gates)]


def _gate_digits(gates: int) -> int:
    return max(3, len(str(gates - 1)))
