"""Stopping and failing: one stop flag for the process, and callbacks that never let an exception into Bytewax.

Bytewax answers an exception in a callback with a panic and a banner. So every callback is guarded: one line on stderr,
then the process ends at once with the error's exit code. What was not committed is read again at the next start.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import ParamSpec, TypeVar

from engine.errors import HitonamiError

P = ParamSpec("P")
R = TypeVar("R")

stop = threading.Event()  # set by SIGTERM and SIGINT: sources end at their next call, windows stay open
_at_failure: list[Callable[[], None]] = []


def on_signals() -> None:
    """Let SIGTERM and SIGINT set the stop flag (explicitly: a background start hands SIGINT down as ignored)."""

    def set_flag(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, set_flag)


@contextlib.contextmanager
def on_failure(work: Callable[[], None]) -> Iterator[None]:
    """Have ``work`` done when a callback fails inside this block, before the process ends."""
    _at_failure.append(work)
    try:
        yield
    finally:
        _at_failure.remove(work)


# What a worker's lines begin with, for its supervisor: why it ended, that it would end so again, a note.
FAILURE, LASTING, NOTE = "hitonami: ", "hitonami lasting: ", "hitonami note: "
_notes = [FAILURE]


def notes_to_supervisor() -> None:
    """This process is a worker: its supervisor must know a note from the line with which it fails."""
    _notes[0] = NOTE


def tell(line: str) -> None:
    """Say something to whoever runs this: one line on stderr, never with a value of an event."""
    print(f"{_notes[0]}{line}", file=sys.stderr, flush=True)


def fail(error: BaseException) -> None:
    """Tell a failure in one line and end the process with its exit code. Never returns."""
    if isinstance(error, HitonamiError):
        line, code, lasting = str(error), error.exit_code, error.lasting
    else:  # a defect: its type and place, never its text, which may quote input
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        place = f" at {os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno}" if at is not None else ""
        line, code, lasting = f"internal error: {type(error).__name__}{place}", 1, False
    is_worker = _notes[0] == NOTE
    print(f"{LASTING if lasting and is_worker else FAILURE}{line}", file=sys.stderr, flush=True)
    for work in _at_failure:
        with contextlib.suppress(Exception):  # the process ends all the same, with the first message only
            work()
    sys.stdout.flush()
    os._exit(code)


def guarded(callback: Callable[P, R]) -> Callable[P, R]:
    """Wrap a callback of Bytewax; StopIteration passes, everything else ends the process (``fail``)."""

    @functools.wraps(callback)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return callback(*args, **kwargs)
        except StopIteration:
            raise
        except BaseException as error:
            fail(error)
            raise

    return call
