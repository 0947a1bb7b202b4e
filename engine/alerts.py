"""Alerts: raised and resolved by released rows, states of sensors and the versioned thresholds, in event time.

Each subject (a rule at a zone or gate) goes through its windows in order, apart from all others::

    verdict   below  ABOVE  band   ABOVE  band   below  unknown  below  below
    state     —      waits  waits  new────────────────────────────────▶ resolved
                     └── on_delay ─┘              └ off_delay, of known windows ┘

- *on_delay* counts from the end of the first window above the limit; only a window below the recovery ends the wait, so
  noise around the limit raises one alert. *off_delay* counts from the end of the first window below the recovery and
  starts anew when one is not.
- Windows that are unknown, and those without rows, count as no time: they never raise an alert (but for sensor_loss,
  whose condition they are), and never resolve one.
- What is judged by the states of sensors (engine/alert_sensors.py) goes through cells of 10 s, also where no row comes.
- Where no limit is in force any more (a band is over, a rule or zone is gone), the alert ends as ``not_in_force``.

Both changes are rows of the product ``alerts``; nothing is overwritten. A change stands at the end of the window that
decided it, or 1 ms behind the instant from which on a version without the rule holds.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.alert_rules import Judged, Rules, Subject
from engine.alert_sensors import Change, Sensors
from engine.alert_values import ABOVE, BELOW, OFF, UNKNOWN
from engine.model import CELL_MS, END, WINDOWS, Released
from engine.rfc3339 import format_ms
from engine.tables import Tables
from engine.thresholds import HEALTH, Threshold

NEW, RESOLVED = "new", "resolved"
RECOVERED, NOT_IN_FORCE = "recovered", "not_in_force"
_NONE = float("nan")


@dataclass(slots=True)
class State:
    """A subject whose alert waits (``id`` "") or stands."""

    rule: Threshold
    version: int  # by which it was judged last
    delay_ms: int  # its windows close so much later than the watermark
    waited_ms: int = 0  # known time since the first window above the limit
    id: str = ""
    began_ms: int = 0
    recovered_ms: int = -1  # known time below the recovery; -1 = it is not


@dataclass(frozen=True, slots=True)
class _Change:
    version: int
    id: str
    changed_ms: int
    state: str
    reason: str
    began_ms: int
    severity: str
    subject: Subject
    value: float = _NONE
    threshold: float = _NONE


class Alerts:
    """The alerts of one run. ``tables`` and ``since_ms`` of a version by its place among the run's ``versions()``.

    ``since_ms``: a version holds for windows that end after it. What comes out depends on each subject's rows in their
    order alone, not on how they are cut into calls.
    """

    def __init__(
        self, tables: Callable[[int], Tables], since_ms: Callable[[int], int], versions: Callable[[], int]
    ) -> None:
        self._tables, self._since, self._versions = tables, since_ms, versions
        self._rules: dict[int, Rules] = {}
        self._held: dict[Subject, State] = {}
        self._newest = 0  # version of which rows have come
        self._sensors = Sensors()

    def rules(self, version: int) -> Rules:
        """The rules of a version."""
        if version not in self._rules:
            self._rules[version] = Rules(self._tables(version))
        return self._rules[version]

    def take(self, w: int, rows: Sequence[tuple[int, Released]], unit: str) -> list[Released]:
        """Rows of ``alerts`` that follow from rows of ``zones`` and ``flow`` with their versions, in order of these.

        ``w``: the watermark (ms) up to which all rows have come with these.
        """
        changes: list[_Change] = []
        for version, released in sorted(rows, key=lambda entry: entry[0]):
            self._newest = max(self._newest, version)
            for judged in self.rules(version).judge(released):
                self._follow(version, judged, changes)
        for subject in [s for s, state in self._held.items() if not s.by_health and state.version < self._newest]:
            self._end(subject, self._newest, w, changes)
        versions = sorted({change.version for change in changes})
        return [_rows([c for c in changes if c.version == v], self._tables(v), f"{unit}/{v}") for v in versions]

    def watch(self, w: int, states: Iterable[Change], unit: Callable[[int], str]) -> list[Released]:
        """Rows of ``alerts`` that follow from states of sensors, whose ``states`` up to the watermark ``w`` these are.

        They are apart from those of ``take``: each line (ms) at which some come out is a unit of its own.
        """
        changes: list[_Change] = []
        for line, of in itertools.groupby(sorted(states, key=lambda change: change[0]), lambda change: change[0]):
            self._judge_cells(line - 1, changes)
            self._sensors.adopt(of)
        self._judge_cells(w, changes)
        lines: dict[tuple[int, int], list[_Change]] = {}
        for change in changes:
            lines.setdefault((-(-change.changed_ms // CELL_MS) * CELL_MS, change.version), []).append(change)
        return [_rows(of, self._tables(v), f"{unit(line)}/sensors/{v}") for (line, v), of in sorted(lines.items())]

    def _judge_cells(self, to: int, changes: list[_Change]) -> None:
        """Judge the cells up to ``to``, in which the states of sensors hold."""
        sensors = self._sensors
        if sensors.until_ms == END or not self._watching():
            sensors.skip(to)
            return
        ends = sensors.cells(to if to != END else sensors.until_ms + self._longest_ms())
        if to == END:  # states hold on for ever: what waits has waited long enough in the cells to come
            sensors.until_ms = END
        since = np.array([self._since(version) for version in range(self._versions())], np.int64)
        of = np.searchsorted(since, ends) - 1
        for version in np.unique(of).tolist():
            held = [subject for subject in self._held if subject.by_health]
            for subject in held:
                if self._held[subject].version < version:
                    self._end(subject, version, None, changes)
            for judged in self.rules(version).judge_health(ends[of == version], sensors.lost, held):
                self._follow(version, judged, changes)

    def _longest_ms(self) -> int:
        """Longer than any rule by health of the newest version waits."""
        rules = self._tables(self._versions() - 1).registry.thresholds
        waits = [max(rule.on_delay_ms, rule.off_delay_ms) for rule in rules if rule.by == HEALTH]
        return max(waits, default=0) + 2 * CELL_MS

    def _watching(self) -> bool:
        return bool(self._sensors.lost) or any(subject.by_health for subject in self._held)

    def _follow(self, version: int, judged: Judged, changes: list[_Change]) -> None:
        rules = self.rules(version)
        begin = set(judged.place[judged.verdict == ABOVE].tolist())
        busy = begin | {judged.places[subject] for subject in self._held if subject in judged.places}
        mine = np.flatnonzero(np.isin(judged.place, list(busy)))
        columns = (judged.place, judged.start, judged.end, judged.verdict, judged.value, judged.limit)
        for place, start, end, verdict, value, limit in zip(*(c[mine].tolist() for c in columns), strict=True):
            subject = judged.subjects[place]
            state = self._held.get(subject)
            if state is not None and state.version < version:
                self._end(subject, version, None, changes)
                state = self._held.get(subject)
            if state is None:
                if verdict != ABOVE:
                    continue
                state = self._held[subject] = State(judged.rule, version, rules.delay_ms(subject))
            else:
                state.rule, state.version = judged.rule, version
                _pass(state, verdict, end - start)
            if not state.id and verdict in (BELOW, OFF):
                del self._held[subject]
            elif not state.id and verdict != UNKNOWN and state.waited_ms >= judged.rule.on_delay_ms:
                state.id, state.began_ms = _id(subject, end), end
                changes.append(_change(version, subject, state, end, NEW, "", value, limit))
            elif state.id and verdict == OFF:
                changes.append(_change(version, subject, state, end, RESOLVED, NOT_IN_FORCE))
                del self._held[subject]
            elif state.id and verdict == BELOW and state.recovered_ms >= judged.rule.off_delay_ms:
                changes.append(_change(version, subject, state, end, RESOLVED, RECOVERED, value, limit))
                del self._held[subject]

    def _end(self, subject: Subject, until: int, w: int | None, changes: list[_Change]) -> None:
        """End a subject that one of the versions behind its last one, up to ``until``, no longer judges.

        Rows of later versions prove that no more rows of the earlier ones come (``w`` None); else W must have passed
        the last windows before the version that ends it.
        """
        state = self._held[subject]
        for version in range(state.version + 1, until + 1):
            since = self._since(version)
            if subject in self.rules(version).subjects:
                continue
            if w is not None and since + state.delay_ms > w:
                return
            if state.id:
                at = max(since, state.began_ms) + 1
                changes.append(_change(version, subject, state, at, RESOLVED, NOT_IN_FORCE))
            del self._held[subject]
            return

    def state(self) -> tuple[int, dict[Subject, State], Sensors]:
        """What a later ``restore`` needs."""
        return self._newest, self._held, self._sensors

    def restore(self, state: tuple[int, dict[Subject, State], Sensors]) -> None:
        """Take back what ``state()`` gave."""
        self._newest, self._held, self._sensors = state


def _pass(state: State, verdict: int, length_ms: int) -> None:
    """Let a further window of a subject pass: unknown ones are no time."""
    if not state.id:
        state.waited_ms += 0 if verdict == UNKNOWN else length_ms
    elif verdict == BELOW:
        state.recovered_ms = 0 if state.recovered_ms < 0 else state.recovered_ms + length_ms
    elif verdict != UNKNOWN:
        state.recovered_ms = -1


def _change(
    version: int,
    subject: Subject,
    state: State,
    at_ms: int,
    to: str,
    reason: str,
    value: float = _NONE,
    limit: float = _NONE,
) -> _Change:
    severity = state.rule.severity
    return _Change(version, state.id, at_ms, to, reason, state.began_ms, severity, subject, value, limit)


def _id(subject: Subject, began_ms: int) -> str:
    """Name of an alert: when it began, and a digest of what it is about. The same in every run of the log."""
    by = ("health",) if subject.by_health else ()
    about = "\x1f".join((subject.rule, subject.kind, subject.zone, subject.gate, WINDOWS[subject.code], *by))
    digest = hashlib.sha256(about.encode()).hexdigest()[:12]
    return f"{format_ms(began_ms)[:19].replace('-', '').replace(':', '')}Z-{digest}"


def _rows(changes: list[_Change], tables: Tables, unit: str) -> Released:
    changes = sorted(changes, key=lambda c: (c.id, c.changed_ms))
    words = {
        "id": [c.id for c in changes],
        "state": [c.state for c in changes],
        "reason": [c.reason for c in changes],
        "rule": [c.subject.rule for c in changes],
        "kind": [c.subject.kind for c in changes],
        "severity": [c.severity for c in changes],
        "zone": [c.subject.zone for c in changes],
        "gate": [c.subject.gate for c in changes],
        "of_window": [WINDOWS[c.subject.code] for c in changes],
    }
    names = {name: tuple(sorted(set(told))) for name, told in words.items()}
    columns: dict[str, np.ndarray] = {
        name: np.array([names[name].index(word) for word in told], np.int32) for name, told in words.items()
    }
    columns["changed"] = np.array([c.changed_ms for c in changes], np.int64)
    columns["began"] = np.array([c.began_ms for c in changes], np.int64)
    columns["value"] = np.array([c.value for c in changes], np.float64)
    columns["threshold"] = np.array([c.threshold for c in changes], np.float64)
    return Released("alerts", unit, columns, names, tables.registry.version)
