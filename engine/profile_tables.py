"""Which tables of attributes a run publishes: their texts, the trees they make, whose turn it is, names of cells.

``[profiles] tables`` are texts of one to three attributes joined by ``*``. A table that another one begins with is its
totals and makes no tree of its own. The trees are over the same people, and two tables over the same people are one
tree or are not published (PRIVACY.md): so they take turns, day by day::

    tables  "gender"  "gender*birth_year"  "prefecture"
    trees   gender*birth_year (its totals are the table gender)        days 0, 2, 4 …
            prefecture                                                 days 1, 3, 5 …

``interests``, of which a person may have several, stands alone and has no totals. Who does not tell of an attribute is
in its category "none".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine import codes
from engine.errors import BadInput
from engine.ingress import ATTRIBUTES, BAND_YEARS, year_of
from engine.languages import LANGUAGES
from engine.model import I64

INTERESTS = "interests"
# Attribute of a table -> the column of what is told that it comes from.
COLUMNS = {
    "prefecture": ATTRIBUTES.index("residence"),
    "municipality": ATTRIBUTES.index("residence"),
    **{name: ATTRIBUTES.index(name) for name in ATTRIBUTES if name != "residence"},
}
NONE = "none"  # the category of those who do not tell
MOST_ATTRIBUTES = 3
OLDEST_YEARS = 100  # bands of birth years that began longer ago are one: few people would be in each


@dataclass(frozen=True, slots=True)
class Table:
    """One tree. ``text`` names it; ``attributes`` from the root down."""

    text: str
    attributes: tuple[str, ...]


def fault(tables: Sequence[str]) -> str | None:
    """Why these texts are no tables of one run, None where they are."""
    if len(set(tables)) != len(tables):
        return "each table once"
    for text in tables:
        attributes = text.split("*")
        if any(name not in COLUMNS for name in attributes) or len(set(attributes)) != len(attributes):
            return f"a table is 1 to {MOST_ATTRIBUTES} of {', '.join(COLUMNS)}, each once, joined by *"
        if len(attributes) > MOST_ATTRIBUTES:
            return f"a table is 1 to {MOST_ATTRIBUTES} of {', '.join(COLUMNS)}, each once, joined by *"
        if INTERESTS in attributes and len(attributes) > 1:
            return "interests stands alone: a person may have several"
    return None


def trees(tables: Sequence[str]) -> list[Table]:
    """The tables that are not the totals of another one, in their order. Raises BadInput for what ``fault`` tells."""
    wrong = fault(tables)
    if wrong is not None:
        raise BadInput(f"config: tables in [profiles]: {wrong}")
    split = [tuple(text.split("*")) for text in tables]
    inner = {other[:depth] for other in split for depth in range(1, len(other))}
    return [Table("*".join(of), of) for of in split if of not in inner]


def turn(of: Sequence[Table], day: int) -> Table | None:
    """The tree that is published of a day (days since 1970 of the local calendar); None where there are no tables."""
    return of[day % len(of)] if of else None


def values(attribute: str, told: I64, day_ms: int) -> I64:
    """Codes (m,) of one attribute of what people have told (m, ATTRIBUTES) on the day that begins then; 0 = none."""
    column = told[:, COLUMNS[attribute]]
    if attribute == "prefecture":
        return column // 10_000
    if attribute == "municipality":
        return np.where(column // 10 % 1_000 == 0, 0, column)
    if attribute == "birth_year":
        oldest, newest = _bands(day_ms)
        return np.where(column == 0, 0, np.where(column < oldest, -oldest, np.minimum(column, newest)))
    return column


def word(attribute: str, code: int) -> str:
    """What a code of an attribute is called in rows."""
    if code == 0:
        return NONE
    if attribute == "municipality":
        return f"{code:06d}"
    if attribute == "prefecture":
        return f"{code:02d}"
    if attribute == "birth_year":
        return f"-{-code - 1}" if code < 0 else f"{code}-{code + BAND_YEARS - 1}"
    return LANGUAGES[code - 1] if attribute == "lang" else codes.load(attribute).codes[code - 1]


def domain(attribute: str, day_ms: int, above: Mapping[str, int]) -> tuple[list[int], int]:
    """The categories that an attribute can have for all to know: their codes, and how many more there are without one.

    ``above``: codes of the attributes that stand before it in the tree. In a prefecture there are only its own
    municipalities, and the municipality tells the prefecture. Municipalities are not listed, only counted; one that an
    address of a whole prefecture leaves open is none.
    """
    counts = codes.load("prefectures").numbers["municipalities"]
    if attribute == "municipality":
        within = above.get("prefecture")
        return [0], sum(counts) if within is None else counts[within - 1] if within else 0
    if attribute == "prefecture":
        told = above.get("municipality", 0)
        return ([told // 10_000] if told > 0 else [0] if told < 0 else list(range(codes.PREFECTURES + 1))), 0
    if attribute == "birth_year":
        oldest, newest = _bands(day_ms)
        return [0, -oldest, *range(oldest, newest + 1, BAND_YEARS)], 0
    known = LANGUAGES if attribute == "lang" else codes.load(attribute).codes
    return list(range(len(known) + 1)), 0


def _bands(day_ms: int) -> tuple[int, int]:
    """First years of the oldest and the newest band of birth years that stand alone on a day."""
    year = year_of(day_ms)
    oldest, newest = year - OLDEST_YEARS, year + 1
    return oldest - oldest % BAND_YEARS, newest - newest % BAND_YEARS
