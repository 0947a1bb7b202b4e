"""How many subjects of each provider consent, and what of it may be told to supervisors (PRIVACY.md R6).

Told are classes of ten, and anew only when ten subjects of the provider have granted or withdrawn since::

    people   25 at the start   ── nine changes ──▶         ── the tenth ──▶
    told     20                                   20                        what holds then

A class that is left with the very change that leaves it would tell the number (nine). For the same reason a start does
not tell what holds then, but goes on from what was told last: who knows of one change while nothing ran would see it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

CLASS = 10  # people of a class in what is told of how many consent


class Standing(NamedTuple):
    """What may be told of a provider: ``low`` = its consenting subjects, rounded down to a class of ten, never 0.

    ``terms``: versions of terms ("version lang") that ten or more of them have agreed to, sorted.
    """

    provider: str
    low: int
    terms: tuple[str, ...]


class Standings:
    """Counts of consenting subjects, in memory only, and what is told of them: nothing before ``begin``."""

    def __init__(self) -> None:
        self._people: Counter[str] = Counter()
        self._terms: Counter[tuple[str, str]] = Counter()
        self._moved: dict[str, set[bytes]] | None = None  # by provider, who has moved since it was told of
        self._told: dict[str, Standing] = {}

    def count(self, provider: str, terms: str, by: int) -> None:
        """So many more subjects (or fewer, below 0) consent, to that version of the terms."""
        self._people[provider] += by
        self._terms[provider, terms] += by

    def moves(self, provider: str, subject: bytes) -> None:
        """A subject, by its digest, has granted or withdrawn; call it when it was counted."""
        if self._moved is None:  # what is read of the past, which compaction has thinned out, is no move
            return
        moved = self._moved.setdefault(provider, set())
        moved.add(subject)
        if len(moved) >= CLASS:
            moved.clear()
            self._tell(provider)

    def begin(self, before: Iterable[Standing] | None) -> None:
        """All records were read: moves count from here on. To be called once.

        ``before``: what was told last, by whichever process; it holds until ten have moved. None: nothing ever was,
        so that what holds now is told.
        """
        self._moved = {}
        if before is not None:
            self._told = {each.provider: each for each in before}
            return
        for provider in list(self._people):
            self._tell(provider)

    def told(self) -> Sequence[Standing]:
        """What may be told, by provider; of one with fewer than ten subjects nothing, not even that it is named."""
        return [self._told[provider] for provider in sorted(self._told)]

    def _tell(self, provider: str) -> None:
        self._told.pop(provider, None)
        if self._people[provider] >= CLASS:
            terms = sorted(terms for (of, terms), n in self._terms.items() if of == provider and n >= CLASS)
            self._told[provider] = Standing(provider, self._people[provider] // CLASS * CLASS, tuple(terms))
