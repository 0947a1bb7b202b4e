"""engine.admit and engine.fast._admit judge alike, before 1970 too and where clocks change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import NOT_APPROVED, SPAN_TOO_LONG, TOO_FAR_IN_FUTURE, UNKNOWN_SENSOR
from tests.support.columns import ADMITS, admitted, columns, tables

ZONES = {zone: tables(zone) for zone in ("Asia/Tokyo", "Australia/Lord_Howe", "America/St_Johns")}
STARTS = st.sampled_from([-86_400_000 * 20_000, -5_000, 0, 1_680_350_400_000, 1_770_450_000_000])


@given(st.integers(0, 2**32), st.integers(0, 60), STARTS, st.sampled_from(sorted(ZONES)))
def test_both_judge_alike(seed: int, rows: int, start_ms: int, zone: str) -> None:
    made = columns(seed, rows, start_ms, 90_000_000)
    one, two = (admitted(name, made, ZONES[zone]) for name in ADMITS)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_reason_occurs() -> None:
    made = columns(1, 3000, 1_680_350_400_000, 90_000_000)
    assert {UNKNOWN_SENSOR, NOT_APPROVED, TOO_FAR_IN_FUTURE, SPAN_TOO_LONG, 0} <= set(
        admitted("compiled", made, tables())[0].tolist()
    )


@pytest.mark.parametrize("name", ADMITS)
def test_bad_columns_are_refused(name: str) -> None:
    made, of = columns(1, 5, 0, 1000), tables()
    with pytest.raises(ValueError, match="no such sensor"):
        admitted(name, made._replace(sensor=np.full(5, 8, np.int32)), of)
    with pytest.raises(ValueError, match="length"):
        admitted(name, made._replace(ts=made.ts[:-1].copy()), of)
