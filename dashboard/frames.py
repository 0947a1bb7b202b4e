"""GET /api/frames: a stored span of a run, frame by frame, as the page showed it when the run had closed up to ``at``.

    ?run= (default: as /events) &window= (default: of each gate and zone its finest) &from= &to= (ms)

    {"layout", "frames": [{"at", "kind": "snapshot" | "delta", "now", "problem", "closed", "timing", …}]}

The bodies are those of the stream (feed.py): first a snapshot as of ``from``, then deltas at each multiple of
``step_of`` behind it up to ``to``. ``now`` and ``closed`` are the frame's ``at``. What is not stored is not told: the
``status`` of a snapshot and ``timing`` are null, and ``problem`` is. The layout is that of the newest registry version
that the run has met. Spans are limited in rows and frames; a longer one is refused with ``longest_ms``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import asked
from dashboard.asked import Refused
from dashboard.layout import finest
from dashboard.past import Past, read
from dashboard.snapshot import Views, choose, closed_ms
from engine.model import CELL_MS, DIRECTION_COUNT, LENGTH_MS, WINDOWS

if TYPE_CHECKING:
    from sinks.clickhouse.store import Store

# Rows of flow and zones in one answer, some 80 bytes each and 20 as browsers ask for it: a city of 1,000 zones and 250
# gates for a quarter of an hour.
ROWS = 160_000
FRAMES = 1_080  # three hours of 10 s


def step_of(window: str) -> int:
    """Event time (ms) between two frames."""
    return max(CELL_MS, LENGTH_MS[WINDOWS.index(window)])


def instants(past: Past) -> list[int]:
    """The instants (ms) of a span's frames."""
    step = step_of(past.layout["window"])
    return [past.from_ms, *range(past.from_ms // step * step + step, past.to_ms + 1, step)]


def frames(past: Past) -> Iterator[dict[str, Any]]:
    """The frames of a span."""
    ats = instants(past)
    for at, figures, alerts, health in zip(ats, past.figures(ats), past.standing(ats), past.health(ats), strict=True):
        frame: dict[str, Any] = {"at": at, "kind": "delta" if at > past.from_ms else "snapshot"}
        frame |= {"now": at, "problem": None, "closed": at, "timing": None}
        if at == past.from_ms:
            frame |= {"status": None, "layout": past.layout}
        lists = {"alerts": alerts, "health": health}
        yield frame | figures | {name: told for name, told in lists.items() if told is not None}


def gather(
    store: Store, views: Views, run_id: str | None, window: str | None, from_ms: int | None, to_ms: int | None
) -> Past:
    """Read a span for ``frames``. Raises Refused for no such run, and a span that is none, too long or not closed."""
    if from_ms is None or to_ms is None or from_ms > to_ms:
        raise Refused("from")
    run = choose(store, run_id)
    if run is None:
        raise Refused("run", 404)
    closed = closed_ms(run)
    if closed is not None and from_ms > closed:
        raise Refused("not closed yet")
    to_ms = to_ms if closed is None else min(to_ms, closed)
    register = views.register(run)
    rows = DIRECTION_COUNT * max(len(register.gates), len(run.leaves)) + len(register.zones)
    most = min(FRAMES, ROWS // max(rows, 1)) * step_of(window or finest(run))
    if to_ms - from_ms > most:
        raise Refused("span too long", longest_ms=most)
    return read(store, views, run, window, from_ms, to_ms)


async def _frames(request: Request) -> Response:
    feed = request.app.state.feed

    async def made() -> bytes:
        window, run_id = asked.window(request), asked.ident(request, "run")
        span = asked.instant(request, "from"), asked.instant(request, "to")
        run_id = run_id if run_id is not None else feed.run_id
        body: bytes = await feed.beside(lambda store, views: _encoded(gather(store, views, run_id, window, *span)))
        return body

    return await asked.small(request, await asked.told(made()))


def _encoded(past: Past) -> bytes:
    return orjson.dumps({"layout": past.layout, "frames": list(frames(past))})


ROUTES = [Route("/api/frames", _frames)]
