"""Every block of the documents runs, and the command line's reference tells exactly what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.meta import blocks
from tests.meta.tree import ROOT, files, name

DOCUMENTS = [path for path in files(".md") if name(path) != "CHANGELOG.md"]
HEADING = re.compile(r"^#{2,4} `?(hitonami(?: [a-z][a-z-]*)*)`?\s*$", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_blocks_run(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    found = blocks.blocks(path.read_text())
    text = "".join(block.text for block in found if block.language in (*blocks.SHELL, "python"))
    more = {}
    if "$KAFKA" in text or '"KAFKA"' in text:
        more["KAFKA"] = request.getfixturevalue("kafka").bootstrap
    if "$CLICKHOUSE" in text or '"CLICKHOUSE"' in text:
        more["CLICKHOUSE"] = request.getfixturevalue("clickhouse_url")
    for block in found:  # one directory for all: a later block uses what an earlier one made
        wrong = blocks.run(block, tmp_path, more)
        assert wrong is None, f"{name(path)} line {block.line}: {wrong}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    prose = blocks.FENCE.sub("", path.read_text())
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", prose)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_the_readme_has_blocks() -> None:
    found = blocks.blocks((ROOT / "README.md").read_text())
    commands = [step.command for block in found if block.language in blocks.SHELL for step in blocks.steps(block)]
    assert {"make demo", "make test"} <= set(commands)
    assert any(command.startswith("hitonami ") for command in commands)


# ------------------------------------------------------------------------------ command line
def commands() -> Iterator[tuple[str, set[str]]]:
    """Every command of the tree with its long options."""
    import typer.main

    from hitonami.cli import app

    def walk(path: str, command: Any) -> Iterator[tuple[str, set[str]]]:
        options = {
            option
            for parameter in command.params
            if not getattr(parameter, "hidden", False)
            for option in (*parameter.opts, *parameter.secondary_opts)
            if option.startswith("--") and "completion" not in option
        }
        yield path, options - {"--help"}
        for key, child in sorted(getattr(command, "commands", {}).items()):
            if not child.hidden:
                yield from walk(f"{path} {key}", child)

    yield from walk("hitonami", typer.main.get_command(app))


def documented() -> dict[str, set[str]]:
    """Every command with a heading in docs/CLI.md, with the long options named below that heading."""
    text = (ROOT / "docs" / "CLI.md").read_text()
    marks = list(HEADING.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return {
        m.group(1): set(OPTION.findall(text[m.end() : end])) - {"--help"} for m, end in zip(marks, ends, strict=True)
    }


def test_the_reference_has_every_command() -> None:
    told = set(documented())
    there = {path for path, _ in commands()}
    groups = {path for path in there if any(other.startswith(path + " ") for other in there)}
    assert there - groups <= told  # a group without options of its own needs no heading
    assert told <= there


def test_the_reference_has_every_option() -> None:
    told = documented()
    there = dict(commands())
    missing = {path: options - told[path] for path, options in there.items() if path in told and options - told[path]}
    assert missing == {}
    known = set().union(*there.values())
    assert {path: options - known for path, options in told.items() if options - known} == {}


def test_every_command_has_an_example() -> None:
    import typer.main

    from hitonami.cli import app

    def leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        children = getattr(command, "commands", {})
        for key, child in children.items():
            yield from leaves(f"{path} {key}", child)
        if not children:
            yield path, command

    lacking = []
    for path, command in leaves("hitonami", typer.main.get_command(app)):
        told = " ".join(filter(None, (command.help, command.epilog)))
        if path not in told:
            lacking.append(path)
    assert lacking == []


# ------------------------------------------------------------------- the runner of the blocks
@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a\nb\n", "a\nb", True),
        ("a\nb", "a\nc", False),
        ("a ... z", "a 1 2 3 z", True),
        ("a ... z", "a 1\nz", False),
        ("...\nz", "a\nb\nz", True),
        ("...\nz", "z", True),
        ("a\n...", "a\nb\nc", True),
        ("a\n...", "a", True),
        ("a\n...\nz", "a\nz", True),
        ("a\n...\nz", "a\nb\n\nc\nz", True),
        ("a\n...\nz", "a\nb\nz\nmore", False),
        ("...", "anything\nat all", True),
        ("", "something", False),
        ("read   7", "read 7  ", True),
        ("1.5", "1x5", False),
    ],
)
def test_matches(expected: str, actual: str, same: bool) -> None:
    assert blocks.matches(expected, actual) is same


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ("```console\n$ echo one \\\n    two\none two\n```\n", None),
        ("```console\n$ echo one\ntwo\n```\n", "document says"),
        ("```console\n$ exit 3\n```\n", "ended with 3"),
        ("```console\n$ (exit 3)  # exit 3\n```\n", None),
        ("```sh\n# why\nfalse\n```\n", "ended with 1"),
        ("```console\n$ make demo\n```\n", None),
        ("```console\n$ make nonsense\n```\n", "ended with 2"),
        ("```python\nassert 1 == 2\n```\n", "AssertionError"),
        ("```json\n{\n```\n", "Expecting"),
        ("```toml\na = 1\n```\n", None),
        ("```text\n┌─┐\n```\n", None),
        ("```\n┌─┐\n```\n", "untagged"),
        ("- a list\n  ```console\n  $ echo one\n  one\n  ```\n", None),
    ],
)
def test_run(document: str, wrong: str | None, tmp_path: Path) -> None:
    (block,) = blocks.blocks(document)
    found = blocks.run(block, tmp_path, {})
    assert found is None if wrong is None else found is not None and wrong in found
