"""A command and what it took: seconds from its start to its end, and the CPU of all its threads and children."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 900
_TOLD = 2_000  # characters of what a command that failed has said
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


class Failed(Exception):
    """A peer could not be measured: it ended with an error, or not in time."""


@dataclass(frozen=True)
class Cost:
    """Wall seconds, and CPU seconds of all threads, user and system."""

    seconds: float
    cpu_s: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.seconds - other.seconds, self.cpu_s - other.cpu_s)


@dataclass(frozen=True)
class Ended:
    """A command that has ended well: its cost, and what it printed."""

    cost: Cost
    printed: str


def first_core() -> int:
    """The core that a pinned peer is given."""
    return min(os.sched_getaffinity(0))


def run(
    command: Sequence[str | Path], work: Path, *, pinned: bool = False, env: Mapping[str, str] | None = None
) -> Ended:
    """Run a command in ``work`` to its end; ``pinned``: on one core. Raises Failed."""
    work.mkdir(parents=True, exist_ok=True)
    words = ["taskset", "-c", str(first_core()), *map(str, command)] if pinned else [str(word) for word in command]
    with open(work / "stdout", "wb") as out, open(work / "stderr", "wb") as err:
        begun = time.monotonic()
        child = subprocess.Popen(
            words,
            cwd=work,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        late = threading.Timer(PATIENCE_S, _kill, (child.pid,))
        late.start()
        try:
            _, status, used = os.wait4(child.pid, 0)  # what its own children used is in it, once it waited for them
        except BaseException:
            _kill(child.pid)
            raise
        finally:
            late.cancel()
        seconds = time.monotonic() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
    printed = (work / "stdout").read_text(errors="replace")
    if child.returncode:
        said = (work / "stderr").read_text(errors="replace")[-_TOLD:] or printed[-_TOLD:]
        raise Failed(f"{Path(words[0]).name} ended with {child.returncode}: {said.strip()}")
    return Ended(Cost(seconds, used.ru_utime + used.ru_stime), printed)


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
