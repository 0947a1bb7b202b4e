"""engine.window and engine.fast._window keep the same panes, whatever the batches and restarts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.keys import Key, pack, renamed, unpack
from engine.model import BEAM, COUNT, CROSS, DUPLICATE, LATE, NO_TIME, POINT
from tests.support.columns import TABLES, added, admitted, columns, ordered, tables

OF = tables()
STARTS = st.sampled_from([-86_400_000 * 20_000, -5_000, 0, 1_680_350_400_000])


@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=6), STARTS)
def test_both_keep_the_same(seed: int, batches: list[tuple[int, bool]], start_ms: int) -> None:
    one, two = (kind(5000) for kind in TABLES.values())
    for number, (rows, restart) in enumerate(batches):
        made = columns(seed + number, rows, start_ms + number * 40_000, 60_000)
        judged = admitted("reference", made, OF)
        for a, b in zip(added(one, made, judged, OF), added(two, made, judged, OF), strict=True):
            np.testing.assert_array_equal(a, b)
        assert (one.watermark, one.first_watermark) == (two.watermark, two.first_watermark)
        assert ordered(one.covers(), 3) == ordered(two.covers(), 3)
        if restart:  # each goes on from what the other wrote
            one, two = TABLES["reference"](5000, two.state()), TABLES["compiled"](5000, one.state())
        until = max(one.watermark - 4_000, NO_TIME)
        assert ordered(one.take(until), 9) == ordered(two.take(until), 9)
    (*marks_one, keys_one), (*marks_two, keys_two) = one.state(), two.state()
    for a, b, width in zip(marks_one, marks_two, (1, 9), strict=True):
        assert ordered(a, width) == ordered(b, width)
    assert sorted(unpack(keys_one)) == sorted(unpack(keys_two))


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),  # sensor
        st.integers(-12, 12),  # how far time moves on, in half seconds: mostly in order, with repeats and disorder
        st.sampled_from([0, 1, 2, -(2**63), 2**63 - 1]),  # seq
        st.sampled_from([CROSS, CROSS, CROSS, COUNT, POINT, BEAM]),
    ),
    max_size=40,
)


@given(st.lists(st.tuples(ROWS, st.one_of(st.none(), st.permutations(range(8)))), max_size=6))
def test_both_know_the_same_passages(
    batches: list[tuple[list[tuple[int, int, int, int]], list[int] | None]],
) -> None:
    """Keys in order, out of order, repeated; between batches restarts, at which sensors take other rows."""
    one, two = (kind(5000) for kind in TABLES.values())
    at = 1_770_450_000_000
    row_of = list(range(8))
    for rows, new_rows in batches:
        made = columns(1, len(rows), at, 1_000)
        ts = at + 500 * np.cumsum([step for _, step, _, _ in rows], dtype=np.int64)
        made = made._replace(
            kind=np.array([kind for *_, kind in rows], np.int8),
            reason=np.zeros(len(rows), np.uint8),
            sensor=np.array([row_of[sensor] for sensor, *_ in rows], np.int32),
            ts=ts,
            span_ms=np.array([1_000 if kind == COUNT else 0 for *_, kind in rows], np.int64),
            seq=np.array([seq for _, _, seq, _ in rows], np.int64),
            has_seq=np.ones(len(rows), np.uint8),
            record_ts=ts,
        )
        judged = admitted("reference", made, OF)
        for a, b in zip(added(one, made, judged, OF), added(two, made, judged, OF), strict=True):
            np.testing.assert_array_equal(a, b)
        at += 3_000
        (*marks_one, keys_one), (*marks_two, keys_two) = one.state(), two.state()
        assert sorted(unpack(keys_one)) == sorted(unpack(keys_two))
        # as after a registry version: keys under other rows, and each goes on from what the other wrote
        moves = dict(enumerate(new_rows or range(8)))
        row_of = [moves[row] for row in row_of]
        one = TABLES["reference"](5000, (*marks_two, renamed(keys_two, moves)))
        two = TABLES["compiled"](5000, (*marks_one, renamed(keys_one, moves)))
        assert ordered(one.take(one.watermark), 9) == ordered(two.take(two.watermark), 9)


RECORD_TIMES = st.sampled_from([-(2**63) + 1, -(2**63) + 4_999, -1, 0, 1_770_450_000_000, 2**63 - 60_001, 2**63 - 1])


@given(st.lists(RECORD_TIMES, max_size=12), st.integers(0, 2**32))
def test_both_take_any_record_time(times: list[int], seed: int) -> None:
    made = columns(seed, len(times), 1_770_450_000_000, 60_000)._replace(record_ts=np.array(times, np.int64))
    judged = [admitted(name, made, OF) for name in TABLES]
    for a, b in zip(*judged, strict=True):
        np.testing.assert_array_equal(a, b)
    one, two = (kind(5000) for kind in TABLES.values())
    for a, b in zip(added(one, made, judged[0], OF), added(two, made, judged[0], OF), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.watermark, one.first_watermark) == (two.watermark, two.first_watermark)


def test_every_reason_occurs() -> None:
    made = columns(1, 3000, 0, 600_000)
    reason, *_ = added(TABLES["compiled"](5000), made, admitted("compiled", made, OF), OF)
    assert {LATE, DUPLICATE, 0} <= set(reason.tolist())


@pytest.mark.parametrize("name", TABLES)
def test_bad_columns_are_refused(name: str) -> None:
    made = columns(1, 5, 0, 1000)
    judged = admitted("reference", made, OF)
    with pytest.raises(ValueError, match="no such sensor"):
        added(TABLES[name](5000), made._replace(sensor=np.full(5, 8, np.int32)), judged, OF)
    with pytest.raises(ValueError, match="length"):
        added(TABLES[name](5000), made._replace(seq=made.seq[:-1].copy()), judged, OF)


KEYS = st.builds(
    Key,
    pane_ms=st.sampled_from([0, 50_000]),  # of a sensor that moved to a gate of another leaf: both end at one time
    close_ms=st.sampled_from([60_000, 67_000]),
    sensor=st.integers(0, 2),
    kind=st.sampled_from([COUNT, CROSS, POINT, BEAM]),
    ts=st.integers(50_000, 50_003),
    x=st.sampled_from([0, 1, 2, -(2**63), 2**63 - 1]),
)


@given(st.lists(KEYS, max_size=30, unique_by=lambda key: key[2:]))
def test_keys_come_back_from_a_state_as_they_were(keys: list[Key]) -> None:
    for kind in TABLES.values():
        state = kind(5000, (np.array([50_000, 40_000]).tobytes(), b"", pack(keys))).state()
        assert sorted(unpack(state[2])) == sorted(keys)
        assert sorted(unpack(kind(5000, state).state()[2])) == sorted(keys)


@pytest.mark.parametrize("name", TABLES)
def test_a_state_that_ends_early_is_refused(name: str) -> None:
    made = columns(1, 300, 0, 20_000)
    table = TABLES[name](5000)
    added(table, made, admitted("reference", made, OF), OF)
    marks, panes, keys = table.state()
    assert len(unpack(keys)) > 20
    TABLES[name](5000, (marks, panes, keys))
    for cut in (1, 2, len(keys) // 2, len(keys) - 1):
        with pytest.raises(ValueError, match="end early"):
            TABLES[name](5000, (marks, panes, keys[:cut]))
