"""A batch is worked off in chunks: where one ends changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import batch
from tests.property.test_engine import REGISTRY, Log
from tests.property.test_registry_versions import logs_with_versions
from tests.support.engine_run import Result, run
from tests.support.worlds import WORLDS, World

ROWS = st.integers(1, 7)


def same_in_chunks(rows: int, ran: Callable[[], Result]) -> None:
    whole = ran()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "CHUNK_ROWS", rows)
        cut = ran()
    assert (cut.rows, cut.read, cut.accepted, cut.rejected) == (whole.rows, whole.read, whole.accepted, whole.rejected)


@given(WORLDS, ROWS)
@settings(max_examples=2 * settings().max_examples)
def test_ends_of_chunks_change_nothing(world: World, rows: int) -> None:
    same_in_chunks(rows, world.run)


@given(logs_with_versions(), ROWS)
def test_nor_do_registry_versions_inside_them(logs: list[Log], rows: int) -> None:
    same_in_chunks(rows, lambda: run(REGISTRY, logs))
