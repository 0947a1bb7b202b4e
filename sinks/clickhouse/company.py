"""The door for companies (PRIVACY.md R7): a read names contract and purpose, is checked, and is told in the chain.

    asked ──▶ checked ──▶ rows are read, into what nobody has yet ──▶ checked again, told in the chain ──▶ handed out
                 └──────────────── refused: told in the chain, nothing is handed out ◀──────┘

So nothing is handed out without its row, and a company that is suspended meanwhile gets nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from engine.consent import PURPOSES
from engine.contract import NO_CONTRACT, Contract
from engine.errors import CheckFailed
from engine.model import PRODUCTS
from sinks.clickhouse import contracts, reads
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.runs import Run, read_runs

ASKED = ("profiles", "trips")  # of people who were asked, for the purpose in that section of their run's settings


@dataclass(frozen=True, slots=True)
class Ask:
    """What a company asks for. ``window`` None: all lengths. ``from_ms``, ``to_ms`` None: no bound.

    ``company``: who gets it, where that is told; another than the contract's is a third party.
    """

    contract: str
    purpose: str
    product: str
    run_id: str
    window: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    company: str | None = None


class ReadRefused(CheckFailed):
    """A read that is not allowed; ``reason`` is one of engine.contract.REASONS, unknown_run or workbench."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this read is refused: {reason}")
        self.reason = reason


class CompanyRead:
    """One read. ``clock_ms`` gives the wall clock. ``run``: the run asked for.

    Raises ReadRefused, when it is in the chain, unless the contract allows it: to begin with, so that no row is read,
    and in ``given``. Raises ServiceUnreachable where the chain takes no row.
    """

    def __init__(self, connection: Connection, ask: Ask, clock_ms: Callable[[], int]) -> None:
        self._connection, self._ask, self._clock_ms = connection, ask, clock_ms
        self.run = self._checked()[1]

    def given(self, rows: int) -> reads.Link:
        """To be called when ``rows`` rows are read, before anybody gets them; returns the row of the chain."""
        contract, run, at_ms = self._checked()
        return self._tell(contract, run, at_ms, rows=rows)

    def _checked(self) -> tuple[Contract, Run, int]:
        ask, at_ms = self._ask, self._clock_ms()
        known = contracts.known(self._connection)
        contract = known.get(ask.contract)
        found = read_runs(self._connection, ask.run_id)
        run = found[0] if found else None
        reason = known.refusal_of(ask.contract, ask.company, ask.product, ask.purpose, at_ms)
        if reason is None and run is None:
            reason = "unknown_run"
        elif reason is None and run is not None and run.kind == "workbench":
            reason = "workbench"  # a second release of the same people (PRIVACY.md R5)
        elif reason is None and run is not None and not _consented(run, ask.product, ask.purpose):
            reason = "purpose"
        if reason is None and contract is not None and run is not None:
            return contract, run, at_ms
        refused = ReadRefused(reason or NO_CONTRACT)
        self._tell(contract, run, at_ms, reason=refused.reason)
        raise refused

    def _tell(
        self, contract: Contract | None, run: Run | None, at_ms: int, *, rows: int = 0, reason: str = ""
    ) -> reads.Link:
        ask = self._ask
        told = reads.Read(
            at_ms=at_ms,
            contract="" if contract is None else contract.id,
            company="" if contract is None else contract.company,
            purpose=ask.purpose if ask.purpose in PURPOSES else "",
            product=ask.product if ask.product in PRODUCTS else "",
            run="" if run is None else run.run_id,
            window=ask.window or "",
            from_ms=ask.from_ms,
            to_ms=ask.to_ms,
            rows=rows,
            outcome=reads.REFUSED if reason else reads.GIVEN,
            reason=reason,
        )
        return reads.append(self._connection, told)


def _consented(run: Run, product: str, purpose: str) -> bool:
    """Whether that purpose is the one the run's people have consented to; of products without people asked: yes."""
    if product not in ASKED:
        return True
    try:
        return bool(json.loads(run.config)[product]["purpose"] == purpose)
    except (ValueError, KeyError, TypeError):
        return False  # a row that does not tell
