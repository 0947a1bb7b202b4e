"""Every peer on the same stream of events, in the same run, its rows beside the truth.

    python -m benchmarks.peers [--events 16000000] [--peers hitonami,ceiling,orjson] [--repeats 5] [--json FILE]

Kafka, ClickHouse and the peer share this machine; the peers run one after the other, forwards and backwards in turn
(A-B-B-A). A slow peer reads a topic with fewer events of the same kind: its rate is over what it read. Events per
second and CPU per event leave the start out, which is told apart: the same command on a topic with 500 events (a peer
of the JVM first reads everything once, so that what is measured is compiled). CPU is of all threads and children of the
peer; that of the broker and of ClickHouse stands beside. A peer whose rows are not what its semantics say has no
figures, and the run ends with 1; one that cannot be fetched is reported as missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.peers.bytewax_flow import BytewaxFlow
from benchmarks.peers.ceiling import Ceiling
from benchmarks.peers.clickhouse import KafkaEngine
from benchmarks.peers.fetch import Missing
from benchmarks.peers.flink import Flink
from benchmarks.peers.hitonami import Hitonami
from benchmarks.peers.kafka_streams import KafkaStreams
from benchmarks.peers.measure import Failed
from benchmarks.peers.orjson_loop import OrjsonLoop
from benchmarks.peers.pathway import Pathway
from benchmarks.peers.peer import Filled, Peer, Place, Turn
from benchmarks.peers.quix import Quix
from benchmarks.peers.spark import Spark
from benchmarks.peers.topic import PARTITIONS, SENSORS, fill, registry
from benchmarks.services import machine, spread
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka

PEERS: Sequence[Peer] = (
    Hitonami(pinned=False),
    Ceiling(pinned=False),
    Hitonami(pinned=True),
    Ceiling(pinned=True),
    OrjsonLoop(),
    Flink(),
    KafkaEngine(),
    BytewaxFlow(),
    Pathway(),
    Spark(),
    KafkaStreams(),
    Quix(),
)
_LEAST_S = 1e-3  # a start that took longer than the whole: too few events to tell


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=16_000_000)
    parser.add_argument("--peers", default=",".join(peer.name for peer in PEERS), help="names, joined by commas")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--same-events", action="store_true", help="slow peers read as many events as fast ones")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write JSON to FILE, or print it")
    chosen = parser.parse_args()
    by_name = {peer.name: peer for peer in PEERS}
    names = chosen.peers.split(",")
    if unknown := sorted(set(names) - set(by_name)):
        parser.error(f"no peer {', '.join(unknown)}; there are {', '.join(by_name)}")
    peers, missing = prepared([by_name[name] for name in names])
    sizes = {peer.name: chosen.events if chosen.same_events else max(1, chosen.events // peer.share) for peer in peers}
    turns: dict[str, list[Turn]] = {peer.name: [] for peer in peers}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with Kafka(work / "kafka") as kafka, ExitStack() as stack:
            needed = any(peer.needs_clickhouse for peer in peers)
            server = stack.enter_context(ClickHouse(work / "clickhouse")) if needed else None
            place = Place(kafka, server, work, work / "registry.json")
            place.registry.write_text(json.dumps(registry()))
            topics = filled(kafka, {0, *sizes.values()})
            for repeat in range(chosen.repeats):
                for peer in list(peers if repeat % 2 == 0 else peers[::-1]):
                    topic = topics[sizes[peer.name]]
                    try:
                        told = turned(peer, place, topic, topics[0])
                    except Failed as error:
                        failed[peer.name] = str(error)
                        peers.remove(peer)
                        say(f"failed: {peer.name}: {error}")
                        continue
                    turns[peer.name].append(told)
                    say(f"{repeat + 1} {peer.name}: {topic.truth.messages / reading_s(told):,.0f} events/s")
    result: dict[str, Any] = {
        **machine(),
        "events": chosen.events,
        "repeats": chosen.repeats,
        "sensors": SENSORS,
        "partitions": PARTITIONS,
        "peers": {peer.name: figures(peer, topics[sizes[peer.name]], turns[peer.name]) for peer in peers},
        "ratios": ratios(peers, {name: topics[size].truth.messages for name, size in sizes.items()}, turns),
        "missing": missing,
        "failed": failed,
    }
    if chosen.json == "-":
        print(json.dumps(result))
    else:
        if chosen.json:
            Path(chosen.json).write_text(json.dumps(result, indent=1) + "\n")
        show(result)
    if failed:
        raise SystemExit(1)


def say(text: str) -> None:
    """A line on progress: on stderr, for stdout may be JSON."""
    print(text, file=sys.stderr, flush=True)


def prepared(peers: Sequence[Peer]) -> tuple[list[Peer], dict[str, str]]:
    """Those that can be had, and why the others cannot."""
    ready, missing = [], {}
    for peer in peers:
        try:
            peer.prepare()
            ready.append(peer)
        except Missing as error:
            missing[peer.name] = str(error)
            say(f"missing: {peer.name}: {error}")
    return ready, missing


def filled(kafka: Kafka, sizes: set[int]) -> dict[int, Filled]:
    """A topic of each size."""
    topics = {}
    for size in sorted(sizes):
        name = f"peers-{size}"
        topics[size] = Filled(name, fill(kafka.bootstrap, name, size))
        say(f"{name}: {topics[size].truth.messages:,} messages")
    return topics


def turned(peer: Peer, place: Place, topic: Filled, closing: Filled) -> Turn:
    """One turn, its rows right. Raises Failed, for wrong rows too: a wrong result has no speed."""
    told = peer.turn(place, topic, closing)
    if not told.verdict.equal:
        raise Failed(f"{told.verdict.differ} rows differ from the truth: {told.verdict.example}")
    return told


def reading_s(turn: Turn) -> float:
    """Seconds of reading, the start left out."""
    return max(turn.reading.seconds, _LEAST_S)


def figures(peer: Peer, topic: Filled, turns: Sequence[Turn]) -> dict[str, Any]:
    """What is told of a peer."""
    messages = topic.truth.messages

    def per_event(seconds: Callable[[Turn], float]) -> Mapping[str, float]:
        return spread((seconds(turn) * 1e6 / messages for turn in turns), 3)

    return {
        "about": peer.about,
        "events": messages,
        "events_per_s": spread((messages / reading_s(turn) for turn in turns), 0),
        "events_per_s_with_start": spread((messages / turn.whole.seconds for turn in turns), 0),
        "cpu_us_per_event": per_event(lambda turn: turn.reading.cpu_s),
        "kafka_cpu_us_per_event": per_event(lambda turn: turn.served.kafka_s),
        "clickhouse_cpu_us_per_event": per_event(lambda turn: turn.served.clickhouse_s),
        "start_s": spread(turn.start.seconds for turn in turns),
        "start_cpu_s": spread(turn.start.cpu_s for turn in turns),
        "rows_compared": turns[-1].verdict.rows,
        "late_counted": spread((turn.verdict.late_counted for turn in turns), 0),
        "unknown_counted": turns[-1].verdict.unknown_counted,
        "semantics": asdict(peer.semantics),
    }


def ratios(peers: Sequence[Peer], messages: Mapping[str, int], turns: Mapping[str, Sequence[Turn]]) -> dict[str, Any]:
    """Events per second of Hitonami over those of each peer, of the same repeat; the pinned beside the pinned."""

    def rates(name: str) -> list[float]:
        return [messages[name] / reading_s(turn) for turn in turns[name]]

    told = {}
    for peer in peers:
        mine = "hitonami-pinned" if peer.name.endswith("-pinned") else "hitonami"
        if peer.name != mine and any(other.name == mine for other in peers):
            pairs = zip(rates(mine), rates(peer.name), strict=True)
            told[f"{mine} / {peer.name}"] = spread(ours / theirs for ours, theirs in pairs)
    return told


def show(result: Mapping[str, Any]) -> None:
    """A table for people."""
    print(f"{result['cpu']}, {result['cores']} cores; {result['repeats']} repeats; medians (least–greatest)")
    print(
        f"{'':>16} {'events':>11} {'events/s':>34} {'CPU µs/event':>22} {'Kafka':>6} {'ClickHouse':>10} {'start s':>8}"
    )
    for name, told in result["peers"].items():
        rate, cpu = told["events_per_s"], told["cpu_us_per_event"]
        rates = f"{rate['median']:,.0f} ({rate['least']:,.0f}–{rate['greatest']:,.0f})"
        cpus = f"{cpu['median']:.3f} ({cpu['least']:.3f}–{cpu['greatest']:.3f})"
        services = (
            f"{told['kafka_cpu_us_per_event']['median']:>6.3f} {told['clickhouse_cpu_us_per_event']['median']:>10.3f}"
        )
        print(f"{name:>16} {told['events']:>11,} {rates:>34} {cpus:>22} {services} {told['start_s']['median']:>8.2f}")
    for name, ratio in result["ratios"].items():
        print(f"{name}: {ratio['median']} ({ratio['least']}–{ratio['greatest']})")
    for name, told in result["peers"].items():
        kinds = ", ".join(f"{kind} {what}" for kind, what in told["semantics"].items())
        print(f"{name}: {told['about']}; {kinds}; {told['rows_compared']:,} rows compared")
    for kind in ("missing", "failed"):
        for name, reason in result[kind].items():
            print(f"{name}: {kind} ({reason})")


if __name__ == "__main__":
    main()
