"""Signage without Bytewax or services: logs of touches, a naive reading of the rules, and processes that are killed.

``naive`` knows nothing of the engine but the list of languages: W, lateness, windows, distinct sessions, the tree's cut
and the cap are written down again, one event at a time.
"""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine import registry, signage_rows
from engine.book import Book
from engine.config import Config
from engine.languages import LANGUAGES
from engine.model import END, NO_TIME
from engine.registry import Registry
from engine.signage import SignagePartition
from engine.subjects import Subjects
from flows.source import tick_item
from flows.store_sink import Advance
from flows.subjects import _Logic
from tests.support.engine_run import payloads, to_dicts

T0 = 1_770_440_400_000  # an hour of Asia/Tokyo begins
QUARTER, HOUR = 900_000, 3_600_000
DEVICES = [
    {"id": "d1", "zone": None, "approved": [{"from": "2026-01-01T00:00:00Z", "to": None}]},
    {"id": "d2", "zone": None, "approved": [{"from": "2026-01-01T00:00:00Z", "to": None}]},
    {"id": "old", "zone": None, "approved": [{"from": "2020-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z"}]},
]
REGISTRY = {"version": "v1", "timezone": "Asia/Tokyo", "devices": DEVICES}
Log = list[tuple[bytes, int]]  # messages and their record times
_on_batch = _Logic.on_batch.__wrapped__  # type: ignore[attr-defined]  # without the guard, which would end the tests


def touch(ts: int, session: str, device: str = "d1", screen: str = "top", **more: Any) -> dict[str, Any]:
    return {"type": "touch", "device": device, "ts": ts, "session": session, "screen": screen, **more}


def tick(ts: int) -> dict[str, Any]:
    return {"type": "tick", "ts": ts}


def log_of(records: Sequence[dict[str, Any]], behind_ms: int = 0) -> Log:
    """Each record a message of its own; its record time is ``behind_ms`` after its ts, and never falls."""
    out, last = [], 0
    for record in records:
        last = max(last, record["ts"] + behind_ms)
        out.append((json.dumps(record).encode(), last))
    return out


def random_logs(rng: random.Random, partitions: int, events: int = 120) -> list[Log]:
    """Sessions at two devices over some hours: some come back, some are late, some at devices that are not approved."""
    logs = []
    for part in range(partitions):
        at, records = T0 + rng.randrange(HOUR), []
        sessions = [f"s{part if rng.random() < 0.8 else 0}-{i}" for i in range(rng.choice([3, 12, 40]))]
        for _ in range(rng.randrange(events)):
            at += rng.choice([0, 1_000, 20_000, 20_000, 200_000])
            late = rng.choice([0, 0, 0, 3_000, QUARTER, HOUR])
            device, screen = rng.choice(["d1", "d1", "d2"]), rng.choice(["top", "map", "ja"])
            record = touch(at - late, rng.choice(sessions), device, screen)
            if rng.random() < 0.7:
                record["lang"] = rng.choice(["ja", "ja", "en", "zh-Hant", "xx"])
            if rng.random() < 0.5:
                record["to"] = rng.choice(["map", "top", "help"])
            odd = rng.random()
            if odd < 0.05:
                record = tick(at)
            elif odd < 0.08:
                record = {"type": "heartbeat", "device": "d2", "ts": at}
            elif odd < 0.11:
                record["device"] = rng.choice(["nobody's", "old"])
            elif odd < 0.13:
                del record["screen"]
            elif odd < 0.17:
                record["type"] = "wave"
            records.append(record)
        logs.append(log_of([*records, tick(at + rng.choice([0, QUARTER, 2 * HOUR]))], rng.choice([0, 2_000])))
    return logs


# ------------------------------------------------------------------------------------------ by the rules, one by one
@dataclass
class Naive:
    """What a run over logs must give."""

    rows: dict[str, list[dict[str, Any]]]
    rejected: dict[str, int]
    accepted: int


