"""Runs the code blocks of the documents; the rules stand in CONTRIBUTING.md."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.realservices.cache import ROOT

FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
SHELL = ("console", "sh", "bash")
SECONDS = 300


class Block(NamedTuple):
    """One fenced block: the language it is tagged with, its text, the line it starts in."""

    language: str
    text: str
    line: int


class Step(NamedTuple):
    """One command of a console block, and the output that stands below it."""

    command: str
    expected: str


def blocks(document: str) -> list[Block]:
    """The fenced blocks of a Markdown text, in order, without their indentation."""
    found = []
    for match in FENCE.finditer(document):
        indent = match.group(1)
        text = "".join(line.removeprefix(indent) for line in match.group(3).splitlines(keepends=True))
        found.append(Block(match.group(2).strip(), text, document.count("\n", 0, match.start()) + 1))
    return found


def steps(block: Block) -> list[Step]:
    """The commands of a shell block: in ``console`` the lines behind "$ ", in ``sh`` every command."""
    if block.language != "console":
        joined = block.text.replace("\\\n", " ")
        return [Step(line, "...\n") for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    found: list[list[str]] = []
    continued = False
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif continued:
            found[-1][0] += "\n" + line.removeprefix("> ")
        elif found:
            found[-1][1] += line + "\n"
        else:
            raise ValueError(f"line {block.line}: a console block starts with a line '$ command'")
        continued = line.endswith("\\") and (continued or line.startswith("$ "))
    return [Step(command, expected) for command, expected in found]


def matches(expected: str, actual: str) -> bool:
    """Whether the output is as told: "..." in a line stands for any text, as a whole line for any lines.

    Runs of blanks count as one, and blanks at the ends of lines and empty lines at the ends do not count.
    """

    def clean(text: str) -> str:
        return "\n".join(re.sub(r"[ \t]+", " ", line).strip() for line in text.strip().splitlines())

    pattern = ""
    for i, line in enumerate(clean(expected).split("\n")):
        if line in ("...", "…"):
            pattern += r"(?:\n?[^\n]*)*?" if i == 0 else r"(?:\n[^\n]*)*?"
        else:
            pattern += ("\n" if i else "") + r"[^\n]*?".join(re.escape(part) for part in re.split(r"\.\.\.|…", line))
    pattern = pattern.replace(r"(?:\n?[^\n]*)*?" + "\n", r"(?:[^\n]*\n)*?")
    return re.fullmatch(pattern, clean(actual)) is not None


def environment(directory: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Variables for a block's commands: ``hitonami`` and ``python`` are those that run the tests."""
    bin_dir = Path(sys.executable).parent
    path = f"{bin_dir}:{os.environ['PATH']}"
    if not (bin_dir / "hitonami").exists():  # run from the source tree, not installed
        shim = directory / ".bin" / "hitonami"
        shim.parent.mkdir(exist_ok=True)
        shim.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            "from hitonami.cli import main\nmain()\n"
        )
        shim.chmod(0o755)
        path = f"{shim.parent}:{path}"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV_"))}
    return {**kept, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONPATH": str(ROOT), **more}


def run(block: Block, directory: Path, more: Mapping[str, str]) -> str | None:
    """Run one block in ``directory``; what is wrong with it, or None."""
    if block.language == "text":
        return None
    try:
        if block.language in SHELL:
            return _run_shell(block, directory, environment(directory, more))
        if block.language == "python":
            return _run_one(Step("python -", "...\n"), directory, environment(directory, more), stdin=block.text)
        if block.language == "json":
            json.loads(block.text)
            return None
        if block.language == "toml":
            tomllib.loads(block.text)
            return None
    except ValueError as error:
        return str(error)
    return f"a block is one of {', '.join(SHELL)}, python, json, toml or text, not {block.language or 'untagged'!r}"


def _run_shell(block: Block, directory: Path, variables: Mapping[str, str]) -> str | None:
    for step in steps(block):
        make = re.fullmatch(r"make( [\w-]+)*", step.command)
        # A verb sets up a whole machine (and `make test` runs this very test): that it exists is what we ask here.
        where = ROOT if make else directory
        asked = Step(f"make -n{step.command.removeprefix('make')}", "...\n") if make else step
        wrong = _run_one(asked, where, variables)
        if wrong:
            return wrong
    return None


def _run_one(step: Step, directory: Path, variables: Mapping[str, str], stdin: str = "") -> str | None:
    done = subprocess.run(
        ["bash", "-c", step.command] if not stdin else step.command.split(),
        cwd=directory,
        env=dict(variables),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    wanted = re.search(r"# exit (\d+)\s*$", step.command)
    if done.returncode != (int(wanted.group(1)) if wanted else 0):
        return f"{step.command}\nended with {done.returncode}:\n{done.stdout}"
    if not matches(step.expected, done.stdout):
        return f"{step.command}\nprinted\n{done.stdout}\nbut the document says\n{step.expected}"
    return None
