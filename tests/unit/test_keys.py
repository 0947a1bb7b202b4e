"""engine.keys: what is packed comes back, and is small where it is in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.keys import Key, pack, renamed, unpack

WORDS = st.integers(-(2**63), 2**63 - 1)
KEYS = st.lists(
    st.builds(
        Key, st.integers(-(10**13), 10**13), st.integers(-(10**13), 10**13), st.integers(0, 9), st.just(1), WORDS, WORDS
    )
)


@given(KEYS)
def test_what_is_packed_comes_back(keys: list[Key]) -> None:
    assert unpack(pack(keys)) == keys


@given(KEYS, st.dictionaries(st.integers(0, 9), st.integers(0, 9)))
def test_renamed_keys_stand_under_their_new_rows(keys: list[Key], moved: dict[int, int]) -> None:
    wanted = [key._replace(sensor=moved.get(key.sensor, key.sensor)) for key in keys]
    assert unpack(renamed(pack(keys), moved)) == wanted


def test_the_bytes_are_these() -> None:
    keys = [Key(1000, 2000, 3, 1, 1001, 64), Key(1000, 2000, 3, 1, 1001, 65), Key(1000, 2000, 4, 2, 999, -1)]
    assert pack(keys).hex(" ") == "d0 0f a0 1f 06 02 04 02 80 01 00 02 d0 0f a0 1f 08 04 02 01 01"


def test_passages_in_order_take_few_bytes() -> None:
    at = 1_770_450_000_000
    keys = [Key(at, at + 10_000, 5, 1, at + 10 * i, 10**15 + i) for i in range(1_000)]
    assert len(pack(keys)) < 2.1 * len(keys)


@pytest.mark.parametrize("cut", [1, 5, -1, -2])
def test_bytes_that_end_early_are_refused(cut: int) -> None:
    data = pack([Key(1000, 2000, 3, 1, 1001, 10**9)])
    with pytest.raises(ValueError, match="end early"):
        unpack(data[:cut])
