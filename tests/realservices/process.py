"""One child process of the kit: its log, its end, and its end when the tests end first."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.realservices.cache import ServiceError

PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


def _die_with_parent() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A service in a child process; both streams go to ``log``. It is killed when the test run dies."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None):
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self.env = {**os.environ, **(env or {})}
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id; ServiceError where it does not run."""
        if self._child is None:
            raise ServiceError(f"{self.name} does not run")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.poll() is None

    def start(self, ready: Callable[[], bool], seconds: float) -> None:
        """Start it and wait until ``ready()``. ServiceError with the log's end where it dies or is not ready."""
        if self.alive:
            raise ServiceError(f"{self.name} runs already")
        with open(self.log, "wb") as log:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                start_new_session=True,  # Ctrl-C in the terminal is for the tests, which then end it
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive:
                code = self._child.returncode
                self._child = None
                raise ServiceError(f"{self.name} ended with {code} at its start:\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServiceError(f"{self.name} is not ready after {seconds:.0f} s:\n{self.tail()}")
            time.sleep(0.05)

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens where it does not run."""
        if self.alive:
            os.kill(self.pid, number)

    def stop(self, seconds: float = 15) -> None:
        """SIGTERM, then SIGKILL after ``seconds``."""
        self.signal(signal.SIGTERM)
        if self._child is not None:
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._child = None

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self._child is not None:
            self._child.wait()
        self._child = None
