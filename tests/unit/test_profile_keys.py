"""Keys of pseudonyms: a day is counted under one key, by all partitions, or not told."""

from __future__ import annotations

import pytest

from engine.config import Config
from engine.errors import BadInput
from engine.profile import ProfilePartition
from flows.keys import MemoryKeys
from tests.support.profile_run import FakeConsents, book, gate, rows_of, subjects
from tests.unit.test_profile import DAY, HOUR, REGISTRY, event, feed, tick


class Pair:
    """Two partitions of one day, each with the keys that its process finds."""

    def __init__(self, *keys: MemoryKeys) -> None:
        of, config = book(REGISTRY), Config({"profiles": {"k": 1, "guard": 0, "providers": 1, "tables": ["gender"]}})
        self.consents = [FakeConsents(default=True) for _ in keys]
        gates = zip(self.consents, keys, strict=True)
        self.parts = [ProfilePartition(n, of, 5_000, gate(by, keys=its)) for n, (by, its) in enumerate(gates)]
        self.key = subjects(of, config, len(keys))

    def closed(self) -> dict[str, int]:
        """People by gender, released when all are past the day."""
        rows = []
        for part in self.parts:
            feed(part, tick(DAY + 25 * HOUR))
            rows += rows_of(self.key.take([blob.encode() for blob in part.partials()]).rows)
        return {row["row"]: row["n"] for row in rows if row["product"] == "profiles"}


@pytest.mark.parametrize("product", ["profiles", "trips"])
def test_a_day_that_partitions_counted_under_different_keys_is_not_told(product: str) -> None:
    """The key file was replaced after the first has looked: whoever is in both would be two people."""
    keys, other = MemoryKeys(), MemoryKeys()
    for name in {"profiles", "trips"} - {product}:
        other._keys[name, DAY] = keys.key(name, DAY)
    pair = Pair(keys, other)
    for part in pair.parts:
        feed(part, event(DAY, gender="f", zone="a"))
    with pytest.raises(BadInput, match="under different keys"):
        pair.closed()


def test_a_day_under_one_key_is_told_also_where_only_some_need_it() -> None:
    keys = MemoryKeys()
    pair = Pair(keys, keys, keys)
    feed(pair.parts[0], event(DAY, gender="f", zone="a"))
    feed(pair.parts[1], event(DAY, gender="f"))
    assert pair.closed() == {"f": 1, "": 1}


def test_a_day_of_which_all_have_withdrawn_is_told_as_nothing() -> None:
    pair = Pair(MemoryKeys())
    feed(pair.parts[0], event(DAY, gender="f", zone="a"))
    pair.consents[0].default = None
    pair.consents[0].withdraw("acme", "u-1", DAY)
    assert pair.closed() == {}
