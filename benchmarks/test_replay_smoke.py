"""The replay benchmark runs and checks its own results (figures of a run this small mean nothing)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_replay_benchmark_runs() -> None:
    script = Path(__file__).with_name("replay.py")
    done = subprocess.run(
        [sys.executable, str(script), "--events", "20000", "--repeats", "1", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert json.loads(done.stdout)["events"] == 20000
