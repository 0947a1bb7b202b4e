"""The flow of signage: touches of devices → touches and screens (docs/adr/0045)."""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path
from typing import Any

from bytewax.dataflow import Dataflow

from engine.config import Config
from engine.devices import devices_of
from engine.signage import KEY_BYTES, SignagePartition, touch_stamps
from engine.signage_rows import SignageRows, proven
from engine.subjects import Subjects
from engine.tables import Tables
from flows.external_sort import Stamps
from flows.keeper import Maker
from flows.recovery import remembered
from flows.source import FileSource, KafkaSource, Parts
from flows.store_sink import StoreSink
from flows.subjects import flow_of

NAME = "signage"
_KEY = "session key"  # its name in the recovery directory


def begin(recovery: Path) -> None:
    """Make the key of a live run's sessions, or find the one it has: all its processes and later lives use the same."""
    remembered(recovery, _KEY, secrets.token_hex(KEY_BYTES))


def maker(recovery: Path | None) -> Maker:
    """Makes partitions that know sessions by pseudonyms of one key: the live run's, else one that is kept nowhere."""
    new = secrets.token_hex(KEY_BYTES)
    key = bytes.fromhex(new if recovery is None else remembered(recovery, _KEY, new))
    return partial(SignagePartition, key=key)


def places(tables: Tables) -> dict[str, Any]:
    """What a run's row says of its devices, also of those that later versions left out; they are no gates."""
    return {"leaves": {f"device {name}": NAME for name in devices_of(tables).names}, "gate_delay_ms": 0}


def stamps(tables: Tables) -> Stamps:
    """Times of touches, by which the lines of a file are sorted."""
    return partial(touch_stamps, devices_of(tables).ids())


def dataflow(
    source: FileSource | KafkaSource, sink: StoreSink, parts: Parts, partitions: int, config: Config
) -> Dataflow:
    """The flow of one run over ``partitions`` logs."""
    clock = parts.book.tables(parts.book.start).zone_clock

    def make(state: bytes | None) -> Subjects:
        rows = SignageRows(config, clock)
        return Subjects(
            partitions,
            parts.book,
            rows.release,
            state,
            threshold=config.threshold_of("touches"),
            proven=proven,
            exact=config["status", "exact"],
            keep=rows.state,
            restore=rows.restore,
        )

    return flow_of(NAME, source, sink, make)
