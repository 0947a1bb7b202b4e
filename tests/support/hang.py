"""A test that hangs fails, and the run ends with pytest's closing line.

Three nets, each for what falls through the one before. Times count from the beginning of a test, its fixtures included:

1. After LIMIT_S a timer raises in the main thread, wherever Python runs or waits there: the test fails with that place,
   all threads' stacks stand in its report, and the run goes on.
2. LIMIT_S + GRACE_S: the main thread sits in a C call that does not come back (an embedded database, a dataflow), so no
   signal handler of Python runs. A thread writes the failure, the summary and the closing line, and ends the process:
   the tests behind it are not run.
3. ``faulthandler_timeout`` (pyproject.toml): the C call even holds the interpreter's lock. Only C code can still act:
   it writes the stacks and ends the process, without a closing line.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# a test that waits by order (tests/browser/test_stream.py) has that time on top
LIMIT_S = 300.0 + float(os.environ.get("HITONAMI_AWAY_S", "0"))
GRACE_S = 30.0
TEARDOWN_S = 20.0  # what a teardown has at least, after a test that has used up its time
_ends_at: dict[str, float] = {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Net 2 around the whole test."""
    _ends_at[item.nodeid] = time.monotonic() + LIMIT_S
    watch = threading.Timer(LIMIT_S + GRACE_S, _give_up, [item])
    watch.daemon = True
    watch.start()
    try:
        return (yield)
    finally:
        watch.cancel()
        _ends_at.pop(item.nodeid, None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Net 1 around the fixtures."""
    with _alarm(item, 0.001):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Net 1 around the test itself."""
    with _alarm(item, 0.001):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Net 1 around the end of fixtures."""
    with _alarm(item, min(TEARDOWN_S, GRACE_S / 2)):
        return (yield)


@contextmanager
def _alarm(item: pytest.Item, least_s: float) -> Iterator[None]:
    def ring(*_: Any) -> None:
        pytest.fail(f"hangs: not done after {LIMIT_S:g} s\n{_stacks()}")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(_ends_at[item.nodeid] - time.monotonic(), least_s))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stacks() -> str:
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read()


def _give_up(item: pytest.Item) -> None:
    """Write the report and the end of the run from a thread, and end the process."""
    config = item.config
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=False)  # else the lines would go where the test's output goes
    why = f"hangs in a call that cannot be interrupted: not done after {LIMIT_S + GRACE_S:g} s\n{_stacks()}"
    report = pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")
    reporter = config.pluginmanager.getplugin("terminalreporter")
    try:
        item.ihook.pytest_runtest_logreport(report=report)
        if reporter is not None:
            reporter.ensure_newline()
            reporter.summary_failures()
            reporter.short_test_summary()
            reporter.summary_stats()
            reporter.flush()
    finally:
        os._exit(pytest.ExitCode.TESTS_FAILED)
