"""Alerts as people see them: what the log raised and resolved, and what operators did about it, joined when read.

The two are kept apart. Rows of ``alerts`` follow from the log, so a replay has the same; actions come from people, at
the wall clock. Both are only ever appended::

    alerts          new ──────────────────────────────────▶ resolved
    alert_actions        acknowledge   assign   note   shelve
    life cycle      new  acknowledged ─────────────────────▶ resolved
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import UsageError
from engine.rfc3339 import format_ms
from sinks.clickhouse import once
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.reader import at, clamp, select
from sinks.clickhouse.runs import Run, read_registry

ACTIONS = ("acknowledge", "assign", "note", "shelve", "unshelve", "resolve", "reopen")
REASONED = ("note", "shelve", "resolve")  # actions that say why
STATES = ("new", "acknowledged", "resolved")
SEVERITIES = ("critical", "warning", "info")
NAME_BYTES, REASON_BYTES = 64, 2_000
MOST = 500  # alerts read at once
MOST_OF_SPAN = 4 * MOST  # of a span
_WORST_FIRST = f"min(indexOf({list(SEVERITIES)}, toString(severity))), "  # in ORDER BY


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody does with an alert. ``by`` = who; ``at_ms``, ``until_ms``: wall clock.

    Raises UsageError for an action that is none, without a name, without what it needs (assign an owner; note, shelve
    and resolve a reason; shelve a time until which, later than ``at_ms``) or with what it does not.
    """

    run_id: str
    alert: str
    action: str
    by: str
    at_ms: int
    owner: str = ""
    reason: str = ""
    until_ms: int | None = None

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise UsageError(f"alerts: no such action; there are {', '.join(ACTIONS)}")
        for what, text, most, needed in (
            ("who does it", self.by, NAME_BYTES, True),
            ("an owner", self.owner, NAME_BYTES, self.action == "assign"),
            ("a reason", self.reason, REASON_BYTES, self.action in REASONED),
        ):
            if needed and not text.strip():
                raise UsageError(f"alerts: {self.action} needs {what}")
            if len(text.encode("utf-8", "replace")) > most or (text and "\x00" in text):
                raise UsageError(f"alerts: {what} has at most {most} bytes")
        if self.owner and self.action != "assign":
            raise UsageError("alerts: only assign names an owner")
        if (self.until_ms is not None) != (self.action == "shelve"):
            raise UsageError("alerts: shelve, and only shelve, has a time until which")
        if self.until_ms is not None and self.until_ms <= self.at_ms:
            raise UsageError("alerts: it can be shelved until a later time only")


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert with its life cycle. Times in ms; those of the log are event time, ``shelved_until_ms`` is wall clock.

    ``state``: new, acknowledged (by an operator), resolved (by the log or an operator). ``standing``: the log has not
    resolved it, its condition holds. ``value``, ``threshold``: what raised it. ``shelved_until_ms`` is that of the last
    shelving, past or not; None where it was taken off the shelf. ``note``, ``shelved_for``: the last ones.
    """

    id: str
    rule: str
    kind: str
    severity: str
    zone: str
    gate: str
    of_window: str
    began_ms: int
    resolved_ms: int | None
    reason: str
    value: float | None
    threshold: float | None
    registry_version: str
    state: str
    standing: bool
    owner: str
    note: str
    shelved_until_ms: int | None
    shelved_for: str


@dataclass(frozen=True, slots=True)
class ThresholdChange:
    """An edit of the thresholds: the version that brought it, by whom and when (as the version says), what it was."""

    version: str
    by: str | None
    at: str | None
    before: Sequence[Mapping[str, Any]]
    after: Sequence[Mapping[str, Any]]


def act(connection: Connection, action: Action) -> None:
    """Append an action. A repeat after ServiceUnreachable is the same action. Raises UsageError for no such alert."""
    table = connection.table("alerts")
    found = connection.rows(
        f"SELECT 1 FROM {table} WHERE run_id = {{run:String}} AND id = {{id:String}} LIMIT 1",
        {"run": action.run_id, "id": action.alert},
    )
    if not found:
        raise UsageError("alerts: the run has no such alert")
    values = asdict(action)
    values["at"] = format_ms(values.pop("at_ms"))
    until = values.pop("until_ms")
    values["until"] = None if until is None else format_ms(until)
    once.append(connection, "alert_actions", values)


def read_actions(connection: Connection, run_id: str, alerts: Sequence[str] | None = None) -> list[Action]:
    """The actions of a run, or of some of its alerts, in the order of their times."""
    chosen = "" if alerts is None else " AND alert IN {alerts:Array(String)}"
    found = connection.rows(
        # the columns in Action's order; a token that was forgotten may have let a repeat in
        "SELECT DISTINCT run_id, alert, action, by, toUnixTimestamp64Milli(at) AS at_ms, owner, reason,"
        f" toUnixTimestamp64Milli(until) AS until_ms FROM {connection.table('alert_actions')}"
        f" WHERE run_id = {{run:String}}{chosen} ORDER BY at_ms, alert, action, by",
        {"run": run_id, **({} if alerts is None else {"alerts": list(alerts)})},
    )
    return [Action(*row) for row in found]


def read_alerts(
    connection: Connection, run_id: str, *, standing: bool = False, since_ms: int | None = None
) -> list[Alert]:
    """The newest alerts of a run (at most MOST) with their life cycle, the worst and newest first.

    ``standing``: only those whose condition holds, and of more than MOST the worst: a thousand warnings of a blackout
    must not hide the one crush that began before; ``since_ms``: only those that began then (event time) or later.
    """
    table, values = connection.table("alerts"), {"run": run_id, "since": clamp(since_ms or 0)}
    chosen = ["run_id = {run:String}", "state = 'new'"]
    if standing:
        chosen.append(f"id NOT IN (SELECT id FROM {table} WHERE run_id = {{run:String}} AND state = 'resolved')")
    if since_ms is not None:
        chosen.append(f"began >= {at('since')}")
    order = f"{_WORST_FIRST if standing else ''}max(began) DESC, id"
    newest = f"SELECT id FROM {table} WHERE {' AND '.join(chosen)} GROUP BY id ORDER BY {order} LIMIT {MOST}"
    told = _changes(connection, newest, values)
    ids = sorted({row["id"] for row in told})
    return life_cycles(told, read_actions(connection, run_id, ids) if ids else [])


def read_changes(connection: Connection, run_id: str, since_ms: int, until_ms: int) -> list[dict[str, Any]]:
    """Rows of the alerts that stood at some time between two instants (ms, event time), their times in ms.

    Of the worst and newest MOST_OF_SPAN of them; all rows of each, later ones too.
    """
    table = connection.table("alerts")
    ids = (
        f"SELECT id FROM {table} WHERE run_id = {{run:String}} AND state = 'new' AND changed <= {at('until')}"
        f" AND id NOT IN (SELECT id FROM {table} WHERE run_id = {{run:String}} AND state = 'resolved'"
        f" AND changed < {at('since')}) GROUP BY id ORDER BY {_WORST_FIRST}max(began) DESC, id LIMIT {MOST_OF_SPAN}"
    )
    return _changes(connection, ids, {"run": run_id, "since": clamp(since_ms), "until": clamp(until_ms)})


def _changes(connection: Connection, ids: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of alerts whose id a query gives, their times in ms, by id and time."""
    rows = select(connection, "alerts", f"run_id = {{run:String}} AND id IN ({ids})", "ORDER BY id, changed", values)
    for name in ("changed", "began"):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, rows.column(name).cast("int64"))
    told: list[dict[str, Any]] = rows.to_pylist()
    return told


