"""Bytewax as its guide writes it: KafkaSource, an event clock that waits 5 s, tumbling windows of 10 s, a count.

python bytewax_flow.py BOOTSTRAP TOPIC REGISTRY ROWS
"""

import json
import sys
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import bytewax.operators.windowing as windowing
import orjson
from bytewax.connectors.files import FileSink
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.testing import cluster_main

PANE_MS = 10_000
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH_MS = int(EPOCH.timestamp() * 1000)
bootstrap, topic, registry, out = sys.argv[1:]

with open(registry) as file:
    gates = {sensor["id"]: sensor["gate"] for sensor in json.load(file)["sensors"]}


def decoded(message):
    """(gate and direction, when); None for what cannot be counted."""
    try:
        event = orjson.loads(message.value)
        return f"{gates[event['sensor']]}\t{event['dir']}", datetime.fromtimestamp(event["ts"] / 1000, UTC)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def row(counted):
    cell, (window, count) = counted
    return cell, f"{EPOCH_MS + window * PANE_MS}\t{cell}\t{count}"


flow = Dataflow("peers")
messages = op.input("messages", flow, KafkaSource([bootstrap], [topic], tail=False, batch_size=10_000))
passages = op.filter_map("decode", messages, decoded)
clock = windowing.EventClock(ts_getter=lambda passage: passage[1], wait_for_system_duration=timedelta(seconds=5))
windower = windowing.TumblingWindower(align_to=EPOCH, length=timedelta(milliseconds=PANE_MS))
counts = windowing.count_window("count", passages, clock, windower, key=lambda passage: passage[0])
op.output("rows", op.map("row", counts.down, row), FileSink(out))
cluster_main(flow, [], 0)
