"""Code lists of what people tell of themselves: CSV files beside this module, each with its source in its head.

Residence is a JIS X 0402 code of six digits: prefecture (JIS X 0401), municipality, check digit. The prefectures are a
list here, the municipalities are not: a code is judged by its check digit.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import NamedTuple

LISTS = ("prefectures", "gender", "income", "household", "children", "occupation", "interests")
PREFECTURES = 47
_WEIGHTS = (6, 5, 4, 3, 2)  # of the first five digits


class CodeList(NamedTuple):
    """The codes of one list in its order, their names, and the further columns of its file (column → numbers)."""

    codes: tuple[str, ...]
    ja: tuple[str, ...]
    en: tuple[str, ...]
    numbers: dict[str, tuple[int, ...]]


@cache
def load(name: str) -> CodeList:
    """The list of that name, one of LISTS. Raises KeyError for another name."""
    if name not in LISTS:
        raise KeyError("no such code list")
    text = resources.files(__name__).joinpath(f"{name}.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    column = {key: tuple(row[key] for row in rows) for key in rows[0]}
    more = {key: tuple(int(n) for n in column[key]) for key in column if key not in ("code", "ja", "en")}
    return CodeList(column["code"], column["ja"], column["en"], more)


def check_digit(five: str) -> int:
    """The sixth digit behind five, by JIS X 0402: 11 less (6a + 5b + 4c + 3d + 2e) modulo 11, its last digit."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, five, strict=True))
    return (11 - total % 11) % 10


def residence(text: str) -> int | None:
    """A residence code as a number, None where it is no valid one: six ASCII digits, a prefecture, the check digit.

    The check digit does not tell two codes apart whose sums leave 0 and 10: JIS X 0402 gives both a 1.
    """
    if len(text) != 6 or not (text.isascii() and text.isdigit()):
        return None
    if not 1 <= int(text[:2]) <= PREFECTURES or int(text[5]) != check_digit(text[:5]):
        return None
    return int(text)
