"""Code lists, and residence codes by their check digit."""

from __future__ import annotations

import csv
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from engine import codes


def lists_of_municipalities(shared_data: Path) -> list[str]:
    with open(shared_data / "japan_municipalities" / "localgovjp-utf8.csv", encoding="utf-8-sig") as file:
        return [row["lgcode"] for row in csv.DictReader(file)]


def test_every_list_says_where_it_is_from_and_names_each_code_once() -> None:
    for name in codes.LISTS:
        head = resources.files(codes).joinpath(f"{name}.csv").read_text("utf-8").splitlines()[:5]
        comment = " ".join(line for line in head if line.startswith("#"))
        assert "JIS" in comment or "総務省" in comment, name
        known = codes.load(name)
        assert len(set(known.codes)) == len(known.codes) == len(known.ja) == len(known.en) > 1
        assert all(known.ja) and all(known.en)


def test_there_is_no_other_list() -> None:
    with pytest.raises(KeyError):
        codes.load("../model")


def test_prefectures_are_those_of_jis() -> None:
    known = codes.load("prefectures")
    assert known.codes == tuple(f"{number:02d}" for number in range(1, 48))
    assert known.ja[0] == "北海道" and known.en[12] == "Tokyo" and known.ja[46] == "沖縄県"


@pytest.mark.parametrize("code", ["011011", "011002", "131016", "271004", "010006", "473821"])
def test_good_codes(code: str) -> None:
    assert codes.residence(code) == int(code)


@pytest.mark.parametrize(
    "text",
    ["011012", "480002", "000001", "01101", "0110111", "０１１０１１", "+11011", "01101 ", " 11011", "", "abcdef"],
)
def test_bad_codes(text: str) -> None:
    assert codes.residence(text) is None


def test_every_municipality_passes_and_a_changed_digit_fails(shared_data: Path) -> None:
    every = lists_of_municipalities(shared_data)
    assert len(every) == 1_916
    assert all(codes.residence(code) == int(code) for code in every)
    passed = 0
    for code in every:
        for place in range(6):
            for digit in "0123456789".replace(code[place], ""):
                changed = code[:place] + digit + code[place + 1 :]
                if codes.residence(changed) is None:
                    continue
                # JIS X 0402 has the same check digit for the sums that leave 0 and 10: nothing else may pass
                sums = [sum(w * int(d) for w, d in zip((6, 5, 4, 3, 2), c, strict=False)) % 11 for c in (code, changed)]
                assert place < 5 and set(sums) == {0, 10}
                passed += 1
    assert 0 < passed < len(every) * 54 * 0.02


def test_numbers_of_municipalities_are_those_of_the_list(shared_data: Path) -> None:
    counted = Counter(int(code[:2]) for code in lists_of_municipalities(shared_data))
    assert codes.load("prefectures").numbers["municipalities"] == tuple(counted[number] for number in range(1, 48))
