"""Where the CPU of an event goes: `replay --kafka` on one core, stage by stage, beside the same replay without clocks.

    python -m benchmarks.stages [--events 10000000] [--repeats 5] [--json]

The topic is that of the peers: single JSON events, 1,000 sensors, four partitions, late, repeated and bad ones among
them; every replay must give the truth's counters and rows. Replays with clocks (benchmarks/clocked.py) and without
follow each other A-B-B-A. The stages with the ``rest`` are all CPU that a replay with clocks takes while it reads;
``sum_to_replay`` sets that beside what a replay without them takes, its start left out: were they more than 10 %
apart, this would end without figures. ``take_alone_ns`` is the source without what follows it (messages are taken and
dropped), ``ceiling_take_alone_ns`` the same of the C ceiling; both on one core, all threads.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.clocked import STAGES
from benchmarks.peers.ceiling import Ceiling
from benchmarks.peers.hitonami import Hitonami
from benchmarks.peers.measure import run
from benchmarks.peers.peer import Filled, Place, Turn
from benchmarks.peers.topic import fill, registry
from benchmarks.services import ROOT, machine, spread, tell
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka

MOST_APART = 0.1


class Clocked(Hitonami):
    """Hitonami on one core with clocks around its stages."""

    def __init__(self, result: Path) -> None:
        super().__init__(pinned=True)
        self.name, self._result = "hitonami-clocked", result
        self.command = [sys.executable, "-m", "benchmarks.clocked", str(result), "-q"]

    def stages(self) -> dict[str, int]:
        """CPU ns by stage of the last replay."""
        told: dict[str, int] = json.loads(self._result.read_text())
        return told


def checked(turn: Turn) -> Turn:
    """A turn whose rows are right; ends this where they are not."""
    if not turn.verdict.equal:
        raise SystemExit(f"{turn.verdict.differ} rows differ from the truth: {turn.verdict.example}")
    return turn


def source_alone(place: Place, topic: Filled) -> float:
    """CPU ns of a message that our source takes and that is dropped; the first tenth warms up."""
    words = ["-m", "benchmarks.source", "--drain", "hot", place.kafka.bootstrap, topic.name]
    words += ["--messages", str(topic.truth.messages)]
    ended = run([sys.executable, *words], place.work / "source", pinned=True, env={"PYTHONPATH": str(ROOT)})
    return float(json.loads(ended.printed)["cpu_us"]) * 1e3


def ceiling_alone(ceiling: Ceiling, place: Place, topic: Filled, closing: Filled) -> float:
    """CPU ns of a message that the C ceiling takes and drops unread, its start left out."""
    whole, start = (
        run(ceiling.command(place, each, Path("-")), place.work / ceiling.name, pinned=True).cost
        for each in (topic, closing)
    )
    return (whole - start).cpu_s * 1e9 / topic.truth.messages


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--any-sum", action="store_true", help="print the figures whatever the stages sum to")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    result: dict[str, object] = {**machine(), "events": chosen.events, "repeats": chosen.repeats}
    stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
    replays, sums, ours, ceilings = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as server:
            place = Place(kafka, server, work, work / "registry.json")
            place.registry.write_text(json.dumps(registry()))
            topic, closing = (
                Filled(f"stages-{size}", fill(kafka.bootstrap, f"stages-{size}", size)) for size in (chosen.events, 0)
            )
            messages = topic.truth.messages
            plain, clocked, ceiling = Hitonami(pinned=True), Clocked(work / "stages.json"), Ceiling(pinned=True)
            ceiling.prepare()
            for repeat in range(chosen.repeats):
                for peer in (plain, clocked)[:: 1 if repeat % 2 == 0 else -1]:
                    turn = checked(peer.turn(place, topic, closing))
                    if peer is plain:
                        replays.append(turn.reading.cpu_s * 1e9 / messages)
                        continue
                    told = clocked.stages()
                    sums.append(sum(told.values()) / messages)
                    for stage in STAGES:
                        stages[stage].append(told[stage] / messages)
                ours.append(source_alone(place, topic))
                ceilings.append(ceiling_alone(ceiling, place, topic, closing))
    ratios = [both / alone for both, alone in zip(sums, replays, strict=True)]
    if abs(statistics.median(ratios) - 1) > MOST_APART and not chosen.any_sum:
        raise SystemExit(f"the stages sum to {statistics.median(ratios):.2f} of a replay without clocks")
    result |= {
        "stages_ns": {stage: spread(told, 2) for stage, told in stages.items()},
        "sum_ns": spread(sums, 1),
        "replay_ns": spread(replays, 1),
        "sum_to_replay": spread(ratios, 3),
        "take_alone_ns": spread(ours, 1),
        "ceiling_take_alone_ns": spread(ceilings, 1),
    }
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
