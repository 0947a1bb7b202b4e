"""The benchmarks run and check their own results (figures of runs this small mean nothing)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def run(name: str, *words: str) -> dict[str, Any]:
    script = Path(__file__).with_name(f"{name}.py")
    done = subprocess.run(
        [sys.executable, str(script), *words, "--json"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-500:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_replay() -> None:
    assert run("replay", "--events", "20000", "--repeats", "1")["events"] == 20_000


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_latency() -> None:
    told = run("latency", "--rate", "10000", "--seconds", "20", "--per-message", "10")
    assert told["windows"] == 1 and told["rows"] == 750  # two directions and those of none, of 250 gates


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_scale_out() -> None:
    told = run("scale_out", "--events", "300000", "--repeats", "1", "--rate", "10000")
    assert told["events_per_s_1"]["median"] > 0 and told["ratio"]["median"] > 0
