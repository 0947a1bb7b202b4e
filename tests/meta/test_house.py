"""House rules that a glance can miss: lengths, paths of one machine, unfinished work, dependencies."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.meta.tree import ROOT, files, name

LIMITS = {".py": 400, ".pyx": 250, ".pyi": 400, ".pxd": 250, ".js": 400}
TEXT = [path for path in files() if path.suffix not in {".png", ".ico", ".woff2", ".gz", ".zst", ".webp"}]
# Put together, so that this file does not hold what it looks for.
ROOTS = ("/wo" + "rk", "/fa" + "rm", "/ro" + "ot", "/home" + r"/\w+", "/Us" + r"ers/\w+", "/tmp" + "/w")
MACHINE = re.compile("|".join(rf"(?<![\w.]){root}/" for root in ROOTS))
MARKS = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")
UNFINISHED = re.compile(r"\b(?:" + "|".join(MARKS) + r")\b")


def test_modules_are_short() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in files(*LIMITS)}
    assert len(lines) > 200
    assert {name(path): n for path, n in lines.items() if n > LIMITS[path.suffix]} == {}


def test_no_path_of_one_machine() -> None:
    found = {name(path): MACHINE.findall(path.read_text(errors="replace")) for path in TEXT}
    assert len(found) > 200
    assert {path: paths for path, paths in found.items() if paths} == {}


def test_the_only_pictures_that_are_not_text_are_two_small_ones_of_the_page() -> None:
    """Those of README, made by ``make screenshots``."""
    kept = files(".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".ico", ".pdf")
    assert {name(path) for path in kept} <= {f"docs/pictures/page-{shot}.webp" for shot in ("light", "dark")}
    assert all(path.stat().st_size <= 200_000 for path in kept)


def test_nothing_is_left_unfinished() -> None:
    found = {name(path): UNFINISHED.findall(path.read_text()) for path in files(".py", ".pyx", ".js")}
    assert len(found) > 200
    assert {path: marks for path, marks in found.items() if marks} == {}


def skips(path: Path) -> list[str]:
    words = "|".join(("skip", "skipif", "xfail", "importorskip"))
    return re.findall(rf"pytest\.(?:mark\.)?(?:{words})\b", path.read_text())


def test_only_data_and_the_browser_may_be_skipped() -> None:
    found = {name(path): skips(path) for path in files(".py") if name(path).startswith("tests/") and skips(path)}
    assert found == {"tests/conftest.py": ["pytest." + "skip"] * 2}


def dependencies() -> list[tuple[str, str]]:
    """Each line of pyproject.toml that names a dependency, and its comment."""
    project = re.search(r"^\[project\]$.*?^\[project\.scripts\]$", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    assert project is not None
    return re.findall(r'^  "([\w-]+ [=<>][^"]*)",(.*)$', project.group(), re.MULTILINE)


def test_every_dependency_is_listed_for_the_next_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = project["dependencies"] + [d for extra in project["optional-dependencies"].values() for d in extra]
    assert sorted(d for d, _ in dependencies()) == sorted(named)


def test_every_dependency_has_bounds_and_a_reason() -> None:
    told = dependencies()
    assert [one for one, _ in told if not ("==" in one or (">=" in one and "<" in one))] == []
    assert [one for one, comment in told if not re.search(r"# \w+", comment)] == []


def test_the_makefile_lists_every_verb() -> None:
    text = (ROOT / "Makefile").read_text()
    listed = set(re.findall(r"^\t@echo 'make ([\w-]+)", text, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split())  # type: ignore[union-attr]
    assert phony - listed <= {"help", "bench-smoke"}
    assert listed <= phony


def test_ci_calls_exactly_the_verbs() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in text
    called = re.findall(r"^ *make (.*?)(?: \|\| failed=\$\?)?$", text, re.MULTILINE)
    assert called == ["lint", "types", "test ARGS='tests benchmarks'"]
    # what runs beside the tests is waited for and told, and fails as they do
    assert "\nbeside=$!\n" in text and '\nwait "$beside" || failed=$?\ncat "$told"\n' in text
    assert text.endswith('\nexit "$failed"\n')
