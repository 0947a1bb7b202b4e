"""examples/juelich.py: rows of tracked people as events; bad rows counted, not fatal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine import registry

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "juelich.py"


def run(tmp_path: Path, experiment: str, data: bytes) -> tuple[subprocess.CompletedProcess[str], Path, Path]:
    events, made, given = tmp_path / "events.jsonl", tmp_path / "registry.json", tmp_path / "given.txt"
    given.write_bytes(data)
    # isolated: nothing of this project and of its dependencies may be needed
    command = [sys.executable, "-I", "-S", SCRIPT, experiment, given, "-o", events, "--registry-out", made]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False), events, made


@pytest.mark.parametrize(
    ("experiment", "ts", "x", "y"), [("bidirectional", 40, 1.23, -0.045), ("bottleneck", 62, 123.0, -4.5)]
)
def test_frames_and_units(tmp_path: Path, experiment: str, ts: int, x: float, y: float) -> None:
    done, events, made = run(tmp_path, experiment, b"\xef\xbb\xbf# a comment\n7 0 0 0 1.7\n\n7\t1\t123\t-4.5\t1.7\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 points of 1 people\n", "")
    first, second = map(json.loads, events.read_text().splitlines())
    assert first == {"sensor": "cameras", "ts": 1_242_000_000_000, "type": "point", "track": 7, "x": 0.0, "y": 0.0}
    assert (second["ts"] - first["ts"], second["x"], second["y"]) == (ts, x, y)
    assert [s.id for s in registry.load(made).sensors] == ["cameras"]


def test_bad_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    bad = b"1 2 3\n0x1 2 3 4\n1 2.5 3 4\n1 2 nan 4\n1 2 3 1e9\n1 2 3 4\n"
    done, events, _ = run(tmp_path, "bottleneck", bad)
    assert (done.returncode, done.stdout) == (0, "1 points of 1 people\n")
    assert done.stderr.splitlines() == [
        "left out: 1 rows, fewer than four cells",
        "left out: 2 rows, id or frame not a whole number",
        "left out: 2 rows, x or y not a number",
    ]
    assert len(events.read_text().splitlines()) == 1


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    done, *_ = run(tmp_path, "bottleneck", b"\xff\xfe1 2 3 4\n")
    assert done.returncode == 3 and "not a text file in UTF-8" in done.stderr
    done, *_ = run(tmp_path, "elsewhere", b"")
    assert done.returncode == 2
