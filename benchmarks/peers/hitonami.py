"""Hitonami itself: ``hitonami replay --kafka`` into the ClickHouse server, with its default settings."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from benchmarks.peers.compare import Verdict
from benchmarks.peers.measure import Ended, Failed, run
from benchmarks.peers.peer import Filled, Peer, Place, Turn
from benchmarks.peers.topic import DIRECTIONS, GATES, PANE_MS, Truth
from benchmarks.services import HITONAMI, ROOT, new_store
from hitonami import __version__
from loadgen.bulk import START_MS
from tests.realservices.clickhouse import ClickHouse

_RUN = "peers"


class Hitonami(Peer):
    """Everything is on: admission, dedupe, the release rules (k = 5), every product, exactly once into the store."""

    needs_clickhouse = True

    def __init__(self, *, pinned: bool) -> None:
        self.pinned = pinned
        self.name = "hitonami-pinned" if pinned else "hitonami"
        self.about = f"Hitonami {__version__}" + (", on one core" if pinned else "")
        self.command: Sequence[str] = HITONAMI

    def turn(self, place: Place, topic: Filled, closing: Filled) -> Turn:
        """See Peer."""
        before = place.served()
        start = self._replay(place, closing, "peers_start")
        for_start = place.served() - before
        place.server.query("DROP DATABASE peers_start")
        before = place.served()
        whole = self._replay(place, topic, "peers_whole")
        served = (place.served() - before) - for_start
        summary = json.loads(whole.printed.splitlines()[-1])
        wanted = {"read": topic.truth.messages, "rejected": topic.truth.rejected()}
        if {name: summary[name] for name in wanted} != wanted:
            raise Failed(f"{self.name} tells {summary}, the truth is {wanted}")
        verdict = released(place.server, "peers_whole", topic.truth)
        place.server.query("DROP DATABASE peers_whole")
        return Turn(whole.cost, start.cost, served, verdict)

    def _replay(self, place: Place, topic: Filled, database: str) -> Ended:
        words = ["replay", "--kafka", place.kafka.bootstrap, "--topic", topic.name, "--run-id", _RUN]
        words += ["--store", new_store(place.server, database), "--registry", str(place.registry)]
        environment = {"PYTHONPATH": str(ROOT)}
        return run([*self.command, *words], place.work / self.name, pinned=self.pinned, env=environment)


def released(server: ClickHouse, database: str, truth: Truth) -> Verdict:
    """Every 10 s row holds the truth between n_low and n_high: what was carried over is not exact, and says so.

    Of the cells of each direction every one must be there; nobody passed whose direction is unknown.
    """
    text = server.query(
        f"SELECT toUnixTimestamp64Milli(window_start), gate, direction, n_low, n_high FROM {database}.flow FINAL"
        f" WHERE run_id = '{_RUN}' AND window = '10s' FORMAT TabSeparated"
    )
    low, high = np.ones_like(truth.counts), np.zeros_like(truth.counts)  # nothing lies between
    rows = differ = 0
    example = ""
    for line in text.splitlines():
        start, gate, direction, n_low, n_high = line.split("\t")
        pane = (int(start) - START_MS) // PANE_MS
        if direction in DIRECTIONS and 0 <= pane < len(low) and int(gate) < GATES:
            cell = pane, int(gate), DIRECTIONS.index(direction)
            low[cell], high[cell] = int(n_low), int(n_high)
            rows += 1
        elif int(n_low):
            differ += 1
            example = line
    wrong = (truth.counts < low) | (truth.counts > high)
    if wrong.any():
        at = tuple(np.argwhere(wrong)[0].tolist())
        example = f"pane {at[0]}, gate {at[1]}: [{low[at]}, {high[at]}], the truth is {truth.counts[at]}"
    return Verdict(rows, differ + int(wrong.sum()), 0, 0, example)
