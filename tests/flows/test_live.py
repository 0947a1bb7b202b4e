"""A live run before it starts."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine import registry
from flows.live import shards_of
from flows.runs import Setup
from loadgen import bulk_registry


def setup(gates: int, shards: int | None = None) -> Setup:
    parsed: Any = registry.parse(json.dumps(bulk_registry(sensors=gates, gates=gates)).encode())
    return cast(Setup, SimpleNamespace(registry=parsed, shards=shards, events="people"))


@pytest.mark.parametrize(("gates", "shards"), [(1, 8), (512, 8), (513, 9), (4_096, 64), (10_000, 64)])
def test_shards_follow_from_the_gates(gates: int, shards: int) -> None:
    assert shards_of(setup(gates)) == shards


def test_a_setup_may_say_how_many() -> None:
    assert shards_of(setup(513, 1)) == 1