def standing_at(rows: Iterable[Mapping[str, Any]], actions: Iterable[Action]) -> list[Alert]:
    """What ``read_alerts`` tells of standing alerts where ``rows`` and ``actions`` are all that there is."""
    return [alert for alert in life_cycles(rows, actions) if alert.standing][:MOST]


def life_cycles(rows: Iterable[Mapping[str, Any]], actions: Iterable[Action]) -> list[Alert]:
    """Join changes (rows of ``alerts``, times in ms) and actions in the order of their times; worst and newest first.

    Actions on alerts without a row are left out.
    """
    by_id: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_id.setdefault(row["id"], {})[row["state"]] = row
    done: dict[str, list[Action]] = {}
    for action in actions:
        done.setdefault(action.alert, []).append(action)
    made = [_alert(states, done.get(name, ())) for name, states in by_id.items() if "new" in states]
    return sorted(made, key=lambda a: (SEVERITIES.index(a.severity), -a.began_ms, a.id))


def _alert(states: Mapping[str, Mapping[str, Any]], actions: Sequence[Action]) -> Alert:
    new, gone = states["new"], states.get("resolved")
    last = {action.action: action for action in actions}
    kinds = {action.action for action in actions}
    by_hand = next((a.action for a in reversed(actions) if a.action in ("resolve", "reopen")), "reopen") == "resolve"
    shelf = next((a for a in reversed(actions) if a.action in ("shelve", "unshelve")), None)
    state = "resolved" if gone or by_hand else "acknowledged" if "acknowledge" in kinds else "new"
    return Alert(
        **{name: new[name] for name in ("id", "rule", "kind", "severity", "zone", "gate", "of_window")},
        began_ms=new["began"],
        resolved_ms=None if gone is None else gone["changed"],
        reason="" if gone is None else gone["reason"],
        value=new["value"],
        threshold=new["threshold"],
        registry_version=new["registry_version"],
        state=state,
        standing=gone is None,
        owner=last["assign"].owner if "assign" in last else "",
        note=last["note"].reason if "note" in last else "",
        shelved_until_ms=None if shelf is None else shelf.until_ms,
        shelved_for="" if shelf is None or shelf.action == "unshelve" else shelf.reason,
    )


def threshold_changes(connection: Connection, run: Run) -> list[ThresholdChange]:
    """Every edit of the thresholds that a run has met, in order; the first one where it began with any."""
    changes: list[ThresholdChange] = []
    before: Sequence[Mapping[str, Any]] = ()
    for digest in (run.registry_hash, *run.versions):
        document = json.loads(read_registry(connection, digest) or "{}")
        after = document.get("thresholds", [])
        if list(after) != list(before):
            signed = document.get("by"), document.get("at")
            changes.append(ThresholdChange(str(document.get("version")), *signed, before, after))
        before = after
    return changes
