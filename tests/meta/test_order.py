"""Long files come first (tests/support/order.py), and the verb that runs the suite asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from tests.meta.tree import ROOT
from tests.support.order import pytest_collection_modifyitems


class Item:
    """What the hook asks of a test."""

    def __init__(self, file: str, name: str, *marks: str) -> None:
        self.path, self.name, self.marks = Path(file), name, marks

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.marks else None


def test_slow_files_come_first_and_services_before_the_rest() -> None:
    items = [
        Item("a", "a1"), Item("a", "a2"), Item("a", "a3"),
        Item("b", "b1", "kafka"), Item("b", "b2"),
        Item("c", "c1", "slow"),
        Item("d", "d1"), Item("d", "d2", "slow", "browser"), Item("d", "d3", "slow"),
        Item("e", "e1", "clickhouse"),
    ]  # fmt: skip
    pytest_collection_modifyitems(cast("list[pytest.Item]", items))
    assert [item.name for item in items] == ["d1", "d2", "d3", "c1", "b1", "b2", "e1", "a1", "a2", "a3"]


def test_no_other_order_is_laid_over_it(request: pytest.FixtureRequest) -> None:
    (line,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if "--dist" in line]
    assert "--dist loadfile --no-loadscope-reorder" in line
    # this session's own tests, as they were collected: a test that is slow has none behind it in a file without
    files = list(dict.fromkeys(item.path for item in request.session.items))
    slow = [
        any(item.get_closest_marker("slow") for item in request.session.items if item.path == path) for path in files
    ]
    assert slow == sorted(slow, reverse=True)
