"""Consent: what a subject lets a provider hand over, for which purposes, and since when (PRIVACY.md R3).

A record says everything about its key ``provider/subject``, for the topic ``consents`` is compacted::

    {"subject","provider","purposes":[…],"attributes":[…],"terms":{"version","lang"},"given":"id_creation|use",
     "state":"granted|withdrawn","ts":…}

An event passes where a grant holds as of its ``ts``. What ends a consent counts when it arrives, whatever its ``ts``,
and for what came before it too; what gives one counts from its ``ts`` on (ADR 47)::

    arrival         grant 10        withdraw 20      grant 30        grant 40, fewer attributes
    event of ts 15  allowed         no               no              no
    event of ts 35                                   allowed         allowed, the attributes of both

So neither a clock that is wrong nor the order in which records come lets more pass than the last word allows. A record
that cannot be read, and a key that was deleted, end the consent of their key: what it was is compacted away, and what
it is to be nobody knows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from engine.model import FUTURE_MS, ID_BYTES, NO_TIME, TS_MAX, TS_MIN
from engine.rfc3339 import parse_ms
from engine.standing import Standings

PURPOSES = ("disaster_support", "policy")
# Fields of a provider's event about its subject: what is not named in a consent is dropped from the event.
ATTRIBUTES = (
    "zone", "residence", "gender", "birth_year", "income", "household", "children", "occupation", "interests", "lang",
)  # fmt: skip
GIVEN = ("id_creation", "use")
GRANTED, WITHDRAWN = "granted", "withdrawn"
FAULTS = ("malformed", "missing_field", "bad_value", "wrong_key", "too_far_in_future", "stale")
_MOST_GRANTS = 32  # kept of a subject, see _Held.grant
_EVERY = frozenset(PURPOSES)


class Fault(ValueError):
    """A record that cannot be used; ``reason`` is one of FAULTS. Never holds a value of the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Scope(NamedTuple):
    """What a grant allows: each of its purposes, all of its attributes."""

    purposes: frozenset[str]
    attributes: frozenset[str]


