"""The state of consents as supervisors may see it: a row a minute of a run, without subjects and small counts.

A provider stands here with its consenting subjects rounded down to a multiple of ten, and not at all below ten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from engine.rfc3339 import format_ms
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.schema import CONSENTS_TABLE

STEP_MS = 60_000  # between two rows


@dataclass(frozen=True)
class ConsentState:
    """What may be told of the consents of a run.

    ``at_ms``: wall clock. ``lag_ms``: for how long nothing is known of new ones, None before the topic was read to its
    end. ``held``: whether events wait. ``faults``: reasons for which records could not be used, since the start.
    ``subjects``: provider → consenting subjects, rounded down to a multiple of ten, none below ten. ``terms``: provider
    → versions of terms ("version lang") of ten subjects or more.
    """

    at_ms: int
    lag_ms: int | None
    held: bool
    faults: Sequence[str] = ()
    subjects: Mapping[str, int] = field(default_factory=dict)
    terms: Mapping[str, Sequence[str]] = field(default_factory=dict)


def put_consents(connection: Connection, run_id: str, state: ConsentState) -> None:
    """Store the state of a run; of two of one minute the later one stays."""
    values = {**asdict(state), "run_id": run_id, "minute": format_ms(state.at_ms // STEP_MS * STEP_MS)}
    line = json.dumps(values, ensure_ascii=False).encode() + b"\n"
    settings = {"async_insert": 0, "insert_deduplicate": 0, "date_time_input_format": "best_effort"}
    connection.insert_json(CONSENTS_TABLE, tuple(values), line, settings)


def read_consents(connection: Connection, run_id: str) -> ConsentState | None:
    """The newest state of a run; None where it never told one: it handles no consents."""
    return _newest(connection, run_id, "run_id = {run:String}")


def read_told(connection: Connection, run_id: str) -> ConsentState | None:
    """What was told last with consents known: by the run, where it never did by any run; None where none did."""
    return _newest(connection, run_id, "lag_ms IS NOT NULL")


def _newest(connection: Connection, run_id: str, where: str) -> ConsentState | None:
    found = connection.rows(
        f"SELECT at_ms, lag_ms, held, faults, subjects, terms FROM {connection.table(CONSENTS_TABLE)}"
        f" WHERE {where} ORDER BY run_id = {{run:String}} DESC, minute DESC, at_ms DESC LIMIT 1",
        {"run": run_id},
    )
    if not found:
        return None
    at_ms, lag_ms, held, faults, subjects, terms = found[0]
    return ConsentState(
        at_ms, lag_ms, bool(held), tuple(faults), dict(subjects), {p: list(t) for p, t in terms.items()}
    )
