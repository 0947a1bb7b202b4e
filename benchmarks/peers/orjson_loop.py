"""Python + orjson: the loop that an experienced user writes by hand (programs/orjson_loop.py)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.compare import Semantics
from benchmarks.peers.fetch import PROGRAMS
from benchmarks.peers.peer import CommandPeer, Filled, Place
from benchmarks.peers.topic import PARTITIONS


class OrjsonLoop(CommandPeer):
    """In our own environment: confluent-kafka and orjson are Hitonami's too."""

    name = "orjson"
    share = 4
    about = f"Python, orjson {version('orjson')}, confluent-kafka {version('confluent-kafka')}"
    semantics = Semantics(duplicates="counted", unknown="dropped", bad="dropped", rows_go="to a file")

    def command(self, place: Place, topic: Filled, rows: Path) -> Sequence[str | Path]:
        """See CommandPeer."""
        words = [place.kafka.bootstrap, topic.name, str(PARTITIONS), str(topic.truth.messages)]
        return [sys.executable, PROGRAMS / "orjson_loop.py", *words, place.registry, rows]
