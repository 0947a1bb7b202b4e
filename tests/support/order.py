"""Which files come first where several workers share the suite: those that take long, so that all end together.

A file goes to one worker as a whole (``--dist loadfile``: its fixtures are made once). By itself xdist begins with the
files of most tests, so those of one long test come last, and all workers but one wait for it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

SERVICES = ("kafka", "clickhouse", "browser")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files by their number of slow tests, then those that use a service, then all others; as collected within each."""
    slow: Counter[Path] = Counter()
    served: set[Path] = set()
    for item in items:
        slow[item.path] += item.get_closest_marker("slow") is not None
        if any(item.get_closest_marker(service) for service in SERVICES):
            served.add(item.path)
    items.sort(key=lambda item: (-slow[item.path], item.path not in served))
