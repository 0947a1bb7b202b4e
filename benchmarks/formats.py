"""One event a message, arrays of 100, Arrow of 1,000: `replay --kafka` on one core into the ClickHouse server.

    python -m benchmarks.formats [--events 10000000] [--repeats 5] [--json]

The same events in every form, 1,000 sensors, four partitions, 1 % late and 1 % sent twice, read in the order
A-B-C-C-B-A; every run must give the truth's counters and all of them the same digest. The rate leaves the start out:
the same command on a topic of a thousand events of the same form, told apart.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.peers.measure import Cost, run
from benchmarks.services import HITONAMI, ROOT, machine, new_store, spread, tell
from loadgen import Plan, Tally, create_topic, planned, send, write_plan_registry
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka

RATE, PARTITIONS, SMALL = 20_000, 4, 1_000
FORMS = {"json": ("json", 1), "arrays": ("array", 100), "arrow": ("arrow", 1_000)}


def plan_of(form: str, events: int) -> Plan:
    """The plan of so many events in a form of messages."""
    name, per_message = FORMS[form]
    return planned(
        "city",
        rate=RATE,
        seconds=events / RATE,
        partitions=PARTITIONS,
        late=0.01,
        duplicate=0.01,
        format=name,
        per_array=per_message,
        appended_when_due=False,
        future=False,
    )


def filled(kafka: Kafka, topic: str, plan: Plan) -> Tally:
    """Make a topic and send it the plan; the truth about it."""
    create_topic(kafka.bootstrap, topic, partitions=PARTITIONS)
    _, truth = send(plan, kafka.bootstrap, topic, paced=False)
    return truth


class Reading:
    """Replays of topics by a command of its own each, on one core."""

    def __init__(self, kafka: Kafka, server: ClickHouse, work: Path) -> None:
        self._kafka, self._server, self._work, self._count = kafka, server, work, 0
        write_plan_registry(plan_of("json", SMALL), work / "registry.json")

    def read(self, topic: str) -> tuple[Cost, dict[str, object]]:
        """What it took, and the summary."""
        self._count += 1
        database = f"formats_{self._count}"
        words = ["replay", "--kafka", self._kafka.bootstrap, "--topic", topic, "--run-id", "formats"]
        words += ["--store", new_store(self._server, database), "--registry", str(self._work / "registry.json")]
        ended = run([*HITONAMI, *words], self._work / database, pinned=True, env={"PYTHONPATH": str(ROOT)})
        self._server.query(f"DROP DATABASE {database}")
        return ended.cost, json.loads(ended.printed.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    result: dict[str, object] = {**machine(), "events": chosen.events, "repeats": chosen.repeats}
    took: dict[str, list[Cost]] = {form: [] for form in FORMS}
    digests, starts = set(), []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as server:
            truths = {form: filled(kafka, form, plan_of(form, chosen.events)) for form in FORMS}
            for form in FORMS:
                filled(kafka, f"{form}-small", plan_of(form, SMALL))
            reading = Reading(kafka, server, work)
            for repeat in range(chosen.repeats):
                for form in list(FORMS)[:: 1 if repeat % 2 == 0 else -1]:
                    start, _ = reading.read(f"{form}-small")
                    whole, summary = reading.read(form)
                    told = {name: summary[name] for name in ("read", "accepted", "rejected")}
                    wanted = truths[form].totals()
                    if told != {"read": wanted["events"], **{name: wanted[name] for name in ("accepted", "rejected")}}:
                        raise SystemExit(f"{form}: {told}, the truth is {wanted}")
                    digests.add(summary["digest"])
                    starts.append(start.seconds)
                    took[form].append(whole - start)
    if len(digests) != 1:
        raise SystemExit(f"the forms differ: {sorted(map(str, digests))}")
    for form, costs in took.items():
        read = int(str(truths[form].totals()["events"]))
        result[f"{form}_events_per_s"] = spread((read / cost.seconds for cost in costs), 0)
        result[f"{form}_cpu_us"] = spread((cost.cpu_s / read * 1e6 for cost in costs), 3)
    result["start_s"] = spread(starts)
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
