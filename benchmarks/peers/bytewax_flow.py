"""Bytewax as its guide writes it, with the connector and the window operators it brings (programs/bytewax_flow.py)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.compare import Semantics
from benchmarks.peers.fetch import PROGRAMS
from benchmarks.peers.peer import CommandPeer, Filled, Place


class BytewaxFlow(CommandPeer):
    """In our own environment, one worker: it is what Hitonami's flows are built on."""

    name = "bytewax"
    share = 16
    about = f"Bytewax {version('bytewax')}, one worker"
    semantics = Semantics(duplicates="counted", unknown="dropped", bad="dropped", rows_go="to a file")

    def command(self, place: Place, topic: Filled, rows: Path) -> Sequence[str | Path]:
        """See CommandPeer."""
        return [sys.executable, PROGRAMS / "bytewax_flow.py", place.kafka.bootstrap, topic.name, place.registry, rows]
