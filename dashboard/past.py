"""A stored span of a run, read once, and what the page showed at each instant of it.

The run had closed up to an instant T. So a window was there from its end + the delay of its gate or zone on, an alert
from its change + the delay of its zone or gate on, both at the next line of the 10 s grid on which watermarks are told
(engine/units.py); a sensor's state from the end of the minute it belongs to on: it may have been known up to 50 s
earlier, but the store keeps the minute alone. What operators did counts from the time at which they did it, on live
runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from dashboard.columns import Columns, Key, Table, keys_of, table_of
from dashboard.layout import Register, delays_of, heading_window, layout_of
from dashboard.sensors import health_of
from dashboard.snapshot import Found, Views, alert_of, rows_of
from engine.model import CELL_MS, HOUR, I64, LENGTH_MS, MINUTE, WINDOWS
from engine.thresholds import HEALTH
from engine.timezone import TimeZone
from sinks.clickhouse.alerts import Action, standing_at

if TYPE_CHECKING:
    from sinks.clickhouse.store import Run, Store

_MINUTE_MS = LENGTH_MS[MINUTE]
T = TypeVar("T", int, I64)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a product. ``visible`` (r,): from when on, in ms; ``behind`` (r,): how far (ms) behind the newest row of
    the same length of window it is still shown."""

    table: Table
    visible: I64
    behind: I64

    def within(self, from_ms: int, to_ms: int) -> _Rows:
        """Those of them that are shown at some time between two instants (ms)."""
        at_first = Shown(self).at(from_ms)
        later = np.flatnonzero((self.visible > from_ms) & (self.visible <= to_ms)).tolist()
        rows = [*at_first, *later]
        return _Rows(self.table.only(rows), self.visible[rows], self.behind[rows])


class Shown:
    """The rows of one product that the page shows, as the run closes.

    Of each key the newest row, no older than the newest of all windows of its length by so much as Store.latest looks
    back (another one for each length).
    """

    def __init__(self, rows: _Rows) -> None:
        self.table, self._visible, self._behind = rows.table, rows.visible, rows.behind.tolist()
        self._order = np.argsort(rows.visible, kind="stable").tolist()
        self._next = 0
        self._held: dict[Key, int] = {}
        self._newest: dict[int, int] = {}

    def at(self, at_ms: int) -> list[int]:
        """The rows shown, one of each of the table's keys at most; the instants of several calls ascend."""
        start = self.table.start
        while self._next < len(self._order) and self._visible[self._order[self._next]] <= at_ms:
            row = self._order[self._next]
            self._next += 1
            key = self.table.keys[row]
            if key not in self._held or start[row] >= start[self._held[key]]:
                self._held[key] = row
            of = self._behind[row]
            self._newest[of] = max(int(start[row]), self._newest.get(of, int(start[row])))
        since = {of: newest - of for of, newest in self._newest.items()}
        return [row for row in self._held.values() if start[row] >= since[self._behind[row]]]


@dataclass(frozen=True, slots=True)
class Past:
    """What was read of a span ``[from_ms, to_ms]`` of a run. ``rows``: of flow, zones, headings those shown in it."""

    run: Run
    layout: Mapping[str, Any]
    register: Register
    from_ms: int
    to_ms: int
    rows: Sequence[_Rows]
    states: Sequence[tuple[str, str, int]]  # when the span begins
    turns: Sequence[tuple[int, str, str, int]]  # visible from, sensor, state, since
    alerts: Sequence[tuple[int, Mapping[str, Any]]]  # visible from, row of a change
    actions: Sequence[Action]

    def figures(self, instants: Sequence[int]) -> Iterator[dict[str, Columns]]:
        """Figures of each product at each of the ascending instants: all at the first, then what has changed.

        Changes are columns with the rows' places in the layout as ``i``; a product without any is left out.
        """
        shown = [Shown(of) for of in self.rows]
        keys = [keys_of(self.layout, of.table.product) for of in self.rows]
        before: list[list[int | None]] | None = None
        for at in instants:
            told, now = {}, []
            for number, (of, ids) in enumerate(zip(shown, keys, strict=True)):
                table = of.table
                places = table.places(of.at(at))
                rows = [places.get(key) for key in ids]
                now.append(rows)
                if before is None:
                    told[table.product] = table.picked(rows)
                elif changed := [place for place, row in enumerate(rows) if row != before[number][place]]:
                    told[table.product] = {"i": changed, **table.picked([rows[place] for place in changed])}
            before = now
            yield told

    def health(self, instants: Sequence[int]) -> Iterator[dict[str, Any] | None]:
        """Health at each of the ascending instants; None where it is as before."""
        states = {sensor: (sensor, state, since) for sensor, state, since in self.states}
        turn, before = 0, None
        for at in instants:
            changed = before is None or self.register.approvals_turn(before, at)
            while turn < len(self.turns) and self.turns[turn][0] <= at:
                _, sensor, state, since = self.turns[turn]
                states[sensor], changed, turn = (sensor, state, since), True, turn + 1
            approved = self.register.approved(at) if changed else {}
            yield health_of(approved, self.register, list(states.values())) if changed else None
            before = at

    def standing(self, instants: Sequence[int]) -> Iterator[list[dict[str, Any]] | None]:
        """Alerts that stand at each of the ascending instants; None where they are as before."""
        times = sorted([*(visible for visible, _ in self.alerts), *(action.at_ms for action in self.actions)])
        before, told = None, 0
        for at in instants:
            known = int(np.searchsorted(times, at, side="right"))
            if before is None or known != told:
                rows = [row for visible, row in self.alerts if visible <= at]
                alerts = standing_at(rows, [action for action in self.actions if action.at_ms <= at])
                yield [alert_of(alert) for alert in alerts]
            else:
                yield None
            before, told = at, known


