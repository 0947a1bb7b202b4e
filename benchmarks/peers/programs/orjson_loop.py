"""The loop that an experienced Python user writes: consume in batches, orjson, a dict of counts, a watermark.

python orjson_loop.py BOOTSTRAP TOPIC PARTITIONS MESSAGES REGISTRY ROWS
"""

import json
import sys

import orjson
from confluent_kafka import Consumer, TopicPartition

PANE_MS, BOUND_MS = 10_000, 5_000
bootstrap, topic, registry, out = sys.argv[1], sys.argv[2], sys.argv[5], sys.argv[6]
partitions, messages = int(sys.argv[3]), int(sys.argv[4])

with open(registry) as file:
    gates = {sensor["id"]: sensor["gate"] for sensor in json.load(file)["sensors"]}
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": "orjson-loop",
        "enable.auto.commit": False,
        "queued.min.messages": 1_000_000,
        "fetch.message.max.bytes": 10 << 20,
    }
)
consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
panes: dict[int, dict[tuple[str, str], int]] = {}
watermark = [0] * partitions
read = bad = late = closed = 0
loads = orjson.loads

with open(out, "w") as rows:

    def close_until(limit):
        for start in [start for start in panes if start < limit]:
            for (gate, direction), count in panes.pop(start).items():
                rows.write(f"{start}\t{gate}\t{direction}\t{count}\n")

    while read < messages:
        batch = consumer.consume(10_000, 0.1)
        read += len(batch)
        for message in batch:
            try:
                event = loads(message.value())
                ts = event["ts"]
                gate = gates[event["sensor"]]
                start = ts // PANE_MS * PANE_MS
            except (orjson.JSONDecodeError, KeyError, TypeError):
                bad += 1
                continue
            partition = message.partition()
            if start + PANE_MS <= watermark[partition]:
                late += 1
                continue
            pane = panes.get(start)
            if pane is None:
                pane = panes[start] = {}
            cell = gate, event["dir"]
            pane[cell] = pane.get(cell, 0) + 1
            if ts - BOUND_MS > watermark[partition]:
                watermark[partition] = ts - BOUND_MS
        least = min(watermark) // PANE_MS * PANE_MS
        if least > closed:
            closed = least
            close_until(closed)
    close_until(float("inf"))
print(f"read {read} bad {bad} late {late}")
