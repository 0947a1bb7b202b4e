"""decode of Arrow messages, beside numpy on what pyarrow reads, which fills the same columns."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.kernels.bench_decode import START, Messages, columns
from engine import decode as reference
from engine.fast import _decode
from engine.model import ARROW, CROSS, HEARTBEAT

SENSORS = [f"j{gate:03d}-{lane:02d}" for gate in range(125) for lane in range(8)]
PER_MESSAGE = 1_000
LISTS = ("one list", "own lists")  # dictionary of sensors: all of them in every message, or those of the message


def stream(first: int, rng: random.Random, lists: str, alive: int) -> bytes:
    """Crosses, one in ``alive`` rows a heartbeat (0: none)."""
    rows = range(first, first + PER_MESSAGE)
    beats = [bool(alive) and i % alive == 0 for i in rows]
    indices = pa.array([rng.randrange(len(SENSORS)) for _ in rows], pa.int32())
    sensor = pa.DictionaryArray.from_arrays(indices, pa.array(SENSORS))
    if lists == "own lists":
        sensor = sensor.dictionary_decode().dictionary_encode()
    batch = pa.record_batch(
        {
            "sensor": sensor,
            "ts": pa.array([START + i for i in rows]),
            "type": pa.DictionaryArray.from_arrays(pa.array(beats).cast(pa.int8()), pa.array(["cross", "heartbeat"])),
            "dir": pa.DictionaryArray.from_arrays(
                pa.array([None if beat else rng.randrange(2) for beat in beats], pa.int8()), pa.array(["ab", "ba"])
            ),
            "seq": pa.array([None if beat else i for i, beat in zip(rows, beats, strict=True)], pa.int64()),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def streams(count: int, lists: str, alive: int = 0) -> Messages:
    """So many events in messages of PER_MESSAGE, one behind the other: data, starts, ends, record_ts."""
    rng = random.Random(3)
    messages = [stream(first, rng, lists, alive) for first in range(0, count, PER_MESSAGE)]
    sizes = np.array([len(m) for m in messages], np.int64)
    ends = np.cumsum(sizes)
    return b"".join(messages), ends - sizes, ends, np.full(len(messages), START + count, np.int64)


def run(module: Any, messages: Messages, out: list[np.ndarray[Any, Any]]) -> int:
    ids = module.Ids([sensor.encode() for sensor in SENSORS])
    following, rows = module.decode(*messages, ids, *out, 0, ARROW)
    assert following == len(messages[1])
    return int(rows)


def numpy_columns(messages: Messages, out: list[np.ndarray[Any, Any]]) -> int:
    """What one writes without a kernel: right for these crosses alone, no checks."""
    data, starts, ends, record_ts = messages
    kind, reason, sensor, ts, span_ms, n, seq, has_seq, _, _, out_record_ts, message = out
    rows, at = {name: row for row, name in enumerate(SENSORS)}, 0
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        for batch in pa.ipc.open_stream(pa.py_buffer(data)[start:end]):
            to = slice(at, at + len(batch))
            found = batch.column("sensor")
            known = np.array([rows.get(name, -1) for name in found.dictionary.to_pylist()], np.int32)
            sensor[to] = known[found.indices.to_numpy()]
            ts[to], seq[to] = batch.column("ts").to_numpy(), batch.column("seq").to_numpy()
            n[to] = np.eye(3, dtype=np.int64)[batch.column("dir").indices.to_numpy()]
            out_record_ts[to], message[to] = record_ts[i], i
            at = to.stop
    kind[:at], reason[:at], span_ms[:at], has_seq[:at] = CROSS, 0, 0, 1
    return at


@pytest.mark.parametrize("lists", LISTS)
@pytest.mark.parametrize("way", ["compiled", "numpy"])
def test_crosses(benchmark: Any, scale: Callable[[int, int], int], way: str, lists: str) -> None:
    count = scale(500_000, 5_000)
    messages, out = streams(count, lists), columns(count)
    work = (lambda: run(_decode, messages, out)) if way == "compiled" else (lambda: numpy_columns(messages, out))
    assert benchmark(work) == count
    benchmark.extra_info |= {"events": count, "bytes_per_event": round(len(messages[0]) / count, 1)}
    expected = columns(2_000)
    part = (messages[0], *(column[:2] for column in messages[1:]))
    assert run(reference, part, expected) == 2_000
    assert all((a[:2_000] == b).all() for a, b in zip(out, expected, strict=True))
    assert (out[1] == 0).all()
    assert out[5].sum() == count


def test_heartbeats_among_crosses(benchmark: Any, scale: Callable[[int, int], int]) -> None:
    count = scale(500_000, 5_000)
    messages, out = streams(count, LISTS[0], alive=20), columns(count)
    assert benchmark(lambda: run(_decode, messages, out)) == count
    benchmark.extra_info |= {"events": count, "bytes_per_event": round(len(messages[0]) / count, 1)}
    assert (out[1] == 0).all()
    assert np.bincount(out[0]).tolist() == [0, count - count // 20, 0, count // 20]
    assert (out[0][::20] == HEARTBEAT).all()
    assert out[5].sum() == out[7].sum() == count - count // 20
