"""What supervisors see of those who give and get data: consents, contracts, and what companies have read.

GET /api/consents    {"now", "runs": [{"run_id", "kind", "at_ms", "lag_ms", "held", "faults", "providers": [{"provider",
                     "low", "high", "terms"}]}]}: of each run that handles consents, the newest first, its newest state;
                     consenting subjects in classes of ten, providers with fewer than ten not at all
GET /api/contracts   {"now", "contracts": [{"id", "company", "state", "due_ms", "from_ms", "to_ms", "purposes",
                     "products", "every", "unit", "steps": [{"act", "at_ms", "why"}]}], "unreadable": records}
GET /api/reads       ?limit= {"now", "count", "fault": null | words, "contracts": [{"contract", "company", "given",
                     "refused", "rows"}], "reads": [newest first]}: the chain of reads, verified from its first row

``due_ms``: since when a report is missing. ``fault``: the first bad row of the chain; rows from there on are not told.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import asked
from dashboard.asked import Refused
from engine.errors import CheckFailed

if TYPE_CHECKING:
    from sinks.clickhouse.store import Store

CLASS = 10  # of consenting subjects
RUNS = 3  # whose consents are told
LOOKED = 30  # runs that are looked at for them, the newest
MOST = 1_000  # reads told
STEPS = 50  # of a contract, the newest
_TOLD = (
    "seq",
    "at_ms",
    "contract",
    "company",
    "purpose",
    "product",
    "run",
    "window",
    "from_ms",
    "to_ms",
    "rows",
    "outcome",
    "reason",
)


def consents(store: Store) -> list[dict[str, Any]]:
    """The runs of /api/consents."""
    told: list[dict[str, Any]] = []
    for run in sorted(store.runs(), key=lambda run: (run.started_ms, run.run_id), reverse=True)[:LOOKED]:
        state = store.consents(run.run_id)
        if state is None:
            continue
        providers = [
            {"provider": name, "low": n, "high": n + CLASS - 1, "terms": list(state.terms.get(name, ()))}
            for name, n in sorted(state.subjects.items())
        ]
        of_run = {"run_id": run.run_id, "kind": run.kind, "at_ms": state.at_ms, "lag_ms": state.lag_ms}
        told.append({**of_run, "held": state.held, "faults": list(state.faults), "providers": providers})
        if len(told) == RUNS:
            break
    return told


def contracts(store: Store, now_ms: int) -> dict[str, Any]:
    """The body of /api/contracts; never a contract's key to the page."""
    told, known = [], store.contracts()
    for contract in known.all():
        steps = [{"act": step.act, "at_ms": step.at_ms, "why": step.why} for step in contract.steps[-STEPS:]]
        told.append(
            {
                **{name: getattr(contract, name) for name in ("id", "company", "from_ms", "to_ms", "every", "unit")},
                "purposes": list(contract.purposes),
                "products": list(contract.products),
                "state": contract.state_now(now_ms),
                "due_ms": contract.due_ms(now_ms),
                "steps": steps,
            }
        )
    return {"now": now_ms, "contracts": told, "unreadable": known.unreadable}


def reads(store: Store, now_ms: int, limit: int) -> dict[str, Any]:
    """The body of /api/reads: the whole chain is gone through, its newest rows are told."""
    newest: deque[dict[str, Any]] = deque(maxlen=limit)
    sums: dict[str, dict[str, Any]] = {}
    count, fault = 0, None
    try:
        for link in store.reads():
            count += 1
            newest.appendleft({name: getattr(link, name) for name in _TOLD})
            of = {"contract": link.contract, "company": link.company, "given": 0, "refused": 0, "rows": 0}
            held = sums.setdefault(link.contract, of)
            held["rows"] += link.rows
            held[link.outcome] += 1
    except CheckFailed as error:
        fault = str(error)
    of_contracts = [sums[name] for name in sorted(sums)]
    return {"now": now_ms, "count": count, "fault": fault, "contracts": of_contracts, "reads": list(newest)}


async def _consents(request: Request) -> Response:
    async def told() -> dict[str, Any]:
        feed = request.app.state.feed
        return {"now": feed.now_ms(), "runs": await feed.call(consents)}

    return await asked.told(told())


async def _contracts(request: Request) -> Response:
    async def told() -> dict[str, Any]:
        feed = request.app.state.feed
        body: dict[str, Any] = await feed.call(lambda store: contracts(store, feed.now_ms()))
        return body

    return await asked.told(told())


async def _reads(request: Request) -> Response:
    async def told() -> dict[str, Any]:
        given = request.query_params.get("limit") or "100"
        if not (given.isascii() and given.isdecimal() and len(given) <= 5 and 1 <= int(given) <= MOST):
            raise Refused("limit")
        feed = request.app.state.feed
        # beside the streams: a long chain takes its time
        body: dict[str, Any] = await feed.beside(lambda store, _: reads(store, feed.now_ms(), int(given)))
        return body

    return await asked.small(request, await asked.told(told()))


ROUTES = [Route("/api/consents", _consents), Route("/api/contracts", _contracts), Route("/api/reads", _reads)]
