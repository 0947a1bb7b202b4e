"""Names and words that are refused before Kafka is asked: nobody could take them back out of the log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.errors import BadInput, HitonamiError, UsageError
from engine.model import COUNT_MAX, TS_MAX, TS_MIN
from engine.registry import parse
from flows.kafka import Cluster
from flows.publish import signed, tell
from tests.services.test_verify import REGISTRY

NOWHERE = Cluster("127.0.0.1:1")
NAMES = ["", " ", "\u3000", "a\nb", "a\x1b[2J", "a\u202eb", "a\ud800", "n" * 65, "名" * 22]
VERSION = parse(json.dumps(REGISTRY).encode())


@pytest.mark.parametrize("by", NAMES)
def test_what_is_no_name(by: str) -> None:
    with pytest.raises(UsageError, match="--by: must be text of 1 to 64 bytes"):
        tell(NOWHERE, "c1", 0, by)
    with pytest.raises(UsageError, match="--by: must be text of 1 to 64 bytes"):
        signed(VERSION, by, 0)


@pytest.mark.parametrize("by", ["佐藤", "佐藤\u3000花子", "n" * 64])
def test_names(by: str) -> None:
    assert json.loads(signed(VERSION, by, 0).text)["by"] == by


@pytest.mark.parametrize(
    ("given", "kind", "why"),
    [
        ({"ts": TS_MIN - 1}, UsageError, "--at: must lie between 1900 and 2200"),
        ({"ts": TS_MAX}, UsageError, "--at: must lie between 1900 and 2200"),
        ({"people": -1}, BadInput, "people: must be a whole number"),
        ({"people": COUNT_MAX + 1}, BadInput, "people: must be a whole number"),
    ],
)
def test_words_that_no_run_takes(given: dict[str, Any], kind: type[HitonamiError], why: str) -> None:
    with pytest.raises(kind, match=why):
        tell(**{"cluster": NOWHERE, "zone": "c1", "people": 0, "by": "ito", "ts": 0, **given})
