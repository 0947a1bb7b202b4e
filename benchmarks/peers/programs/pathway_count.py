"""Pathway as its guide writes it: JSON of Kafka, tumbling windows of 10 s, a count per gate and direction.

python pathway_count.py BOOTSTRAP TOPIC ROWS
"""

import sys
import uuid

import pathway as pw

bootstrap, topic, out = sys.argv[1:]


class Event(pw.Schema):
    sensor: str
    ts: int
    type: str
    dir: str
    seq: int


events = pw.io.kafka.read(
    {"bootstrap.servers": bootstrap, "group.id": str(uuid.uuid4()), "auto.offset.reset": "earliest"},
    topic=topic,
    format="json",
    schema=Event,
    mode="static",
    autocommit_duration_ms=500,
)
passages = events.remove_errors().select(gate=pw.this.sensor.str.slice(0, 3), dir=pw.this.dir, ts=pw.this.ts)
counts = passages.windowby(
    pw.this.ts, window=pw.temporal.tumbling(duration=10_000), instance=(pw.this.gate, pw.this.dir)
).reduce(start=pw.this._pw_window_start, cell=pw.this._pw_instance, count=pw.reducers.count())
rows = {}


def changed(key, row, time, is_addition):
    cell = row["start"], *row["cell"]
    if is_addition:
        rows[cell] = row["count"]
    elif rows.get(cell) == row["count"]:
        del rows[cell]


pw.io.subscribe(counts, changed)
pw.run(monitoring_level=pw.MonitoringLevel.NONE, terminate_on_error=False)
with open(out, "w") as file:
    for (start, gate, direction), count in rows.items():
        file.write(f"{start}\t{gate}\t{direction}\t{count}\n")
