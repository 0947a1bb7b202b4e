"""The demo: what it shows, its switch, and how it ends: by each signal, from each kind of start, leaving nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.realservices.cache import ROOT

IGNORED = "trap '' INT; exec \"$@\""  # what a shell hands to a command it starts in the background


def children_of(process: subprocess.Popen[str], number: int) -> list[psutil.Process]:
    """The children of a process, once there are so many."""
    until = time.monotonic() + 30
    while len(children := psutil.Process(process.pid).children(recursive=True)) < number:
        assert time.monotonic() < until
        time.sleep(0.05)
    return children


class Page:
    """The demo's page, as a browser asks for it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, body: object = None) -> Any:
        """A JSON answer; with a body it is posted."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"content-type": "application/json", "origin": self.url}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def wait(self, seen: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """What a page that is opened now is told first, once it is what is waited for."""
        until = time.monotonic() + 120
        while True:
            with urllib.request.urlopen(f"{self.url}/events", timeout=10) as stream:
                told: dict[str, Any] = next(json.loads(line[5:]) for line in stream if line.startswith(b"data:"))
            if seen(told):
                return told
            assert time.monotonic() < until, told["status"]
            time.sleep(0.3)


def live(run: str, told: dict[str, Any]) -> bool:
    """Whether a run is shown, up to half a minute before now."""
    return told["status"]["run_id"] == run and bool(told["closed"]) and told["now"] - told["closed"] < 30_000


@pytest.mark.slow
def test_it_shows_the_weekday_with_its_past_and_plays_smoke_when_asked(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hitonami.cli", "demo"],
        cwd=ROOT,
        # what each scene comes to is half a minute ago
        env={**os.environ, "TMPDIR": str(tmp_path), "HITONAMI_DEMO_LEAD_S": "-30"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        page = Page(process.stdout.readline().strip())
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", page.url)
        begun = page.ask("/api/demo")
        assert begun == {
            "scenes": ["weekday", "snow-festival", "smoke", "blackout"], "scene": "weekday", "run": "weekday-1",
        }  # fmt: skip
        told = page.wait(lambda told: live("weekday-1", told))
        status = told["status"]
        assert status["read"] == status["accepted"] + sum(status["rejected"].values()) > 100_000
        zones = {zone["id"]: los for zone, los in zip(told["layout"]["zones"], told["zones"]["los"], strict=True)}
        # by cameras, trackers and beams; c3 by the minute, as one of its doors counts
        assert [zone for zone, los in zones.items() if not los] == []
        assert page.wait(lambda told: told["closed"] > status["read"] and told["status"]["read"] > status["read"])
        assert page.ask("/api/demo", {"scene": "smoke"}) == {**begun, "scene": "smoke", "run": "smoke-1"}
        told = page.wait(lambda told: live("smoke-1", told) and told["alerts"])
        assert ("c1", "counterflow") in [(alert["zone"], alert["kind"]) for alert in told["alerts"]]
        assert {run["run_id"]: run["state"] for run in page.ask("/api/runs")} == {
            "weekday-1": "stopped", "smoke-1": "running",
        }  # fmt: skip
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
    finally:
        process.kill()
    assert process.returncode == 0
    psutil.wait_procs(children, timeout=5)
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.iterdir()) == []


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
        children = children_of(process, 2)  # the broker and the load
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
