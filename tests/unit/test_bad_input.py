"""One case for each reason an event can be refused for: counted under it, and nobody else's figures change."""

import json
from typing import Any

import pytest

from tests.property.test_engine import APPROVED, START, message
from tests.support.engine_run import run

REGISTRY = {
    "version": "v1",
    "timezone": "Asia/Tokyo",
    "zones": [],
    "gates": [{"id": "g0", "a": None, "b": None, "leaf": "10s"}],
    "sensors": [
        {"id": "s0", "kind": "counter", "gate": "g0", "approved": APPROVED},
        {"id": "new", "kind": "counter", "gate": "g0", "approved": [{"from": "2030-01-01T00:00:00Z", "to": None}]},
    ],
}
NOW = START + 60_000


def event(**fields: Any) -> bytes:
    base: dict[str, Any] = {"sensor": "s0", "ts": NOW, "type": "cross", "dir": "ab"}
    return json.dumps({k: v for k, v in (base | fields).items() if v != "absent"}).encode()


def count(**fields: Any) -> bytes:
    return event(**({"type": "count", "span_ms": 10_000, "ab": 1, "dir": "absent"} | fields))


CASES = [
    ("malformed", b'{"sensor":"s0","ts":17'),
    ("malformed", b"\xef\xbb\xbf" + event()),
    ("malformed", event() + b"x"),
    ("malformed", b'{"sensor":"s0","ts":NaN}'),
    ("unknown_type", event(type="crossing")),
    ("missing_field", event(type="absent")),
    ("missing_field", event(sensor="absent")),
    ("missing_field", count(ab="absent")),
    ("bad_value", event(ts="2026-02-07T07:40:00")),
    ("bad_value", event(ts="2026-02-07T24:00:00+09:00")),
    ("bad_value", event(sensor=1234567890123456789)),
    ("bad_value", count(ab=6.0)),
    ("bad_value", event(ts=float(NOW))),
    ("bad_value", count(ab=-1)),
    ("bad_value", event(dir="up")),
    ("unknown_sensor", event(sensor="nobody")),
    ("not_approved", event(sensor="new")),
    ("too_far_in_future", event(ts=NOW + 60_001)),
    ("span_too_long", count(span_ms=10_001)),
    ("late", event(ts=NOW - 60_000)),
]


def honest() -> list[tuple[bytes, int | None]]:
    return [(value, START + i * 1_500) for i in range(60) for value, _ in [message(i, ("cross", 0, 0, "ab", 0))]]


@pytest.mark.parametrize(("reason", "value"), CASES)
def test_it_is_counted_under_its_reason(reason: str, value: bytes) -> None:
    log = honest()
    result = run(REGISTRY, [[*log[:41], (value, NOW), *log[41:]]])
    assert result.rejected == {reason: 1}
    assert (result.read, result.accepted) == (61, 60)
    assert result.canonical() == run(REGISTRY, [log]).canonical()


@pytest.mark.parametrize("value", [event(seq=7), count()])
def test_a_duplicate_counts_once(value: bytes) -> None:
    log = honest()
    once, twice = (run(REGISTRY, [[*log[:41], *[(value, NOW)] * times, *log[41:]]]) for times in (1, 2))
    assert (twice.rejected, twice.read) == ({"duplicate": 1}, 62)
    assert twice.canonical() == once.canonical()


def test_without_seq_a_cross_is_never_a_duplicate() -> None:
    log = honest()
    assert run(REGISTRY, [[*log[:41], (event(), NOW), (event(), NOW), *log[41:]]]).rejected == {}
