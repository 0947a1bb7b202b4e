"""A failing callback: one line, the error's exit code, and the work of the block it failed in, no other's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from engine.errors import BadInput
from flows import guard

def work(word):
    sys.stdout.write(word + "\\n")
    if word == "breaks":
        raise OSError("a store that is gone")

with guard.on_failure(lambda: work("an earlier run")):
    pass
with guard.on_failure(lambda: work("breaks")), guard.on_failure(lambda: work("this run")):
    guard.guarded(lambda: {body})()
"""


def failing(body: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-c", CODE.replace("{body}", body)], cwd=root, capture_output=True, text=True, check=False
    )


def test_the_work_of_the_block_is_done() -> None:
    done = failing("(_ for _ in ()).throw(BadInput('damaged'))")
    assert (done.returncode, done.stderr) == (3, "hitonami: damaged\n")
    assert done.stdout.splitlines() == ["breaks", "this run"]


def test_a_defect_tells_its_place_and_no_value() -> None:
    done = failing("int('7c0ffee7canary')")
    assert done.returncode == 1
    assert done.stderr.startswith("hitonami: internal error: ValueError at ") and "canary" not in done.stderr
