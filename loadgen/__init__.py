"""Load generator: scenarios with ground truth, written to files or sent to Kafka. Knows nothing of the engine.

    scenario = SCENARIOS["weekday"](seed=1, seconds=600)
    write_registry(scenario, "registry.json")
    write_file(scenario, "events.jsonl")
    write_truth(scenario, "truth.jsonl")

A live run begins now, at a busy hour whatever the wall clock says:

    produce(SCENARIOS["weekday"](seconds=None, start_ms=now_ms, clock_of_day_s=8 * 3600), "127.0.0.1:9092")

`snow-festival`, `smoke` and `blackout` have beams, trackers and cameras too, and sensors with faults.

Touches of signage, with late, repeated and bad ones and a truth of their own:

    write_file(Signage(seconds=600, late=0.01), "touches.jsonl")

People who use service providers, some with their consent, and the truth about those:

    load = ProfileLoad(seed=1, people=400)
    write_profiles(load, "events.jsonl")
    write_profile_consents(load, "consents.jsonl")

Loads of any rate, with late, repeated and bad events, are plans:

    plan = planned("city", seconds=60, late=0.01, bad=0.01)
    sent, truth = send(plan, "127.0.0.1:9092", "people", processes=2)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loadgen.bulk import Bulk, bulk_registry, write_bulk
from loadgen.faults import Fault
from loadgen.files import write_file, write_registry, write_truth
from loadgen.kafka import Sent, create_topic, partitions_of, produce
from loadgen.librdkafka import SettingsRefused
from loadgen.plan import PLANS, Plan, planned
from loadgen.processes import send
from loadgen.profiles import ProfileLoad, day_before
from loadgen.profiles_out import (
    send_profiles,
    write_profile_consents,
    write_profile_registry,
    write_profile_truth,
    write_profiles,
)
from loadgen.scenario import Message, Scenario, Source, TruthRow, ZoneRow
from loadgen.scenes import LENGTH_S, blackout, smoke, snow_festival
from loadgen.signage import Signage, write_signage_truth
from loadgen.truth import Tally
from loadgen.weekday import WEEKDAY_S, weekday
from loadgen.wire import write_plan, write_plan_registry

__all__ = [
    "LENGTHS_S",
    "PLANS",
    "SCENARIOS",
    "WEEKDAY_S",
    "Bulk",
    "Fault",
    "Message",
    "Plan",
    "ProfileLoad",
    "Scenario",
    "Sent",
    "SettingsRefused",
    "Signage",
    "Source",
    "Tally",
    "TruthRow",
    "ZoneRow",
    "blackout",
    "bulk_registry",
    "create_topic",
    "day_before",
    "partitions_of",
    "planned",
    "produce",
    "send",
    "send_profiles",
    "smoke",
    "snow_festival",
    "weekday",
    "write_bulk",
    "write_file",
    "write_plan",
    "write_plan_registry",
    "write_profile_consents",
    "write_profile_registry",
    "write_profile_truth",
    "write_profiles",
    "write_registry",
    "write_signage_truth",
    "write_truth",
]

# name -> factory(seed, seconds, rate, start_ms), as `hitonami load SCENARIO` knows them
SCENARIOS: Mapping[str, Callable[..., Scenario]] = {
    "weekday": weekday,
    "snow-festival": snow_festival,
    "smoke": smoke,
    "blackout": blackout,
}
# How long each of them is where it has an end.
LENGTHS_S: Mapping[str, int] = {"weekday": WEEKDAY_S, **LENGTH_S}
