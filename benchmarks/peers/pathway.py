"""Pathway as its guide writes it (programs/pathway_count.py), in an environment of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.compare import Semantics
from benchmarks.peers.fetch import PROGRAMS, python_of
from benchmarks.peers.peer import CommandPeer, Filled, Place

VERSION = "0.33.0"


class Pathway(CommandPeer):
    """A static read; a row is told anew when it changes. A watermark over all partitions would drop what is in time."""

    name = "pathway"
    share = 16
    about = f"Pathway {VERSION}"
    semantics = Semantics(
        late="counted", duplicates="counted", unknown="counted", bad="dropped", rows_go="to a callback, with changes"
    )

    def prepare(self) -> None:
        """See Peer."""
        self._python = python_of("pathway", [f"pathway=={VERSION}"])

    def command(self, place: Place, topic: Filled, rows: Path) -> Sequence[str | Path]:
        """See CommandPeer."""
        return [self._python, PROGRAMS / "pathway_count.py", place.kafka.bootstrap, topic.name, rows]
