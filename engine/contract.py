"""Contracts that bind companies (PRIVACY.md R7): the record, its states, and whether a company may have a product.

The record is one JSON object, in the compacted topic ``contracts`` (key = id) and in the store. All keys are needed,
others are refused::

    {"id":"acme-2026","company":"acme","purposes":["policy"],"products":["profiles","trips"],"third_party":false,
     "from":"2026-04-01T00:00:00+09:00","to":"2027-04-01T00:00:00+09:00","report":{"every":3,"unit":"months"},
     "token":"","steps":[{"act":"add","at":"2026-03-20T01:00:00.000Z","why":""}]}

``company`` is the provider's id. ``third_party`` can only be false: what a company gets it keeps to itself. ``steps``
are all that was ever done with it, in order, so the state follows from the record::

                             reinstate
             ┌────────────────────────────────────────────┐
    add ▶ active ── correct ▶ correction_ordered ── suspend ▶ suspended ── expel ▶ expelled
             └──────────── leak (at once) ────────────────▶┘

``report_due`` is no step: a contract that is active is in it from the instant a report was due (``due_ms``) until one
was handed in. A record with a move that is not legal is no record. Bars are the company's: while one of its contracts
is suspended or expelled, all of them are, however its name is spelled (``_spelled``).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine import rfc3339
from engine.consent import PURPOSES
from engine.duty import UNITS, Duty, offset_of
from engine.errors import BadInput, UsageError
from engine.model import ID_BYTES, PRODUCTS, TS_MAX, TS_MIN
from engine.text import is_text

ACTIVE, REPORT_DUE, CORRECTION_ORDERED, SUSPENDED, EXPELLED = STATES = (
    "active",
    "report_due",
    "correction_ordered",
    "suspended",
    "expelled",
)
BARRED = (EXPELLED, SUSPENDED)  # the worst first
# act → the states it may be done in, and the state it leads to (None: the same). report_due is active.
MOVES: Mapping[str, tuple[Sequence[str], str | None]] = {
    "report": ((ACTIVE, CORRECTION_ORDERED, SUSPENDED), None),
    "correct": ((ACTIVE,), CORRECTION_ORDERED),
    "suspend": ((CORRECTION_ORDERED,), SUSPENDED),
    "leak": ((ACTIVE, CORRECTION_ORDERED, SUSPENDED), SUSPENDED),
    "expel": ((SUSPENDED,), EXPELLED),
    "reinstate": ((CORRECTION_ORDERED, SUSPENDED), ACTIVE),
    "token": ((ACTIVE, CORRECTION_ORDERED, SUSPENDED), None),
}
# Why a company may not have a product; stable words. Of several contracts the first of these is told.
UNREADABLE, NO_CONTRACT, THIRD_PARTY = "unreadable", "no_contract", "third_party"
REASONS = (UNREADABLE, EXPELLED, SUSPENDED, "expired", "not_yet_valid", "product", "purpose", NO_CONTRACT, THIRD_PARTY)
WHY_BYTES = 500
_KEYS = ("id", "company", "purposes", "products", "third_party", "from", "to", "report", "token", "steps")
_DIGEST = 64  # hexadecimal digits of SHA-256


@dataclass(frozen=True, slots=True)
class Step:
    """Something done with a contract at ``at_ms`` (wall clock)."""

    act: str
    at_ms: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """A record. Raises BadInput, in one line with the field's name, for values that cannot be and illegal moves.

    ``valid_from``, ``valid_to``: RFC 3339 with offset; valid in [from, to). A report is due ``every`` so many ``unit``
    (days or months, by the clock of ``valid_from``'s offset) after ``valid_from``, and at ``valid_to``. ``from_ms``,
    ``to_ms`` follow from the texts.
    ``token``: SHA-256 (hex) of the company's key to the page, "" where it has none.
    """

    id: str
    company: str
    purposes: tuple[str, ...]
    products: tuple[str, ...]
    valid_from: str
    valid_to: str
    every: int
    unit: str
    steps: tuple[Step, ...]
    token: str = ""
    from_ms: int = field(init=False, compare=False, repr=False, default=TS_MIN)
    to_ms: int = field(init=False, compare=False, repr=False, default=TS_MIN)

    def __post_init__(self) -> None:
        for name, text in (("id", self.id), ("company", self.company)):
            if not is_text(text, ID_BYTES) or not text.strip():
                raise _bad(f"{name} must be text of 1 to {ID_BYTES} bytes, without control characters")
        for name, words, known in (("purposes", self.purposes, PURPOSES), ("products", self.products, tuple(PRODUCTS))):
            if not words or len(set(words)) != len(words) or not set(words) <= set(known):
                raise _bad(f"{name} must be some of {', '.join(known)}, each once")
        for name, text in (("from", self.valid_from), ("to", self.valid_to)):
            ms = rfc3339.parse_ms(text)
            if ms is None or not TS_MIN <= ms < TS_MAX:
                raise _bad(f"{name} must be RFC 3339 with offset, between 1900 and 2200")
            object.__setattr__(self, f"{name}_ms", ms)
        if self.from_ms >= self.to_ms:
            raise _bad("from must lie before to")
        if self.unit not in UNITS or type(self.every) is not int or not 1 <= self.every <= UNITS[self.unit]:
            most = ", ".join(f"1 to {number} {unit}" for unit, number in UNITS.items())
            raise _bad(f"report must be every {most}")
        if self.token and (len(self.token) != _DIGEST or set(self.token) - set("0123456789abcdef")):
            raise _bad("token must be a SHA-256 in hexadecimal digits, or empty")
        self._check_steps()

    def _check_steps(self) -> None:
        if not self.steps or self.steps[0].act != "add":
            raise _bad("steps must begin with add")
        state, before = ACTIVE, TS_MIN
        for place, step in enumerate(self.steps):
            if not before <= step.at_ms < TS_MAX:
                raise _bad(f"steps[{place}].at must be a time that does not lie before the step before")
            if not is_text(step.why, WHY_BYTES):
                raise _bad(f"steps[{place}].why must be text of at most {WHY_BYTES} bytes, without control characters")
            before = step.at_ms
            if place:
                after = _moved(state, step.act)
                if after is None:
                    raise _bad(f"steps[{place}].act is no legal move in state {state}")
                state = after

    @property
    def stands(self) -> str:
        """The state its steps lead to, whatever the date; so never report_due."""
        return self._stood(TS_MAX)

    def state(self, at_ms: int) -> str:
        """One of STATES: the state at that instant."""
        stood = self._stood(at_ms)
        return REPORT_DUE if stood == ACTIVE and self.due_ms(at_ms) is not None else stood

    def state_now(self, now_ms: int) -> str:
        """The state, all steps told: one by a machine whose clock is ahead has been done."""
        return self.state(max(now_ms, self.steps[-1].at_ms))

    def _stood(self, at_ms: int) -> str:
        state = ACTIVE
        for step in self.steps[1:]:
            if step.at_ms <= at_ms:
                state = _moved(state, step.act) or state
        return state

    @property
    def duty(self) -> Duty:
        """When reports are due."""
        return Duty(self.every, self.unit, self.from_ms, self.to_ms, offset_of(self.valid_from))

    def due_ms(self, at_ms: int) -> int | None:
        """Since when a report is missing at that instant; None where none is."""
        due = self.duty.last_ms(at_ms)
        reported = [step.at_ms for step in self.steps if step.act == "report" and step.at_ms <= at_ms]
        return None if due is None or (reported and reported[-1] >= due) else due

    def fits(self, product: str, purpose: str) -> bool:
        """Whether it is about that product and purpose."""
        return product in self.products and purpose in self.purposes

    def refusal(self, product: str, purpose: str, at_ms: int) -> str | None:
        """Why the product may not be had for the purpose at that instant, by the states of then; None: it may.

        Bars that came later are the company's (``Contracts``): what arrives late must not pass as from before them.
        """
        stood = self._stood(at_ms)
        if stood in BARRED:
            return stood
        if at_ms < self.from_ms:
            return "not_yet_valid"
        if at_ms >= self.to_ms:
            return "expired"
        if purpose not in self.purposes:
            return "purpose"
        return None if product in self.products else "product"

    def moved(self, act: str, at_ms: int, why: str = "", token: str = "") -> Contract:
        """The record after an act; itself where the act was done already, so that a repeat changes nothing.

        ``token``: the new one, of the act token. An act earlier than the last one (another machine's clock) counts as
        done with it. Raises UsageError for a move that is not legal, BadInput for a ``why`` that cannot be.
        """
        state = self.stands
        again = {
            "report": self.steps[-1].act == "report" and self.due_ms(at_ms) is None,
            "leak": self.steps[-1].act == "leak",
            "token": False,
        }
        if again.get(act, act in MOVES and MOVES[act][1] == state):
            return self
        if _moved(state, act) is None:
            raise UsageError(f"contract: {act} is no legal move in state {self.state(at_ms)}")
        step = Step(act, max(at_ms, self.steps[-1].at_ms), why)
        return replace(self, steps=(*self.steps, step), token=token or self.token)

    def text(self) -> str:
        """The record as canonical JSON; ``parse`` gives it back."""
        told: dict[str, Any] = {
            "id": self.id,
            "company": self.company,
            "purposes": list(self.purposes),
            "products": list(self.products),
            "third_party": False,
            "from": self.valid_from,
            "to": self.valid_to,
            "report": {"every": self.every, "unit": self.unit},
            "token": self.token,
            "steps": [{"act": s.act, "at": rfc3339.format_ms(s.at_ms), "why": s.why} for s in self.steps],
        }
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def parse(value: bytes) -> Contract:
    """The contract of a record. Raises BadInput, in one line with the field's name, never with a value."""
    told = _object(value)
    _check_keys("the record", told, _KEYS)
    if told["third_party"] is not False:
        raise _bad("third_party must be false")
    report, steps = told["report"], told["steps"]
    _check_keys("report", report, ("every", "unit"))
    if not isinstance(steps, list):
        raise _bad("steps must be a list")
    for name, held in (("purposes", told["purposes"]), ("products", told["products"])):
        if not isinstance(held, list) or not all(isinstance(word, str) for word in held):
            raise _bad(f"{name} must be a list of texts")
    texts = [told[name] for name in ("id", "company", "from", "to", "token")] + [report["unit"]]
    if not all(isinstance(text, str) for text in texts):
        raise _bad("id, company, from, to, token and report.unit must be text")
    return Contract(
        told["id"],
        told["company"],
        tuple(told["purposes"]),
        tuple(told["products"]),
        told["from"],
        told["to"],
        report["every"],
        report["unit"],
        tuple(_step(place, step) for place, step in enumerate(steps)),
        told["token"],
    )


class Contracts:
    """The newest record of every contract, and what they allow. Closed to whatever it cannot read (PRIVACY.md R8)."""

    def __init__(self, values: Iterable[bytes] = ()) -> None:
        self._known: dict[str, Contract] = {}
        self._of: dict[str, dict[str, Contract]] = {}  # by company (_spelled) and id
        self._unreadable: dict[str, set[str]] = {}  # id → companies (_spelled) it may be of; none: nobody knows whose
        self._bars: dict[str, str | None] = {}  # by company, found since the last record
        for value in values:
            self.take(value)

    def take(self, value: bytes | None, key: str | None = None) -> bool:
        """Take a record; False where it cannot be read: it may be a bar, so it is one until a record of its id can be.

        Barred are the company that it names and the one that the contract was of before; where neither is known, all.
        ``key``: the contract's id, where it is told beside the record. ``value`` None: the record was deleted; where
        none was ever read that bars nobody. Of two records the one with more steps counts, whichever comes last.
        """
        self._bars.clear()
        try:
            made = parse(value or b"")
            if key is not None and made.id != key:
                raise _bad("another id than its key")
        except BadInput:
            named = (_named(value or b"", "id") if key is None else key) or ""
            known = self._known.get(named)
            if value is None and known is None:  # nobody ever knew whose it was
                self._unreadable.pop(named, None)
                return True
            whose = (_named(value or b"", "company"), None if known is None else known.company)
            self._unreadable[named] = {_spelled(company) for company in whose if company is not None}
            return False
        known = self._known.get(made.id)
        if known is None or len(made.steps) >= len(known.steps):
            if known is not None:
                del self._of[_spelled(known.company)][known.id]
            self._known[made.id] = self._of.setdefault(_spelled(made.company), {})[made.id] = made
            self._unreadable.pop(made.id, None)
        return True

    def get(self, name: str) -> Contract | None:
        """The contract of that id."""
        return self._known.get(name)

    def all(self) -> list[Contract]:
        """All contracts, by id."""
        return [self._known[name] for name in sorted(self._known)]

    @property
    def unreadable(self) -> int:
        """Of how many contracts the record cannot be read."""
        return len(self._unreadable)

    @property
    def bars_all(self) -> bool:
        """Whether one of them bars all companies, for nobody knows whose it is."""
        return not all(self._unreadable.values())

    def refusal(self, company: str, product: str, purpose: str, at_ms: int) -> str | None:
        """Why a company may not have, or give, a product for a purpose at that instant (one of REASONS); None: it may.

        One contract that allows it is enough, unless the company is barred. What allows must name it letter by letter.
        """
        spelled = _spelled(company)
        barred = self._barred(spelled)
        if barred is not None:
            return barred
        its = [contract for contract in self._of.get(spelled, {}).values() if contract.company == company]
        about = [contract for contract in its if contract.fits(product, purpose)] or its
        found = [contract.refusal(product, purpose, at_ms) for contract in about]
        told = [reason for reason in found if reason is not None]
        return min(told, key=REASONS.index, default=NO_CONTRACT) if len(told) == len(found) else None

    def refusal_of(self, name: str, company: str | None, product: str, purpose: str, at_ms: int) -> str | None:
        """The same of one contract by its id. ``company``: who gets the product, where it is told."""
        contract = self._known.get(name)
        if contract is None or name in self._unreadable:
            return UNREADABLE if name in self._unreadable else NO_CONTRACT
        if company is not None and company != contract.company:
            return THIRD_PARTY
        return self._barred(_spelled(contract.company)) or contract.refusal(product, purpose, at_ms)

    def _barred(self, company: str) -> str | None:
        """The worst that bars all contracts of a company (_spelled)."""
        if company not in self._bars and company in self._of:
            self._bars[company] = self._bar(company)
        return self._bars.get(company)

    def _bar(self, company: str) -> str | None:
        states = {contract.stands for contract in self._of[company].values()}
        if any(not whose or company in whose for whose in self._unreadable.values()):
            return UNREADABLE
        return next((state for state in BARRED if state in states), None)


def _moved(state: str, act: str) -> str | None:
    """The state after an act; None where it may not be done in that state."""
    allowed, after = MOVES.get(act, ((), None))
    return (after or state) if state in allowed else None


def _step(place: int, told: Any) -> Step:
    _check_keys(f"steps[{place}]", told, ("act", "at", "why"))
    at_ms = rfc3339.parse_ms(told["at"]) if isinstance(told["at"], str) else None
    if at_ms is None or not isinstance(told["act"], str) or not isinstance(told["why"], str):
        raise _bad(f"steps[{place}] must have act and why as text and at as RFC 3339 with offset")
    return Step(told["act"], at_ms, told["why"])


def _object(value: bytes) -> dict[str, Any]:
    try:
        told: Any = json.loads(value.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise _bad("not a JSON object with each key once")
    return told


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError
    return made


def _named(value: bytes, field: str) -> str | None:
    """A text in a record that is none, where it has one."""
    try:
        told = _object(value).get(field)
    except BadInput:
        return None
    return told if isinstance(told, str) and told.strip() else None


def _spelled(company: str) -> str:
    """A name without its letters' case, width and outer blanks: two that differ in these only are one company."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", company).casefold()).strip()


def _check_keys(place: str, told: Any, keys: Sequence[str]) -> None:
    if not isinstance(told, dict) or set(told) != set(keys):
        raise _bad(f"{place} must have the keys {', '.join(keys)}, and no others")


def _bad(what: str) -> BadInput:
    return BadInput(f"contract: {what}")
