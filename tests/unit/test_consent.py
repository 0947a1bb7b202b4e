"""Consents: which records are records, what they allow as of when, what is told of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.consent import FAULTS, Consents, Fault, parse
from engine.model import NO_TIME
from engine.standing import Standing
from tests.support.consents import Word, document

T = 1_770_450_000_000
BOTH = frozenset({"policy", "disaster_support"})
GRANTED = Word("granted", T, BOTH, frozenset({"gender", "residence"}))
CANARY = "CANARY-7f3a"


def bytes_of(word: Word = GRANTED, provider: str = "acme", subject: str = "u-1", **fields: Any) -> bytes:
    return json.dumps(document(provider, subject, word, **fields)).encode()


@pytest.fixture
def consents() -> Consents:
    return Consents(b"key")


def allowed(consents: Consents, ts: int = T, purpose: str = "policy", subject: str = "u-1") -> list[str] | None:
    found = consents.allowed("acme", subject, purpose, ts)
    return None if found is None else sorted(found)


def test_a_record_is_read_and_written_as_it_was() -> None:
    record = parse(bytes_of(unknown=CANARY))
    assert (record.provider, record.subject, record.state, record.ts) == ("acme", "u-1", "granted", T)
    assert record.scope == (BOTH, {"gender", "residence"})
    assert (record.version, record.lang, record.given, record.key) == ("2026-01", "ja", "use", b"acme/u-1")
    assert parse(record.encode()) == record
    assert parse(bytes_of(ts="2026-02-07T16:40:00+09:00")).ts == T
    assert parse(b'{"provider":"acme","subject":"u-1","state":"withdrawn","ts":5}').scope == (set(), set())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "malformed"),
        (b"[]", "malformed"),
        (b"7", "malformed"),
        (bytes_of()[:-1], "malformed"),
        (b"\xff" + bytes_of(), "malformed"),
        *((bytes_of(**{field: None}), "missing_field") for field in document("a", "b", GRANTED)),
        (bytes_of(terms={"version": "1"}), "missing_field"),
        (bytes_of(subject=7), "bad_value"),
        (bytes_of(subject=""), "bad_value"),
        (bytes_of(subject="人" * 22), "bad_value"),
        (bytes_of(provider="a/b"), "bad_value"),
        (bytes_of(state="given"), "bad_value"),
        (bytes_of(ts="2026-02-07T16:40:00"), "bad_value"),
        (bytes_of(ts=True), "bad_value"),
        (bytes_of(ts=1.5), "bad_value"),
        (bytes_of(ts=-(10**15)), "bad_value"),
        (bytes_of(purposes=[]), "bad_value"),
        (bytes_of(purposes="policy"), "bad_value"),
        (bytes_of(purposes=["policy", CANARY]), "bad_value"),
        (bytes_of(purposes=[["policy"]]), "bad_value"),
        (bytes_of(attributes=[CANARY]), "bad_value"),
        (bytes_of(attributes={"gender": 1}), "bad_value"),
        (bytes_of(terms=CANARY), "bad_value"),
        (bytes_of(terms={"version": "", "lang": "ja"}), "bad_value"),
        (bytes_of(given=CANARY), "bad_value"),
        (bytes_of(given=["use"]), "bad_value"),
    ],
)
def test_a_faulty_record_has_a_reason_and_no_value(value: bytes, reason: str) -> None:
    with pytest.raises(Fault) as caught:
        parse(value)
    assert caught.value.reason == reason and reason in FAULTS
    assert CANARY not in str(caught.value)


def test_a_faulty_record_ends_what_stood(consents: Consents) -> None:
    consents.take(bytes_of(), T, b"acme/u-1")
    assert allowed(consents) == ["gender", "residence"]
    consents.take(bytes_of(given="so"), T + 5, b"acme/u-1")
    assert allowed(consents) is None and consents.faults == {"bad_value": 1}
    assert [change[:3] for change in consents.withdrawn(0)[1]] == [("acme", "u-1", T + 5)]
    consents.take(bytes_of(), T + 6, b"acme/u-1")  # the old one once more
    assert allowed(consents) is None and consents.faults == {"bad_value": 1, "stale": 1}
    consents.take(bytes_of(GRANTED._replace(ts=T + 7)), T + 7, b"acme/u-1")
    assert allowed(consents) is None and allowed(consents, T + 7) == ["gender", "residence"]


def test_a_deleted_key_ends_what_stood(consents: Consents) -> None:
    for nothing in (None, b""):
        consents.take(bytes_of(GRANTED._replace(ts=T + consents.serial * 2)), T + 9)
        consents.take(nothing, T + 1 + consents.serial * 2, b"acme/u-1")
        assert allowed(consents, T + 99) is None
    assert consents.faults == {} and consents.serial == 2


@pytest.mark.parametrize("key", [None, b"", b"acme", b"/u-1", b"acme/", b"\xff/u-1"])
def test_nobody_is_meant_by_what_has_no_key(consents: Consents, key: bytes | None) -> None:
    consents.take(bytes_of(), T)
    consents.take(b"{", T, key)
    assert allowed(consents) == ["gender", "residence"] and consents.faults == {"malformed": 1}


def test_a_record_under_another_s_key_gives_nothing_and_ends_both(consents: Consents) -> None:
    for subject in ("u-1", "u-2", "u-3"):
        consents.take(bytes_of(subject=subject), T)
    consents.take(bytes_of(GRANTED._replace(ts=T + 1), subject="u-1"), T, b"acme/u-2")
    assert [allowed(consents, T + 1, subject=s) is not None for s in ("u-1", "u-2", "u-3")] == [True, False, True]
    consents.take(bytes_of(Word("withdrawn", T + 1), subject="u-1"), T, b"acme/u-3")
    assert [allowed(consents, T + 1, subject=s) is not None for s in ("u-1", "u-2", "u-3")] == [False, False, False]
    assert consents.faults == {"wrong_key": 2}


def test_a_grant_from_the_future_is_none(consents: Consents) -> None:
    consents.take(bytes_of(GRANTED._replace(ts=T + 60_000)), T)
    assert allowed(consents, T + 59_999) is None and allowed(consents, T + 60_000) is not None
    consents.take(bytes_of(GRANTED._replace(ts=T + 60_001)), T, b"acme/u-1")
    assert allowed(consents, T + 60_001) is None and consents.faults == {"too_far_in_future": 1}


def test_a_withdrawal_from_the_future_counts_at_once_and_not_for_ever(consents: Consents) -> None:
    consents.take(bytes_of(), T)
    consents.take(bytes_of(Word("withdrawn", T + 10**10)), T + 1)
    assert allowed(consents) is None
    consents.take(bytes_of(GRANTED._replace(ts=T + 60_002)), T + 60_002)
    assert allowed(consents, T + 60_002) == ["gender", "residence"]


def test_a_clock_that_is_ahead_does_not_stop_a_withdrawal(consents: Consents) -> None:
    consents.take(bytes_of(GRANTED._replace(ts=T + 30_000)), T)
    consents.take(bytes_of(Word("withdrawn", T + 1)), T + 1)
    assert allowed(consents, T + 40_000) is None
    consents.take(bytes_of(GRANTED._replace(ts=T + 30_000)), T + 2)  # sent again: it had been given before
    assert allowed(consents, T + 40_000) is None


def test_less_ends_for_the_past_and_more_begins_with_its_time(consents: Consents) -> None:
    for ts, purposes, attributes in (
        (T, BOTH, {"gender", "residence"}),
        (T + 10, {"policy"}, {"residence", "income"}),
    ):
        consents.take(bytes_of(Word("granted", ts, frozenset(purposes), frozenset(attributes))), T)
    assert [allowed(consents, T + at) for at in (-1, 0, 9, 10)] == [
        None, ["residence"], ["residence"], ["income", "residence"],
    ]  # fmt: skip
    assert allowed(consents, T, "disaster_support") is None
    assert consents.withdrawn(0)[1] == [("acme", "u-1", T + 10, BOTH)]


def test_many_changes_of_a_subject_allow_less_never_more(consents: Consents) -> None:
    names = ("gender", "residence", "income", "lang")
    for number in range(100):
        scope = frozenset({"zone", names[number % 4]})
        consents.take(bytes_of(Word("granted", T + number, BOTH, scope)), T)
    assert allowed(consents, T + 99) == ["lang", "zone"]
    assert all(allowed(consents, T + at) in (None, ["zone"]) for at in range(99))


def test_who_was_told_is_forgotten(consents: Consents) -> None:
    for number in range(4):
        consents.take(bytes_of(Word("withdrawn", T), subject=f"u-{number}"), T)
        consents.take(bytes_of(Word("withdrawn", T + 1), subject=f"u-{number}"), T)
    serial, changes = consents.withdrawn(0)
    assert serial == 4 and [change.subject for change in changes] == ["u-0", "u-1", "u-2", "u-3"]
    assert [change.subject for change in consents.withdrawn(3)[1]] == ["u-3"]
    consents.forget(3)
    assert consents.serial == 4 and [change.subject for change in consents.withdrawn(0)[1]] == ["u-3"]
    consents.forget(9)
    assert consents.withdrawn(0) == (4, [])
    assert "u-3" not in repr((vars(consents), vars(consents.standings)))


def test_providers_are_told_in_classes_of_ten(consents: Consents) -> None:
    def agree(number: int, provider: str, version: str, ts: int = T) -> None:
        terms = {"version": version, "lang": "en"}
        consents.take(bytes_of(GRANTED._replace(ts=ts), provider, f"u-{number}", terms=terms), T)

    for number in range(25):
        agree(number, "acme", "1")
    for number in range(9):
        agree(number, "few", CANARY)
        agree(number, "few", CANARY, T + 1)
    assert consents.standings.told() == []  # it may still be read
    consents.standings.begin(None)
    assert consents.standings.told() == [("acme", 20, ("1 en",))]
    for number in (*range(5), *range(15)):  # the same people once more are none that have moved
        agree(number, "acme", "2", T + 2)
        assert consents.standings.told() == [("acme", 20, ("1 en", "2 en") if number >= 9 else ("1 en",))]


def test_no_single_change_shows_in_what_is_told_of_a_provider(consents: Consents) -> None:
    for number in range(30):
        consents.take(bytes_of(GRANTED, subject=f"u-{number}"), T)
    consents.standings.begin(None)
    told = []
    for number in range(30):
        consents.take(bytes_of(Word("withdrawn", T + 9), subject=f"u-{number}"), T)
        told.append([low for _, low, _ in consents.standings.told()])
    assert told == [[30]] * 9 + [[20]] * 10 + [[10]] * 10 + [[]]


def test_nor_does_it_over_a_start_behind_compaction(consents: Consents) -> None:
    """Ten consented and were told; the tenth has withdrawn while nothing ran, and each key is left with one record."""
    for number in range(9):
        consents.take(bytes_of(GRANTED, subject=f"u-{number}"), T)
    consents.take(bytes_of(Word("withdrawn", T + 9), subject="u-9"), T)
    for number in range(30):  # another, that was not told of
        consents.take(bytes_of(GRANTED, "other", f"u-{number}"), T)
    before = Standing("acme", 10, ("2026-01 ja",))
    consents.standings.begin([before])
    told = []
    for number in range(10):
        consents.take(bytes_of(Word("withdrawn", T + 9), subject=f"u-{number % 9}"), T)
        consents.take(bytes_of(GRANTED._replace(ts=T + 20), "other", f"u-{number}"), T)
        told.append(consents.standings.told())
    assert told == [[before]] * 9 + [[before, ("other", 30, ("2026-01 ja",))]]
    consents.take(bytes_of(GRANTED._replace(ts=T + 20), subject="u-9"), T)
    assert [provider for provider, *_ in consents.standings.told()] == ["other"]


def test_a_writer_asks_first(consents: Consents) -> None:
    record, ended = parse(bytes_of()), parse(bytes_of(Word("withdrawn", T + 5)))
    assert not consents.repeats(record, T) and not consents.repeats(ended, T)
    consents.take(bytes_of(), T)
    assert consents.repeats(record, T) and not consents.repeats(ended, T)
    assert not consents.repeats(parse(bytes_of(GRANTED._replace(ts=T + 1))), T)
    for fields in ({"ts": T - 1}, {"attributes": ["gender"]}, {"terms": {"version": "2", "lang": "ja"}}):
        with pytest.raises(Fault, match="stale"):
            consents.repeats(parse(bytes_of(**fields)), T)
    with pytest.raises(Fault, match="too_far_in_future"):
        consents.repeats(parse(bytes_of(ts=T + 60_001)), T)
    consents.take(bytes_of(Word("withdrawn", T + 5)), T)
    assert consents.repeats(ended, T) and consents.newest("acme", "u-1") == T + 5
    with pytest.raises(Fault, match="stale"):
        consents.repeats(parse(bytes_of(ts=T + 5)), T)
    assert consents.newest("acme", "nobody") == NO_TIME and not consents.stands("acme", "nobody")
