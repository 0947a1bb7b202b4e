"""The streams a run can be of: what each is made of. One run is one stream (docs/adr/0045).

    hitonami run|replay --events    people     signage     profiles
    partition                       Partition  Signage…    Profile…         engine: messages → what has closed
    dataflow                        people.py  signage.py  profiles.py  flows: what has closed → rows

Whatever else a run needs (logs, ticks, recovery, processes, the sink, the run's row) is the same for all of them.
A new stream is an entry in ``STREAMS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bytewax.dataflow import Dataflow

from engine import kernels
from engine.config import Config
from engine.errors import UsageError
from engine.partition import Partition
from engine.registry import Registry
from engine.tables import Tables
from flows import people, profiles, signage, subjects
from flows.external_sort import Stamps, people_stamps
from flows.keeper import Maker
from flows.source import FileSource, KafkaSource, Parts
from flows.store_sink import Advance, StoreSink, of_gates

if TYPE_CHECKING:
    from flows.kafka import Cluster
    from flows.runs import Setup

Flow = Callable[[FileSource | KafkaSource, StoreSink, Parts, int, Config], Dataflow]


@dataclass(frozen=True)
class Opened:
    """A stream in a process that is about to run it.

    ``make`` makes its partitions. While ``holds()``, sources hand out nothing: what was not read is not lost.
    ``close`` is called when the flow has ended.
    """

    make: Maker
    holds: Callable[[], bool] = field(default=lambda: False)
    close: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True)
class Stream:
    """One kind of events and what becomes of them.

    ``name``: of its topic and of its flow. ``open(setup, cluster, recovery)``: in each process; no cluster in a replay
    of files, no recovery directory in any replay. ``begin(setup, recovery)``: before a live run's processes start,
    once; what they must share is put into the directory here. ``dataflow``: the flow over a source and a sink.
    ``shards``: of a live run, from its first registry. ``keys``: of the sink, for that many shards. ``closed`` and
    ``advance``: W of the windows that had closed, and how far the run had come, from a state that the steps
    ``closed_step`` and ``advance_step`` keep. ``places``: what a run's row says of the places it counts at.
    ``stamps``: times of records, by which the lines of a file are sorted.
    """

    name: str
    open: Callable[[Setup, Cluster | None, Path | None], Opened]
    dataflow: Flow
    shards: Callable[[Registry], int]
    keys: Callable[[int], list[str]]
    closed_step: str
    closed: Callable[[bytes], int]
    advance_step: str
    advance: Callable[[bytes], Advance]
    places: Callable[[Tables], dict[str, Any]]
    stamps: Callable[[Tables], Stamps]
    begin: Callable[[Setup, Path], None] = field(default=lambda _setup, _recovery: None)

    @property
    def logs(self) -> str:
        """The step of its flow that keeps a partition's offset and state."""
        return f"{self.name}.logs"


def _people_stamps(tables: Tables) -> Stamps:
    return people_stamps(kernels.active().Ids(tables.wire_ids()))


PEOPLE = Stream(
    name="people",
    open=lambda _setup, _cluster, _recovery: Opened(Partition),
    dataflow=people.dataflow,
    shards=people.shards_of,
    keys=people.keys,
    closed_step="people.shards",
    closed=people.closed_of,
    advance_step="people.run",
    advance=people.advance_of,
    places=of_gates,
    stamps=_people_stamps,
)
SIGNAGE = Stream(
    name=signage.NAME,
    open=lambda _setup, _cluster, recovery: Opened(signage.maker(recovery)),
    begin=lambda _setup, recovery: signage.begin(recovery),
    dataflow=signage.dataflow,
    shards=lambda _registry: 1,
    keys=subjects.keys,
    closed_step=f"{signage.NAME}.subjects",
    closed=subjects.closed_of,
    advance_step=f"{signage.NAME}.subjects",
    advance=subjects.advance_of,
    places=signage.places,
    stamps=signage.stamps,
)


def _open_profiles(setup: Setup, cluster: Cluster | None, recovery: Path | None) -> Opened:
    made = profiles.opened(setup, cluster, recovery)
    return Opened(made.make, made.holds, made.close)


PROFILES = Stream(
    name="profiles",
    open=_open_profiles,
    begin=profiles.begin,
    dataflow=profiles.dataflow,
    shards=lambda _registry: 1,
    keys=subjects.keys,
    closed_step="profiles.subjects",
    closed=subjects.closed_of,
    advance_step="profiles.subjects",
    advance=subjects.advance_of,
    places=profiles.places,
    stamps=profiles.stamps,
)
STREAMS: Mapping[str, Stream] = {stream.name: stream for stream in (PEOPLE, SIGNAGE, PROFILES)}


def stream_of(events: str) -> Stream:
    """The stream of that name. Raises UsageError for another word."""
    known = STREAMS.get(events)
    if known is None:
        raise UsageError(f"--events: one of {', '.join(STREAMS)}")
    return known


def events_of(topic: str) -> str:
    """The stream whose events a topic holds, by its name; people where that tells nothing."""
    return topic if topic in STREAMS else PEOPLE.name
