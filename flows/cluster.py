"""A live run of several processes: a supervisor that starts them together, and all of them again when one ends.

One Bytewax cluster on loopback, one worker a process. ``N`` may change at every start. A process that ends takes the
others down; what was not committed is read again, so nothing is lost and nothing double::

    prepare ─ spawn N ─ all ready ─ go ─ all started ─ … one ends ─ kill the rest ─ back off ─┐
       └──────────────────────────────────────────────────────────────────────────────────────┘

The supervisor holds no data. It gives up after ``MOST_FAILURES`` ends without an epoch committed between them, and at
once where a repeat cannot help (wrong option, bad input). SIGTERM and SIGINT stop all processes: windows stay open.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from engine.errors import HitonamiError
from flows import guard
from flows.live import end_run, prepare, stored_summary
from flows.processes import end_with_parent, free_ports
from flows.recovery import lock, resume_epoch
from flows.runs import Setup, Summary, book_of, row_of
from flows.worker import PEER_ENDED, READY, STARTED, STOPPING, Job

MOST_FAILURES = 8
BACK_OFF_S = (0.2, 0.4, 0.8, 1.6, 3.2, 5.0)
READY_S = 60.0  # a process imports and opens the store
START_S = 10.0  # processes join: one that was killed meanwhile leaves the others waiting for ever
LAST_WORD_S = 1.5  # a stop does not wait longer for a store that hangs: the next start tells it what this one could not
STOP_S = 3.0  # then they are killed: the last epoch is read again at the next start
_AFTERMATH_S = 0.5  # a peer may be seen to end before the process that made it end
_POLL_S = 0.05
_STAGGER_S = 0.03  # a process that knocks too early tries again only after a second
_PACKAGES = Path(__file__).resolve().parents[1]
_ERRORS_KEPT = 1 << 16


@dataclass(frozen=True)
class Failure:
    """Why the processes ended: one line, the exit code if it stays so, whether another start would end so too."""

    message: str
    code: int
    lasting: bool = False


def run_cluster(
    setup: Setup, job: Job, start: str, processes: int, *, on_start: Callable[[], None] | None = None
) -> Summary:
    """Run ``processes`` processes until SIGTERM or SIGINT; ``job`` tells them what ``setup`` tells this one.

    Raises what ``prepare`` raises, HitonamiError with the exit code of the process that failed first, and
    ServiceUnreachable where the store does not take that the run has stopped: nothing is lost, the next start goes on.
    """
    begun = time.monotonic()
    cluster, recovery = job.cluster(), Path(job.recovery)
    held = lock(recovery)
    try:
        _supervise(setup, job, start, processes, held, on_start)
        with setup.store.answering_within(LAST_WORD_S):
            run = setup.store.run(setup.run_id)  # the processes have told it how far they came
            if run is not None:
                end_run(setup, row_of(setup, run, book_of(setup)), recovery, "stopped")
        return stored_summary(setup, cluster, recovery, begun)
    finally:
        os.close(held)


def _supervise(
    setup: Setup, job: Job, start: str, processes: int, held: int, on_start: Callable[[], None] | None
) -> None:
    """Start the processes again and again until the stop flag is set."""
    cluster, recovery = job.cluster(), Path(job.recovery)
    failures, told, epoch = 0, "", 0
    prepared = prepare(setup, cluster, recovery, start)
    while not guard.stop.is_set():
        failure: Failure | None
        try:
            if failures:
                prepared = replace(prepare(setup, cluster, recovery, "stored"), starts=prepared.starts)
            now = resume_epoch(recovery)
            if now > epoch:
                failures, epoch = min(failures, 1), now
            starts, since = sorted(prepared.starts.items()), sorted(prepared.since.items())
            whole = replace(job, partitions=prepared.partitions, starts=starts, since=since, topic_id=prepared.topic_id)
            failure = Generation(whole, processes, held).run(on_start)
        except HitonamiError as error:  # Kafka or the store may be away for a moment
            failure = Failure(str(error), error.exit_code, error.lasting)
        on_start = None
        if failure is None:
            break
        failures += 1
        if failure.lasting or failures >= MOST_FAILURES:
            raise _as_error(failure)
        if failure.message != told or failures == 1:
            told = failure.message
            guard.tell(f"{told}; starting again")
        guard.stop.wait(BACK_OFF_S[min(failures - 1, len(BACK_OFF_S) - 1)])


class Generation:
    """The processes of one start, from spawning to the end of the last one."""

    def __init__(self, job: Job, processes: int, held: int) -> None:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(processes)]
        self._jobs = [replace(job, addresses=addresses, number=number) for number in range(processes)]
        self._held = held
        self._workers: list[_Worker] = []

    def run(self, on_start: Callable[[], None] | None = None) -> Failure | None:
        """Run until one ends unasked (why) or all have been stopped (None). No process is left behind."""
        try:
            self._workers = [_Worker(job, self._held) for job in self._jobs]
            failure = self._until(READY, READY_S, "did not start")
            if failure is None and not guard.stop.is_set():
                for worker in self._workers:
                    worker.go()
                    time.sleep(_STAGGER_S)
                failure = self._until(STARTED, START_S, "did not find each other")
                if failure is None and not guard.stop.is_set():
                    if on_start is not None:
                        on_start()
                    failure = self._until(STOPPING, None, "")
                    if failure is None:
                        self._stop()
            return failure
        finally:
            for worker in self._workers:
                worker.kill()

    def _until(self, word: bytes, seconds: float | None, late: str) -> Failure | None:
        """Wait until all have said ``word`` (STOPPING: one), the stop flag is set, or one has ended (why)."""
        until = None if seconds is None else time.monotonic() + seconds
        while not guard.stop.is_set():
            self._listen()
            if any(worker.ended for worker in self._workers):
                return self._first_failure()
            said = [word in worker.said for worker in self._workers]
            if word == STOPPING and any(said):  # asked to stop behind our back: a part of a cluster cannot stop
                guard.stop.set()
            elif all(said):
                return None
            if until is not None and time.monotonic() > until:
                return Failure(f"the processes {late} within {seconds:.0f} s", 1)
        return None

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                for pipe in worker.pipes:
                    selector.register(pipe, selectors.EVENT_READ, worker)
            if not selector.get_map():
                time.sleep(_POLL_S)
            for key, _ in selector.select(_POLL_S):
                key.data.hear(key.fileobj)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.ask_to_stop()
        until = time.monotonic() + STOP_S
        while not all(worker.ended for worker in self._workers) and time.monotonic() < until:
            self._listen()

    def _first_failure(self) -> Failure:
        until = time.monotonic() + _AFTERMATH_S
        while time.monotonic() < until:
            self._listen()
            own = [worker for worker in self._workers if worker.ended and worker.code != PEER_ENDED]
            if own:
                return own[0].failure()
        return next(worker for worker in self._workers if worker.ended).failure()


class _Worker:
    """One process and its pipes."""

    def __init__(self, job: Job, held: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from flows.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_PACKAGES), os.environ.get("PYTHONPATH", "")])},
            pass_fds=(held,),
            start_new_session=True,  # Ctrl-C in a terminal is for the supervisor
            preexec_fn=end_with_parent,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._input: IO[bytes] = self._process.stdin
        self._words: IO[bytes] = self._process.stdout
        self._errors: IO[bytes] = self._process.stderr
        self.pipes: list[IO[bytes]] = [self._words, self._errors]
        self.said = b""
        self._rest = b""  # of stderr, an unfinished line
        self._failed: str | None = None
        self._lasting = False
        self._send(job.encode())

    @property
    def ended(self) -> bool:
        """Whether the process has ended and everything it said was heard."""
        return self._process.poll() is not None and not self.pipes

    @property
    def code(self) -> int:
        """Exit code, negative for a signal."""
        return int(self._process.returncode)

    def go(self) -> None:
        """Tell it that all are ready."""
        self._send(b"go\n")

    def _send(self, line: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended, which is seen elsewhere
            self._input.write(line)
            self._input.flush()

    def hear(self, pipe: IO[bytes]) -> None:
        """Read what it has said on one of ``pipes``."""
        heard = os.read(pipe.fileno(), 1 << 16)
        if not heard:
            self.pipes.remove(pipe)
        elif pipe is self._words:
            self.said += heard
        else:
            *lines, self._rest = (self._rest + heard)[-_ERRORS_KEPT:].splitlines(keepends=True) or [b""]
            if self._rest.endswith(b"\n"):
                lines, self._rest = [*lines, self._rest], b""
            for line in lines:
                self._line(line.rstrip().decode(errors="replace"))

    def _line(self, line: str) -> None:
        """One line of its stderr: its notes are passed on, what libraries print may quote input."""
        if line.startswith(guard.NOTE):
            guard.tell(line.removeprefix(guard.NOTE))
        elif line.startswith((guard.FAILURE, guard.LASTING)) and self._failed is None:
            self._lasting = line.startswith(guard.LASTING)
            self._failed = line.removeprefix(guard.LASTING if self._lasting else guard.FAILURE)

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._words, self._errors):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def failure(self) -> Failure:
        """Why it has ended: our own line of its stderr, or how it went."""
        if self._failed is not None:
            return Failure(self._failed, self.code if self.code > 0 else 1, self._lasting)
        how = f"was ended by signal {-self.code}" if self.code < 0 else f"ended with {self.code}"
        return Failure(f"a process {how}", 1)


def _as_error(failure: Failure) -> HitonamiError:
    error = HitonamiError(failure.message)
    error.exit_code = failure.code
    return error
