"""The benchmarks run and check their own results (figures of runs this small mean nothing)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(name: str, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *words, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
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


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_peers() -> None:
    told = run("peers", "--events", "20000", "--peers", "ceiling,orjson", "--same-events", "--repeats", "1")
    assert told["missing"] == {}
    for peer in told["peers"].values():  # equal to the truth, else it had ended
        assert peer["events"] > 20_000 and peer["rows_compared"] == 250 * 2 * 8


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_stages() -> None:
    told = run("stages", "--events", "100000", "--repeats", "1", "--any-sum")
    stages = {name: each["median"] for name, each in told["stages_ns"].items()}
    assert sum(stages.values()) == pytest.approx(told["sum_ns"]["median"], abs=1)
    assert all(ns > 0 for ns in stages.values()), stages  # a clock around what is no longer called tells nothing
    assert told["take_alone_ns"]["median"] > 0
