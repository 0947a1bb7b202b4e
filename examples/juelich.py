"""Tracked people of two experiments in Jülich (ped.fz-juelich.de) as Hitonami `point` events and registry.

    python examples/juelich.py bidirectional bi_corr_400_b_03.txt -o events.jsonl --registry-out registry.json
    python examples/juelich.py bottleneck traj.txt -o events.jsonl --registry-out registry.json

Both files hold one row per person and frame: id, frame, x, y (and a height). The cameras become one tracker that
serves every gate and zone. The files tell no time of day: frame 0 is set to START. Rows that cannot be read are left
out, counted by cause and reported on stderr. Needs nothing but Python's standard library.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START = 1_242_000_000_000  # 2009-05-11T00:00:00Z, a start of an hour, in the year of the experiments
TIMEZONE = "Europe/Berlin"
WHOLE = re.compile(r"[0-9]{1,9}")
DECIMAL = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,12})?")
# frames a second, metres of a unit, gate lines and zones. Side a lies left of a line from its first to its second end.
EXPERIMENTS: dict[str, dict[str, Any]] = {
    "bidirectional": {
        "frames": 25,
        "metres": 0.01,
        "gates": [{"id": "x0", "name": {"en": "x = 0, ab towards +x"}, "line_m": [[0, -10], [0, 10]]}],
        "zones": [],
    },
    "bottleneck": {
        "frames": 16,
        "metres": 1.0,
        "gates": [{"id": "y05", "name": {"en": "y = 0.5, ab towards +y"}, "line_m": [[4, 0.5], [-2.25, 0.5]]}],
        "zones": [
            {
                "id": "box",
                "kind": "plaza",
                "name": {"en": "Measurement box"},
                "area_m2": 3.18,
                "polygon_m": [[2.4, 0.53], [2.4, -0.53], [-0.6, -0.53], [-0.6, 0.53]],
            }
        ],
    },
}


def registry(name: str) -> dict[str, Any]:
    """The registry of an experiment."""
    of = EXPERIMENTS[name]
    tracker = {
        "id": "cameras",
        "kind": "tracker",
        "gate": None,
        "zone": None,
        "owner": "Forschungszentrum Jülich",
        "approved": [{"from": "2009-01-01T00:00:00+01:00", "to": None}],
        "reporting": "on_change",
    }
    gates = [{"a": None, "b": None, "leaf": "10s", **gate} for gate in of["gates"]]
    version = f"juelich-{name}"
    return {"version": version, "timezone": TIMEZONE, "zones": of["zones"], "gates": gates, "sensors": [tracker]}


def points(lines: Iterator[str], name: str, bad: Counter[str]) -> Iterator[dict[str, Any]]:
    """The `point` events of a file's rows; comments and empty lines are skipped, bad rows counted by cause."""
    of = EXPERIMENTS[name]
    for line in lines:
        cells = line.split()
        if not cells or line.startswith("#"):
            continue
        if len(cells) < 4:
            bad["fewer than four cells"] += 1
        elif WHOLE.fullmatch(cells[0]) is None or WHOLE.fullmatch(cells[1]) is None:
            bad["id or frame not a whole number"] += 1
        elif DECIMAL.fullmatch(cells[2]) is None or DECIMAL.fullmatch(cells[3]) is None:
            bad["x or y not a number"] += 1
        else:
            x, y = (round(float(cell) * of["metres"], 6) for cell in cells[2:4])
            ts = START + int(cells[1]) * 1000 // of["frames"]
            yield {"sensor": "cameras", "ts": ts, "type": "point", "track": int(cells[0]), "x": x, "y": y}


def main(arguments: list[str] | None = None) -> int:
    """Convert a file; 0 = done (bad rows are reported), 2 = wrong usage, 3 = the file cannot be used."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("experiment", choices=sorted(EXPERIMENTS))
    parser.add_argument("trajectories", help="bi_corr_400_b_03.txt or traj.txt")
    parser.add_argument("-o", "--output", required=True, help="events as JSON Lines")
    parser.add_argument("--registry-out", required=True, help="the registry these events need")
    given = parser.parse_args(arguments)
    bad: Counter[str] = Counter()
    people: set[int] = set()
    written = 0
    try:
        with (
            open(given.trajectories, encoding="utf-8-sig") as rows,
            open(given.output, "w", encoding="utf-8", newline="\n") as out,
        ):
            for event in points(rows, given.experiment, bad):
                out.write(json.dumps(event, separators=(",", ":")) + "\n")
                written += 1
                people.add(event["track"])
        document = json.dumps(registry(given.experiment), ensure_ascii=False, indent=1)
        Path(given.registry_out).write_text(document + "\n", encoding="utf-8")
    except UnicodeDecodeError:
        print(f"{given.trajectories}: not a text file in UTF-8", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 3
    print(f"{written} points of {len(people)} people")
    for cause, number in sorted(bad.items()):
        print(f"left out: {number} rows, {cause}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
