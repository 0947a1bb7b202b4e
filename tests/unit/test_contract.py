"""Contracts: what is a record, when reports are due, who is refused and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import rfc3339
from engine.contract import MOVES, REASONS, STATES, Contracts, parse
from engine.errors import BadInput, UsageError
from tests.support.contracts import RECORD, after, contract, value

CANARY = "c4n4ry"


def ms(text: str) -> int:
    made = rfc3339.parse_ms(text)
    assert made is not None
    return made


APRIL, MAY = ms("2026-04-01T00:00:00+09:00"), ms("2026-05-01T00:00:00+09:00")
END = ms(RECORD["to"])


# ------------------------------------------------------------------------------- the record
def test_a_record_is_read_and_written_as_it_was() -> None:
    made = contract(company="株式会社\u3000β", token="ab" * 32)
    assert parse(made.text().encode()) == made
    assert json.loads(made.text()) == {**RECORD, "company": "株式会社\u3000β", "token": "ab" * 32}
    moved = after(made, "report", "correct", "suspend", "reinstate", at_ms=MAY)
    assert parse(moved.text().encode()) == moved


STEP = RECORD["steps"][0]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": " "},
        {"id": 7},
        {"id": "x" * 65},
        {"id": "a\nb"},
        {"id": "\ud800"},
        {"company": None},
        {"purposes": []},
        {"purposes": "policy"},
        {"purposes": ["policy", "policy"]},
        {"purposes": [CANARY]},
        {"products": ["profiles", CANARY]},
        {"products": [1]},
        {"third_party": True},
        {"third_party": 0},
        {"third_party": None},
        {"from": "2026-04-01"},
        {"from": "2026-04-01T00:00:00"},
        {"from": 5},
        {"from": RECORD["to"]},
        {"to": "2300-01-01T00:00:00Z"},
        {"report": None},
        {"report": {"every": 3}},
        {"report": {"every": 0, "unit": "months"}},
        {"report": {"every": 121, "unit": "months"}},
        {"report": {"every": True, "unit": "months"}},
        {"report": {"every": 3.0, "unit": "months"}},
        {"report": {"every": 3, "unit": "weeks"}},
        {"report": {"every": 3, "unit": ["months"]}},
        {"report": {"every": 3, "unit": "months", CANARY: 1}},
        {"token": "ab"},
        {"token": "AB" * 32},
        {"token": None},
        {"steps": []},
        {"steps": {}},
        {"steps": [{**STEP, "act": "correct"}]},
        {"steps": [STEP, STEP]},
        {"steps": [STEP, {**STEP, "act": "suspend"}]},
        {"steps": [STEP, {**STEP, "act": CANARY}]},
        {"steps": [STEP, {**STEP, "act": "correct", "at": "2026-03-20T00:59:59Z"}]},
        {"steps": [{**STEP, "why": "x" * 501}]},
        {"steps": [{**STEP, "why": "a\tb"}]},
        {"steps": [{**STEP, CANARY: ""}]},
        {"steps": [{**STEP, "at": 1}]},
        {"steps": [CANARY]},
        {CANARY: 1},
    ],
)
def test_what_is_no_record_is_refused_without_its_values(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as refused:
        parse(value(**changes))
    assert CANARY not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "broken", [b"", b"[]", b"null", b"\xff", b"{", value()[:-1] + b',"id":"x"}', b"[" * 100_000, value() + b"x"]
)
def test_what_is_no_json_object_is_refused(broken: bytes) -> None:
    with pytest.raises(BadInput, match="not a JSON object with each key once"):
        parse(broken)


@pytest.mark.parametrize("key", list(RECORD))
def test_every_key_is_needed(key: str) -> None:
    with pytest.raises(BadInput, match="must have the keys"):
        parse(json.dumps({name: held for name, held in RECORD.items() if name != key}).encode())


# ---------------------------------------------------------------------------------- reports
@pytest.mark.parametrize(
    ("every", "unit", "first", "dues"),
    [
        (3, "months", "2026-04-01T00:00:00+09:00", ["2026-07-01", "2026-10-01", "2027-01-01", "2027-04-01"]),
        (5, "months", "2026-04-01T00:00:00+09:00", ["2026-09-01", "2027-02-01", "2027-04-01"]),
        (1, "months", "2027-01-31T00:00:00+09:00", ["2027-02-28", "2027-03-31", "2027-04-01"]),
        (1, "months", "2027-03-01T00:00:00+09:00", ["2027-04-01"]),
        (200, "days", "2026-04-01T00:00:00+09:00", ["2026-10-18", "2027-04-01"]),
        (120, "months", "2026-04-01T00:00:00+09:00", ["2027-04-01"]),
    ],
)
def test_reports_are_due_by_the_clock_of_the_contract(every: int, unit: str, first: str, dues: list[str]) -> None:
    made = contract(**{"from": first, "report": {"every": every, "unit": unit}})
    at, told = made.from_ms - 1, []
    while (due := made.duty.next_ms(at)) is not None:
        assert made.due_ms(due - 1) == (told[-1] if told else None)  # one millisecond before
        assert made.due_ms(due) == due
        assert made.state(due) == "report_due"
        told.append(at := due)
    assert told == [ms(f"{day}T00:00:00+09:00") for day in dues]
    assert made.due_ms(END + 10**11) == END


def test_a_report_counts_for_all_that_was_due_and_for_nothing_later() -> None:
    july, october = ms("2026-07-01T00:00:00+09:00"), ms("2026-10-01T00:00:00+09:00")
    made = contract()
    early = made.moved("report", july - 1)
    assert early.state(july) == "report_due"  # the period had not ended
    late = made.moved("report", october + 5)
    assert [late.state(at) for at in (july - 1, july, october + 4, october + 5)] == [
        "active", "report_due", "report_due", "active",
    ]  # fmt: skip
    assert late.state(ms("2027-01-01T00:00:00+09:00")) == "report_due"
    assert late.moved("report", october + 6) is late  # none is due: the same report
    assert late.moved("report", END) is not late


def test_report_due_is_a_state_of_an_active_contract_only() -> None:
    made = contract().moved("leak", MAY)
    assert made.state(END) == "suspended"
    assert made.moved("reinstate", MAY).state(END) == "report_due"


# ------------------------------------------------------------------------------------ moves
def test_the_ways_of_a_contract() -> None:
    made = contract()
    for acts, state in (
        ((), "active"),
        (("correct",), "correction_ordered"),
        (("correct", "reinstate"), "active"),
        (("correct", "suspend"), "suspended"),
        (("correct", "suspend", "expel"), "expelled"),
        (("leak",), "suspended"),
        (("correct", "leak", "reinstate"), "active"),
        (("correct", "suspend", "leak", "report", "expel"), "expelled"),
    ):
        moved = after(made, *acts, at_ms=MAY)
        assert (moved.stands, len(moved.steps)) == (state, 1 + len(acts))
        assert moved.state(MAY - 1) == "active"
    assert set(STATES) >= {after for _, after in MOVES.values() if after}
    for acts, act in (((), "suspend"), ((), "expel"), (("correct",), "expel"), (("leak", "expel"), "reinstate")):
        with pytest.raises(UsageError, match="no legal move"):
            after(made, *acts, at_ms=MAY).moved(act, MAY)
    with pytest.raises(UsageError):
        made.moved("add", MAY)


def test_another_machine_s_clock_does_not_bring_steps_out_of_order() -> None:
    made = contract().moved("correct", MAY).moved("suspend", MAY - 60_000)
    assert [step.at_ms for step in made.steps[1:]] == [MAY, MAY]


# --------------------------------------------------------------------------------- refusals
def known(*values: bytes) -> Contracts:
    return Contracts(values)


def text(made: Any) -> bytes:
    return made.text().encode()


def test_what_a_contract_allows() -> None:
    held = known(value())
    for company, product, purpose, at, reason in (
        ("acme", "profiles", "policy", APRIL, None),
        ("acme", "trips", "policy", END - 1, None),
        ("acme", "profiles", "policy", APRIL - 1, "not_yet_valid"),
        ("acme", "profiles", "policy", END, "expired"),
        ("acme", "profiles", "disaster_support", MAY, "purpose"),
        ("acme", "flow", "policy", MAY, "product"),
        ("other", "profiles", "policy", MAY, "no_contract"),
    ):
        assert held.refusal(company, product, purpose, at) == reason
        of = held.refusal_of("acme-2026", None, product, purpose, at)
        assert of == (reason if company == "acme" else None)
    assert held.refusal_of("acme-2027", None, "profiles", "policy", MAY) == "no_contract"
    assert held.refusal_of("acme-2026", "acme", "profiles", "policy", MAY) is None
    assert held.refusal_of("acme-2026", "other", "profiles", "policy", MAY) == "third_party"
    assert {"unreadable", "suspended", "expelled"} < set(REASONS)


def test_an_order_to_correct_bars_nobody_yet() -> None:
    assert known(text(contract().moved("correct", MAY))).refusal("acme", "profiles", "policy", MAY) is None


@pytest.mark.parametrize(("acts", "reason"), [(("leak",), "suspended"), (("leak", "expel"), "expelled")])
def test_a_bar_is_the_company_s_and_holds_for_what_comes_late(acts: tuple[str, ...], reason: str) -> None:
    other = value(id="acme-b", products=["flow"])
    held = known(text(after(contract(), *acts, at_ms=MAY)), other, value(id="else", company="else"))
    for at in (APRIL, MAY - 1, MAY, END):
        assert held.refusal("acme", "profiles", "policy", at) == reason
        assert held.refusal("acme", "flow", "policy", at) == reason
        assert held.refusal_of("acme-b", None, "flow", "policy", at) == reason
    assert held.refusal("else", "profiles", "policy", MAY) is None


def test_what_came_while_a_company_was_suspended_stays_out_when_it_no_longer_is() -> None:
    made = contract().moved("leak", MAY).moved("reinstate", MAY + 1000)
    held = known(text(made))
    told = [held.refusal("acme", "profiles", "policy", at) for at in (MAY - 1, MAY, MAY + 999, MAY + 1000)]
    assert told == [None, "suspended", "suspended", None]


def test_one_of_several_contracts_is_enough() -> None:
    held = known(value(), value(id="b", products=["flow"]), value(id="c", purposes=["disaster_support"]))
    assert held.refusal("acme", "flow", "policy", MAY) is None
    assert held.refusal("acme", "trips", "disaster_support", MAY) is None
    assert held.refusal("acme", "flow", "disaster_support", MAY) == "product"
    assert held.refusal("acme", "flow", "policy", END) == "expired"
    assert held.refusal_of("b", None, "trips", "policy", MAY) == "product"


def test_what_cannot_be_read_closes_its_contract_until_one_can() -> None:
    held = known(value(), value(id="acme-b"))
    with_key = [(broken, "acme-2026") for broken in (b"{", None, value(id="x"))]
    for broken, key in [(value(third_party=True), None), *with_key]:
        assert not held.take(broken, key)
        assert held.refusal_of("acme-2026", None, "profiles", "policy", MAY) == "unreadable"
        assert held.refusal("acme", "profiles", "policy", MAY) == "unreadable"
        assert held.take(value(), "acme-2026")
        assert held.refusal("acme", "profiles", "policy", MAY) is None
    assert not held.take(b"no id")
    assert not held.take(value(third_party=True, id="new"))
    assert held.refusal_of("new", None, "profiles", "policy", MAY) == "unreadable"


UNREAD: list[bytes | None] = [b"{", None, value(company=7), value()[:-1] + b',"id":"x"}']


def test_a_record_that_cannot_be_read_bars_its_company_though_no_other_is_known() -> None:
    """As each read of the store finds it, and the flow when the topic is compacted."""
    others = (value(id="acme-b"), value(id="else", company="else"))
    for broken, key in ((value(third_party=True), None), (value(steps=[]), "acme-2026"), (value(id="x"), "acme-2026")):
        held = known(*others)
        assert not held.take(broken, key)
        assert held.refusal("acme", "profiles", "policy", MAY) == "unreadable"
        assert held.refusal_of("acme-b", None, "profiles", "policy", MAY) == "unreadable"
        assert held.refusal("else", "profiles", "policy", MAY) is None
        assert held.take(value(), "acme-2026")
        assert held.refusal("acme", "profiles", "policy", MAY) is None
    for unread in (broken for broken in UNREAD if broken is not None):
        held = known(*others)
        assert not held.bars_all and not held.take(unread, "acme-2026") and held.bars_all
        for company, name in (("acme", "acme-b"), ("else", "else")):  # it may be either's
            assert held.refusal(company, "profiles", "policy", MAY) == "unreadable"
            assert held.refusal_of(name, None, "profiles", "policy", MAY) == "unreadable"
        assert held.take(value(), "acme-2026") and not held.bars_all
        assert held.refusal("else", "profiles", "policy", MAY) is None


@pytest.mark.parametrize("stray", [b"{", value(third_party=True)])
def test_a_deletion_where_no_record_was_ever_read_is_nobodys(stray: bytes) -> None:
    """As a stray record is taken away, and as a process finds it that began behind the topic's compaction."""
    held = known(value())
    for _ in range(2):
        assert held.take(None, "typo") and held.unreadable == 0 and not held.bars_all
        assert held.refusal("acme", "profiles", "policy", MAY) is None
        assert held.refusal_of("typo", None, "profiles", "policy", MAY) == "no_contract"
        assert not held.take(stray, "typo") and held.unreadable == 1
        assert held.refusal("acme", "profiles", "policy", MAY) == "unreadable"


