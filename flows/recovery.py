"""The recovery directory of a live run: whose it is, and nothing in it of epochs that were never committed.

Bytewax 0.21.1 keeps the snapshots of a dead run's uncommitted epoch and may load them at the second crash. So before
each start they are removed, and in every epoch every key and sink part gets a tick, so that all write a snapshot.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from bytewax.recovery import RecoveryConfig, init_db_dir

from engine.errors import BadInput, UsageError

_OWNER = "hitonami.json"
_LOCK = "hitonami.lock"
_LOCK_S = 3.0  # the processes of a killed run are gone by then


def holds_state(directory: Path) -> bool:
    """Whether ``directory`` is the recovery directory of a run."""
    return (directory / _OWNER).exists()


def open_recovery(directory: Path, owner: Mapping[str, str]) -> tuple[RecoveryConfig, bool]:
    """Prepare ``directory`` (0700; made where it is missing) for the run described by ``owner``.

    Returns Bytewax's configuration and whether the directory holds an earlier state of this run. Raises UsageError
    when it belongs to another run, registry, configuration or program, BadInput when it cannot be used.
    """
    try:
        _make_private(directory)
        resumes = holds_state(directory)
        if resumes:
            before = json.loads((directory / _OWNER).read_text())
            differs = [name for name, value in owner.items() if before.get(name) != value]
            if differs:
                raise UsageError(f"recovery directory {directory}: it belongs to a run with another {differs[0]}")
        else:
            _write_owner(directory, owner)
        if not any(directory.glob("part-*.sqlite3")):
            _make_base(directory)
        purge(directory)
    except OSError as error:
        raise BadInput(f"recovery directory {directory}: {error.strerror}") from None
    except (sqlite3.Error, json.JSONDecodeError):
        raise BadInput(f"recovery directory {directory}: damaged") from None
    return RecoveryConfig(str(directory), timedelta(0)), resumes  # type: ignore[no-untyped-call]


def remembered(directory: Path, name: str, value: str) -> str:
    """What ``directory`` holds as ``name`` beside its owner's names; ``value``, which it then keeps, where nothing."""
    owner = json.loads((directory / _OWNER).read_text())
    if name not in owner:
        _write_owner(directory, {**owner, name: value})
    return str(owner.get(name, value))


def _write_owner(directory: Path, owner: Mapping[str, str]) -> None:
    (directory / f"{_OWNER}.new").write_text(json.dumps(dict(owner)))
    os.replace(directory / f"{_OWNER}.new", directory / _OWNER)


def _make_private(directory: Path) -> None:
    """Make ``directory``, or close an empty one or a run's own to others. Raises UsageError for any other."""
    directory.mkdir(parents=True, exist_ok=True)
    ours = (_LOCK, f"{_OWNER}.new")  # of a start that was killed before it had told whose it is
    if not holds_state(directory) and any(entry.name not in ours for entry in directory.iterdir()):
        raise UsageError(f"recovery directory {directory}: it holds files of another program; take an empty one")
    os.chmod(directory, 0o700)


def _make_base(directory: Path) -> None:
    """Make the empty base, whole or not at all: a start may be killed here too."""
    with tempfile.TemporaryDirectory(prefix="new-", dir=directory) as new:
        init_db_dir(new, 1)  # type: ignore[no-untyped-call]
        for base in Path(new).glob("part-*.sqlite3"):
            os.replace(base, directory / base.name)


def check_writable(directory: Path) -> None:
    """Raise BadInput, with the system's word for why, where nothing can be written to ``directory`` now.

    Bytewax says only that it failed; an operator needs to hear that the disk is full.
    """
    probe = directory / ".probe"
    try:
        with open(probe, "wb") as file:
            file.write(bytes(1 << 16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BadInput(f"recovery directory {directory}: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def purge(directory: Path) -> int:
    """Remove the snapshots of uncommitted epochs; returns how many there were."""
    with _bases(directory) as bases:
        resume, removed = _resume_epoch(bases), 0
        for base in bases:
            with base:
                removed += base.execute("DELETE FROM snaps WHERE snap_epoch >= ?", (resume,)).rowcount
        return removed


def resume_epoch(directory: Path) -> int:
    """The epoch with which the next start goes on: it grows with every epoch that was committed."""
    with _bases(directory) as bases:
        return _resume_epoch(bases)


def states(directory: Path, step: str) -> dict[str, bytes]:
    """The committed states of a step's keys."""
    out: dict[str, tuple[int, bytes]] = {}
    with _bases(directory) as bases:
        resume = _resume_epoch(bases)
        for base in bases:
            found = base.execute(
                "SELECT state_key, snap_epoch, ser_change FROM snaps WHERE step_id = ? AND snap_epoch < ?",
                (step, resume),
            )
            for key, epoch, change in found:
                if change is not None and epoch >= out.get(key, (epoch,))[0]:
                    out[key] = epoch, pickle.loads(change)
    return {key: state for key, (_, state) in out.items()}


@contextlib.contextmanager
def _bases(directory: Path) -> Iterator[list[sqlite3.Connection]]:
    bases = [sqlite3.connect(path, timeout=10) for path in sorted(directory.glob("part-*.sqlite3"))]
    try:
        yield bases
    finally:
        for base in bases:
            base.close()


def _resume_epoch(bases: list[sqlite3.Connection]) -> int:
    """The least worker frontier of the newest execution, as Bytewax computes it."""
    executions = [row for base in bases for row in base.execute("SELECT ex_num, worker_count, resume_epoch FROM exs")]
    if not executions:
        return 1
    number, workers, start = max(executions)
    frontier = dict.fromkeys(range(workers), start)
    for base in bases:
        found = base.execute("SELECT worker_index, worker_frontier FROM fronts WHERE ex_num = ?", (number,))
        for worker, at in found:
            frontier[worker] = max(frontier.get(worker, start), at)
    return int(min(frontier.values()))


def lock(directory: Path) -> int:
    """Take ``directory`` for this process; returns the lock's file, which processes that inherit it hold too.

    So the next start waits for the last process of a killed run. Raises UsageError when another run holds it for
    longer than a moment or it holds other files, BadInput when it cannot be used.
    """
    try:
        _make_private(directory)
        file = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInput(f"recovery directory {directory}: {error.strerror}") from None
    until = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError:
            if time.monotonic() > until:
                os.close(file)
                raise UsageError(f"recovery directory {directory}: another run is using it") from None
            time.sleep(0.05)
