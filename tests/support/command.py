"""The command line in a process of its own, without the second that a new interpreter takes to load it.

A server that has loaded the command forks for each call: its children are processes with streams, an environment, an
exit code and an end like any other. It is one of the test process that asked first, and ends with it. What is about the
start itself, about signals or about who outlives whom starts the command as a user does (``COMMAND``).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from tests.realservices.process import _die_with_parent

COMMAND = [sys.executable, "-m", "hitonami.cli"]
ROOT = Path(__file__).resolve().parents[2]
# Beside the command itself, what it loads only where it is used; not the embedded store, which starts threads.
LOADED = ("dashboard.app", "hitonami.audit", "hitonami.doctor", "hitonami.health", "loadgen.stage")
_one = threading.Lock()
_running: list[subprocess.Popen[bytes]] = []


def command(
    *words: object, timeout: float = 120, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``hitonami`` with these words; what it printed, and its exit code (negative: the signal that ended it)."""
    said = [str(word) for word in words]
    with _one, tempfile.TemporaryDirectory(prefix="hitonami-command-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        job = {"words": said, "out": str(out), "err": str(err), "env": {**os.environ, **(env or {})}}
        server = _server()
        try:
            code, late = _asked(server, json.dumps(job).encode(), timeout)
        except BaseException:  # a test that was ended meanwhile: the next one must not read this one's answer
            server.kill()
            server.wait()
            raise
        done = subprocess.CompletedProcess([*COMMAND, *said], code, out.read_text(), err.read_text())
    if late:
        raise subprocess.TimeoutExpired(done.args, timeout, done.stdout, done.stderr)
    return done


def _asked(server: subprocess.Popen[bytes], job: bytes, timeout: float) -> tuple[int, bool]:
    """Exit code, and whether it was ended because it took too long."""
    assert server.stdin is not None
    server.stdin.write(job + b"\n")
    server.stdin.flush()
    pid, late = int(_line(server)), threading.Event()

    def end() -> None:
        late.set()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    watch = threading.Timer(timeout, end)
    watch.start()
    try:
        return int(_line(server)), late.is_set()
    finally:
        watch.cancel()


def _line(server: subprocess.Popen[bytes]) -> bytes:
    assert server.stdout is not None
    line = server.stdout.readline()
    assert line, "the server of commands has ended"
    return line


def _server() -> subprocess.Popen[bytes]:
    """The one that runs, or a new one: it dies with the thread that started it."""
    if not _running or _running[0].poll() is not None:
        _running[:] = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.command"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        ]
    return _running[0]


def _serve() -> None:
    """Fork for each job of standard input; in the child return, with all that the job says set."""
    jobs: IO[bytes] = sys.stdin.buffer
    for line in iter(jobs.readline, b""):
        pid = os.fork()
        if pid == 0:
            _die_with_parent()
            job = json.loads(line)
            for number, (path, flags) in enumerate(
                [
                    ("/dev/null", os.O_RDONLY),
                    (job["out"], os.O_WRONLY | os.O_CREAT),
                    (job["err"], os.O_WRONLY | os.O_CREAT),
                ]
            ):
                opened = os.open(path, flags, 0o600)
                os.dup2(opened, number)
                os.close(opened)
            os.environ.clear()
            os.environ.update(job["env"])
            sys.argv = ["hitonami", *job["words"]]
            return
        _tell(pid)
        _tell(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    sys.exit()


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for name in LOADED:
        importlib.import_module(name)
    from hitonami.cli import main

    _serve()
    main()