def read(store: Store, views: Views, run: Run, window: str | None, from_ms: int, to_ms: int) -> Past:
    """Read what the page shows of a run from ``from_ms`` to ``to_ms`` in windows of one length. Talks to the store.

    ``window`` None: of each gate and zone its finest.
    """
    register = views.register(run)
    sensors = register.approved(to_ms)
    known = layout_of(run, window, register, sensors, (), (), list(register.zones))
    plain = delays_of(known)
    longest = max([run.gate_delay_ms, *(delay for part in plain.values() for delay in part.values())])
    found = []
    for product in ("flow", "zones", "headings"):

        def of(label: str, product: str = product) -> pa.Table:
            since = _since(store, product, run.run_id, label, from_ms, longest) - _behind(run, label)
            return store.rows(product, run.run_id, window=label, start_ms=since, end_ms=to_ms)

        rows = of(heading_window(known["window"])) if product == "headings" else rows_of(known, product, of)
        table, labels = table_of(product, rows), rows["window"].to_pylist()
        late = plain["gates" if product == "flow" else product]
        ends, behind = np.empty(len(table), np.int64), np.empty(len(table), np.int64)
        for label in set(labels):
            mine = [row for row, own in enumerate(labels) if own == label]
            ends[mine] = TimeZone(run.timezone).next(table.start[mine], WINDOWS.index(label))
            behind[mine] = _behind(run, label)
        # what the registry does not know any more waits for the slowest gate (layout_of)
        visible = _line(ends + np.array([late.get(key[0], run.gate_delay_ms) for key in table.keys], np.int64))
        found.append(_Rows(table, visible, behind).within(from_ms, to_ms))
    layout = views.layout(run, window, register, sensors, Found(*(of.table for of in found)))
    # a state belongs to the minute that ends behind it
    first = from_ms - _MINUTE_MS + 1
    turns = store.rows("health", run.run_id, start_ms=first, end_ms=max(first, to_ms - _MINUTE_MS + 1))
    changes = store.alert_changes(run.run_id, from_ms - longest, to_ms)
    ids = sorted({row["id"] for row in changes})
    return Past(
        run,
        layout,
        register,
        from_ms,
        to_ms,
        found,
        store.sensor_states(run.run_id, first),
        _turns(turns),
        [(changed_at(row, register, plain), row) for row in changes],
        store.actions(run.run_id, ids) if ids and run.kind == "live" else [],
    )


def _behind(run: Run, label: str) -> int:
    """How far (ms) Store.latest looks back from the newest window of that length."""
    return run.gate_delay_ms + 2 * LENGTH_MS[WINDOWS.index(label)]


def _since(store: Store, product: str, run_id: str, window: str, from_ms: int, longest_ms: int) -> int:
    """A start (ms) that lies not behind that of the newest window shown at ``from_ms``."""
    code = WINDOWS.index(window)
    ended = from_ms - longest_ms - LENGTH_MS[code] - (LENGTH_MS[HOUR] if code >= HOUR else 0)  # days of 25 hours
    newest = store.newest_start(product, run_id, window, ended)
    return ended if newest is None else newest


def _turns(rows: pa.Table) -> list[tuple[int, str, str, int]]:
    """Rows of health by when they are visible: that, sensor, state, since (ms)."""
    start, since = (rows[name].cast("int64").to_pylist() for name in ("window_start", "since"))
    ends = [at + _MINUTE_MS for at in start]
    return sorted(zip(ends, rows["sensor"].to_pylist(), rows["state"].to_pylist(), since, strict=True))


def changed_at(row: Mapping[str, Any], register: Register, delays: Mapping[str, Mapping[str, int]]) -> int:
    """From when on (ms) a change of an alert is visible; what is judged by states of sensors waits for no window."""
    if any(rule.id == row["rule"] and rule.by == HEALTH for rule in register.rules):
        return _line(int(row["changed"]))
    late = delays["gates"].get(row["gate"]) if row["gate"] else delays["zones"].get(row["zone"])
    return _line(int(row["changed"]) + (late or 0))


def _line(close_ms: T) -> T:
    """The line of the 10 s grid at which something that closes then comes out: no watermark stands between two."""
    return -(-close_ms // CELL_MS) * CELL_MS
