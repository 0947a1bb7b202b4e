"""Runs and registries: who made which rows, with what settings, how far."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from engine.model import CELL_MS, LEAVES, NO_TIME
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.schema import RUN_TABLES

KINDS = ("live", "replay", "workbench")
PEOPLE = "people"
STATES = ("running", "stopped", "finished", "failed")
_BESIDE = {"touches": "signage", "screens": "signage", "profiles": "profiles", "trips": "profiles"}  # product → stream


@dataclass(frozen=True)
class Run:
    """One run of the engine over a log.

    ``versions``: hashes of the registry versions met in the log, behind the first one (``registry_hash``), in order.
    ``leaves``: gate → label of its leaf window; of a run beside people: each place it counts at → the stream's name.
    ``gate_delay_ms``: the largest delay of a gate. ``first_ms``,
    ``last_ms``: first and last accepted event time (cells of 10 s), None while there is none; a live run does not
    tell when the last person was seen (PRIVACY.md R6): while it runs it says ``closed_ms`` instead, stopped the end of
    that day or ``closed_ms``, whichever is later. ``closed_ms``: every window with
    end + delay ≤ it is closed (NO_TIME none, END all). ``read`` = ``accepted`` + sum of ``rejected``.
    ``started_ms``, ``updated_ms``: wall clock; of two rows of a run the later update counts.
    """

    run_id: str
    kind: str
    config: str
    config_hash: str
    registry_version: str
    registry_hash: str
    code_version: str
    timezone: str
    leaves: Mapping[str, str] = field(default_factory=dict)
    gate_delay_ms: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    closed_ms: int = NO_TIME
    read: int = 0
    accepted: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    state: str = "running"
    started_ms: int = 0
    updated_ms: int = 0
    versions: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.state not in STATES:
            raise ValueError(f"no run of kind {self.kind} and state {self.state}")

    @property
    def events(self) -> str:
        """The stream it is a run of: people, signage, …"""
        told = next(iter(self.leaves.values()), PEOPLE)
        return PEOPLE if told in LEAVES else told

    @property
    def decided_once(self) -> bool:
        """Whether the same log and settings may give other rows: those of people hang on their consents of then too."""
        return self.events == "profiles"


_COLUMNS = tuple(column.name for column in fields(Run))


def stream_of(product: str) -> str:
    """The stream whose runs have rows of a product; rejects, which all have: people."""
    return _BESIDE.get(product, PEOPLE)


def put_run(connection: Connection, run: Run) -> None:
    """Store a run's row; it replaces an earlier row of the run whose updated_ms is not greater."""
    values = asdict(run)
    values["leaves"] = dict(run.leaves)
    values["rejected"], values["versions"] = dict(run.rejected), list(run.versions)
    line = json.dumps(values, ensure_ascii=False).encode() + b"\n"
    # The same row may be written again on purpose: no tokens here.
    connection.insert_json("runs", _COLUMNS, line, {"async_insert": 0, "insert_deduplicate": 0})


def read_runs(connection: Connection, run_id: str | None = None) -> list[Run]:
    """All runs, or the one of that id, in order of their start."""
    where = "" if run_id is None else " WHERE run_id = {run:String}"
    found = connection.rows(
        f"SELECT {', '.join(_COLUMNS)} FROM {connection.table('runs')} FINAL{where} ORDER BY started_ms, run_id",
        {} if run_id is None else {"run": run_id},
    )
    runs = [Run(*row) for row in found]
    return [replace(run, versions=tuple(run.versions)) for run in runs]


def overlapping(runs: Iterable[Run], gates: Iterable[str], first_ms: int, last_ms: int) -> list[Run]:
    """Runs that share a gate and a cell of 10 s with ``[first_ms, last_ms]``: live, replay and unfinished ones.

    A run that is still running has no end yet, so it overlaps everything from its first event on; one that has
    accepted nothing yet may still do so at any time. A replay is a workbench run until it has ended (flows/runs.py):
    a running one counts, whatever its class. Too many is the safe side: their replays become workbench runs.
    """
    wanted = set(gates)
    found = []
    for run in runs:
        running = run.state == "running"
        if (run.kind == "workbench" and not running) or wanted.isdisjoint(run.leaves):
            continue
        if run.first_ms is None or run.last_ms is None:
            if running:
                found.append(run)
        elif _cell(run.first_ms) <= last_ms and (running or run.last_ms >= _cell(first_ms)):
            found.append(run)
    return found


def _cell(time_ms: int) -> int:
    """Start of the cell of 10 s: runs that share one share a window, whichever instant of it they tell."""
    return time_ms if time_ms == NO_TIME else time_ms - time_ms % CELL_MS


def drop_run(connection: Connection, run_id: str) -> None:
    """Remove all rows of a run, and with them the tokens of its inserts; returns when they are gone.

    A run of the same id can be stored again. Dropping a run that does not exist changes nothing.
    """
    for table in RUN_TABLES:
        connection.command(f"ALTER TABLE {connection.table(table)} DROP PARTITION {{run:String}}", {"run": run_id})


def put_registry(connection: Connection, version: str, digest: str, text: str) -> None:
    """Keep a registry version; the same one again replaces itself, another hash under its name is kept beside it."""
    line = json.dumps({"version": version, "hash": digest, "text": text}, ensure_ascii=False).encode() + b"\n"
    connection.insert_json(
        "registries", ("version", "hash", "text"), line, {"async_insert": 0, "insert_deduplicate": 0}
    )


def read_registry(connection: Connection, name: str) -> str | None:
    """Text of the registry of that hash, else of the one stored last under that version; None when there is none."""
    found = connection.rows(
        f"SELECT text FROM {connection.table('registries')} WHERE hash = {{name:String}} OR version = {{name:String}}"
        " ORDER BY hash = {name:String} DESC, inserted_at DESC LIMIT 1",
        {"name": name},
    )
    return str(found[0][0]) if found else None
