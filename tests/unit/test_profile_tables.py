"""Tables of attributes: texts, trees and turns, categories that all know of, what is withheld."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import codes
from engine.config import Config
from engine.errors import BadInput
from engine.ingress import ATTRIBUTES
from engine.languages import LANGUAGES
from engine.profile_facts import HIGH, PROFILE, PROVIDER, TOLD, WIDTH
from engine.profile_rows import ProfileRelease, Rule, Tree, proven
from engine.profile_tables import COLUMNS, domain, fault, trees, turn, values, word
from engine.timezone import TimeZone
from tests.support.profile_run import rows_of

DAY = 1_770_390_000_000  # 2026-02-07T00:00+09:00
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    "tables", [[], ["gender"], ["gender*birth_year", "gender", "prefecture*municipality*lang"], ["interests", "lang"]]
)
def test_good_tables(tables: list[str]) -> None:
    assert fault(tables) is None
    assert Config({"profiles": {"tables": tables}})["profiles", "tables"] == tables


@pytest.mark.parametrize(
    "tables",
    [
        [""],
        ["gender*"],
        ["residence"],
        ["gender*gender"],
        ["gender * lang"],
        ["gender", "gender"],
        ["gender*lang*income*household"],
        ["interests*gender"],
        ["zone"],
    ],
)
def test_bad_tables_are_refused_in_one_line(tables: list[str]) -> None:
    with pytest.raises(BadInput, match=r"^config: tables in \[profiles\]: [^\n]+$"):
        Config({"profiles": {"tables": tables}})


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("trips", "gap_s", 0), ("trips", "purpose", "advertising"), ("profiles", "purpose", "")],
)
def test_other_settings(section: str, key: str, value: object) -> None:
    with pytest.raises(BadInput, match=key):
        Config({section: {key: value}})


def test_where_the_keys_lie_decides_no_figure() -> None:
    assert Config({"profiles": {"key_file": "/a"}}).hash() == Config().hash()
    assert Config({"trips": {"gap_s": 60}}).hash() != Config().hash()


def test_a_table_that_another_begins_with_is_its_totals() -> None:
    of = trees(["gender", "birth_year", "gender*income", "gender*birth_year*lang", "gender*birth_year"])
    assert [tree.text for tree in of] == ["birth_year", "gender*income", "gender*birth_year*lang"]
    assert [turn(of, day) for day in range(5)] == [*of, *of[:2]]
    assert turn([], 3) is None


def test_names_of_categories() -> None:
    told = np.zeros((4, len(ATTRIBUTES)), np.int64)
    told[:, 0], told[:, 2] = (11011, 10006, 0, 131016), (1900, 1925, 0, 2025)
    assert [word("prefecture", c) for c in values("prefecture", told, DAY)] == ["01", "01", "none", "13"]
    assert [word("municipality", c) for c in values("municipality", told, DAY)] == ["011011", "none", "none", "131016"]
    assert [word("birth_year", c) for c in values("birth_year", told, DAY)] == [
        "-1924",
        "1925-1929",
        "none",
        "2025-2029",
    ]
    assert word("lang", len(LANGUAGES)) == "other" and word("household", 7) == "7-"


def test_categories_that_all_know_of() -> None:
    for name in COLUMNS:
        named, more = domain(name, DAY, {})
        assert len(set(named)) == len(named) and 0 in named
        assert (more > 0) == (name == "municipality")
    assert domain("municipality", DAY, {})[1] == 1_916
    assert domain("municipality", DAY, {"prefecture": 1}) == ([0], 189)
    assert domain("municipality", DAY, {"prefecture": 0}) == ([0], 0)
    assert domain("prefecture", DAY, {"municipality": 11011}) == ([1], 0)
    assert len(domain("prefecture", DAY, {"municipality": 0})[0]) == codes.PREFECTURES + 1
    bands = domain("birth_year", DAY, {})[0]
    assert bands[:3] == [0, -1925, 1925] and bands[-1] == 2025


def test_every_total_is_in_the_tree_and_counts_the_cells_nobody_is_in() -> None:
    few = Tree(("gender", "occupation", "lang"), np.array([[1, 1, 1]], np.int64), np.array([20], np.int64), DAY)
    many = Tree(
        ("gender", "occupation", "lang"), np.array([[1, 1, 1], [1, 1, 2], [2, 3, 1]], np.int64), np.full(3, 20), DAY
    )
    for tree, leaves in ((few, 1), (many, 3)):
        assert len(tree.paths) == leaves + 4 * 10 + 4 + 1
        assert tree.parent[-1] == -1 and (tree.parent[:-1] > np.arange(len(tree.paths) - 1)).all()
        assert int(tree.absent.sum()) == 40 * (len(LANGUAGES) + 1) - leaves
    cities = Tree(("municipality", "gender"), np.array([[11011, 1], [131016, 2]], np.int64), np.full(2, 20), DAY)
    assert len(cities.paths) == 2 + 1_917 + 1 and cities.paths.count((11011,)) == 1


def rows(*groups: tuple[int, int, int, int]) -> Any:
    """Facts: (gender, lang, provider, people) each."""
    out = np.zeros((sum(group[3] for group in groups), WIDTH), np.int64)
    out[:, HIGH] = np.arange(len(out))
    at = 0
    for gender, lang, provider, people in groups:
        out[at : at + people, [3, PROVIDER, TOLD + 1, TOLD + 8]] = PROFILE, provider, gender, lang
        at += people
    return out


def release(facts: Any, table: str = "gender*lang", **more: Any) -> dict[tuple[str, str], tuple[int, int]]:
    rule = Rule.of(Config({"profiles": {"tables": [table], "k": 10, **more}}))
    found = rows_of(ProfileRelease(rule, TimeZone("Asia/Tokyo"))(5, DAY, facts, ("a", "b", "c", "d"), "1"))
    return {(row["row"], row["col"]): (row["n_low"], row["n_high"]) for row in found}


def even(gender: int, lang: int, each: int) -> list[tuple[int, int, int, int]]:
    return [(gender, lang, provider, each) for provider in range(3)]


def test_a_cell_needs_providers_and_others_than_the_largest() -> None:
    two = [(1, 1, 0, 30), (1, 1, 1, 30)]
    large = [(1, 2, 0, 100), (1, 2, 1, 5), (1, 2, 2, 4)]
    enough = [(1, 3, 0, 100), (1, 3, 1, 5), (1, 3, 2, 5)]
    also = even(1, 4, 20)
    found = release(rows(*two, *large, *enough, *also))
    words = [LANGUAGES[i] for i in range(4)]
    assert [found.get(("f", word_of)) for word_of in words] == [None, None, (110, 110), (60, 60)]
    assert found["f", ""] == (170, 170 + 10) and found["", ""][0] == 170  # who is left out is in no total
    assert release(rows(*two, *large), providers=1)["f", words[0]] == (60, 60)


def test_a_small_group_of_one_kind_is_not_broken_down() -> None:
    small, large = even(1, 1, 12), even(2, 1, 15)
    found = release(rows(*small, *large))
    assert found == {("f", ""): (36, 46), ("m", LANGUAGES[0]): (45, 45), ("m", ""): (45, 55), ("", ""): (81, 92)}


def test_nothing_is_listed_below_k() -> None:
    assert release(rows(*even(1, 1, 4))) == {}
    assert release(rows()) == {}


def test_three_attributes_are_rows_of_two() -> None:
    facts = rows(*even(1, 1, 20), *even(1, 2, 20))
    facts[:, TOLD + 6] = 1
    found = release(facts, "gender*occupation*lang")
    assert ("f/employee", LANGUAGES[1]) in found and ("f/employee", "") in found and ("f", "") in found


def test_live_counters_grow_by_the_people_that_totals_prove() -> None:
    for table, people in (("gender*lang", 81), ("gender", 81), ("interests", 0)):
        rule = Rule.of(Config({"profiles": {"tables": [table]}}))
        facts = rows(*even(1, 1, 12), *even(2, 1, 15))
        facts[:, TOLD + 7] = 1
        told = ProfileRelease(rule, TimeZone("Asia/Tokyo"))(5, DAY, facts, ("a", "b", "c", "d"), "1")
        assert proven(told) == people and len(told) == 1
