"""Differential fuzz of the compiled JSON scanner against orjson: ``python -m tests.fuzz --documents 10000000``.

A third of the documents come from a grammar with damage, a third from one of signage, the rest from a coverage-guided
fuzzer. The first document that the
two read differently, or that the scanner died of, is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.realservices.cache import ROOT

ENGINES = ("grammar", "touches", "guided")
KERNELS = ROOT / "build" / "coverage" / "lib"


def run(engine: str, documents: int, seed: int, kernels: Path | None = None) -> dict[str, Any] | str:
    """The tally of one engine, or what went wrong; ``kernels``: built for coverage, for ``guided``."""
    from tests.fuzz.compare import Comparison, last_document

    with tempfile.TemporaryDirectory() as directory:
        memory = Path(directory, "memory")
        memory.write_bytes(b"")
        os.truncate(memory, Comparison.SIZE)
        command = [sys.executable, "-X", "faulthandler", "-m", f"tests.fuzz.{engine}", str(documents), str(seed)]
        more = [str(kernels)] if kernels else []
        done = subprocess.run(
            [*command, str(memory), *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        told, log = memory.with_suffix(".json"), done.stdout.decode(errors="replace")
        if done.returncode == 0 and told.exists():
            reached = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)[-1:]
            return json.loads(told.read_text()) | {"reached": [int(n) for n in reached[0]] if reached else []}
        log = log[-6_000:]
        return f"{engine} ended with {done.returncode}\n{log}\nlast document: {last_document(memory.read_bytes())!r}"


def built() -> Path:
    """The kernels with coverage, built where they are not yet."""
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--build-lib", str(KERNELS)]
    environment = os.environ | {"ENGINE_BUILD": "coverage"}
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
    return KERNELS


def main() -> int:
    """Exit code 0 where no document was read in two ways."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=[*ENGINES, "all"], default="all")
    options = parser.parse_args()
    engines = ENGINES if options.engine == "all" else (options.engine,)
    for engine in engines:
        kernels = built() if engine == "guided" else None
        began = time.monotonic()
        found = run(engine, options.documents // len(engines), options.seed, kernels)
        if isinstance(found, str):
            print(found)
            return 1
        print(f"{engine}: {found['documents']:,} documents, 0 differences, {time.monotonic() - began:.0f} s")
        if found["reached"]:
            blocks, features, kept = found["reached"]
            print(f"  reached: {blocks:,} blocks, {features:,} features, by {kept:,} documents that were kept")
        print("  rows:", ", ".join(f"{reason} {n:,}" for reason, n in found["rows"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
