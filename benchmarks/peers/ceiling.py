"""The ceiling: librdkafka, a minimal scan and counting in C (programs/ceiling.c)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import files, version
from pathlib import Path

from benchmarks.peers.compare import Semantics
from benchmarks.peers.fetch import PROGRAMS, Missing, program
from benchmarks.peers.peer import CommandPeer, Filled, Place
from benchmarks.peers.topic import PARTITIONS

WHEEL = "confluent-kafka"


def librdkafka() -> Path:
    """The library that the wheel of the Python client brings. Raises Missing."""
    for file in files(WHEEL) or ():
        if file.name.startswith("librdkafka") and ".so" in file.name:
            return Path(str(file.locate()))
    raise Missing(f"{WHEEL} {version(WHEEL)} brings no librdkafka")


class Ceiling(CommandPeer):
    """Not a tool, but what there is to reach."""

    semantics = Semantics(duplicates="counted", unknown="dropped", bad="dropped", rows_go="to a file")

    def __init__(self, *, pinned: bool) -> None:
        self.pinned = pinned
        self.name = "ceiling-pinned" if pinned else "ceiling"
        self.about = f"C on the librdkafka of {WHEEL} {version(WHEEL)}" + (", on one core" if pinned else "")

    def prepare(self) -> None:
        """See Peer."""
        self._program, self._library = program(PROGRAMS / "ceiling.c"), librdkafka()

    def command(self, place: Place, topic: Filled, rows: Path) -> Sequence[str | Path]:
        """See CommandPeer."""
        words = [place.kafka.bootstrap, topic.name, str(PARTITIONS), str(topic.truth.messages)]
        return [self._program, self._library, *words, rows]
