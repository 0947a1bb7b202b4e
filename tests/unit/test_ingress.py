"""Ingress of providers' data: what is dropped, what is banded, what is refused and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import codes, consent, ingress
from engine.languages import LANGUAGES
from engine.model import NO_TIME, REASONS, TICK
from sinks.deadletter import FIELDS

TS = 1_770_450_000_400
GOOD = {
    "provider": "acme", "subject": "u-1", "ts": TS, "zone": "odori", "residence": "011011", "gender": "f",
    "birth_year": 1984, "income": "300-500", "household": 3, "children": 1, "occupation": "employee",
    "interests": ["food"], "lang": "ja",
}  # fmt: skip


def one(document: Any, record_ts: int = TS + 5) -> ingress.Record:
    (record,) = ingress.read(json.dumps(document).encode(), record_ts)
    return record


def code(name: str, value: Any) -> int:
    return one({**GOOD, name: value}).told[ingress.ATTRIBUTES.index(name)]


def reason(document: Any) -> str:
    return REASONS[one(document).reason]


def test_the_event_of_the_contract() -> None:
    record = one(GOOD)
    assert (record.kind, record.reason, record.ts, record.record_ts) == (ingress.PROFILE, 0, TS, TS + 5)
    assert (record.provider, record.subject, record.zone) == ("acme", "u-1", "odori")
    told = dict(zip(ingress.ATTRIBUTES, record.told, strict=True))
    assert told == {
        "residence": 11011,
        "gender": 1,
        "birth_year": 1980,
        "income": 3,
        "household": 3,
        "children": 2,
        "occupation": 1,
        "interests": 1,
        "lang": LANGUAGES.index("ja") + 1,
    }
    assert one({**GOOD, "type": "profile"}) == record


def test_what_is_not_told_is_0_and_null_is_as_good_as_absent() -> None:
    record = one({"provider": "a", "subject": "b", "ts": TS, "zone": None, "gender": None, "type": None})
    assert record.reason == 0 and record.zone is None and set(record.told) == {0}


def test_fields_that_are_not_allowed_leave_no_trace() -> None:
    more = {"birth_date": "1984-02-03", "name": "canary", "address": "canary", "type": "profile", "email": {"a": [1]}}
    assert one({**GOOD, **more}) == one(GOOD)


def test_a_record_shows_nothing_of_what_it_holds() -> None:
    record = one(GOOD)
    assert "u-1" not in repr(record) and "acme" not in f"{record}" and "11011" not in str(record)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("birth_year", 1900, 1900),
        ("birth_year", 1999, 1995),
        ("birth_year", 2027, 2025),
        ("household", 1, 1),
        ("household", 7, 7),
        ("household", 99, 7),
        ("children", 0, 1),
        ("children", 12, 5),
        ("income", "1500-", 7),
        ("income", "300-400", 3),
        ("income", 0, 1),
        ("income", 199, 1),
        ("income", 200, 2),
        ("income", 10**9, 7),
        ("income", "2000-", 7),
        ("interests", [], 0),
        ("interests", ["food", "shopping", "food"], 3),
        ("lang", "JA-jp", LANGUAGES.index("ja") + 1),
        ("lang", "zh_Hant", LANGUAGES.index("zh") + 1),
        ("lang", "tlh", len(LANGUAGES)),
        ("residence", "010006", 10006),
    ],
)
def test_bands(name: str, value: Any, expected: int) -> None:
    assert code(name, value) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ts", "2026-02-07"),
        ("ts", True),
        ("ts", 1.5),
        ("provider", 7),
        ("provider", ""),
        ("subject", "x" * 65),
        ("subject", ["u"]),
        ("zone", 1),
        ("zone", ""),
        ("residence", "011012"),
        ("residence", 11011),
        ("gender", "F"),
        ("gender", ["f"]),
        ("birth_year", 1899),
        ("birth_year", 2028),
        ("birth_year", "1984"),
        ("birth_year", 1984.0),
        ("birth_year", True),
        ("income", "100-400"),
        ("income", "1000-"),
        ("income", "400-300"),
        ("income", "-300"),
        ("income", "300"),
        ("income", "３００-500"),
        ("income", -1),
        ("income", "9" * 30 + "-"),
        ("household", 0),
        ("household", 100),
        ("household", 2.0),
        ("children", -1),
        ("children", False),
        ("occupation", "spy"),
        ("interests", "food"),
        ("interests", ["food", 3]),
        ("interests", ["food"] * 65),
        ("lang", 3),
        ("lang", "x" * 65),
    ],
)
def test_bad_values(name: str, value: Any) -> None:
    assert reason({**GOOD, name: value}) == "bad_value"


@pytest.mark.parametrize("name", ["provider", "subject", "ts"])
def test_what_must_be_there(name: str) -> None:
    assert reason({key: value for key, value in GOOD.items() if key != name}) == "missing_field"
    assert reason({**GOOD, name: None, "gender": "bad"}) == "missing_field"


def test_types() -> None:
    assert reason({**GOOD, "type": "touch"}) == "unknown_type"
    assert reason({**GOOD, "type": ["profile"]}) == "unknown_type"
    assert reason({"type": 3}) == "unknown_type"
    tick = one({"type": "tick", "ts": TS})
    assert (tick.kind, tick.reason, tick.ts) == (TICK, 0, TS)
    assert reason({"type": "tick"}) == "missing_field"
    assert reason({"type": "tick", "ts": "now"}) == "bad_value"


@pytest.mark.parametrize(
    "payload", [b"{", b"3", b'"x"', b"\xff\xff\xff\xff", b"{} {}", b'{"a":NaN}', b"\xef\xbb\xbf{}"]
)
def test_malformed(payload: bytes) -> None:
    assert [REASONS[record.reason] for record in ingress.read(payload, TS)] == ["malformed"]


def test_arrays_and_empty_messages() -> None:
    records = ingress.read(json.dumps([GOOD, 3, {**GOOD, "subject": "u-2"}]).encode(), TS)
    assert [REASONS[record.reason] for record in records] == ["", "malformed", ""]
    assert ingress.read(b" \n", TS) == [] and ingress.read(b"[]", TS) == []


def test_the_time_of_a_record_in_a_file() -> None:
    assert one(GOOD, NO_TIME).record_ts == TS
    assert one({**GOOD, "record_ts": TS + 9}, NO_TIME).record_ts == TS + 9
    assert one({**GOOD, "record_ts": TS + 9}, TS + 1).record_ts == TS + 1
    (bad,) = ingress.read(json.dumps({**GOOD, "record_ts": "x"}).encode(), NO_TIME)
    assert REASONS[bad.reason] == "bad_value"


def test_every_list_that_is_a_field_is_read() -> None:
    for name in ("gender", "occupation"):
        assert [code(name, word) for word in codes.load(name).codes] == list(range(1, len(codes.load(name).codes) + 1))
    assert [code("income", word) for word in codes.load("income").codes] == [1, 2, 3, 4, 5, 6, 7]
    assert code("interests", list(codes.load("interests").codes)) == 2 ** len(codes.load("interests").codes) - 1


def test_consent_and_dead_letters_know_the_same_fields() -> None:
    assert set(consent.ATTRIBUTES) == {ingress.ZONE, *ingress.ATTRIBUTES}
    assert set(FIELDS["profiles"]) == set(ingress.FIELDS)
