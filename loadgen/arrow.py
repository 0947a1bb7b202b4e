"""Events as Arrow IPC streams: the columns of the JSON fields, texts in dictionaries. Written by pyarrow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loadgen.draw import Columns, Part
from loadgen.truth import BAD_VALUE, MISSING_FIELD, UNKNOWN_SENSOR, UNKNOWN_TYPE
from loadgen.wire import Packed

Rows = NDArray[np.int64]
Reals = NDArray[np.float64]
_TYPES = pa.array(["cross", "crosz"])
_DIRECTIONS = pa.array(["ab", "ba", "zz"])
_UNKNOWN, _WRONG = 2, 2  # direction of an event; place in _DIRECTIONS
_STRANGER = b"x"
_SCHEMA = pa.schema(
    {
        "sensor": pa.dictionary(pa.int32(), pa.string()),
        "ts": pa.int64(),
        "type": pa.dictionary(pa.int8(), pa.string()),
        "dir": pa.dictionary(pa.int8(), pa.string()),
        "seq": pa.int64(),
    }
)


class Streams:
    """A stream of one record batch a message, of so many events; the last one of a step has what is left.

    Its dictionary holds all sensors of the partition, or those of the message where the partition has more than events
    fit into one.
    """

    def __init__(self, part: Part) -> None:
        self.most = part.plan.per_array
        self.ids = pa.array([sensor.tobytes() for sensor in part.ids] + [_STRANGER]).cast(pa.string())

    def encode(self, events: Columns) -> Packed:
        """See wire.Encoder."""
        many, reason = len(events.ts), events.reason
        sensor = np.where(reason == UNKNOWN_SENSOR, len(self.ids) - 1, events.sensor).astype(np.int32)
        ts = pa.array(events.ts, mask=reason == MISSING_FIELD)
        kind = _words(reason == UNKNOWN_TYPE, _TYPES)
        direction = _words(
            np.where(reason == BAD_VALUE, _WRONG, events.direction),
            _DIRECTIONS,
            (events.direction == _UNKNOWN) & (reason != BAD_VALUE),
        )
        seq = pa.array(events.seq)
        out = pa.BufferOutputStream()
        ends = np.append(np.arange(self.most, many, self.most), many)[:many]
        at = [0]
        for first, last in zip([0, *ends.tolist()], ends.tolist(), strict=False):
            these = slice(first, last)
            columns = [self._sensors(sensor[these]), ts[these], kind[these], direction[these], seq[these]]
            with pa.ipc.new_stream(out, _SCHEMA) as stream:
                stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=_SCHEMA))
            at.append(out.tell())
        data = np.frombuffer(out.getvalue(), np.uint8)
        return Packed(data, np.array(at[:-1], np.int64), np.diff(at), ends, 0, 0)

    def _sensors(self, sensor: np.ndarray[tuple[int], np.dtype[np.int32]]) -> pa.DictionaryArray:
        if len(self.ids) <= self.most:
            return pa.DictionaryArray.from_arrays(sensor, self.ids)
        there, place = np.unique(sensor, return_inverse=True)
        return pa.DictionaryArray.from_arrays(place.astype(np.int32), self.ids.take(pa.array(there)))


def points(ids: Sequence[str], sensor: Rows, ts: Rows, track: Rows, x: Reals, y: Reals) -> bytes:
    """Tracked persons as one stream; ``sensor`` is the place of each row's sensor in ``ids``."""
    return _stream("point", ids, sensor, ts, track=pa.array(track), x=pa.array(x), y=pa.array(y))


def beams(ids: Sequence[str], sensor: Rows, ts: Rows, which: Rows, on: Rows, seq: Rows) -> bytes:
    """Signals of parallel beams as one stream; ``which`` 0 = a, 1 = b."""
    named = _words(which, pa.array(["a", "b"]))
    return _stream("beam", ids, sensor, ts, beam=named, on=pa.array(on.astype(bool)), seq=pa.array(seq))


def occupancies(ids: Sequence[str], sensor: Rows, ts: Rows, people: Rows, speed: Reals) -> bytes:
    """Readings of people in zones as one stream; a speed of NaN is null."""
    speeds = pa.array(speed, mask=np.isnan(speed))
    return _stream("occupancy", ids, sensor, ts, people=pa.array(people), speed=speeds)


def _stream(kind: str, ids: Sequence[str], sensor: Rows, ts: Rows, **columns: pa.Array) -> bytes:
    """One record batch of events of one kind."""
    columns = {
        "sensor": pa.DictionaryArray.from_arrays(sensor.astype(np.int32), pa.array(ids, pa.string())),
        "ts": pa.array(ts),
        "type": _words(np.zeros_like(ts), pa.array([kind])),
        **columns,
    }
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, batch.schema) as stream:
        stream.write_batch(batch)
    return out.getvalue().to_pybytes()


def _words(places: np.ndarray, words: pa.Array, missing: np.ndarray | None = None) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int8), mask=missing), words)
