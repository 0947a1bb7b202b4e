"""How long after a subject withdraws its events still pass.

    python -m benchmarks.withdrawal [--rate 1000] [--withdrawals 200] [--seconds-apart 0.15] [--json]

Everything is on this machine: Kafka, ClickHouse, the feed and a run of events about people with their consents, four
events of each subject a second. Subjects withdraw one after the other. A run says which events it refused (its dead
letters, by partition and offset), so of each subject is known when the last event that passed, and the first that did
not, came to the broker. Both are told from the moment at which the withdrawal was handed to the writer: ``passed_s`` is
how long events still passed (0: none did), ``stopped_s`` until the first that did not, up to 0.25 s more.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks.services import Run, machine, new_store, percentiles, tell
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka
from tests.support.consenting import Consenting, Feed, allow, settle

EACH_S = 0.25  # between two events of a subject
WARM_S = 3.0


def refused(path: Path) -> set[tuple[int, int]]:
    """Partition and offset of the events that were refused for want of consent."""
    letters = [json.loads(line) for line in path.read_text().splitlines()]
    others = {letter["reason"] for letter in letters} - {"no_consent"}
    if others:
        raise SystemExit(f"refused for other reasons: {sorted(others)}")
    return {(letter["partition"], letter["offset"]) for letter in letters}


def stops(feed: Feed, withdrawn: dict[str, float], gone: set[tuple[int, int]]) -> tuple[list[float], list[float], int]:
    """Seconds that events still passed, seconds until one did not, and events that passed, of who has withdrawn."""
    of: dict[str, list[tuple[int, bool]]] = {}
    for place, (subject, ms) in feed.places.items():
        of.setdefault(subject, []).append((ms, place in gone))
    staying = [ms for subject, events in of.items() if subject not in withdrawn for ms, out in events if out]
    if staying:
        raise SystemExit(f"{len(staying)} events of subjects who consent were refused")
    passed_s, stopped_s, passed = [], [], 0
    for subject, at_s in withdrawn.items():
        events = sorted((ms / 1000 - at_s, out) for ms, out in of[subject])
        after = [wait for wait, out in events if not out and wait > 0]
        last = max(after, default=0.0)
        out_from = [wait for wait, out in events if out and wait > last]
        if not out_from:
            raise SystemExit("events of a subject who has withdrawn pass to the end")
        passed_s.append(last)
        stopped_s.append(out_from[0])
        passed += len(after)
    return passed_s, stopped_s, passed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--withdrawals", type=int, default=200)
    parser.add_argument("--seconds-apart", type=float, default=0.15)
    parser.add_argument("--tail-seconds", type=float, default=12.0)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    subjects = [f"u-{number}" for number in range(max(chosen.withdrawals + 1, round(chosen.rate * EACH_S)))]
    withdrawn: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as server:
            topic = kafka.create_topic("profiles", 2)
            allow(kafka.bootstrap)
            consenting = Consenting(kafka.bootstrap)
            consenting.say(subjects, "granted")
            letters = work / "letters.jsonl"
            words = ["--kafka", kafka.bootstrap, "--topic", topic, "--store", new_store(server, "bench")]
            run = Run([*words, "--dead-letters", str(letters), *settle(work)])
            run.wait_until_ready()
            feed = Feed(kafka.bootstrap, topic, subjects, chosen.rate, [0, 1])
            feed.start()
            time.sleep(WARM_S)
            for subject in subjects[: chosen.withdrawals]:
                withdrawn[subject] = time.time()
                consenting.say([subject], "withdrawn")
                time.sleep(max(0.0, withdrawn[subject] + chosen.seconds_apart - time.time()))
            time.sleep(chosen.tail_seconds)
            sent = feed.finish()
            time.sleep(2)
            summary = run.stop()
            if summary["read"] != sent:
                raise SystemExit(f"{sent} events were sent, {summary['read']} were read")
            passed_s, stopped_s, passed = stops(feed, withdrawn, refused(letters))
    result: dict[str, object] = {
        **machine(),
        "rate": chosen.rate,
        "withdrawals": chosen.withdrawals,
        "events": sent,
        "refused": summary["rejected"].get("no_consent", 0),
        "passed_after": passed,
        "passed_s": percentiles(passed_s),
        "stopped_s": percentiles(stopped_s),
    }
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
