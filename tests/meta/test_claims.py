"""Every published figure comes from a script and its result: claims.toml, results/ and the documents agree."""

from __future__ import annotations

import itertools
import re
import runpy
import sys
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import claims
from benchmarks.pictures import picture
from tests.meta.tree import ROOT, files, name

ALL = claims.read()
# a rate, a time per event, a share of a core, a ratio: what only a measurement can say
SPEED = re.compile(r"\d[\d,.]*\s*[kM]?\s*(?:(?:events|messages|points|rows)(?:/s| per second| a second)|ns per|× )")


@pytest.mark.parametrize("each", ALL.values(), ids=ALL)
def test_figures_are_in_a_result_of_the_script(each: claims.Claims) -> None:
    result = claims.measured(each)
    assert {"cpu", "cores", "measured_on", "load_before"} <= result.keys()
    told = {figure.says: claims.value(result, figure.at) for figure in each.figures}
    assert len(told) == len(each.figures) > 0 and all(told.values())


@pytest.mark.parametrize("each", ALL.values(), ids=ALL)
def test_the_command_is_the_one_that_was_run(each: claims.Claims) -> None:
    result = claims.measured(each)
    asked = {
        word.removeprefix("--").replace("-", "_"): value
        for word, value in itertools.pairwise(each.options)
        if word.startswith("--")
    }
    told = {name: result[name] for name in asked if isinstance(result.get(name), int | float)}
    assert told == {name: float(asked[name]) for name in told}


@pytest.mark.parametrize("script", sorted({each.script for each in ALL.values()}))
def test_the_scripts_know_the_options(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_module(f"benchmarks.{script}", run_name="__main__", alter_sys=True)
    known = capsys.readouterr().out
    options = {word for each in ALL.values() if each.script == script for word in each.options if word[:2] == "--"}
    assert "--json" in known and {option for option in options if option not in known} == set()


@pytest.mark.parametrize("path", claims.DOCUMENTS, ids=name)
def test_tables_show_what_was_measured(path: claims.Path) -> None:
    assert claims.rendered(path, ALL) == path.read_text(encoding="utf-8"), "python -m benchmarks.claims tables"


def test_every_measurement_is_published() -> None:
    shown = {found[2] for path in claims.DOCUMENTS for found in claims.TABLE.finditer(path.read_text("utf-8"))}
    assert shown == set(ALL)
    assert {path.stem for path in claims.RESULTS.glob("*.json")} == set(ALL)


def test_pictures_show_what_was_measured() -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in claims.PICTURES.glob("*.svg")}
    assert kept == claims.pictures(ALL), "python -m benchmarks.claims pictures"
    assert {"peers.svg", "latency.svg"} <= kept.keys()


def test_every_picture_is_shown_where_its_figures_are() -> None:
    text = (ROOT / "docs" / "BENCHMARKING.md").read_text("utf-8")
    for drawn in claims.PICTURES.glob("*.svg"):
        section = re.search(rf"<!-- claims: {drawn.stem} -->\n\n!\[[^\]]+\]\(([^)]+)\)\n", text)
        assert section is not None and section[1] == f"pictures/{drawn.name}"


RUN = {"cpu": "a processor", "cores": 2, "measured_on": "2026-01-01", "rate": 1_000, "seconds": 60, "repeats": 3}
OF_SENSORS = {
    "over_time_mb": [90.0, 120.5, 121.0],
    "every_s": 20,
    "greatest_mb": 121,
    "slope_mb_per_hour": {"slope": 1.5, "error": 0.25},
}
SPREAD = {"median": 40.0, "least": 38.0, "greatest": 45.0}


@pytest.mark.parametrize(
    ("name", "result", "told"),
    [
        ("peers", {"peers": {"hitonami": {"events_per_s": SPREAD}}}, ["Ours <all>: 40 (38 to 45)", "Ours <all>"]),
        (
            "latency",
            {"rows": 8, "rows_until": {"<= 50 ms": 2, "<= 150 ms": 8, "<= 500 ms": 8}, "latency_s": {"p50": 0.1}},
            ["50 to 150 ms: 6 rows", "p50: 100 ms"],
        ),
        ("memory", {"sensors_1000": OF_SENSORS}, ["1,000 sensors: at most 121 MB, slope +1.5 ± 0.25 MB per hour"]),
        (
            "stages",
            {"stages_ns": {"decode": SPREAD, "rest": SPREAD}, "replay_ns": {**SPREAD, "median": 79.0}},
            ["rest: 40 ns", "Sum: 80 ns; the whole replay without clocks: 79 ns"],
        ),
    ],
)
def test_a_picture_has_words_for_who_does_not_see_it(name: str, result: dict[str, Any], told: list[str]) -> None:
    drawn = picture(name, {**RUN, **result}, {"peers.hitonami.events_per_s": "Ours <all>"})
    assert drawn is not None and all(words in drawn.description for words in told)
    root = ElementTree.fromstring(drawn.svg())
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img" and root.get("aria-labelledby") == "title description"
    assert [root[0].tag, root[0].text] == [f"{space}title", drawn.title]
    assert [root[1].tag, root[1].text] == [f"{space}desc", drawn.description]
    inks = set(re.findall(r'(?:fill|stroke)="(#\w+)"', drawn.svg()))
    grey = sorted(sum(int(ink[at : at + 2], 16) for at in (1, 3, 5)) / 3 for ink in inks - {"#4a5866"})
    assert all(b - a > 20 for a, b in itertools.pairwise(grey))  # told apart without colour
    shapes = list(root.iter(f"{space}rect"))
    assert len(shapes) > 1 or name == "memory"
    assert all(float(shape.get("width", "0")) >= 0 and float(shape.get("height", "0")) >= 0 for shape in shapes)


def test_what_was_not_measured_has_no_picture() -> None:
    assert picture("memory", {**RUN, "sensors_1000": {"greatest_mb": 1}}, {}) is None
    assert picture("kernels", RUN, {}) is None


def test_documents_have_no_other_figures_of_speed() -> None:
    found = [
        f"{name(path)}: {line}"
        for path in files(".md")
        if path.parent in (ROOT, ROOT / "docs") and path.name not in ("CHANGELOG.md", "CLI.md")  # rates one asks for
        for line in claims.TABLE.sub("", path.read_text("utf-8")).splitlines()
        if SPEED.search(line) and not line.lstrip().startswith(("$", "hitonami", "python", "make"))
    ]
    assert found == []


def test_a_figure_is_told_with_its_spread() -> None:
    result = {"rate": {"median": 1234567.0, "least": 1200000.0, "greatest": 1.3e6}, "p": {"p99": 0.291}}
    assert claims.value(result, "rate") == "1,234,567 (1,200,000 to 1,300,000)"
    assert claims.value(result, "p.p99") == "0.291"
    with pytest.raises(KeyError):
        claims.value(result, "p.p50")
