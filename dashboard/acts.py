"""Alerts as a list, what people do with them, and the trail of it.

    GET  /api/alerts?run=&since=    all alerts of a run that began at ``since`` (ms) or later, newest first, also
                                    resolved ones, each with its "actions" in the order of time
    POST /api/alerts/{id}           {"run", "action", "owner"?, "reason"?, "until_min"?}
    GET  /api/audit?limit=          the trail (trail.py), newest first

Who acts is who has the session, and when is the server's clock: neither can be sent along.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.answers import answer, from_store, refused
from dashboard.asked import LONGEST
from dashboard.door import Door
from dashboard.feed import Feed
from dashboard.snapshot import choose
from dashboard.trail import MOST
from engine.errors import UsageError
from engine.model import TS_MAX
from sinks.clickhouse.alerts import Action

if TYPE_CHECKING:
    from sinks.clickhouse.store import Store

SHELVED_MIN = 24 * 60  # the longest that an alert may be shelved at once: a shelf nobody looks at is a silence
_FIELDS = {"run", "action", "owner", "reason", "until_min"}
_TOLD = ("action", "by", "at_ms", "owner", "reason", "until_ms")


async def _alerts(request: Request) -> Response:
    feed: Feed = request.app.state.feed
    run_id, since = request.query_params.get("run") or feed.run_id, request.query_params.get("since")
    if run_id is not None and len(run_id) > LONGEST:
        return refused("run", 400)
    if since is not None and not (since.isascii() and since.isdecimal() and len(since) < 16 and int(since) <= TS_MAX):
        return refused("since", 400)
    since_ms = None if since is None else int(since)
    return await from_store(lambda: feed.call(lambda store: _listed(store, run_id, since_ms)))


def _listed(store: Store, run_id: str | None, since_ms: int | None) -> list[dict[str, Any]]:
    run = choose(store, run_id)
    if run is None:
        return []
    found = sorted(store.alerts(run.run_id, since_ms=since_ms), key=lambda alert: (-alert.began_ms, alert.id))
    done: dict[str, list[dict[str, Any]]] = {alert.id: [] for alert in found}
    for action in store.actions(run.run_id, list(done)) if done else ():
        done[action.alert].append({name: getattr(action, name) for name in _TOLD})
    return [{**asdict(alert), "actions": done[alert.id]} for alert in found]


async def _act(request: Request) -> Response:
    feed: Feed = request.app.state.feed
    door: Door = request.app.state.door
    try:
        action = _action(request.path_params["id"], request.state.body, request.state.who.name, feed.now_ms())
    except (UsageError, ValueError) as error:
        return refused(str(error).removeprefix("alerts: "), 400)
    about = {"run": action.run_id, "alert": action.alert, "detail": action.action}
    await door.note(request.state.who, "act", **about)
    try:
        await feed.call(lambda store: store.act(action))
    except UsageError:
        await door.note(request.state.who, "undone", **about)
        return refused("no such alert", 404)
    except Exception:  # the store's trouble, whatever it is
        await door.note(request.state.who, "undone", **about)
        return refused("the store does not answer", 503)
    feed.hurry(action.run_id)
    return answer({"ok": True})


def _action(alert: str, body: dict[str, Any], by: str, now_ms: int) -> Action:
    """What the body says, as ``by`` does it now. Raises ValueError and UsageError, with words of ours only."""
    if body.keys() - _FIELDS:
        raise ValueError("a field that there is not")
    texts = [body.get("run"), body.get("action"), body.get("owner", ""), body.get("reason", "")]
    minutes = body.get("until_min")
    if not all(isinstance(text, str) for text in texts) or len(texts[0]) > LONGEST or len(alert) > LONGEST:
        raise ValueError("run, action, owner and reason are texts")
    if minutes is not None and (type(minutes) is not int or not 1 <= minutes <= SHELVED_MIN):
        raise ValueError(f"until_min is 1 to {SHELVED_MIN} minutes")
    run, action, owner, reason = texts
    until_ms = None if minutes is None else now_ms + minutes * 60_000
    return Action(run, alert, action, by, now_ms, owner, reason, until_ms)


async def _audit(request: Request) -> Response:
    asked = request.query_params.get("limit", "100")
    if not (asked.isascii() and asked.isdecimal() and 1 <= len(asked) <= 4 and 1 <= int(asked) <= MOST):
        return refused("limit", 400)
    return answer(await request.app.state.door.newest(int(asked)))


ROUTES = [
    Route("/api/alerts", _alerts),
    Route("/api/alerts/{id}", _act, methods=["POST"]),
    Route("/api/audit", _audit),
]
