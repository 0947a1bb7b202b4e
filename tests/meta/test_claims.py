"""Every published figure comes from a script and its result: claims.toml, results/ and the documents agree."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from benchmarks import claims
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


@pytest.mark.parametrize("script", sorted({each.script for each in ALL.values()}))
def test_the_scripts_know_the_options(script: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{script}", "--help"]
    known = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    options = {word for each in ALL.values() if each.script == script for word in each.options if word[:2] == "--"}
    assert "--json" in known and {option for option in options if option not in known} == set()


@pytest.mark.parametrize("path", claims.DOCUMENTS, ids=name)
def test_tables_show_what_was_measured(path: claims.Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert claims.rendered(text, ALL) == text, "python benchmarks/claims.py tables"


def test_every_measurement_is_published() -> None:
    shown = {found[2] for path in claims.DOCUMENTS for found in claims.TABLE.finditer(path.read_text("utf-8"))}
    assert shown == set(ALL)
    assert {path.stem for path in claims.RESULTS.glob("*.json")} == set(ALL)


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
