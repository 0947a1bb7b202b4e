"""The kernels beside their twins: ns per event (the carry: per chain and pane), medians of the rounds.

    python -m benchmarks.kernels [--json]

It is what `make bench` measures, as one result: each test checks what it computes. Named are file, test and way.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.services import ROOT, machine, tell


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        command = [sys.executable, "-m", "pytest", "-q", "benchmarks/kernels", "--benchmark-enable", "--benchmark-only"]
        done = subprocess.run([*command, f"--benchmark-json={path}"], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout[-3000:])
        measured = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
    result: dict[str, object] = {**machine()}
    for each in measured:
        ns = 1e9 / each["extra_info"]["events"]
        bench, test = re.fullmatch(r".*bench_(\w+)\.py::test_(.*)", each["fullname"]).groups()
        name = re.sub(r"\W+", "_", f"{bench}.{test}").strip("_")
        took = {"median": each["stats"]["median"], "least": each["stats"]["min"], "greatest": each["stats"]["max"]}
        result[name] = {word: round(seconds * ns, 1) for word, seconds in took.items()}
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
