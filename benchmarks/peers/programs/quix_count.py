"""Quix Streams as its guide writes it: JSON, event time from the value, tumbling windows of 10 s, grace of 5 s, final.

python quix_count.py BOOTSTRAP TOPIC MESSAGES REGISTRY STATE ROWS
"""

import json
import sys
import uuid
from datetime import timedelta

from quixstreams import Application

bootstrap, topic_name, messages, registry, state, out = sys.argv[1:]

with open(registry) as file:
    gates = {sensor["id"]: sensor["gate"] for sensor in json.load(file)["sensors"]}


read = 0


def another():
    """Count a message; the last one ends the run when it has been processed."""
    global read
    read += 1
    if read == int(messages):
        app.stop()


def happened(value, _headers, _timestamp, _kind):
    """Event time; what has none is filtered away before it reaches a window."""
    another()
    ts = value.get("ts")
    return ts if isinstance(ts, int) else 0


def add(counts, value):
    counts[value["dir"]] = counts.get(value["dir"], 0) + 1
    return counts


def unreadable(_error, _message, _logger):
    another()
    return True  # go on


app = Application(
    broker_address=bootstrap,
    consumer_group=str(uuid.uuid4()),
    auto_offset_reset="earliest",
    state_dir=state,
    loglevel="ERROR",
    producer_extra_config={"linger.ms": 50},
    consumer_extra_config={"queued.min.messages": 1_000_000},
    on_consumer_error=unreadable,
)
topic = app.topic(topic_name, key_deserializer="str", value_deserializer="json", timestamp_extractor=happened)
rows = open(out, "w")  # noqa: SIM115  (open while the application runs)


def write(window, gate, _timestamp, _headers):
    for direction, count in window["value"].items():
        rows.write(f"{window['start']}\t{gate}\t{direction}\t{count}\n")


passages = app.dataframe(topic)
passages = passages.filter(lambda value: isinstance(value.get("ts"), int) and value.get("sensor") in gates)
counts = passages.tumbling_window(timedelta(seconds=10), grace_ms=5_000).reduce(
    reducer=add, initializer=lambda value: {value["dir"]: 1}
)
counts.final().update(write, metadata=True)
app.run()
rows.close()
