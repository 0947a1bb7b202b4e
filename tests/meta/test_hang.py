"""A hanging test ends as a failed test, and the run with pytest's closing line (tests/support/hang.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.tree import ROOT

CONFTEST = """
from tests.support import hang
from tests.support.hang import pytest_runtest_call, pytest_runtest_protocol  # noqa: F401
from tests.support.hang import pytest_runtest_setup, pytest_runtest_teardown  # noqa: F401
hang.LIMIT_S, hang.GRACE_S, hang.TEARDOWN_S = 0.5, 1.0, 0.5
"""
MODULE = """
import ctypes, threading, pytest

def for_ever():
    threading.Event().wait()

def spin():
    while True:
        pass

def in_c():  # waits for a signal that nobody sends, without the interpreter's lock
    c = ctypes.CDLL(None)
    signals, got = ctypes.create_string_buffer(128), ctypes.c_int()
    c.sigemptyset(signals)
    c.sigaddset(signals, 10)
    c.sigwait(signals, ctypes.byref(got))

@pytest.fixture
def around():
    {setup}
    yield
    {teardown}

def test_before():
    pass

def test_hanging(around):
    print("what it said")
    {body}

def test_behind():
    pass
"""


def run(tmp_path: Path, *, setup: str = "pass", body: str = "pass", teardown: str = "pass") -> tuple[int, str]:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(MODULE.format(setup=setup, body=body, teardown=teardown))
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -ra\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize(
    ("where", "closing"),
    [
        ({"body": "for_ever()"}, "1 failed, 2 passed in"),
        ({"body": "spin()"}, "1 failed, 2 passed in"),
        ({"setup": "for_ever()"}, "2 passed, 1 error in"),
        ({"teardown": "for_ever()"}, "3 passed, 1 error in"),
        ({"body": "for_ever()", "teardown": "for_ever()"}, "1 failed, 2 passed, 1 error in"),
        ({"body": "in_c()"}, "1 failed, 1 passed in"),
    ],
    ids=["waits", "spins", "setup", "teardown", "both", "in C"],
)
def test_a_hang_is_a_failed_test_and_the_run_has_its_closing_line(
    tmp_path: Path, where: dict[str, str], closing: str
) -> None:
    code, text = run(tmp_path, **where)
    assert code == 1
    assert text.rstrip().splitlines()[-1].startswith(closing)
    assert "::test_hanging - " in text  # named in the short summary
    assert f" in {next(iter(where.values())).removesuffix('()')}\n" in text  # its stack
