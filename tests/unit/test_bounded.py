"""What a partition keeps is bounded by its open windows, however long it runs."""

from __future__ import annotations

import json

import pytest

from engine import kernels, registry
from engine.book import Book
from engine.keys import unpack
from engine.partition import Partition
from loadgen import bulk_registry
from tests.support.engine_run import payloads

START = 1_770_450_000_000
BOUND_MS, LEAF_MS = 5_000, 10_000
PER_S, SENSORS = 20, 40


@pytest.mark.parametrize("mode", ["reference", "compiled"])
def test_keys_against_duplicates_are_those_of_open_windows(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "active", lambda: kernels.load(mode))
    part = Partition(0, Book(registry.parse(json.dumps(bulk_registry(SENSORS, 10)).encode())), BOUND_MS, 3)
    registered = [sensor["id"] for sensor in bulk_registry(SENSORS, 10)["sensors"]]
    kept, sizes = [], []
    for second in range(1_800):
        events = [
            {
                "sensor": registered[(second * PER_S + i) % SENSORS],
                "ts": START + second * 1000 + i * 1000 // PER_S,
                "type": "cross",
                "dir": "ab",
                "seq": second * PER_S + i,
            }
            for i in range(PER_S)
        ]
        part.feed(payloads([json.dumps(event).encode() for event in [*events, *events]]))
        part.partials()
        kept.append(len(unpack(part._panes.state()[2])))
        sizes.append(len(part.snapshot()))
    # windows that W (bound behind the newest event) has not passed: at most one leaf and the bound
    assert 0 < max(kept) <= PER_S * (LEAF_MS + BOUND_MS) // 1000
    assert max(sizes[900:]) <= max(sizes[:900]) + 16  # integers of some more digits
    assert part.read == 2 * 1_800 * PER_S == part.accepted + int(part.rejected.sum())
    assert part.accepted == 1_800 * PER_S  # and every repeat was known for one
