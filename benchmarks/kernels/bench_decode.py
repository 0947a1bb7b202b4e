"""decode: JSON bytes -> event columns, beside a plain orjson loop that fills the same columns."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from engine import decode as reference
from engine.fast import _decode
from engine.model import COUNT, CROSS, NO_TIME, POINT, TICK

START = 1_770_450_000_000
SENSORS = [f"j{gate}-{lane:02d}" for gate in range(25) for lane in range(8)]
Messages = tuple[bytes, np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


def laid_out(messages: list[bytes]) -> Messages:
    """The messages as lines of one buffer: data, starts, ends, record_ts."""
    sizes = np.array([len(m) for m in messages], np.int64)
    ends = np.cumsum(sizes + 1, dtype=np.int64) - 1
    return b"\n".join(messages), ends - sizes, ends, np.full(len(messages), NO_TIME, np.int64)


def crosses(count: int) -> list[bytes]:
    """One person each, 75 bytes, the typical order of fields."""
    rng = random.Random(1)
    messages = []
    for i in range(count):
        sensor, direction = rng.choice(SENSORS), rng.choice(("ab", "ba"))
        seq = 10_000 + i % 80_000
        message = f'{{"sensor":"{sensor}","ts":{START + i},"type":"cross","dir":"{direction}","seq":{seq}}}'
        messages.append(message.encode())
    return messages


def mixture(count: int) -> list[bytes]:
    """Every type, RFC 3339 times, unknown fields, white space, in arrays of four."""
    rng = random.Random(2)
    rows = []
    for i in range(count):
        at = f"2026-02-07T07:{i // 60 % 60:02d}:{i % 60:02d}.{i % 1000:03d}Z"
        head = f'{{"sensor":"{rng.choice(SENSORS)}","ts":"{at}"'
        rows.append(
            (
                head + ',"type":"cross","dir":"ab"}',
                head + ', "type": "count", "span_ms": 60000, "ab": 6, "ba": 8, "un": 0}',
                head + ',"note":{"text":"狸小路","list":[1,2.5,null]},"type":"heartbeat"}',
                f'{{"type":"tick","ts":{START + i}}}',
            )[i % 4]
        )
    return [("[" + ",".join(rows[i : i + 4]) + "]").encode() for i in range(0, count, 4)]


def points(count: int) -> list[bytes]:
    """Frames of 50 tracked persons in an array each; coordinates with the digits of a double, or with two places."""
    rng = random.Random(3)
    rows = []
    for i in range(count):
        x, y = rng.uniform(-50, 50), round(rng.uniform(-3, 3), 2)
        at, track = START + i // 50 * 40, 1_000 + i % 50
        rows.append(f'{{"sensor":"{SENSORS[7]}","ts":{at},"type":"point","track":{track},"x":{x!r},"y":{y}}}')
    return [("[" + ",".join(rows[i : i + 50]) + "]").encode() for i in range(0, count, 50)]


def columns(rows: int) -> list[np.ndarray[Any, Any]]:
    return [np.zeros((rows, 3) if name == "n" else rows, dtype) for name, dtype in reference.COLUMNS.items()]


def run(module: Any, messages: Messages, out: list[np.ndarray[Any, Any]]) -> int:
    ids = module.Ids([sensor.encode() for sensor in SENSORS])
    following, rows = module.decode(*messages, ids, *out, 0)
    assert following == len(messages[1])
    return int(rows)


def orjson_loop(messages: Messages, out: list[np.ndarray[Any, Any]]) -> int:
    """What one writes without a kernel: right for these crosses alone, no checks."""
    data, starts, ends, _ = messages
    kind, _, sensor, ts, _, n, seq, has_seq, _, _, record_ts, message = (column.tolist() for column in out)
    rows = {name: row for row, name in enumerate(SENSORS)}
    view, direction = memoryview(data), {"ab": [1, 0, 0], "ba": [0, 1, 0]}
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        event = orjson.loads(view[start:end])
        kind[i] = CROSS if event["type"] == "cross" else 0
        sensor[i] = rows.get(event["sensor"], -1)
        ts[i] = record_ts[i] = event["ts"]
        n[i] = direction[event["dir"]]
        seq[i] = event["seq"]
        has_seq[i] = 1
        message[i] = i
    zero = [0] * len(kind)
    filled = (kind, zero, sensor, ts, zero, n, seq, has_seq, out[8], out[9], record_ts, message)
    for column, values in zip(out, filled, strict=True):
        column[:] = values
    return len(kind)


@pytest.mark.parametrize("way", ["compiled", "orjson"])
def test_crosses(benchmark: Any, scale: Callable[[int, int], int], way: str) -> None:
    count = scale(500_000, 5_000)
    messages, out = laid_out(crosses(count)), columns(count)
    work = (lambda: run(_decode, messages, out)) if way == "compiled" else (lambda: orjson_loop(messages, out))
    assert benchmark(work) == count
    benchmark.extra_info |= {"events": count, "bytes_per_event": round(len(messages[0]) / count, 1)}
    expected = columns(2_000)
    part = (messages[0], *(column[:2_000] for column in messages[1:]))
    assert run(reference, part, expected) == 2_000
    assert all((a[:2_000] == b).all() for a, b in zip(out, expected, strict=True))
    assert (out[1] == 0).all()
    assert out[5].sum() == count


def test_mixture(benchmark: Any, scale: Callable[[int, int], int]) -> None:
    count = scale(200_000, 4_000)
    messages, out = laid_out(mixture(count)), columns(count)
    assert benchmark(lambda: run(_decode, messages, out)) == count
    benchmark.extra_info |= {"events": count, "bytes_per_event": round(len(messages[0]) / count, 1)}
    assert (out[1] == 0).all()
    assert np.bincount(out[0]).tolist() == [0, count // 4, count // 4, count // 4, count // 4]
    assert out[5].sum(axis=0).tolist() == [count // 4 * 7, count // 4 * 8, 0]
    assert out[4][out[0] == COUNT].sum() == count // 4 * 60_000
    assert (np.diff(out[3][out[0] == TICK]) == 4).all()


def orjson_points(messages: Messages, out: list[np.ndarray[Any, Any]]) -> int:
    """What one writes without a kernel: right for these points alone, no checks."""
    data, starts, ends, _ = messages
    rows, view = {name: row for row, name in enumerate(SENSORS)}, memoryview(data)
    frames = [orjson.loads(view[a:b]) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    sizes = [len(frame) for frame in frames]
    events = [event for frame in frames for event in frame]
    kind, _, sensor, ts, span_ms, n, seq, has_seq, x, y, record_ts, message = out
    kind[:], span_ms[:], n[:], has_seq[:] = POINT, 0, 0, 1
    sensor[:] = [rows.get(event["sensor"], -1) for event in events]
    ts[:] = record_ts[:] = [event["ts"] for event in events]
    seq[:], x[:], y[:] = ([event[name] for event in events] for name in ("track", "x", "y"))
    message[:] = np.repeat(np.arange(len(frames)), sizes)
    return len(events)


@pytest.mark.parametrize("way", ["compiled", "orjson"])
def test_points(benchmark: Any, scale: Callable[[int, int], int], way: str) -> None:
    count = scale(200_000, 5_000)
    messages, out, expected = laid_out(points(count)), columns(count), columns(count)
    work = (lambda: run(_decode, messages, out)) if way == "compiled" else (lambda: orjson_points(messages, out))
    assert benchmark(work) == count
    benchmark.extra_info |= {"events": count, "bytes_per_event": round(len(messages[0]) / count, 1)}
    other = orjson_points if way == "compiled" else lambda given, to: run(_decode, given, to)
    assert other(messages, expected) == count
    assert all((a == b).all() for a, b in zip(out, expected, strict=True))
    assert (out[0] == POINT).all()
