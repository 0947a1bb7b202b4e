"""Consents against a model that looks at all records anew: withdrawn, granted again, withdrawn, in any order."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.consent import PURPOSES, Consents, Fault, parse
from engine.model import NO_TIME
from tests.support.consents import ENDS, Word, allowed, document, value

KEYS = (("acme", "u-1"), ("acme", "u-2"), ("other", "u-1"))
TIMES = range(10)
keys, times = st.sampled_from(KEYS), st.sampled_from(TIMES)
purposes = st.frozensets(st.sampled_from(PURPOSES), min_size=1)
attributes = st.frozensets(st.sampled_from(("gender", "residence", "zone")))
grants = st.builds(Word, st.just("granted"), times, purposes, attributes)
ends = st.builds(Word, st.sampled_from(ENDS), times)


def told(consents: Consents, key: tuple[str, str], word: Word) -> None:
    provider, subject = key
    # what cannot be read has the time at which it came
    stamp = word.ts if word.state in ("faulty", "deleted") else NO_TIME
    consents.take(value(provider, subject, word), stamp, f"{provider}/{subject}".encode())


def answers(consents: Consents, key: tuple[str, str]) -> dict[tuple[str, int], frozenset[str] | None]:
    return {(purpose, ts): consents.allowed(*key, purpose, ts) for purpose in PURPOSES for ts in TIMES}


def is_less(after: frozenset[str] | None, before: frozenset[str] | None) -> bool:
    return before is not None and (after is None or not before <= after)


class Machine(RuleBasedStateMachine):
    """Words about three keys come in any order; followers are told of what ended."""

    written = Bundle("written")

    @initialize()
    def begin(self) -> None:
        self.consents = Consents(b"key")
        self.log: list[tuple[tuple[str, str], Word]] = []
        self.serial = 0

    def words(self, key: tuple[str, str]) -> list[Word]:
        return [word for of, word in self.log if of == key]

    def say(self, key: tuple[str, str], word: Word) -> Word:
        before = {of: answers(self.consents, of) for of in KEYS}
        told(self.consents, key, word)
        self.log.append((key, word))
        self.serial, changes = self.consents.withdrawn(self.serial)
        for of in KEYS:
            after = answers(self.consents, of)
            lost = {purpose for (purpose, ts), had in before[of].items() if is_less(after[purpose, ts], had)}
            said = {
                purpose for change in changes if (change.provider, change.subject) == of for purpose in change.purposes
            }
            assert lost <= said, "something ended and nobody was told"
            assert of == key or not said, "of somebody else"
        return word

    @rule(target=written, key=keys, word=grants)
    def grant(self, key: tuple[str, str], word: Word) -> Word:
        return self.say(key, word)

    @rule(target=written, key=keys, word=ends)
    def end(self, key: tuple[str, str], word: Word) -> Word:
        return self.say(key, word)

    @rule(key=keys, word=written)
    def repeat(self, key: tuple[str, str], word: Word) -> None:
        self.say(key, word)

    @precondition(lambda self: self.log)
    @rule()
    def begin_again(self) -> None:
        """A process that reads the whole log knows what this one knows, and tells all that is withdrawn."""
        again = Consents(b"another key")
        for key, word in self.log:
            told(again, key, word)
        assert all(answers(again, key) == answers(self.consents, key) for key in KEYS)
        named = {(change.provider, change.subject) for change in again.withdrawn(0)[1]}
        assert {key for key in KEYS if any(word.state in ENDS for word in self.words(key))} <= named
        self.consents, self.serial = again, again.serial

    @invariant()
    def as_the_model(self) -> None:
        for key in KEYS:
            words = self.words(key)
            for (purpose, ts), found in answers(self.consents, key).items():
                assert found == allowed(words, purpose, ts), (words, purpose, ts)


Machine.TestCase.settings = settings(max_examples=30, stateful_step_count=14)
test_consents_as_the_model = Machine.TestCase


@settings(max_examples=80)
@given(st.lists(grants | ends.filter(lambda word: word.state == "withdrawn"), max_size=8))
def test_what_a_writer_writes_may_be_compacted(words: Sequence[Word]) -> None:
    """Of a log whose writer asks before it writes, the last record alone never allows more than the whole."""
    live, last, key = Consents(b"key"), None, KEYS[0]
    for word in words:
        record = parse(json.dumps(document(*key, word)).encode())
        try:
            if live.repeats(record, 1_000):
                continue
        except Fault as fault:
            assert fault.reason == "stale"
            continue
        if word.state == "withdrawn":  # as the command does: no record is older than one before it
            word = word._replace(ts=max(word.ts, live.newest(*key)))
        told(live, key, word)
        last = word
        after = Consents(b"key")
        told(after, key, last)
        for (purpose, ts), found in answers(after, key).items():
            assert not is_less(answers(live, key)[purpose, ts], found)
