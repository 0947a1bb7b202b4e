"""The differential fuzz of signage in small, and that it finds what it is there to find."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from engine.fast import _touch
from engine.model import BAD_VALUE, MALFORMED, MISSING_FIELD, UNKNOWN_SENSOR, UNKNOWN_TYPE
from tests.fuzz.grammar import fuzz
from tests.fuzz.touches import TouchComparison, TouchDocuments

SEED = 20_260_207
FEW = 8_000


def tried(compiled: Any) -> tuple[TouchComparison, str | None]:
    comparison = TouchComparison(compiled)
    return comparison, fuzz(comparison, FEW, SEED, TouchDocuments)


def test_the_scanner_reads_touches_as_orjson_does() -> None:
    comparison, wrong = tried(_touch)
    assert wrong is None
    assert comparison.documents == FEW
    assert set(comparison.reasons) == {0, MALFORMED, UNKNOWN_TYPE, MISSING_FIELD, BAD_VALUE, UNKNOWN_SENSOR}
    assert min(comparison.reasons.values()) > FEW / 100


def faulty(where: Callable[[bytes], object], column: int, off: int) -> Any:
    """The decoder with a fault in one column of documents that match."""

    class Faulty:
        Names = _touch.Names

        @staticmethod
        def touch(data: Any, starts: Any, *more: Any) -> tuple[int, int]:
            done, filled = _touch.touch(data, starts, *more)
            found = more[6 + column][:filled]
            if filled and where(data[starts[0] :].tobytes()):
                found[:] = found + off if off else -1
            return done, filled

    return Faulty


DEVICE, TS, SCREEN, LANG = 2, 3, 5, 7
FAULTS = {
    "a tag in capitals": (rb'"lang":"EN"', LANG, 0),
    "a tag with a region": (rb'"lang":"[A-Za-z]+[-_]', LANG, 0),
    "no tag": (rb'"lang":""', LANG, 0),
    "a key with escapes": (rb'"[a-z]*\\u00[67][0-9a-f][a-z]*"\s*:', TS, 1),
    "a screen with escapes": (rb'"screen":"[a-z]*\\u00[67][0-9a-f]', SCREEN, 0),
    "a name of 64 bytes": (rb'"screen":"x{64}"', SCREEN, 0),
    "a device of no bytes": (rb'"device":""', DEVICE, 0),
    "a key twice": (rb'"(ts|screen|lang)".*"\1"', TS, 1),
}


@pytest.mark.parametrize(("pattern", "column", "off"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found(pattern: bytes, column: int, off: int) -> None:
    _, wrong = tried(faulty(re.compile(pattern, re.DOTALL).search, column, off))
    assert wrong is not None
    assert wrong.startswith("b")
