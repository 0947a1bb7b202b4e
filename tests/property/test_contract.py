"""A contract as a state machine: legal moves only, every state of the past told as it was, repeats change nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.contract import MOVES, Contracts, parse
from engine.errors import UsageError
from tests.support.contracts import contract

# Written down once more, one line for each move that there is: state, act, state after.
WAYS = """
active              report     active
active              correct    correction_ordered
active              leak       suspended
active              token      active
correction_ordered  report     correction_ordered
correction_ordered  suspend    suspended
correction_ordered  leak       suspended
correction_ordered  reinstate  active
correction_ordered  token      correction_ordered
suspended           report     suspended
suspended           leak       suspended
suspended           expel      expelled
suspended           reinstate  active
suspended           token      suspended
"""
LEGAL = {(state, act): after for state, act, after in (line.split() for line in WAYS.strip().splitlines())}
LEADS = {"correct": "correction_ordered", "suspend": "suspended", "expel": "expelled", "reinstate": "active"}
HOUR = 3_600_000


def quarters(first: datetime, last: datetime) -> list[datetime]:
    """The first instants of every third month behind ``first`` up to ``last``, found day by day."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    firsts = [day for day in days if day.day == first.day]
    return firsts[3::3]


START = contract().from_ms
DUES = [
    START + int((day - datetime(2026, 4, 1)).total_seconds() * 1000)
    for day in quarters(datetime(2026, 4, 1), datetime(2027, 4, 1))
]


class Life(RuleBasedStateMachine):
    """What a contract goes through in a year and a half; the model is a state and the last report."""

    def __init__(self) -> None:
        super().__init__()
        self.made = contract()
        self.now = START - 24 * HOUR
        self.state, self.reported, self.last = "active", 0, "add"
        self.past: list[tuple[int, str]] = []

    def told(self) -> str:
        """The state now, by the model."""
        missing = any(self.reported < due <= self.now for due in DUES)
        return "report_due" if self.state == "active" and missing else self.state

    @rule(hours=st.integers(1, 120 * 24))
    def wait(self, hours: int) -> None:
        self.past.append((self.now, self.told()))
        self.now += hours * HOUR

    @rule(act=st.sampled_from(sorted(MOVES)))
    def act(self, act: str) -> None:
        before = self.made
        missing = any(self.reported < due <= self.now for due in DUES)
        again = (
            LEADS.get(act) == self.state
            or (act == "leak" and self.last == "leak")
            or (act == "report" and self.last == "report" and not missing)
        )
        if again:
            assert before.moved(act, self.now) is before
            return
        if (self.state, act) not in LEGAL:
            with pytest.raises(UsageError):
                before.moved(act, self.now)
            assert self.made == before
            return
        token = f"{len(before.steps):064x}" if act == "token" else ""
        self.made = before.moved(act, self.now, "because", token)
        assert self.made.token == (token or before.token)
        assert (len(self.made.steps), self.made.steps[:-1]) == (len(before.steps) + 1, before.steps)
        self.state, self.last = LEGAL[self.state, act], act
        if act == "report":
            self.reported = self.now
        if act not in ("report", "token"):
            assert self.made.moved(act, self.now) is self.made

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        assert self.made.stands == self.state
        assert self.made.state(self.now) == self.told()
        assert parse(self.made.text().encode()) == self.made

    @invariant()
    def the_past_stays_as_it_was(self) -> None:
        for at, state in self.past:
            assert self.made.state(at) == state

    @invariant()
    def who_is_barred_gets_nothing(self) -> None:
        reason = Contracts([self.made.text().encode()]).refusal("acme", "profiles", "policy", self.now)
        if self.state in ("suspended", "expelled"):
            assert reason == self.state
        elif self.now < START:
            assert reason == "not_yet_valid"
        else:
            assert reason == (None if self.now < self.made.to_ms else "expired")


def test_the_model_knows_when_reports_are_due() -> None:
    assert len(DUES) == 4 and DUES[-1] == contract().to_ms


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=30)
