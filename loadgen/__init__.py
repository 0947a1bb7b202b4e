"""Load generator: scenarios with ground truth, written to files or sent to Kafka. Knows nothing of the engine.

    scenario = SCENARIOS["weekday"](seed=1, seconds=600)
    write_registry(scenario, "registry.json")
    write_file(scenario, "events.jsonl")
    write_truth(scenario, "truth.jsonl")

A live run begins now, at a busy hour whatever the wall clock says:

    produce(SCENARIOS["weekday"](seconds=None, start_ms=now_ms, clock_of_day_s=8 * 3600), "127.0.0.1:9092")

Loads of any rate, with late, repeated and bad events, are plans:

    plan = planned("city", seconds=60, late=0.01, bad=0.01)
    sent, truth = send(plan, "127.0.0.1:9092", "people", processes=2)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loadgen.bulk import Bulk, bulk_registry, write_bulk
from loadgen.files import write_file, write_registry, write_truth
from loadgen.kafka import Sent, create_topic, partitions_of, produce
from loadgen.librdkafka import SettingsRefused
from loadgen.plan import PLANS, Plan, planned
from loadgen.processes import send
from loadgen.truth import Tally
from loadgen.weekday import WEEKDAY_S, Message, Scenario, TruthRow, weekday
from loadgen.wire import write_plan, write_plan_registry

__all__ = [
    "PLANS",
    "SCENARIOS",
    "WEEKDAY_S",
    "Bulk",
    "Message",
    "Plan",
    "Scenario",
    "Sent",
    "SettingsRefused",
    "Tally",
    "TruthRow",
    "bulk_registry",
    "create_topic",
    "partitions_of",
    "planned",
    "produce",
    "send",
    "weekday",
    "write_bulk",
    "write_file",
    "write_plan",
    "write_plan_registry",
    "write_registry",
    "write_truth",
]

# name -> factory(seed, seconds, rate, start_ms, clock_of_day_s), as `hitonami load SCENARIO` knows them
SCENARIOS: Mapping[str, Callable[..., Scenario]] = {"weekday": weekday}
