"""Every one-line message that flows, sinks, engine and page can end or go on with stands in docs/OPERATIONS.md.

So do those of the commands by which consents and contracts are kept.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

import engine.errors
from flows.kafka import OffsetGone
from tests.meta.tree import ROOT, name, parsed, sources

ROOMS = ("engine", "flows", "sinks", "dashboard")
COMMANDS = ("hitonami/consent_command.py", "hitonami/contract_command.py")
GOES_ON = "–"  # in place of an exit code
CODES = {
    kind.__name__: str(kind.exit_code)
    for kind in vars(engine.errors).values()
    if isinstance(kind, type) and issubclass(kind, engine.errors.HitonamiError)
} | {"OffsetGone": str(OffsetGone.exit_code), "tell": GOES_ON}
ROW = re.compile(r"^\| (?:`` (.+?) ``|`(.+?)`) \| (\d|–) \| (.+) \|$", re.MULTILINE)


def text(node: ast.expr) -> str:
    """A message as it stands in the source, … for what is put in at run time."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text(node.left) + text(node.right)
    return "…"


def messages() -> Iterator[tuple[str, str, str]]:
    """Exit code, message and place of every error made and every warning given."""
    for path in [*(path for room in ROOMS for path in sources(room)), *(ROOT / command for command in COMMANDS)]:
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            progress = called == "tell" and len(node.args) > 1  # of long work: a name and a share
            if called in CODES and not progress:
                told = text(node.args[0])
                if told != "…":  # handed on
                    yield CODES[called], told, f"{name(path)}:{node.lineno}"


def documented() -> list[tuple[str, str]]:
    """Exit code and message of every row."""
    operations = (ROOT / "docs" / "OPERATIONS.md").read_text()
    return [(code, first or second) for first, second, code, _ in ROW.findall(operations)]


def test_every_message_is_explained() -> None:
    table = set(documented())
    missing = sorted({(code, told, place) for code, told, place in messages() if (code, told) not in table})
    assert missing == []


def test_nothing_is_explained_that_nobody_says() -> None:
    said = {(code, told) for code, told, _ in messages()}
    assert sorted(set(documented()) - said) == []


def test_each_message_is_explained_once() -> None:
    table = documented()
    assert len(table) > 60
    assert sorted({row for row in table if table.count(row) > 1}) == []


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ('tell("a")', "a"),
        ('BadInput("a " + x + f"b {y}c")', "a …b …c"),
        ('BadInput(f"{a}{b}")', "……"),
        ("BadInput(x)", "…"),
    ],
)
def test_text(code: str, told: str) -> None:
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call)
    assert text(call.args[0]) == told
