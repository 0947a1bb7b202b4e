"""Real counters: the City of Melbourne's minute counts through the example and the command line."""

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.services.test_live_replay import ROOT, hitonami

PEOPLE = 156_009
COUNTS = "pedestrian-counting-system-past-hour-counts-per-minute.csv"
PLACES = "pedestrian-counting-system-sensor-locations.csv"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("melbourne")
    data = shared_data / "melbourne_minute_2023"
    command = [sys.executable, str(ROOT / "examples" / "melbourne.py"), str(data / COUNTS), str(data / PLACES)]
    subprocess.run([*command, "-o", work / "e.jsonl", "--registry-out", work / "r.json"], check=True)
    (work / "k1.toml").write_text("[flow]\nk = 1\nguard = 0\n")
    at = ("--store", f"chdb://{work}/store", "--registry", work / "r.json", "--run-id")
    hitonami("replay", work / "e.jsonl", *at, "safe")
    hitonami("replay", work / "e.jsonl", *at, "exact", "--config", work / "k1.toml")
    given = (work / "e.jsonl").read_bytes().splitlines()
    lines = sorted(given, key=lambda v: json.loads(v)["ts"])
    assert lines != given  # newest first, as the city publishes them
    (work / "sorted.jsonl").write_bytes(b"\n".join(lines))
    hitonami("replay", work / "sorted.jsonl", *at, "sorted")
    for run in ("safe", "exact"):
        for product in ("flow", "runs_of_flow"):
            out = ("-o", work / f"{run}-{product}.csv", "--workbench")
            hitonami("export", product, "--store", f"chdb://{work}/store", "--run-id", run, *out)
    return work


def test_exact_hours_sum_to_the_people(made: Path, shared_data: Path) -> None:
    hours = [r for r in rows(made / "exact-flow.csv") if r["window"] == "1h"]
    assert sum(int(r["n"]) for r in hours) == PEOPLE
    got: Counter[tuple[str, str]] = Counter()
    for row in hours:
        got[row["gate"], row["direction"]] += int(row["n"])
    want: Counter[tuple[str, str]] = Counter()
    for row in rows(shared_data / "melbourne_minute_2023" / COUNTS):
        for column, direction in (("Direction_1", "ab"), ("Direction_2", "ba")):
            want[row["LocationID"], direction] += int(row[column])
    gate_of = {s["id"]: s["gate"] for s in json.loads((made / "r.json").read_text())["sensors"]}
    assert +got == Counter({(gate_of[f"mel-{place}"], d): n for (place, d), n in (+want).items()})


def test_every_safe_row_holds_the_truth(made: Path) -> None:
    key = ("window", "window_start", "gate", "direction")
    truth = {tuple(r[k] for k in key): int(r["n"]) for r in rows(made / "exact-flow.csv")}
    safe = rows(made / "safe-flow.csv")
    assert {tuple(r[k] for k in key) for r in safe} == set(truth)
    for row in safe:
        low, high, n = int(row["n_low"]), int(row["n_high"]), truth[tuple(row[k] for k in key)]
        assert low <= n <= high
        assert n >= 6 if row["status"] == "released" else high - low + 1 >= 5
    runs = rows(made / "safe-runs_of_flow.csv")
    assert all(int(r["n"]) >= 6 for r in runs)
    released: Counter[tuple[str, str]] = Counter()
    for row in runs:
        released[row["gate"], row["direction"]] += int(row["n"])
    passed: Counter[tuple[str, str]] = Counter()
    for row in rows(made / "exact-runs_of_flow.csv"):
        passed[row["gate"], row["direction"]] += int(row["n"])
    assert sum(passed.values()) == PEOPLE
    assert all(0 <= passed[chain] - released[chain] < 6 for chain in passed)  # the open rests


def test_newest_first_is_the_same_as_sorted(made: Path) -> None:
    told = hitonami("verify", "--store", f"chdb://{made}/store", "--run-id", "safe", "--against", "sorted")
    assert " 0 differ" in told


def test_the_audit_finds_nothing(made: Path) -> None:
    report = json.loads(hitonami("audit", "--store", f"chdb://{made}/store", "--run-id", "safe"))
    assert report["passed"] is True and report["findings"] == []