def naive(logs: Sequence[Log], config: Config, *, finish: bool = False) -> Naive:
    """By DESIGN.md and PRIVACY.md, for logs in which every message is one record and every registry is REGISTRY."""
    rejected: dict[str, int] = {}
    accepted, ends = 0, []
    kept: list[dict[str, Any]] = []
    for log in logs:
        w: float = float("-inf")
        mine: list[dict[str, Any]] = []
        for message, record_ts in log:
            record = json.loads(message)
            why = _why(record, record_ts, w)
            if record["type"] != "tick":
                if why:
                    rejected[why] = rejected.get(why, 0) + 1
                    continue
                accepted += 1
            if record["type"] == "touch":
                mine.append(record)
            w = max(w, min(record["ts"], record_ts) - config["time", "bound_ms"])
        kept += mine
        ends.append(float("inf") if finish else w - w % 10_000 if w > float("-inf") else w)
    closed = min(ends)
    touches = [r for r in kept if _quarter(r["ts"]) + QUARTER <= closed]
    moves = [r for r in kept if "to" in r and r["ts"] // HOUR * HOUR + HOUR <= closed]
    of_quarters: dict[tuple[int, str, str], dict[str, set[str]]] = {}
    first: dict[tuple[int, str, str, str], tuple[int, str]] = {}
    for record in touches:
        lang = record.get("lang", "other").partition("-")[0]
        lang = lang if lang in LANGUAGES else "other"
        key = (_quarter(record["ts"]), record["device"], record["screen"], record["session"])
        first[key] = min(first.get(key, (END, "")), (record["ts"], lang))
    for (start, device, screen, session), (_, lang) in first.items():
        of_quarters.setdefault((start, device, screen), {}).setdefault(lang, set()).add(session)
    told: list[dict[str, Any]] = []
    totals: dict[tuple[int, str, str], tuple[int, int]] = {}
    k, guard = config["touches", "k"], config["touches", "guard"]
    for (start, device, screen), cells in sorted(of_quarters.items()):
        counts = {lang: len(sessions) for lang, sessions in cells.items()}
        totals[start, device, screen] = _total(counts, k, guard)
        cut = {"": totals[start, device, screen], **{lang: (n, n) for lang, n in counts.items()}}
        for lang, (low, high) in sorted(cut.items()):
            if low >= k:
                where = {"window": "15m", "window_start": start, "device": device, "screen": screen, "lang": lang}
                told.append(_row(where, low, high))
    came: dict[tuple[int, str, str, str], set[str]] = {}
    for record in moves:
        key = (record["ts"] // HOUR * HOUR, record["device"], record["screen"], record["to"])
        came.setdefault(key, set()).add(record["session"])
    went: list[dict[str, Any]] = []
    for (start, device, screen, to), sessions in sorted(came.items()):
        ranges = [totals.get((start + q * QUARTER, device, screen), _total({}, k, guard)) for q in range(4)]
        low, high = _capped(len(sessions), config["screens", "k"], k, ranges)
        if low >= config["screens", "k"]:
            where = {"window": "1h", "window_start": start, "device": device, "from": screen, "to": to}
            went.append(_row(where, low, high))
    return Naive({"touches": told, "screens": went}, rejected, accepted)


def _quarter(ts: int) -> int:
    return ts - ts % QUARTER


def _why(record: dict[str, Any], record_ts: int, w: float) -> str:
    if record["type"] == "tick":
        return ""
    if record["type"] not in ("touch", "heartbeat"):
        return "unknown_type"
    if record["type"] == "touch" and not {"session", "screen"} <= record.keys():
        return "missing_field"
    device = next((d for d in DEVICES if d["id"] == record["device"]), None)
    if device is None:
        return "unknown_sensor"
    if device["id"] == "old":
        return "not_approved"
    if record["ts"] > record_ts + 60_000:
        return "too_far_in_future"
    return "late" if _quarter(record["ts"]) + QUARTER <= w else ""


def _total(counts: dict[str, int], k: int, guard: int) -> tuple[int, int]:
    """The cut of PRIVACY.md for one screen: languages are its cells."""
    shown = sum(n for n in counts.values() if n >= k)
    rest = sum(n for n in counts.values() if n < k)
    high = (k - 1) * (len(LANGUAGES) - sum(n >= k for n in counts.values()))
    first, last = k - 1 + guard, high - 2 * (k - 1)
    if high == 0:
        return shown + rest, shown + rest
    if first >= last:
        return shown, shown + high
    if rest <= first:
        return shown, shown + first
    return (shown + last, shown + high) if rest >= last else (shown + rest, shown + rest)


def _capped(n: int, k: int, totals_k: int, ranges: list[tuple[int, int]]) -> tuple[int, int]:
    most, widest = sum(high for _, high in ranges), max(high - low for low, high in ranges)
    last = most - widest - (max(k, totals_k) - 1)
    if widest and last < k:
        return 0, most
    if widest and n >= last:
        return last, most
    return (n, n) if n >= k else (0, k - 1)


def _row(where: dict[str, Any], low: int, high: int) -> dict[str, Any]:
    status = "released" if low == high else "range"
    return {**where, "n": (low + high) // 2, "n_low": low, "n_high": high, "status": status, "registry_version": "v1"}


# ------------------------------------------------------------------------------------------------ by the engine
@dataclass
class Kept:
    """What an epoch has kept: next place in each log, states, and which units had come by then."""

    at: list[int]
    partitions: list[bytes | None]
    key: bytes | None = None
    units: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Processes:
    """One life after the other of a run of signage; what processes tell one another goes as bytes.

    ``kills``: how likely all of them end after a step, to go on, cut and interleaved otherwise, from the last epoch.
    """

    logs: Sequence[Log]
    config: Config
    rng: random.Random
    kills: float = 0.3
    document: dict[str, Any] = field(default_factory=lambda: REGISTRY)
    lives: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._first = registry.parse(json.dumps(self.document).encode())
        self._store: dict[str, Registry] = {}
        self.units: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._kept = Kept([0] * len(self.logs), [None] * len(self.logs))
        self.shown: list[Advance] = []
        self._begin()

    def run(self, *, finish: bool = False) -> Processes:
        """To the end of the logs, which ends the run only with ``finish``."""
        while any(at < len(log) for at, log in zip(self._at, self.logs, strict=True)):
            self._read()
            if self.rng.random() < 0.4:
                self._deliver()
            if self.rng.random() < 0.4:
                self._epoch()
            if self.rng.random() < self.kills:
                self._begin()
        for part in self.parts if finish else ():
            part.finish()
            self._tell(part)
        self._epoch()
        return self

    def rows(self, product: str) -> list[dict[str, Any]]:
        """Rows by the order of their keys (all columns stand in their order)."""
        found = [row for (name, _), rows in self.units.items() if name == product for row in rows]
        return sorted(found, key=lambda row: tuple(str(value) for value in row.values()))

    @property
    def rejected(self) -> dict[str, int]:
        out: dict[str, int] = {}
        for part in self.parts:
            for reason, n in part.rejected_by_reason().items():
                out[reason] = out.get(reason, 0) + n
        return out

    def _begin(self) -> None:
        processes = self.rng.randint(1, 3)
        self.lives.append(processes)
        books = [Book(self._first, self._keep, self._store.get) for _ in range(processes)]
        self._at, self._come = list(self._kept.at), set(self._kept.units)
        bound = self.config["time", "bound_ms"]
        self.parts = [
            SignagePartition(number, self.rng.choice(books), bound, 1, state, key=b"the key of the run")
            for number, state in enumerate(self._kept.partitions)
        ]
        book = self.rng.choice(books)

        def make(state: bytes | None) -> Subjects:
            made = signage_rows.SignageRows(self.config, book.tables(book.start).zone_clock)
            exact, threshold = self.config["status", "exact"], self.config.threshold_of("touches")
            how: dict[str, Any] = {"proven": signage_rows.proven, "keep": made.state, "restore": made.restore}
            return Subjects(len(self.logs), book, made.release, state, threshold=threshold, exact=exact, **how)

        self._logic = _Logic(make, self._kept.key)
        self._waiting: list[bytes] = []

    def _keep(self, version: Registry) -> None:
        self._store[version.hash] = version

    def _read(self) -> None:
        number = self.rng.choice([i for i, log in enumerate(self.logs) if self._at[i] < len(log)])
        size = self.rng.randint(1, self.rng.choice([1, 5, 30]))
        batch = self.logs[number][self._at[number] : self._at[number] + size]
        self.parts[number].feed(payloads([m for m, _ in batch], [at for _, at in batch], self._at[number]))
        self._at[number] += len(batch)
        if self.rng.random() < 0.7:
            self._tell(self.parts[number])

    def _tell(self, part: SignagePartition) -> None:
        self._waiting += [told.encode() for told in part.partials()]

    def _deliver(self) -> None:
        self.rng.shuffle(self._waiting)
        # of one partition facts stay in order: they come through one queue
        blobs, self._waiting = sorted(self._waiting, key=_place), []
        items, _ = _on_batch(self._logic, [tick_item(0)[1], *blobs])
        for item in items:
            if isinstance(item, Advance):
                self.shown.append(item)
            elif hasattr(item, "product"):
                unit, rows = (item.product, item.unit), to_dicts(item)
                assert unit not in self._come, f"twice in one life: {unit}"
                self._come.add(unit)
                assert self.units.setdefault(unit, rows) == rows, f"came again as another: {unit}"

    def _epoch(self) -> None:
        for part in self.parts:
            self._tell(part)
        self._deliver()
        parts = [part.snapshot() for part in self.parts]
        self._kept = Kept(list(self._at), list(parts), self._logic.snapshot(), frozenset(self._come))


def _place(blob: bytes) -> int:
    from engine.facts import decode

    return decode(blob).w_from if decode(blob).w_from != NO_TIME else -(2**62)


def states_of(run: Processes) -> list[bytes]:
    """The states that the last epoch has kept, as they go to disk."""
    return [pickle.dumps(run._kept.partitions), run._kept.key or b""]
