"""Which events about people count: their consent, their provider's contract, the phase (PRIVACY.md R2, R3, R7).

An event is for each product (profiles, trips) for whose purpose the person has consented and the provider has a
contract. It is no_consent where there is consent for none, no_contract where there is none that both allow. In phase
``city_only`` every event is no_contract: nobody is asked whether anybody has consented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.ingress import Record
from engine.model import NO_CONSENT, NO_CONTRACT
from engine.profile_facts import PRODUCTS

Withdrawal = tuple[str, str, int, frozenset[str]]  # provider, subject, at_ms, purposes


class Consents(Protocol):
    """What people have consented to (engine/consent.py)."""

    def allowed(self, provider: str, subject: str, purpose: str, ts_ms: int) -> frozenset[str] | None:
        """Attributes that may be told for the purpose, as of ``ts_ms``; None: nothing may."""
        ...

    def withdrawn(self) -> Sequence[Withdrawal]:
        """What has ended, or got less, since the last call."""
        ...

    def current(self) -> bool:
        """Whether all that had ended by now is known: what ``withdrawn`` gives then leaves out nothing."""
        ...


class Contracts(Protocol):
    """What companies have contracts for (engine/contract.py)."""

    def refusal(self, company: str, product: str, purpose: str, at_ms: int) -> str | None:
        """Why the company may not give the product for the purpose at that instant; None: it may."""
        ...


class Keys(Protocol):
    """Keys of pseudonyms by product and day (flows/keys.py)."""

    def key(self, product: str, day_ms: int) -> bytes:
        """The key of a day (its start, ms), made where there is none."""
        ...

    def find(self, product: str, day_ms: int) -> bytes | None:
        """The key of a day; None where it was destroyed, or never was."""
        ...

    def destroyed(self, day_ms: int) -> bool:
        """Whether the keys of a day were destroyed, for it has closed everywhere."""
        ...


@dataclass(frozen=True)
class Gate:
    """What decides which events count. ``purposes``: of PRODUCTS. ``gap_ms``: longest time between places of a trip.

    ``open``: providers' events are taken at all ([privacy] phase).
    """

    open: bool
    purposes: Mapping[str, str]
    gap_ms: int
    consents: Consents
    contracts: Contracts
    keys: Keys

    def judge(self, record: Record) -> tuple[int, list[tuple[int, frozenset[str]]]]:
        """The reason to refuse an event (0: none), and for what it counts: kinds with the attributes they may tell."""
        if not self.open:
            return NO_CONTRACT, []
        consent = []
        for kind, product in enumerate(PRODUCTS):
            told = self.consents.allowed(record.provider, record.subject, self.purposes[product], record.ts)
            if told is not None:
                consent.append((kind, told))
        if not consent:
            return NO_CONSENT, []
        both = [(kind, told) for kind, told in consent if self._contract(record, PRODUCTS[kind])]
        return (0, both) if both else (NO_CONTRACT, [])

    def _contract(self, record: Record, product: str) -> bool:
        purpose = self.purposes[product]
        return self.contracts.refusal(record.provider, product, purpose, record.ts) is None