@pytest.mark.parametrize("broken", UNREAD)
def test_a_record_that_cannot_be_read_bars_the_company_of_the_record_before(broken: bytes | None) -> None:
    held = known(value(), value(id="else", company="else"))
    assert not held.take(broken, "acme-2026") and not held.bars_all
    assert held.refusal("acme", "profiles", "policy", MAY) == "unreadable"
    assert held.refusal("else", "profiles", "policy", MAY) is None
    assert not held.take(value(company="else", third_party=True), "acme-2026")  # or it went over to them
    for company in ("acme", "else"):
        assert held.refusal(company, "profiles", "policy", MAY) == "unreadable"


@pytest.mark.parametrize("spelled", ["ACME", " acme", "acme ", "ａｃｍｅ", "Ａcme"])
def test_another_spelling_of_a_name_does_not_escape_the_bar_nor_get_a_contract(spelled: str) -> None:
    other = value(id="b", company=spelled)
    held = known(value(), other)
    assert held.refusal(spelled, "profiles", "policy", MAY) is None
    assert held.refusal_of("b", "acme", "profiles", "policy", MAY) == "third_party"
    assert known(value()).refusal(spelled, "profiles", "policy", MAY) == "no_contract"
    for record, reason in ((text(contract().moved("leak", MAY)), "suspended"), (value(third_party=True), "unreadable")):
        held.take(record)
        for company, name in ((spelled, "b"), ("acme", "acme-2026")):
            assert held.refusal(company, "profiles", "policy", MAY) == reason
            assert held.refusal_of(name, None, "profiles", "policy", MAY) == reason


def test_an_older_record_does_not_undo_a_newer_one() -> None:
    held = known(text(contract().moved("leak", MAY)), value())
    assert held.refusal("acme", "profiles", "policy", MAY) == "suspended"
    assert [made.stands for made in held.all()] == ["suspended"]


def test_a_contract_may_pass_to_another_company_in_a_later_record() -> None:
    made = json.loads(contract().moved("report", MAY).text())
    held = known(value(), json.dumps({**made, "company": "else"}).encode())
    assert held.refusal("acme", "profiles", "policy", MAY) == "no_contract"
    assert held.refusal("else", "profiles", "policy", MAY) is None
