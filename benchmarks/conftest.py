"""Benchmarks measure when asked (``make bench``) and otherwise run once, small, so that they cannot rot."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Chooses a size: ``scale(1_000_000, 10_000)`` is the first when measuring, the second in a smoke run."""
    config = request.config
    measuring = not config.getoption("benchmark_disable") or config.getoption("benchmark_enable")
    return lambda full, smoke: full if measuring else smoke
