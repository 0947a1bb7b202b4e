"""How long until figures flow again after a fault: what the tests of tests/faults measure, over several runs of them.

    python -m benchmarks.faults [--repeats 3] [-k WORD] [--json]

Run are the tests of a real Kafka and a real ClickHouse that ask pytest for its record_property.

Seconds from the end of the fault (the service is back; of a kill: the kill) until a row that is newer than all stored
before is in the store. The tests also check that nothing was lost and nothing stored twice; one that fails ends this.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from benchmarks.services import ROOT, machine, spread


def telling() -> list[str]:
    """The tests that tell something they measured."""
    found = []
    for path in sorted((ROOT / "tests/faults").glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(a.arg == "record_property" for a in node.args.args):
                found.append(f"{path}::{node.name}")
    return found


def once(words: list[str], work: Path) -> dict[str, float]:
    """Run the tests; test → seconds."""
    report = work / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", *telling(), "-o", "junit_family=xunit1"]
    command += [f"--junitxml={report}", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:])
    found: dict[str, float] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        for told in case.iter("property"):
            if told.get("name") == "figures_again_s":
                found[str(case.get("name"))] = float(str(told.get("value")))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("-k", dest="word", default="")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(chosen.repeats):
            for name, value in once(["-k", chosen.word] if chosen.word else [], Path(folder)).items():
                seconds.setdefault(name, []).append(value)
    told = {name: spread(values, 1) for name, values in sorted(seconds.items())}
    if chosen.json:
        print(json.dumps({**machine(), "repeats": chosen.repeats, "figures_again_s": told}))
    else:
        for name, value in told.items():
            print(f"{name:>60} {value}")


if __name__ == "__main__":
    main()
