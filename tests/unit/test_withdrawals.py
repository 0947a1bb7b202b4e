"""Withdrawals and keys where partitions meet: over restarts, while a process is held, for days told and days open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.config import Config
from engine.errors import BadInput
from engine.profile import ProfilePartition
from engine.profile_facts import KIND, WITHDRAWN
from flows.keys import KeyFile, MemoryKeys
from tests.support.profile_run import FakeConsents, book, gate, key_file, rows_of, subjects
from tests.unit.test_profile import DAY, HOUR, REGISTRY, event, feed, partition, tick


class Night:
    """Partition 0 has told the day, partition 1 is before its end; both and their key go on from what was kept."""

    def __init__(self) -> None:
        self.of, self.keys = book(REGISTRY), MemoryKeys()
        self.config = Config(
            {"profiles": {"k": 1, "guard": 0, "providers": 1, "tables": ["gender"]}, "trips": {"k": 1, "guard": 0}}
        )
        self.key = subjects(self.of, self.config, 2)
        self.states: list[bytes | None] = [None, None]
        self.start()
        feed(self.parts[0], event(DAY, "u-1", gender="f"), event(DAY, "u-2", gender="f"), tick(DAY + 25 * HOUR))
        feed(self.parts[1], event(DAY, "u-3", gender="m"))
        assert self.told(0, 1) == {}

    def start(self) -> None:
        self.consents = [FakeConsents(default=True) for _ in range(2)]
        pairs = zip(self.states, self.consents, strict=True)
        self.parts = [partition(n, state, self.of, consents=by, keys=self.keys) for n, (state, by) in enumerate(pairs)]

    def restart(self) -> None:
        self.states = [part.snapshot() for part in self.parts]
        self.key = subjects(self.of, self.config, 2, self.key.snapshot())
        self.start()

    def told(self, *numbers: int) -> dict[str, int]:
        """People by gender that are released when these partitions tell, one after the other."""
        blobs = [[one.encode() for one in self.parts[number].partials()] for number in numbers]
        rows = [row for each in blobs for row in rows_of(self.key.take(each).rows)]
        return {row["row"]: row["n"] for row in rows if row["product"] == "profiles"}


def test_a_withdrawal_for_a_day_already_told_does_not_wait_for_the_watermark() -> None:
    night = Night()
    night.consents[0].withdraw("acme", "u-1", DAY + 26 * HOUR)
    assert night.told(0) == {} and night.parts[0].partials() == []
    feed(night.parts[1], tick(DAY + 26 * HOUR))
    assert night.told(1) == {"f": 1, "m": 1, "": 2}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_who_withdraws_while_a_run_is_down_is_out_whichever_partition_is_first(order: tuple[int, int]) -> None:
    night = Night()
    night.restart()
    night.consents[0].is_current = False  # its process has not read consents to their end yet
    feed(night.parts[1], tick(DAY + 26 * HOUR))
    assert night.told(*order) == {}
    night.consents[0].withdraw("acme", "u-1", DAY + 26 * HOUR)
    assert night.told(*order) == {}
    night.consents[0].is_current = True
    assert night.told(*order) == {"f": 1, "m": 1, "": 2}
    assert night.told(*order) == {}


def test_a_run_that_goes_on_without_withdrawals_closes_the_day_all_the_same() -> None:
    night = Night()
    night.restart()
    feed(night.parts[1], tick(DAY + 26 * HOUR))
    assert night.told(1) == {}
    assert night.told(0) == {"f": 2, "m": 1, "": 3}


@pytest.mark.parametrize("started", [False, True], ids=["before", "since a restart"])
def test_a_partition_that_is_held_lets_no_day_close_that_it_has_told(started: bool) -> None:
    """In another process: the one that is before midnight knows what ended, and has nothing to take back."""
    night = Night()
    if started:
        night.restart()
        assert night.told(0, 1) == {}
    night.consents[0].is_current = False
    assert night.told(0) == {} and night.parts[0].partials() == []  # that it waits, once
    feed(night.parts[1], tick(DAY + 26 * HOUR))
    assert night.told(1, 0) == {}
    night.consents[0].withdraw("acme", "u-1", DAY + 26 * HOUR)
    assert night.told(1, 0) == {}
    night.consents[0].is_current = True
    assert night.told(0) == {"f": 1, "m": 1, "": 2}


def test_what_was_heard_twice_is_out_once() -> None:
    """A process that ends after it told a withdrawal, and before that was kept, hears of it again."""
    night = Night()
    for _ in range(2):
        night.consents[0].withdraw("acme", "u-1", DAY + 26 * HOUR)
        assert night.told(0) == {}
        night.restart()
    night.consents[0].withdraw("acme", "u-1", DAY + 26 * HOUR)
    feed(night.parts[1], tick(DAY + 26 * HOUR))
    assert night.told(0, 1) == {"f": 1, "m": 1, "": 2}


def test_a_partition_that_joins_at_a_start_is_waited_for_as_the_others_are() -> None:
    """Nobody feeds it: it says once how far it is, and no day closes on the word of the others alone."""
    night = Night()
    feed(night.parts[1], tick(DAY + 26 * HOUR))
    night.states = [part.snapshot() for part in night.parts]
    night.key = subjects(night.of, night.config, 3, night.key.snapshot())
    night.start()
    night.parts.append(ProfilePartition(2, night.of, 5_000, gate(keys=night.keys), None, DAY + 12 * HOUR))
    assert night.told(0, 1) == {}
    assert night.told(2) == {} and night.parts[2].partials() == []
    feed(night.parts[2], tick(DAY + 24 * HOUR + 5_000))
    night.consents[0].withdraw("acme", "u-1", DAY + 26 * HOUR)
    assert night.told(0, 2) == {"f": 1, "m": 1, "": 2}


def test_a_withdrawal_for_a_day_that_has_closed_releases_it_no_second_time() -> None:
    night = Night()
    feed(night.parts[1], tick(DAY + 26 * HOUR))
    assert night.told(1) == {"f": 2, "m": 1, "": 3}
    night.key._release = lambda *_window: pytest.fail("a second time")
    night.consents[0].withdraw("acme", "u-1", DAY + 26 * HOUR)
    for number in range(2):
        feed(night.parts[number], tick(DAY + 49 * HOUR))
    assert night.told(0, 1) == {}


@pytest.mark.parametrize("product", ["profiles", "trips"])
@pytest.mark.parametrize("passed", [False, True], ids=["open", "told"])
@pytest.mark.parametrize("another", [False, True], ids=["lost", "another"])
def test_a_partition_that_lacks_a_key_it_needs_does_not_start(
    product: str, passed: bool, another: bool, tmp_path: Path
) -> None:
    keys, path = key_file(tmp_path / "keys"), tmp_path / "keys"
    part = partition(keys=keys)
    feed(part, event(DAY, zone="a"), *([tick(DAY + 25 * HOUR)] if passed else []))
    part.partials()
    state = part.snapshot()
    partition(state=state, keys=keys)
    whole = path.read_text()
    told = json.loads(whole)
    del told[keys._name(product, DAY)]
    path.write_text(json.dumps(told))
    keys = KeyFile(path, "live")
    if another:
        keys.key(product, DAY)
    with pytest.raises(BadInput, match="the key of an open day is lost"):
        partition(state=state, keys=keys)
    path.write_text(whole)
    keys.destroy(DAY + 24 * HOUR)  # closed everywhere, or the directory is from before that
    if passed:
        partition(state=state, keys=keys)
    else:
        with pytest.raises(BadInput, match="the key of an open day is lost"):
            partition(state=state, keys=keys)


def test_a_key_that_is_lost_while_a_run_goes_on_ends_it_before_a_withdrawal_finds_nobody() -> None:
    consents, keys = FakeConsents(default=True), MemoryKeys()
    part = partition(consents=consents, keys=keys)
    feed(part, event(DAY, gender="f"))
    keys._keys.clear()
    consents.withdraw("acme", "u-1", DAY)
    with pytest.raises(BadInput, match="the key of an open day is lost"):
        part.partials()


def test_a_snapshot_knows_of_no_key_but_that_it_is_the_same_and_of_closed_days_nothing(tmp_path: Path) -> None:
    keys = key_file(tmp_path / "keys")
    part = partition(keys=keys)
    for day in range(10):
        at = DAY + day * 24 * HOUR
        keys.destroy(at - 8 * 24 * HOUR)  # another partition is so far behind
        feed(part, event(at + HOUR, zone="a"), tick(at + 25 * HOUR))
        part.partials()
    state = part.snapshot()
    assert len(keys._known) == 18 and not any(key in state for key in keys._known.values())
    assert {day for _, day in part._seals.state()} == {DAY + day * 24 * HOUR for day in range(1, 10)}


def test_a_withdrawal_is_told_of_all_days_that_are_open_elsewhere_however_many() -> None:
    consents = FakeConsents(default=True)
    part = partition(consents=consents)
    for day in range(20):
        feed(part, event(DAY + day * 24 * HOUR, gender="f"), tick(DAY + day * 24 * HOUR + 25 * HOUR))
        part.partials()
    consents.withdraw("acme", "u-1", DAY)
    (one,) = part.partials()
    assert one.rows[:, KIND].tolist() == [WITHDRAWN] * 20
