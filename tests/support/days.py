"""A whole weekday of the load generator: half a minute of computing, made once for all files and workers that ask."""

from __future__ import annotations

import fcntl
import os
import pickle
from pathlib import Path

import pytest

import loadgen
from loadgen.scenario import Message, Scenario

SEED = 3
Day = tuple[Scenario, list[Message]]


def whole_weekday(factory: pytest.TempPathFactory) -> Day:
    """The weekday of SEED with ordinary people and sound counters, read to its end, and its messages."""
    base = factory.getbasetemp()
    session = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # what the workers of a session share
    return _kept(session / "weekday.pickle")


def _kept(path: Path) -> Day:
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            scenario = loadgen.weekday(seed=SEED)
            messages = list(scenario.events())
            half = path.with_suffix(".half")
            half.write_bytes(pickle.dumps((scenario, messages)))
            half.rename(path)
            return scenario, messages
    day: Day = pickle.loads(path.read_bytes())
    return day
