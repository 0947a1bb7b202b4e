"""What the logs say, told once more: rule by rule, one record and one window at a time, with nothing of the engine.

Slow and plain on purpose: lists, dicts and the standard library. It knows the wire, the registry's JSON and the rules;
tests compare the engine's rows with what stands here.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

LENGTH = {"10s": 10_000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "1d": 86_400_000}
LABELS = tuple(LENGTH)
CELL, DAY, HALF = LENGTH["10s"], LENGTH["1d"], 1_800_000
DIRECTIONS = ("ab", "ba", "unknown")
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


def local(at: int, zone: str) -> datetime:
    return (EPOCH + timedelta(milliseconds=at)).astimezone(ZoneInfo(zone))


def is_edge(at: int, label: str, zone: str) -> bool:
    now, before = local(at, zone), local(at - 1, zone)
    if label == "1d":
        return now.date() != before.date()
    return now.minute == 0 or now.utcoffset() != before.utcoffset()


@lru_cache(maxsize=100_000)
def _clock_window(half: int, label: str, zone: str) -> tuple[int, int]:
    start, end = half, half + HALF  # in the zones of these tests every edge lies on a half hour
    while not is_edge(start, label, zone):
        start -= HALF
    while not is_edge(end, label, zone):
        end += HALF
    return start, end


def window(at: int, label: str, zone: str) -> tuple[int, int]:
    """[start, end) of the window that holds an instant."""
    if label in ("1h", "1d"):
        return _clock_window(at // HALF * HALF, label, zone)
    start = at // LENGTH[label] * LENGTH[label]
    return start, start + LENGTH[label]


class Judged(NamedTuple):
    """An event: where it stands, what it said ({} = could not be read), why refused ("" = accepted), W before it."""

    partition: int
    place: int
    event: dict[str, Any]
    reason: str
    w: int | None

    @property
    def instant(self) -> int:
        return int(self.event["ts"] + self.event.get("span_ms", 0) // 2)

    @property
    def people(self) -> dict[str, int]:
        if self.event["type"] == "cross":
            return {self.event.get("dir") or "unknown": 1}
        names = {"ab": "ab", "ba": "ba", "un": "unknown"}
        return {names[name]: self.event.get(name) or 0 for name in names} if self.event["type"] == "count" else {}


class Steps:
    """How many of (time, n) lie before a time."""

    def __init__(self, items: list[tuple[int, int]]) -> None:
        items.sort()
        self.times, self.sums = [t for t, _ in items], [0, *accumulate(n for _, n in items)]

    def before(self, at: int) -> int:
        return self.sums[bisect_left(self.times, at)]

    def upto(self, at: int) -> int:
        return self.sums[bisect_right(self.times, at)]


@dataclass(frozen=True, eq=False)
class Naive:
    """A registry (its JSON), logs of (message, record_ts; None = file) and K, and everything that follows."""

    registry: dict[str, Any]
    logs: list[list[tuple[bytes, int | None]]]
    threshold: int
    bound: int = 5_000

    @cached_property
    def gates(self) -> dict[str, dict[str, Any]]:
        return {g["id"]: {"delay": round(g.get("delay_s", 0) * 1000), **g} for g in self.registry["gates"]}

    @cached_property
    def sensors(self) -> dict[str, dict[str, Any]]:
        return {s["id"]: {"group": None, "beat_s": 30, **s} for s in self.registry["sensors"]}

    def window(self, at: int, label: str) -> tuple[int, int]:
        return window(at, label, self.registry["timezone"])

    def leaf(self, sensor: dict[str, Any]) -> str:
        return str(self.gates[sensor["gate"]]["leaf"]) if sensor["gate"] else "10s"

    def delay(self, sensor: dict[str, Any]) -> int:
        return int(self.gates[sensor["gate"]]["delay"]) if sensor["gate"] else 0

    @property
    def watermarks(self) -> list[int | None]:
        """W of every partition at the end of its log; None where it has none."""
        return [w for _, _, w in self._logs]

    # ---------------------------------------------------------------------------- every event
    @cached_property
    def judged(self) -> list[Judged]:
        return [event for events, _, _ in self._logs for event in events]

    @cached_property
    def _logs(self) -> list[tuple[list[Judged], int, int | None]]:
        return [self._judge(number, log) for number, log in enumerate(self.logs)]

    def _judge(self, number: int, log: list[tuple[bytes, int | None]]) -> tuple[list[Judged], int, int | None]:
        """The events of one log, its first W (0 where it has none) and its last."""
        out, w, first, seen = list[Judged](), None, 0, set[Any]()
        for place, (message, record_ts) in enumerate(log):
            try:
                event = json.loads(message)
            except ValueError:
                out.append(Judged(number, place, {}, "malformed", w))
                continue
            end = event["ts"] + event.get("span_ms", 0)
            stamp = end if record_ts is None else record_ts
            if event["type"] != "tick":
                reason = self._why(event, end, stamp, w, seen)
                out.append(Judged(number, place, event, reason, w))
                if reason:
                    continue
            mark = min(end, stamp) - self.bound
            first = mark if w is None else first
            w = mark if w is None else max(w, mark)
        return out, first, w

    def _why(self, event: dict[str, Any], end: int, stamp: int, w: int | None, seen: set[Any]) -> str:
        sensor = self.sensors.get(event["sensor"])
        kind = event["type"]
        if sensor is None or (sensor["gate"] is None and kind in ("cross", "count", "beam")):
            return "unknown_sensor"
        leaf = self.leaf(sensor)
        pane, pane_end = self.window((event["ts"] + end) // 2, leaf)
        if not approved(sensor, event["ts"] if kind in ("heartbeat", "point") else pane):
            return "not_approved"
        if end > stamp + 60_000:
            return "too_far_in_future"
        if event.get("span_ms", 0) > LENGTH[leaf]:
            return "span_too_long"
        if kind in ("point", "beam"):
            pane_end = event["ts"] + 1  # worked off in the order of time, each for itself
        if w is not None and pane_end + self.delay(sensor) <= w:
            return "late"
        key = tuple(event.get(name) for name in ("type", "sensor", "ts", "span_ms", "track", "seq"))
        if kind in ("count", "point") or event.get("seq") is not None:
            if key in seen:
                return "duplicate"
            seen.add(key)
        return ""

    @cached_property
    def accepted(self) -> list[Judged]:
        return [event for event in self.judged if not event.reason]

    @cached_property
    def rejected(self) -> Counter[str]:
        return Counter(event.reason for event in self.judged if event.reason)

    # ------------------------------------------------------------------------- people and runs
    @cached_property
    def panes(self) -> dict[tuple[str, str], Counter[int]]:
        """People per chain (gate, direction) and pane start."""
        out: dict[tuple[str, str], Counter[int]] = {(g, d): Counter() for g in self.gates for d in DIRECTIONS}
        for event in self.accepted:
            gate = self.sensors[event.event["sensor"]]["gate"]
            for direction, n in event.people.items():
                pane = self.window(event.instant, self.gates[gate]["leaf"])[0]
                out[gate, direction][pane] += n * self._counts(event.event["sensor"], pane)
        return out

    @cached_property
    def truth(self) -> dict[tuple[str, str], Steps]:
        return {chain: Steps(list(panes.items())) for chain, panes in self.panes.items()}

    @cached_property
    def runs(self) -> dict[tuple[str, str], list[tuple[int, int, int]]]:
        """The carry: (start, end, people) of every run."""
        out: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
        for (gate, direction), panes in self.panes.items():
            rest, since = 0, self.begin(gate)
            runs = out.setdefault((gate, direction), [])
            for pane in sorted(panes):
                rest += panes[pane]
                if rest >= self.threshold:
                    end = self.window(pane, self.gates[gate]["leaf"])[1]
                    runs.append((since, end, rest))
                    rest, since = 0, end
        return out

    # -------------------------------------------------------------------- which windows have rows
    @cached_property
    def cells(self) -> list[int]:
        """The active 10 s cells: a record's is that of its instant or, where W has passed that, the cell of W."""
        cells = set()
        for event in self.accepted:
            cell = event.instant // CELL * CELL
            cells.add(cell if event.w is None or cell + CELL > event.w else event.w // CELL * CELL)
        return sorted(cells)

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """First and last active cell of every stretch without a silence of more than a day."""
        spans: list[tuple[int, int]] = []
        for cell in self.cells:
            if spans and cell - spans[-1][1] <= DAY:
                spans[-1] = spans[-1][0], cell
            else:
                spans.append((cell, cell))
        return spans

    def begin(self, gate: str) -> int:
        """Start of the first pane in which this gate can have counted."""
        if not self.spans:
            return 0
        return self.window(self.spans[0][0] - self.gates[gate]["delay"], self.gates[gate]["leaf"])[0]

    def windows(self, label: str) -> list[tuple[int, int]]:
        """The windows of one length that have rows: those that touch a span."""
        return self._windows[label]

    @cached_property
    def _windows(self) -> dict[str, list[tuple[int, int]]]:
        return {label: self._touching(label) for label in LABELS}

    def _touching(self, label: str) -> list[tuple[int, int]]:
        out = list[tuple[int, int]]()
        for first, last in self.spans:
            at = self.window(first, label)[0]
            while at <= last:
                start, end = self.window(at, label)
                if not out or start > out[-1][0]:
                    out.append((start, end))
                at = end
        return out

    # ------------------------------------------------------------------------------------ rows
    def flow(self) -> dict[tuple[str, int, str, str], tuple[int | None, int | None, int | None, str]]:
        """(n, n_low, n_high, status) of every flow row by (window, start, gate, direction)."""
        out: dict[Any, Any] = {}
        for label in LABELS:
            windows = self.windows(label)
            for gate, of in self.gates.items():
                if LENGTH[of["leaf"]] > LENGTH[label]:
                    continue
                watched = [self.coverage([gate], start, end) != 0 for start, end in windows]
                for direction in DIRECTIONS:
                    runs = self.runs[gate, direction]
                    ended, exact = Steps([(end, n) for _, end, n in runs]), {end for _, end, _ in runs}
                    begin, more = self.begin(gate), self.threshold - 1
                    for (start, end), known in zip(windows, watched, strict=True):
                        low_a, low_b = ended.upto(start), ended.upto(end)
                        high_a = low_a + (0 if start <= begin or start in exact else more)
                        high_b = low_b + (0 if end <= begin or end in exact else more)
                        low, high = max(0, low_b - high_a), high_b - low_a
                        row: Any = ((low + high) // 2, low, high, "released" if low == high else "range")
                        if not known:
                            row = (None, None, None, "unknown")
                        elif high < self.threshold and self.threshold > 1:
                            row = (None, 0, self.threshold - 1, "suppressed")
                        out[label, start, gate, direction] = row
        return out

    def coverage(self, gates: list[str], start: int, end: int) -> float | None:
        """Covered ÷ expected sensor time of gates in a window: 0 where one is unknown, None where it cannot be told."""
        times = [self._time(gate, start, end) for gate in gates]
        if any(covered == 0 and not mute for covered, _, mute in times):
            return 0
        share = sum(covered for covered, _, _ in times) / max(sum(expected for _, expected, _ in times), 1)
        return share or None

    def _time(self, gate: str, start: int, end: int) -> tuple[int, int, bool]:
        """Covered and expected ms of a gate in a window, and whether a sensor stood there that tells nothing."""
        told, leaf, mute = self._told[gate], self.gates[gate]["leaf"], False
        lanes: dict[str, list[tuple[int, int]]] = defaultdict(list)  # those of a group are one
        for name, sensor in self.sensors.items():
            for span in sensor["approved"] if sensor["gate"] == gate else ():
                # every pane counts whose start is approved
                first, behind = self._pane_from(when(span["from"]), leaf), end
                if span["to"] is not None:
                    behind = min(end, self._pane_from(when(span["to"]), leaf))
                if max(start, first) < behind and sensor["reporting"] == "on_change":
                    mute = True
                elif max(start, first) < behind:
                    lanes[sensor["group"] or name].append((max(start, first), behind))
        expected = sum(united(spans) for spans in lanes.values())
        return min(told.before(end) - told.before(start), expected), expected, mute

    def _pane_from(self, at: int, leaf: str) -> int:
        start, end = self.window(at, leaf)
        return start if start == at else end

    @cached_property
    def _covered(self) -> Counter[tuple[str, int]]:
        """Covered ms per (sensor, pane): what was covered of an approved pane while the partition still held it open.

        A sensor is the key of its partition; of one that is heard in two, both parts count, up to the pane's length.
        """
        pieces: dict[tuple[str, int, int], list[tuple[int, int]]] = defaultdict(list)
        for event in self.accepted:
            sensor, ts = self.sensors[event.event["sensor"]], event.event["ts"]
            lasts = {
                ("heartbeat", "heartbeat"): 2 * round(sensor["beat_s"] * 1000),
                ("every_span", "count"): event.event.get("span_ms", 0),
            }.get((sensor["reporting"], event.event["type"]))
            if sensor["gate"] is None or lasts is None:
                continue
            at = ts
            while at < ts + lasts:
                pane, end = self.window(at, self.leaf(sensor))
                if approved(sensor, pane) and (event.w is None or end + self.delay(sensor) > event.w):
                    pieces[sensor["id"], event.partition, pane].append((at, min(end, ts + lasts)))
                at = end
        out = Counter[tuple[str, int]]()
        for (sensor, _, pane), parts in pieces.items():
            end = self.window(pane, self.leaf(self.sensors[sensor]))[1]
            out[sensor, pane] = min(out[sensor, pane] + united(parts), end - pane)
        return out

    def _counts(self, sensor: str, pane: int) -> bool:
        """Whether a sensor counts in a pane: of a group the first alive, else one that cannot tell, else the first."""
        own = self.sensors[sensor]
        group = [
            s for s in self.sensors.values() if s["group"] and (s["gate"], s["group"]) == (own["gate"], own["group"])
        ]
        end = self.window(pane, self.leaf(own))[1]
        alive = [s for s in group if 2 * self._covered[s["id"], pane] >= end - pane]
        mute = [s for s in group if s["reporting"] == "on_change"]
        return not group or (alive or mute or group)[0]["id"] == sensor

    @cached_property
    def _told(self) -> dict[str, Steps]:
        """Covered time (pane start, ms) per gate, of the sensors that count."""
        out: dict[str, list[tuple[int, int]]] = {gate: [] for gate in self.gates}
        for (sensor, pane), ms in self._covered.items():
            if self._counts(sensor, pane):
                out[self.sensors[sensor]["gate"]].append((pane, ms))
        return {gate: Steps(parts) for gate, parts in out.items()}

    def reject_rows(self) -> dict[tuple[int, str, str], int]:
        """Runs of rejects per (hour, sensor, reason): the carry over the 10 s cells of W."""
        cells: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
        for event in self.judged:
            # before a first W that never came, nobody knows when
            if event.reason and (event.w is not None or self.watermarks[event.partition] is not None):
                sensor = event.event.get("sensor", "")
                at = self._logs[event.partition][1] if event.w is None else event.w
                cells[sensor if sensor in self.sensors else "", event.reason][at // CELL * CELL] += 1
        out = Counter[tuple[int, str, str]]()
        for (sensor, reason), counts in cells.items():
            rest = 0
            for cell in sorted(counts):
                rest += counts[cell]
                if rest >= self.threshold:
                    out[self.window(cell, "1h")[0], sensor, reason] += rest
                    rest = 0
        return dict(out)


def united(spans: list[tuple[int, int]]) -> int:
    """Length of the union of spans."""
    length, reach = 0, min(start for start, _ in spans)
    for start, end in sorted(spans):
        length += max(0, end - max(start, reach))
        reach = max(reach, end)
    return length


@lru_cache(maxsize=100)
def when(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def approved(sensor: dict[str, Any], at: int) -> bool:
    return any(when(a["from"]) <= at and (a["to"] is None or at < when(a["to"])) for a in sensor["approved"])
