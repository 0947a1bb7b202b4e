"""One partition of providers' data: which events count, what is kept of them, what a withdrawal takes back."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine import facts
from engine.config import Config
from engine.model import END, REASONS
from engine.profile import ProfilePartition
from engine.profile_facts import KIND, LOW, PROFILE, PROVIDER, SEALED, TOLD, TS, VISIT, WITHDRAWN, ZONE
from flows.keys import MemoryKeys
from tests.support.engine_run import payloads
from tests.support.profile_run import ALL, FakeConsents, FakeContracts, book, gate, rows_of, subjects

DAY = 1_770_390_000_000  # 2026-02-07T00:00+09:00
HOUR = 3_600_000
REGISTRY = {"version": "1", "timezone": "Asia/Tokyo", "zones": [{"id": z, "kind": "plaza"} for z in ("a", "b")]}
LATER = {**REGISTRY, "version": "2", "zones": [{"id": z, "kind": "plaza"} for z in ("a", "b", "c")]}


def event(ts: int, subject: str = "u-1", provider: str = "acme", **more: Any) -> bytes:
    return json.dumps({"provider": provider, "subject": subject, "ts": ts, **more}).encode()


def tick(ts: int) -> bytes:
    return json.dumps({"type": "tick", "ts": ts}).encode()


def partition(number: int = 0, state: bytes | None = None, of: Any = None, **how: Any) -> ProfilePartition:
    return ProfilePartition(number, of or book(REGISTRY), 5_000, gate(**how), state)


def feed(part: ProfilePartition, *messages: bytes) -> list[str]:
    """Reasons of what is refused, in order."""
    return [REASONS[code] for code in part.feed(payloads(list(messages))).reason.tolist()]


def told(part: ProfilePartition) -> Any:
    """The facts of a log that has ended, without those about keys."""
    part.finish()
    (one,) = part.partials()
    return replace(one, rows=one.rows[one.rows[:, KIND] != SEALED])


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, ""),
        ({"zone": "x", "provider": "none"}, "unknown_sensor"),
        ({"subject": "other"}, "no_consent"),
        ({"subject": "other", "provider": "none"}, "no_consent"),
        ({"provider": "none"}, "no_contract"),
        ({"provider": "none", "ts": DAY + 99 * HOUR, "record_ts": DAY}, "no_contract"),
        ({"ts": DAY + 2 * HOUR, "record_ts": DAY}, "too_far_in_future"),
        ({"gender": "?", "zone": "x"}, "bad_value"),
    ],
)
def test_reasons_in_the_order_of_the_checks(more: dict[str, Any], reason: str) -> None:
    consents = FakeConsents({("acme", "u-1"): ALL, ("none", "u-1"): ALL})
    part = partition(consents=consents, contracts=FakeContracts({"acme": ("profiles", "trips")}))
    found = feed(part, json.dumps({"provider": "acme", "subject": "u-1", "ts": DAY, **more}).encode())
    assert found == ([reason] if reason else [])
    assert part.read == 1 and part.accepted == (not reason)
    assert part.rejected_by_reason() == ({reason: 1} if reason else {})


def test_in_city_only_every_event_is_no_contract_and_nobody_is_asked() -> None:
    consents = FakeConsents(default=True)
    part = partition(consents=consents, is_open=False)
    assert feed(part, event(DAY), event(DAY, zone="x"), b"{", tick(DAY)) == [
        "no_contract",
        "unknown_sensor",
        "malformed",
    ]
    assert consents.asked == 0 and len(told(part).rows) == 0


def test_a_day_that_has_closed_is_late_and_ticks_close_it() -> None:
    part = partition()
    assert feed(part, event(DAY + HOUR), tick(DAY + 24 * HOUR + 4_999), event(DAY + 2 * HOUR)) == []
    assert feed(part, tick(DAY + 24 * HOUR + 5_000), event(DAY + 2 * HOUR)) == ["late"]
    (one,) = part.partials()
    assert one.w_to == DAY + 24 * HOUR and one.rows[:, KIND].tolist() == [PROFILE, SEALED] and one.accepted == 2
    assert part.partials() == []


def test_an_event_is_for_the_products_that_are_allowed() -> None:
    contracts = FakeContracts({"acme": ("profiles",), "bus": ("trips",)})
    part = partition(contracts=contracts)
    feed(part, event(DAY, zone="a", gender="f"), event(DAY, provider="bus", zone="a", gender="f"))
    one = told(part)
    assert [(r[KIND], one.names[r[PROVIDER]]) for r in one.rows] == [(PROFILE, "acme"), (VISIT, "bus")]


def test_what_is_not_consented_is_not_told() -> None:
    part = partition(consents=FakeConsents({("acme", "u-1"): frozenset({"birth_year"})}))
    feed(part, event(DAY, zone="a", gender="f", birth_year=1984, lang="ja"))
    one = told(part)
    assert one.rows[:, KIND].tolist() == [PROFILE]
    assert one.rows[0, TOLD:].tolist() == [0, 0, 1980, 0, 0, 0, 0, 0, 0] and "a" not in one.names


def test_of_a_person_s_events_the_least_is_kept() -> None:
    part = partition()
    feed(part, event(DAY + 9, gender="f"), event(DAY + 5, gender="m"), event(DAY + 5, gender="f"), event(DAY + 7))
    rows = told(part).rows
    assert rows[:, [TS, TOLD + 1]].tolist() == [[DAY + 5, 1]]


def test_a_late_visit_is_kept_for_the_next_day_under_its_key() -> None:
    part = partition(gap_ms=HOUR)
    end = DAY + 24 * HOUR
    feed(part, event(end - HOUR - 1, zone="a"), event(end - HOUR, zone="b"))
    rows = told(part).rows
    visits = rows[rows[:, KIND] == VISIT]
    assert sorted(visits[:, [0, 2, TS]].tolist()) == [
        [end, DAY, end - HOUR - 1],
        [end, DAY, end - HOUR],
        [end + 24 * HOUR, end, end - HOUR],
    ]
    assert len(set(visits[:, LOW].tolist())) == 2  # one pseudonym a day


def test_one_subject_is_one_person_on_all_platforms_but_not_in_two_products() -> None:
    part = partition()
    feed(part, event(DAY, zone="a"), event(DAY, provider="bus", zone="b"), event(DAY, subject="u-2", zone="b"))
    rows = told(part).rows
    by_kind = [set(rows[rows[:, KIND] == kind][:, LOW].tolist()) for kind in (PROFILE, VISIT)]
    assert [len(found) for found in by_kind] == [2, 2] and not by_kind[0] & by_kind[1]


def test_no_raw_subject_and_no_name_of_the_refused_in_state_and_facts() -> None:
    consents = FakeConsents({("acme", "canary-subject"): ALL})
    part = partition(consents=consents)
    messages = [
        event(DAY, "canary-subject", zone="a", email="canary-mail"),
        event(DAY, "canary-nobody", "canary-provider", zone="a"),
        event(DAY, "canary-lost", zone="canary-zone"),
        event(DAY, "canary-bad", gender="canary-gender"),
        b'{"provider":"canary',
    ]
    assert len(feed(part, *messages)) == 4
    state = part.snapshot()
    one = told(part)
    for kept in (state, one.encode(), repr(part.__dict__).encode(), repr(pickle.loads(state)).encode()):
        assert b"canary" not in kept
    assert len(one.rows) == 2


def test_a_withdrawal_removes_the_person_from_open_days_at_once() -> None:
    consents, keys = FakeConsents(default=True), MemoryKeys()
    part = partition(consents=consents, keys=keys)
    feed(part, *(event(DAY + i * HOUR, who, zone=zone) for i in range(3) for who in ("u-1", "u-2") for zone in "ab"))
    before = part.snapshot()
    consents.default = None
    consents.withdraw("acme", "u-1", DAY + HOUR)  # later rows go too: what ends a consent counts when it arrives
    part.partials()
    assert len(part.snapshot()) < len(before)
    restored = partition(state=part.snapshot(), consents=FakeConsents(default=True), keys=keys)
    for each in (part, restored):
        rows = told(each).rows
        assert np.bincount(rows[:, KIND]).tolist() == [1, 6]
        assert len(set(rows[:, LOW].tolist())) == 2  # one pseudonym a product


def test_a_withdrawal_of_one_provider_leaves_what_others_told() -> None:
    consents = FakeConsents(default=True)
    part = partition(consents=consents)
    feed(part, event(DAY, zone="a"), event(DAY, provider="bus", zone="a"))
    consents.granted["bus", "u-1"], consents.default = ALL, None
    consents.withdraw("acme", "u-1", DAY)
    one = told(part)
    assert {one.names[row[PROVIDER]] for row in one.rows} == {"bus"} and len(one.rows) == 2


def test_a_consent_to_less_removes_what_told_more() -> None:
    consents = FakeConsents({("acme", "u-1"): ALL, ("acme", "u-2"): ALL})
    part = partition(consents=consents)
    feed(part, event(DAY, gender="f"), event(DAY, "u-2", lang="ja", zone="a"))
    for who in ("u-1", "u-2"):
        consents.withdraw("acme", who, DAY)
        consents.granted["acme", who] = frozenset({"lang", "zone"})
    rows = told(part).rows
    assert rows[:, KIND].tolist() == [PROFILE, VISIT]  # of u-2, who told nothing else
    assert rows[0, TOLD + 8] > 0


def test_a_day_already_told_is_taken_back_where_others_hold_it_open() -> None:
    """Partition 0 has passed the day, partition 1 has not: the person is in no figure of it."""
    of, keys, config = book(REGISTRY), MemoryKeys(), Config(
        {"profiles": {"k": 1, "guard": 0, "providers": 1, "tables": ["gender"]}, "trips": {"k": 1, "guard": 0}}
    )  # fmt: skip
    consents = [FakeConsents(default=True) for _ in range(2)]
    parts = [ProfilePartition(n, of, 5_000, gate(consents[n], keys=keys)) for n in range(2)]
    key = subjects(of, config, 2)
    visits = [(0, "a", "u-1"), (1, "b", "u-1"), (0, "a", "u-2"), (1, "b", "u-2")]
    feed(parts[0], *(event(DAY + i * HOUR, who, zone=zone, gender="f") for i, zone, who in visits))
    feed(parts[0], tick(DAY + 25 * HOUR))
    feed(parts[1], event(DAY + HOUR, "u-3", gender="m"))

    def pass_on(number: int) -> list[dict[str, Any]]:
        return rows_of(key.take([blob.encode() for blob in parts[number].partials()]).rows)

    assert pass_on(0) == [] and pass_on(1) == []
    state = parts[0].snapshot()
    consents[0] = FakeConsents(default=True)  # another process goes on, and reads the consents anew
    parts[0] = ProfilePartition(0, of, 5_000, gate(consents[0], keys=keys), state)
    consents[0].withdraw("acme", "u-1", DAY + 26 * HOUR)
    feed(parts[0], tick(DAY + 26 * HOUR))
    assert pass_on(0) == []
    feed(parts[1], tick(DAY + 26 * HOUR))
    rows = pass_on(1)
    counts = {(row["product"], row.get("row", row.get("from"))): row["n"] for row in rows}
    assert counts == {("profiles", "f"): 1, ("profiles", "m"): 1, ("profiles", ""): 2, ("trips", "a"): 1}
    assert facts.decode(facts.compact(told(parts[0])).encode()).rows[:, KIND].tolist() in ([], [WITHDRAWN])


def test_a_registry_record_brings_zones() -> None:
    part = partition()
    record = json.dumps({"type": "registry", "registry": LATER}).encode()
    bad = json.dumps({"type": "registry", "registry": {"version": 3}}).encode()
    fed = part.feed(payloads([event(DAY, zone="c"), record, event(DAY, zone="c"), bad, b'{"type":"set"}']))
    assert [REASONS[code] for code in fed.reason.tolist()] == ["unknown_sensor"]
    assert [(at, of) for at, of, _ in fed.faults] == [(3, "registry")]
    one = told(part)
    assert len(one.versions) == 1 and "c" in {one.names[row[ZONE]] for row in one.rows if row[KIND] == VISIT}


def test_refused_events_of_one_person_are_not_told() -> None:
    """Only what could not be read is: behind eleven of each other kind stands one person."""
    of = book(REGISTRY)
    consents = FakeConsents({("acme", "u-1"): ALL, ("none", "u-1"): ALL})
    part = partition(of=of, consents=consents, contracts=FakeContracts({"acme": ("profiles", "trips")}))
    odd = {
        "late": event(DAY - HOUR),
        "no_consent": event(DAY, "other"),
        "no_contract": event(DAY, provider="none"),
        "too_far_in_future": event(DAY + 2 * HOUR, record_ts=DAY),
        "unknown_sensor": event(DAY, zone="x"),
        "bad_value": event(DAY, gender="?"),
        "missing_field": b'{"provider": "acme", "subject": "u-1"}',
        "unknown_type": event(DAY, type="wave"),
        "malformed": b"{",
    }
    messages = [message for message in odd.values() for _ in range(11)]
    assert feed(part, tick(DAY + HOUR), *messages) == [reason for reason in odd for _ in range(11)]
    assert part.rejected_by_reason() == dict.fromkeys(odd, 11)
    out = subjects(of, Config(), 1).take([told(part).encode()])
    assert out.rejected == {"malformed": 11, "unknown_type": 11}
    rows = [(row["product"], row["sensor"], row["reason"], row["n"]) for row in rows_of(out.rows)]
    assert rows == [("rejects", "", "malformed", 11), ("rejects", "", "unknown_type", 11)]


def test_the_end_of_a_log_is_told() -> None:
    part = partition()
    assert part.partials() == []
    one = told(part)
    assert one.w_to == END and len(one.rows) == 0
