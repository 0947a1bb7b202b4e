"""People who use service providers, some of whom have consented: events, consents, and the truth about them.

Own codes, own encoder, own counting, like all of loadgen. A person is known to one to three providers, and each tells
of the visits that are made with it. Time is event time: a load of some days may be sent at once.

    load = ProfileLoad(seed=1, people=400)
    load.registry(); load.consents(); load.events(); load.cells(day, ("gender", "birth_year")); load.trips(day)
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

JST_MS = 9 * 3_600_000
DAY_MS = 86_400_000
GAP_MS = 3_600_000
ZONES = ("odori", "susukino", "station", "tanukikoji")
RESIDENCES = (
    "011011",
    "011029",
    "011037",
    "012025",
    "131016",
    "010006",
)  # Sapporo's wards, Hakodate, Chiyoda, Hokkaido
INCOMES = ("0-200", "200-300", "300-500", "500-700", "700-1000", "1000-1500", "1500-")
OCCUPATIONS = ("employee", "self_employed", "homemaker", "student", "other")
INTERESTS = ("food", "shopping", "sports", "music")
LANGUAGES = ("ja", "ja-JP", "en", "zh-Hant", "ko", "tlh")
ATTRIBUTES = (
    "residence", "gender", "birth_year", "income", "household", "children", "occupation", "interests", "lang"
)  # fmt: skip
NONE = "none"
Cell = tuple[str, ...]


def day_before(now_ms: int) -> int:
    """The first instant (ms) of the JST day before the one that holds ``now_ms``."""
    return (now_ms + JST_MS) // DAY_MS * DAY_MS - JST_MS - DAY_MS


@dataclass(frozen=True)
class Person:
    """One person, whom ``providers`` know. ``consents``: provider → attributes that may be told; nobody else's may."""

    subject: str
    providers: tuple[str, ...]
    fields: Mapping[str, object]
    consents: Mapping[str, tuple[str, ...]]


@dataclass
class Known:
    """Who is in a cell, and which of them each provider knows."""

    people: set[str] = field(default_factory=set)
    by_provider: dict[str, set[str]] = field(default_factory=dict)

    def add(self, subject: str, providers: Sequence[str]) -> None:
        """One person more."""
        self.people.add(subject)
        for provider in providers:
            self.by_provider.setdefault(provider, set()).add(subject)

    def counted(self, k: int, providers: int) -> int:
        """People who count by the rule about providers: all, or nobody. ``providers`` 1: no rule."""
        largest = max((len(known) for known in self.by_provider.values()), default=0)
        if providers > 1 and (len(self.by_provider) < providers or len(self.people) - largest < k):
            return 0
        return len(self.people)


@dataclass(frozen=True)
class Visit:
    """A person at a place, as one provider tells it."""

    ts: int
    person: Person
    provider: str
    zone: str


