"""Published figures: claims.toml says which, results/ what was measured, the documents show them.

    python -m benchmarks.claims record NAME     run its script, keep the result in results/NAME.json
    python -m benchmarks.claims tables          write the tables of the documents anew
    python -m benchmarks.claims pictures        draw docs/pictures anew (benchmarks/pictures.py)

A document has a table of NAME's figures, and their picture, between the lines `<!-- claims: NAME -->` and
`<!-- end of claims -->`.
tests/meta/test_claims.py holds claims, results and documents together.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.pictures import picture
from benchmarks.svg import Picture

ROOT = Path(__file__).resolve().parent.parent
CLAIMS, RESULTS = ROOT / "benchmarks" / "claims.toml", ROOT / "benchmarks" / "results"
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "BENCHMARKING.md")
PICTURES = ROOT / "docs" / "pictures"
TABLE = re.compile(r"(<!-- claims: (\S+) -->\n).*?(<!-- end of claims -->)", re.DOTALL)
QUIET = 0.5  # load of the last minute before a measurement; more is told beside it


@dataclass(frozen=True, slots=True)
class Figure:
    """One published figure: where it stands in the result, what it says, its unit."""

    at: str
    says: str
    unit: str


@dataclass(frozen=True, slots=True)
class Claims:
    """The figures of one measurement: its script and options, and what of its result is published."""

    name: str
    script: str
    options: tuple[str, ...]
    figures: tuple[Figure, ...]

    @property
    def command(self) -> str:
        """How to repeat it."""
        return " ".join(["python", "-m", self.module, *self.options])

    @property
    def module(self) -> str:
        """The script as a module."""
        return f"benchmarks.{self.script}"

    @property
    def path(self) -> Path:
        """The file of its result."""
        return RESULTS / f"{self.name}.json"


def read() -> dict[str, Claims]:
    """All claims by name. Raises KeyError, TypeError for fields that are missing or not known."""
    with CLAIMS.open("rb") as file:
        told = tomllib.load(file)
    return {
        name: Claims(name, part["script"], tuple(part["options"].split()), tuple(Figure(**f) for f in part["figures"]))
        for name, part in told.items()
    }


def measured(claims: Claims) -> dict[str, Any]:
    """What was measured. Raises FileNotFoundError where it was not."""
    found: dict[str, Any] = json.loads(claims.path.read_text(encoding="utf-8"))
    return found


def value(result: Mapping[str, Any], at: str) -> str:
    """The figure at a dotted path as text; a spread as median (least to greatest). Raises KeyError."""
    found: Any = result
    for word in at.split("."):
        found = found[word]
    if isinstance(found, Mapping):
        return f"{_number(found['median'])} ({_number(found['least'])} to {_number(found['greatest'])})"
    return _number(found)


def _number(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:g}"


def table(claims: Claims, document: Path) -> str:
    """The picture and the Markdown table of its figures, and how and where they were measured."""
    result = measured(claims)
    lines = [""]
    if (drawn := drawing(claims)) is not None:
        path = PICTURES.relative_to(document.parent) / f"{claims.name}.svg"
        lines += [f"![{drawn.title}]({path.as_posix()})", ""]
    lines += ["| | | |", "|---|--:|---|"]
    lines += [f"| {figure.says} | {value(result, figure.at)} | {figure.unit} |" for figure in claims.figures]
    load = f", at a load of {result['load_before']:g} before it" if result["load_before"] > QUIET else ""
    lines += ["", f"`{claims.command}`, {result['cores']} cores of {result['cpu']}, {result['measured_on']}{load}.", ""]
    return "\n".join(lines) + "\n"


def drawing(claims: Claims) -> Picture | None:
    """The picture of a measurement; None where there is none."""
    return picture(claims.name, measured(claims), {figure.at: figure.says for figure in claims.figures})


def pictures(claims: Mapping[str, Claims]) -> dict[str, str]:
    """The files of docs/pictures as they must be: name → SVG."""
    drawn = {name: drawing(each) for name, each in claims.items()}
    return {f"{name}.svg": each.svg() for name, each in drawn.items() if each is not None}


def rendered(document: Path, claims: Mapping[str, Claims]) -> str:
    """A document with its tables as they must be. Raises KeyError for a table of no claims."""
    text = document.read_text(encoding="utf-8")
    return TABLE.sub(lambda found: found[1] + table(claims[found[2]], document) + found[3], text)


def record(claims: Claims) -> None:
    """Measure, and keep the result."""
    load = os.getloadavg()[0]
    command = [sys.executable, "-m", claims.module, *claims.options, "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    result |= {"measured_on": datetime.date.today().isoformat(), "load_before": round(load, 2)}
    for figure in claims.figures:
        value(result, figure.at)
    RESULTS.mkdir(exist_ok=True)
    claims.path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Record measurements, write the tables, or draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("record", "tables", "pictures"))
    parser.add_argument("names", nargs="*", metavar="NAME")
    chosen, claims = parser.parse_args(), read()
    if chosen.verb == "record":
        for name in chosen.names:
            record(claims[name])
        return
    if chosen.verb == "pictures":
        PICTURES.mkdir(exist_ok=True)
        drawn = pictures(claims)
        for path in PICTURES.glob("*.svg"):
            if path.name not in drawn:
                path.unlink()
        for name, text in drawn.items():
            (PICTURES / name).write_text(text, encoding="utf-8")
        return
    for path in DOCUMENTS:
        path.write_text(rendered(path, claims), encoding="utf-8")


if __name__ == "__main__":
    main()
