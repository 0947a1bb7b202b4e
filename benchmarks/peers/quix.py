"""Quix Streams as its guide writes it (programs/quix_count.py), in an environment of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.compare import Semantics
from benchmarks.peers.fetch import PROGRAMS, python_of
from benchmarks.peers.peer import CommandPeer, Filled, Place

VERSION = "3.28.1"


class Quix(CommandPeer):
    """One process; the topic's key is the gate: it groups without sending events on. Its state is logged to Kafka."""

    name = "quix"
    share = 32
    about = f"Quix Streams {VERSION}"
    semantics = Semantics(
        duplicates="counted", unknown="dropped", bad="dropped", rows_go="to a file, state at least once in Kafka"
    )

    def prepare(self) -> None:
        """See Peer."""
        self._python = python_of("quix", [f"quixstreams=={VERSION}"])

    def command(self, place: Place, topic: Filled, rows: Path) -> Sequence[str | Path]:
        """See CommandPeer."""
        words = [place.kafka.bootstrap, topic.name, str(topic.truth.messages)]
        state = place.work / self.name / "state"
        return [self._python, PROGRAMS / "quix_count.py", *words, place.registry, state, rows]