_NOTHING = Scope(frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Consent:
    """A record. Of a withdrawal the scope is empty and ``version``, ``lang``, ``given`` may be ""."""

    provider: str
    subject: str
    state: str
    ts: int
    scope: Scope = _NOTHING
    version: str = ""
    lang: str = ""
    given: str = ""

    @property
    def key(self) -> bytes:
        """The key of its message."""
        return f"{self.provider}/{self.subject}".encode()

    def encode(self) -> bytes:
        """What ``parse`` reads."""
        document = {
            "subject": self.subject,
            "provider": self.provider,
            "purposes": sorted(self.scope.purposes),
            "attributes": sorted(self.scope.attributes),
            "terms": {"version": self.version, "lang": self.lang},
            "given": self.given,
            "state": self.state,
            "ts": self.ts,
        }
        return orjson.dumps(document)


class Change(NamedTuple):
    """What ended, or got less, when it came: rows of the subject for these purposes must leave open windows.

    ``at_ms``: ts of the record that says so, for the trail; rows behind it must go too.
    """

    provider: str
    subject: str
    at_ms: int
    purposes: frozenset[str]


def parse(value: bytes) -> Consent:
    """Read a record. Unknown fields are left out; an unknown purpose, attribute, state or way of giving is a fault.

    Of a withdrawal only ``subject``, ``provider`` and ``ts`` are read. Raises Fault: malformed, missing_field,
    bad_value.
    """
    try:
        document = orjson.loads(value)
    except ValueError:
        raise Fault("malformed") from None
    if not isinstance(document, dict):
        raise Fault("malformed")
    provider, subject = (_id(_field(document, name)) for name in ("provider", "subject"))
    state, ts = _one_of(_field(document, "state"), (GRANTED, WITHDRAWN)), _time(_field(document, "ts"))
    if "/" in provider:  # it parts provider and subject in the key
        raise Fault("bad_value")
    if state == WITHDRAWN:
        return Consent(provider, subject, state, ts)
    scope = Scope(
        _some_of(_field(document, "purposes"), PURPOSES), _some_of(_field(document, "attributes"), ATTRIBUTES)
    )
    if not scope.purposes:
        raise Fault("bad_value")
    terms = _field(document, "terms")
    if not isinstance(terms, dict):
        raise Fault("bad_value")
    version, lang = (_id(_field(terms, name)) for name in ("version", "lang"))
    return Consent(provider, subject, state, ts, scope, version, lang, _one_of(_field(document, "given"), GIVEN))


def _field(document: Mapping[str, Any], name: str) -> Any:
    found = document.get(name)
    if found is None:
        raise Fault("missing_field")
    return found


def _id(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value.encode()) <= ID_BYTES:
        raise Fault("bad_value")
    return value


def _time(value: Any) -> int:
    ms = parse_ms(value) if isinstance(value, str) else value
    if type(ms) is not int or not TS_MIN <= ms < TS_MAX:
        raise Fault("bad_value")
    return ms


def _one_of(value: Any, words: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in words:
        raise Fault("bad_value")
    return value


def _some_of(value: Any, words: tuple[str, ...]) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(word, str) and word in words for word in value):
        raise Fault("bad_value")
    return frozenset(value)


class _Held:
    """What is known of one key: grants since its last withdrawal, in the order of their arrival."""

    __slots__ = ("barrier", "grants", "newest", "terms")

    def __init__(self) -> None:
        self.barrier = NO_TIME  # a grant of that ts or older is one from before the withdrawal
        self.newest = NO_TIME  # greatest ts that was told
        self.grants: tuple[tuple[int, Scope], ...] = ()
        self.terms = ""

    def allowed(self, purpose: str, ts_ms: int) -> frozenset[str] | None:
        """Attributes of the grant as of ``ts_ms``, less what any later one, by ts or arrival, no longer allows."""
        asof = -1
        for number, (ts, _) in enumerate(self.grants):
            if ts <= ts_ms and (asof < 0 or ts >= self.grants[asof][0]):
                asof = number
        if asof < 0:
            return None
        since, first = self.grants[asof]
        left = first.attributes
        for number, (ts, scope) in enumerate(self.grants):
            if number >= asof or ts > since:
                if purpose not in scope.purposes:
                    return None
                left &= scope.attributes
        return left

    def grant(self, ts: int, scope: Scope) -> frozenset[str]:
        """A grant has come; the purposes for which something that was allowed no longer is."""
        less = frozenset(
            purpose
            for _, before in self.grants
            for purpose in before.purposes
            if purpose not in scope.purposes or not before.attributes <= scope.attributes
        )
        again = bool(self.grants) and self.grants[-1] == (self.newest, scope)
        if not (again and ts >= self.newest):  # the same once more changes nothing
            self.grants = (*self.grants, (ts, scope))
        self.newest = max(self.newest, ts)
        if len(self.grants) > _MOST_GRANTS:  # less than each of them allows, and nothing before the newest: never more
            scopes = [scope for _, scope in self.grants]
            whole = Scope(
                frozenset.intersection(*(scope.purposes for scope in scopes)),
                frozenset.intersection(*(scope.attributes for scope in scopes)),
            )
            self.grants, less = ((self.newest, whole),), less | _EVERY
        return less

    def withdraw(self, at_ms: int) -> None:
        """All of it has ended."""
        self.newest = self.barrier = max(self.newest, at_ms)
        self.grants, self.terms = (), ""


class Consents:
    """All consents, in memory only; a function of the records and their order.

    ``key``: random bytes of this process (up to 64); subjects are held as digests keyed with it. In the clear stands
    only what has ended and was not handed on yet. ``standings``: how many stand, and what is told of it.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._held: dict[bytes, _Held] = {}
        self._scopes: dict[Scope, Scope] = {}
        self._changes: list[Change] = []
        self._forgotten = 0  # changes handed on and gone
        self.standings = Standings()
        self.faults: Counter[str] = Counter()  # of FAULTS, since the first record

    def take(self, value: bytes | None, record_ts: int, key: bytes | None = None) -> None:
        """The next record of the topic; ``value`` None or empty: its key was deleted. ``record_ts``: ms, or NO_TIME.

        ``key`` of the message, None where it is the record's own. Never raises: what cannot be used is counted.
        """
        try:
            record = self._checked(value, record_ts, key) if value else None
        except Fault as fault:
            self.faults[fault.reason] += 1
            record = None
        if record is None:
            owner = _owner(key)
            if owner is not None:
                self._withdraw(*owner, record_ts)
        elif record.state == WITHDRAWN:
            latest = record.ts if record_ts == NO_TIME else min(record.ts, record_ts + FUTURE_MS)
            self._withdraw(record.provider, record.subject, latest)
        else:
            self._grant(record)

    def allowed(self, provider: str, subject: str, purpose: str, ts_ms: int) -> frozenset[str] | None:
        """The attributes that an event of ``ts_ms`` may bring for a purpose; None: no consent."""
        held = self._held.get(self._digest(provider, subject))
        return None if held is None else held.allowed(purpose, ts_ms)

    @property
    def serial(self) -> int:
        """Number of changes since the first record: what ended or got less."""
        return self._forgotten + len(self._changes)

    def withdrawn(self, since: int) -> tuple[int, list[Change]]:
        """The newest serial, and the changes after serial ``since`` in order (0: all that are not forgotten)."""
        return self.serial, self._changes[max(0, since - self._forgotten) :]

    def forget(self, serial: int) -> None:
        """Changes up to that serial were handed on to everybody: their subjects are not held any longer."""
        gone = min(max(0, serial - self._forgotten), len(self._changes))
        del self._changes[:gone]
        self._forgotten += gone

    def stands(self, provider: str, subject: str) -> bool:
        """Whether any consent of the subject stands."""
        held = self._held.get(self._digest(provider, subject))
        return held is not None and bool(held.grants)

    def newest(self, provider: str, subject: str) -> int:
        """Greatest ts that was told of the subject, NO_TIME where nothing was."""
        held = self._held.get(self._digest(provider, subject))
        return NO_TIME if held is None else held.newest

    def repeats(self, record: Consent, now_ms: int) -> bool:
        """Whether the record, written now, would change nothing. A writer asks before it writes.

        Raises Fault: ``too_far_in_future``, or ``stale`` for a grant that is no newer than what stands: behind a
        withdrawal it would be all that compaction leaves.
        """
        if record.state == GRANTED and record.ts > now_ms + FUTURE_MS:
            raise Fault("too_far_in_future")
        held = self._held.get(self._digest(record.provider, record.subject))
        if held is None:
            return False
        if record.state == WITHDRAWN:
            return not held.grants
        last = bool(held.grants) and held.grants[-1][1] == record.scope and held.terms == _terms(record)
        if last and record.ts == held.newest:
            return True
        if record.ts <= held.newest:
            raise Fault("stale")
        return False

    def _checked(self, value: bytes, record_ts: int, key: bytes | None) -> Consent:
        record = parse(value)
        if key is not None and key != record.key:
            if record.state == WITHDRAWN:  # it is meant for somebody
                self._withdraw(record.provider, record.subject, record_ts)
            raise Fault("wrong_key")
        if record.state == GRANTED and record_ts != NO_TIME and record.ts > record_ts + FUTURE_MS:
            raise Fault("too_far_in_future")
        return record

    def _grant(self, record: Consent) -> None:
        digest = self._digest(record.provider, record.subject)
        held = self._held.setdefault(digest, _Held())
        if record.ts <= held.barrier:
            self.faults["stale"] += 1
            return
        self._count(record.provider, held, -1)
        less = held.grant(record.ts, self._scopes.setdefault(record.scope, record.scope))
        held.terms = _terms(record)
        self._count(record.provider, held, 1)
        self.standings.moves(record.provider, digest)
        if less:
            self._changes.append(Change(record.provider, record.subject, record.ts, less))

    def _withdraw(self, provider: str, subject: str, at_ms: int) -> None:
        digest = self._digest(provider, subject)
        known = self._held.get(digest)
        held = known or self._held.setdefault(digest, _Held())
        if known is None or held.grants:  # also where nothing was granted: it may be what an earlier process let in
            self._changes.append(Change(provider, subject, at_ms, _EVERY))
        self._count(provider, held, -1)
        if held.grants:
            self.standings.moves(provider, digest)
        held.withdraw(at_ms)

    def _count(self, provider: str, held: _Held, by: int) -> None:
        if held.grants:
            self.standings.count(provider, held.terms, by)

    def _digest(self, provider: str, subject: str) -> bytes:
        return hashlib.blake2b(f"{provider}/{subject}".encode(), digest_size=16, key=self._key).digest()


def _terms(record: Consent) -> str:
    return f"{record.version} {record.lang}"


def _owner(key: bytes | None) -> tuple[str, str] | None:
    """Provider and subject of a message's key, None where it is none."""
    try:
        provider, sign, subject = (key or b"").decode().partition("/")
    except UnicodeDecodeError:
        return None
    return (provider, subject) if sign and provider and subject else None
