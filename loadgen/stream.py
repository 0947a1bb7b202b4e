"""A steady stream of `cross` events into Kafka, for measuring: open loop, each event stamped with when it was due.

A slow broker does not slow the stream down: what is late leaves late, with the time at which it should have left, so
that a latency measured against event time counts the wait (no coordinated omission).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator

import numpy as np
from confluent_kafka import Producer

from loadgen.bulk import Lines, by_time, sensor_ids

SLICE_MS = 10  # events of so many ms leave together, when the last of them is due
_FLUSH_S = 60.0


def slices(
    rate: int, seconds: float, start_ms: int, sensors: int, gates: int, seed: int = 1
) -> Iterator[tuple[int, list[bytes], np.ndarray]]:
    """(ms at which it is due, JSON events, sensor number of each) of each slice of 10 ms.

    ``rate`` events per second of event time from ``start_ms`` (ms, 13 digits); sensors and directions are drawn by
    ``seed``. Raises ValueError for a rate that is no whole number of events per slice.
    """
    events, size = int(rate * seconds), rate * SLICE_MS // 1000
    if size * 1000 != rate * SLICE_MS or size < 1:
        raise ValueError("a rate must be a whole number of events per 10 ms")
    lines = Lines(sensor_ids(sensors, gates), first_seq=10 ** len(str(4 * events // sensors + 999)))
    for offset, sensor, direction, seq in by_time(np.random.default_rng(seed), events, sensors, rate, lines.first_seq):
        for at in range(0, len(seq), size):
            rows = slice(at, at + size)
            text = lines.encode(start_ms + offset[rows], sensor[rows], direction[rows], seq[rows])
            due = start_ms + int(offset[at]) // SLICE_MS * SLICE_MS + SLICE_MS
            yield due, text.splitlines(), sensor[rows]


def send(
    bootstrap: str,
    topic: str,
    partitions: int,
    rate: int,
    seconds: float,
    start_ms: int,
    *,
    sensors: int = 1_000,
    gates: int = 250,
    per_message: int = 1,
    paced: bool = True,
) -> dict[str, float]:
    """Send the stream; sensor s goes to partition s % ``partitions``, up to ``per_message`` events in one JSON array.

    ``paced``: a slice leaves when the wall clock reaches its due time, else all as fast as the broker takes them.
    Returns events, seconds, and how late the latest slice left (ms). Raises ConnectionError where events are lost.
    """
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "linger.ms": 5,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 1 << 19,
            "message.timeout.ms": 120_000,
        }
    )
    sent, latest, begun = 0, 0.0, time.monotonic()
    for due, events, sensor in slices(rate, seconds, start_ms, sensors, gates):
        wait = due / 1000 - time.time() if paced else 0.0
        if wait > 0:
            time.sleep(wait)  # poll() would come back early
        elif paced:
            latest = max(latest, -wait)
        places = (sensor % partitions).tolist()
        if per_message == 1:
            _each(producer, topic, events, places)
        else:
            _arrays(producer, topic, events, places, partitions, per_message)
        producer.poll(0)
        sent += len(events)
    if producer.flush(_FLUSH_S):
        raise ConnectionError(f"Kafka {bootstrap}: events are lost")
    return {"events": sent, "seconds": time.monotonic() - begun, "latest_ms": round(latest * 1000)}


def _each(producer: Producer, topic: str, events: list[bytes], places: list[int]) -> None:
    for event, place in zip(events, places, strict=True):
        while True:
            try:
                producer.produce(topic, event, partition=place)
                break
            except BufferError:
                producer.poll(0.1)


def _arrays(producer: Producer, topic: str, events: list[bytes], places: list[int], partitions: int, most: int) -> None:
    by_place: list[list[bytes]] = [[] for _ in range(partitions)]
    for event, place in zip(events, places, strict=True):
        by_place[place].append(event)
    arrays = [
        (place, b"[" + b",".join(mine[at : at + most]) + b"]")
        for place, mine in enumerate(by_place)
        for at in range(0, len(mine), most)
    ]
    _each(producer, topic, [text for _, text in arrays], [place for place, _ in arrays])


def main() -> None:
    """``python -m loadgen.stream``: so that a benchmark can send from a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    for name, kind, default in (
        ("partitions", int, 4), ("rate", int, 200_000), ("seconds", float, 60.0), ("start-ms", int, 0),
        ("sensors", int, 1_000), ("gates", int, 250), ("per-message", int, 1),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind, default=default)
    parser.add_argument("--unpaced", action="store_true")
    chosen = parser.parse_args()
    told = send(
        chosen.bootstrap,
        chosen.topic,
        chosen.partitions,
        chosen.rate,
        chosen.seconds,
        chosen.start_ms,
        sensors=chosen.sensors,
        gates=chosen.gates,
        per_message=chosen.per_message,
        paced=not chosen.unpaced,
    )
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