class ProfileLoad:
    """``people`` people over ``days`` days from ``start_ms``, the first instant of a JST day; ``visits`` a day each.

    Equal arguments give equal events. A tenth has consented to nothing, a tenth not to all attributes.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        people: int = 400,
        providers: int = 4,
        days: int = 1,
        visits: int = 6,
        start_ms: int = 1_770_390_000_000,
    ) -> None:
        self._rng = random.Random(seed)
        self.providers = tuple(f"provider-{number}" for number in range(providers))
        self.start_ms, self.days = start_ms, days
        self.people = [self._person(number) for number in range(people)]
        self.visits = sorted(
            (visit for day in range(days) for person in self.people for visit in self._visits(person, day, visits)),
            key=lambda visit: (visit.ts, visit.person.subject, visit.provider),
        )

    def _person(self, number: int) -> Person:
        rng = self._rng
        providers = tuple(sorted(rng.sample(self.providers, rng.choice((1, 1, 2, 3)))))
        fields: dict[str, object] = {
            "residence": rng.choice(RESIDENCES),
            "gender": rng.choice("fm"),
            "birth_year": rng.randint(1940, 2005),
            "income": rng.choice(INCOMES),
            "household": rng.randint(1, 9),
            "children": rng.randint(0, 5),
            "occupation": rng.choice(OCCUPATIONS),
            "interests": rng.sample(INTERESTS, rng.randint(0, 3)),
            "lang": rng.choice(LANGUAGES),
        }
        for name in rng.sample(ATTRIBUTES, rng.choice((0, 0, 1))):
            del fields[name]
        all_of_it = (*ATTRIBUTES, "zone")
        less = tuple(name for name in all_of_it if name not in ("gender", "zone"))
        allowed = (all_of_it, less) if number % 10 == 5 else (all_of_it,)
        consents = {} if number % 10 == 0 else {provider: rng.choice(allowed) for provider in providers}
        return Person(f"person-{number}", providers, fields, consents)

    def _visits(self, person: Person, day: int, visits: int) -> Iterator[Visit]:
        rng, begin = self._rng, self.start_ms + day * DAY_MS
        at = begin + rng.randint(0, DAY_MS // 2)
        for _ in range(visits):
            yield Visit(at, person, rng.choice(person.providers), rng.choice(ZONES))
            at += rng.choice((600_000, 1_800_000, GAP_MS, GAP_MS + 1, 2 * GAP_MS))
            if at >= begin + DAY_MS - 60_000:
                return

    def starts(self) -> list[int]:
        """The first instants of its days, ms."""
        return [self.start_ms + day * DAY_MS for day in range(self.days)]

    def registry(self) -> dict[str, object]:
        """The registry these events need."""
        zones: list[dict[str, object]] = [{"id": zone, "name": {"en": zone}, "kind": "plaza"} for zone in ZONES]
        return {"version": "profiles-load", "timezone": "Asia/Tokyo", "zones": zones}

    def consents(self) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of the records of topic consents: everybody consented a day before the load begins."""
        for person in self.people:
            for provider, attributes in person.consents.items():
                yield f"{provider}/{person.subject}".encode(), self.consent(person, provider, attributes)

    def consent(
        self, person: Person, provider: str, attributes: Sequence[str], state: str = "granted", ts: int | None = None
    ) -> bytes:
        """One record of topic consents."""
        record = {
            "subject": person.subject,
            "provider": provider,
            "purposes": ["policy"],
            "attributes": list(attributes),
            "terms": {"version": "2026-01", "lang": "ja"},
            "given": "id_creation",
            "state": state,
            "ts": self.start_ms - DAY_MS if ts is None else ts,
        }
        return json.dumps(record, separators=(",", ":")).encode()

    def events(self) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of the events, in the order of time."""
        for visit in self.visits:
            told = {"provider": visit.provider, "subject": visit.person.subject, "ts": visit.ts, "zone": visit.zone}
            yield visit.provider.encode(), json.dumps({**told, **visit.person.fields}, separators=(",", ":")).encode()

    def accepted(self) -> int:
        """How many events count."""
        return sum(visit.provider in visit.person.consents for visit in self.visits)

    def cells(self, day: int, attributes: Sequence[str], without: Sequence[str] = ()) -> dict[Cell, Known]:
        """Who is in which cell of a table, of people who consented; ``without``: subjects who have withdrawn."""
        first: dict[str, Visit] = {}
        known: dict[str, set[str]] = {}
        for visit in self._of(day, without):
            subject = visit.person.subject
            first[subject] = min(first.get(subject, visit), visit, key=lambda v: (v.ts, v.provider))
            known.setdefault(subject, set()).add(visit.provider)
        out: dict[Cell, Known] = {}
        for subject, visit in first.items():
            told = [_called(name, self._told(visit), self._year(day)) for name in attributes]
            for cell in _product(told):
                out.setdefault(cell, Known()).add(subject, sorted(known[subject]))
        return out

    def trips(self, day: int, without: Sequence[str] = ()) -> dict[Cell, Known]:
        """Who went from where to where, arriving on that day."""
        begin = self.start_ms + day * DAY_MS
        out: dict[Cell, Known] = {}
        by_person: dict[str, list[Visit]] = {}
        for visit in self.visits:
            if visit.person.subject not in without and "zone" in visit.person.consents.get(visit.provider, ()):
                by_person.setdefault(visit.person.subject, []).append(visit)
        for subject, visits in by_person.items():
            for before, now in itertools.pairwise(visits):
                inside = begin <= now.ts < begin + DAY_MS
                if inside and before.zone != now.zone and now.ts - before.ts <= GAP_MS:
                    cell = before.zone, now.zone
                    out.setdefault(cell, Known()).add(subject, [before.provider, now.provider])
        return out

    def _of(self, day: int, without: Sequence[str]) -> Iterator[Visit]:
        begin = self.start_ms + day * DAY_MS
        for visit in self.visits:
            consented = visit.provider in visit.person.consents and visit.person.subject not in without
            if consented and begin <= visit.ts < begin + DAY_MS:
                yield visit

    def _told(self, visit: Visit) -> dict[str, object]:
        allowed = visit.person.consents[visit.provider]
        return {name: value for name, value in visit.person.fields.items() if name in allowed}

    def _year(self, day: int) -> int:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.start_ms + day * DAY_MS)).year


def _called(attribute: str, told: Mapping[str, object], year: int) -> list[str]:
    """The categories of one person; several of interests, one of all others."""
    value = told.get("residence" if attribute in ("prefecture", "municipality") else attribute)
    if value is None or value == []:
        return [NONE]
    named: Mapping[str, Callable[[], list[str]]] = {
        "prefecture": lambda: [str(value)[:2]],
        "municipality": lambda: [NONE if str(value)[2:5] == "000" else str(value)],
        "birth_year": lambda: [_band(int(str(value)), year)],
        "household": lambda: [str(value) if int(str(value)) < 7 else "7-"],
        "children": lambda: [str(value) if int(str(value)) < 4 else "4-"],
        "interests": lambda: [str(word) for word in value] if isinstance(value, list) else [],
        "lang": lambda: [{"ja-JP": "ja", "zh-Hant": "zh", "tlh": "other"}.get(str(value), str(value))],
    }
    return named.get(attribute, lambda: [str(value)])()


def _band(born: int, year: int) -> str:
    oldest = (year - 100) // 5 * 5
    return f"-{oldest - 1}" if born < oldest else f"{born // 5 * 5}-{born // 5 * 5 + 4}"


def _product(told: Sequence[Sequence[str]]) -> list[Cell]:
    cells: list[Cell] = [()]
    for words in told:
        cells = [(*cell, word) for cell in cells for word in words]
    return cells
