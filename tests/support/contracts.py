"""A contract to change in tests."""

from __future__ import annotations

import json
from typing import Any

from engine.contract import Contract, parse

ADDED = "2026-03-20T01:00:00.000Z"
RECORD: dict[str, Any] = {
    "id": "acme-2026",
    "company": "acme",
    "purposes": ["policy"],
    "products": ["profiles", "trips"],
    "third_party": False,
    "from": "2026-04-01T00:00:00+09:00",
    "to": "2027-04-01T00:00:00+09:00",
    "report": {"every": 3, "unit": "months"},
    "token": "",
    "steps": [{"act": "add", "at": ADDED, "why": ""}],
}


def value(**changes: Any) -> bytes:
    """A record as it stands in the topic, with other fields."""
    return json.dumps({**RECORD, **changes}).encode()


def contract(**changes: Any) -> Contract:
    """The same, read."""
    return parse(value(**changes))


def after(made: Contract, *acts: str, at_ms: int) -> Contract:
    """The contract when all of that was done with it at one instant."""
    for act in acts:
        made = made.moved(act, at_ms)
    return made
