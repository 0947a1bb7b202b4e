"""Load generator: scenarios with ground truth, written to files or sent to Kafka. Knows nothing of the engine.

    scenario = SCENARIOS["weekday"](seed=1, seconds=600)
    write_registry(scenario, "registry.json")
    write_file(scenario, "events.jsonl")
    write_truth(scenario, "truth.jsonl")

A live run begins now, at a busy hour whatever the wall clock says:

    produce(SCENARIOS["weekday"](seconds=None, start_ms=now_ms, clock_of_day_s=8 * 3600), "127.0.0.1:9092")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loadgen.bulk import Bulk, bulk_registry, write_bulk
from loadgen.files import write_file, write_registry, write_truth
from loadgen.kafka import Sent, create_topic, produce
from loadgen.weekday import WEEKDAY_S, Message, Scenario, TruthRow, weekday

__all__ = [
    "SCENARIOS",
    "WEEKDAY_S",
    "Bulk",
    "Message",
    "Scenario",
    "Sent",
    "TruthRow",
    "bulk_registry",
    "create_topic",
    "produce",
    "weekday",
    "write_bulk",
    "write_file",
    "write_registry",
    "write_truth",
]

# name -> factory(seed, seconds, rate, start_ms, clock_of_day_s), as `hitonami load SCENARIO` knows them
SCENARIOS: Mapping[str, Callable[..., Scenario]] = {"weekday": weekday}
