"""The recovery directory of a live run: whose it is, and nothing in it of epochs that were never committed.

Bytewax 0.21.1 keeps the snapshots of a dead run's uncommitted epoch and may load them at the second crash. So before
each start they are removed, and in every epoch every key and sink part gets a tick, so that all write a snapshot.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from bytewax.recovery import RecoveryConfig, init_db_dir

from engine.errors import BadInput, UsageError

_OWNER = "hitonami.json"


def holds_state(directory: Path) -> bool:
    """Whether ``directory`` is the recovery directory of a run."""
    return (directory / _OWNER).exists()


def open_recovery(directory: Path, owner: Mapping[str, str]) -> tuple[RecoveryConfig, bool]:
    """Prepare ``directory`` (made 0700 where it is missing) for the run described by ``owner``.

    Returns Bytewax's configuration and whether the directory holds an earlier state of this run. Raises UsageError
    when it belongs to another run, registry or configuration, BadInput when it cannot be used.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        os.chmod(directory, 0o700)
        known = directory / _OWNER
        if holds_state(directory):
            before = json.loads(known.read_text())
            differs = [name for name, value in owner.items() if before.get(name) != value]
            if differs:
                raise UsageError(f"recovery directory {directory}: it belongs to a run with another {differs[0]}")
            purge(directory)
            return RecoveryConfig(str(directory), timedelta(0)), True  # type: ignore[no-untyped-call]
        if any(directory.glob("part-*.sqlite3")):
            raise UsageError(f"recovery directory {directory}: it belongs to another program")
        init_db_dir(str(directory), 1)  # type: ignore[no-untyped-call]
        known.write_text(json.dumps(dict(owner)))
    except OSError as error:
        raise BadInput(f"recovery directory {directory}: {error.strerror}") from None
    except (sqlite3.Error, json.JSONDecodeError):
        raise BadInput(f"recovery directory {directory}: damaged") from None
    return RecoveryConfig(str(directory), timedelta(0)), False  # type: ignore[no-untyped-call]


def purge(directory: Path) -> int:
    """Remove the snapshots of uncommitted epochs; returns how many there were.

    The epoch to resume from is the least worker frontier of the newest execution, as Bytewax computes it.
    """
    bases = [sqlite3.connect(path) for path in sorted(directory.glob("part-*.sqlite3"))]
    try:
        executions = [
            row for base in bases for row in base.execute("SELECT ex_num, worker_count, resume_epoch FROM exs")
        ]
        resume = 1
        if executions:
            number, workers, start = max(executions)
            frontier = dict.fromkeys(range(workers), start)
            for base in bases:
                found = base.execute("SELECT worker_index, worker_frontier FROM fronts WHERE ex_num = ?", (number,))
                for worker, at in found:
                    frontier[worker] = max(frontier.get(worker, start), at)
            resume = min(frontier.values())
        removed = 0
        for base in bases:
            with base:
                removed += base.execute("DELETE FROM snaps WHERE snap_epoch >= ?", (resume,)).rowcount
        return removed
    finally:
        for base in bases:
            base.close()
