"""Runs the engine's part of the stream profiles: partitions fed in pieces, facts that meet, what is released."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine import facts, registry
from engine.book import Book
from engine.config import Config
from engine.model import Released
from engine.profile import ProfilePartition
from engine.profile_gate import Gate, Withdrawal
from engine.profile_rows import ProfileRelease, Rule
from engine.subjects import Subjects
from engine.timezone import TimeZone
from flows.keys import KeyFile, MemoryKeys
from tests.support.engine_run import payloads, to_dicts

ALL = frozenset(
    ("zone", "residence", "gender", "birth_year", "income", "household", "children", "occupation", "interests", "lang")
)


class FakeConsents:
    """Who has consented to what: (provider, subject) → attributes; a withdrawal is told once to each partition."""

    def __init__(self, granted: Mapping[tuple[str, str], frozenset[str]] | None = None, default: bool = False) -> None:
        self.granted = dict(granted or {})
        self.default = ALL if default else None
        self.gone: list[Withdrawal] = []
        self.heard = 0
        self.asked = 0
        self.is_current = True

    def allowed(self, provider: str, subject: str, purpose: str, ts_ms: int) -> frozenset[str] | None:
        self.asked += 1
        return self.granted.get((provider, subject), self.default) if purpose == "policy" else None

    def withdraw(self, provider: str, subject: str, at_ms: int) -> None:
        self.granted.pop((provider, subject), None)
        self.gone.append((provider, subject, at_ms, frozenset(("policy",))))

    def withdrawn(self) -> Sequence[Withdrawal]:
        new, self.heard = self.gone[self.heard :], len(self.gone)
        return new

    def current(self) -> bool:
        return self.is_current


class FakeContracts:
    """Products of each company; all of them where it does not say."""

    def __init__(self, products: Mapping[str, Sequence[str]] | None = None) -> None:
        self.products = products

    def refusal(self, company: str, product: str, purpose: str, at_ms: int) -> str | None:
        return None if self.products is None or product in self.products.get(company, ()) else "product"


def gate(
    consents: Any = None,
    contracts: Any = None,
    keys: Any = None,
    *,
    is_open: bool = True,
    gap_ms: int = 3_600_000,
) -> Gate:
    """What lets events in; everybody's where nothing is said."""
    purposes = {"profiles": "policy", "trips": "policy"}
    return Gate(
        is_open, purposes, gap_ms, consents or FakeConsents(default=True), contracts or FakeContracts(),
        keys or MemoryKeys(),
    )  # fmt: skip


def book(document: Mapping[str, Any]) -> Book:
    """A book of one registry."""
    return Book(registry.parse(json.dumps(document).encode()))


def subjects(of: Book, config: Config, partitions: int, state: bytes | None = None) -> Subjects:
    """The key in which partitions meet."""
    release = ProfileRelease(Rule.of(config), TimeZone("Asia/Tokyo"))
    return Subjects(partitions, of, release, state, threshold=config.threshold_of("profiles"), hears=True)


def run(
    document: Mapping[str, Any],
    logs: Sequence[Sequence[bytes]],
    config: Config,
    gates: Sequence[Gate],
    rng: random.Random | None = None,
) -> tuple[list[dict[str, Any]], list[ProfilePartition]]:
    """All that is released of these logs, cut, snapshotted and delivered as ``rng`` likes; and the partitions."""
    rng, of = rng or random.Random(0), book(document)
    bound = config["time", "bound_ms"]
    parts = [ProfilePartition(number, of, bound, each) for number, each in enumerate(gates)]
    key = subjects(of, config, len(logs))
    at, out = [0] * len(logs), []
    while any(place < len(log) for place, log in zip(at, logs, strict=True)):
        number = rng.choice([n for n, log in enumerate(logs) if at[n] < len(log)])
        batch = logs[number][at[number] : at[number] + rng.choice((1, 7, 40, 400))]
        stamps = [json.loads(message)["ts"] for message in batch]
        parts[number].feed(payloads(list(batch), stamps, at[number]))
        at[number] += len(batch)
        out += key.take([blob.encode() for blob in parts[number].partials()]).rows
        if rng.random() < 0.2:
            state = parts[number].snapshot()
            parts[number] = ProfilePartition(number, of, bound, gates[number], state)
            key = subjects(of, config, len(logs), key.snapshot())
    for part in parts:
        part.finish()
        blobs = [facts.decode(blob.encode()).encode() for blob in part.partials()]
        out += key.take(blobs).rows
    return rows_of(out), parts


def rows_of(released: Iterable[Released]) -> list[dict[str, Any]]:
    """Rows as objects, with their product."""
    return [{"product": one.product, **row} for one in released for row in to_dicts(one)]


def key_file(path: Path) -> KeyFile:
    """A key file as a start of a run makes it."""
    keys = KeyFile(path, "live")
    keys.make()
    return keys
