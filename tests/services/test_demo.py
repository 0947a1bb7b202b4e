"""How the demo ends: by each signal a person or a shell sends, from each kind of start, and leaving nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.realservices.cache import ROOT

IGNORED = "trap '' INT; exec \"$@\""  # what a shell hands to a command it starts in the background


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "number"),
    [(IGNORED, signal.SIGINT), ('exec "$@"', signal.SIGTERM), ('exec "$@"', signal.SIGHUP)],
    ids=["interrupt of a background start", "end", "closed terminal"],
)
def test_it_ends_with_0_and_leaves_nothing(start: str, number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        ["/bin/sh", "-c", start, "sh", sys.executable, "-m", "hitonami", "demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    try:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        with urllib.request.urlopen(f"{url}/events", timeout=10) as stream:  # an open page holds nothing up
            assert stream.readline()
            process.send_signal(number)
            rest, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, rest) == (0, "")
    psutil.wait_procs(children, timeout=5)
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("command", "code"), [("demo", 0), ("audit", 130)])
def test_it_can_be_stopped_while_it_loads(command: str, code: int, tmp_path: Path) -> None:
    # the command line waits for a line before it loads on, so that the signal comes in the middle
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Wait:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'hitonami.cli':\n"
        "            print('loading', flush=True)\n"
        "            import time\n"
        "            time.sleep(30)\n"
        "sys.meta_path.insert(0, Wait())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "hitonami", command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)
    assert (process.returncode, rest) == (code, "")
