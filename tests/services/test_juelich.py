"""Tracked people of two experiments in Jülich through the example and the command line, against what others counted."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.services.test_live_replay import ROOT, hitonami

FILES = {"bidirectional": "bi_corr_400_b_03.txt", "bottleneck": "traj.txt"}
TEN_S, FRAMES_A_SECOND = 10_000, 16
CONFIGS = {
    "safe": "",
    "exact": "[flow]\nk = 1\nguard = 0\n[zones]\nk = 1\nbeside_gates = true\n",
    "classes": "[zones]\nbeside_gates = true\n",
}


PRODUCTS = {"safe": ("flow", "zones", "runs_of_flow"), "exact": ("flow", "zones"), "classes": ("zones",)}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("juelich")
    for run, config in CONFIGS.items():
        (work / f"{run}.toml").write_text(config)
    for name, file in FILES.items():
        data = shared_data / f"juelich_{name}" / file
        command = [sys.executable, ROOT / "examples" / "juelich.py", name, data, "-o", work / f"{name}.jsonl"]
        subprocess.run([*map(str, command), "--registry-out", work / f"{name}.json"], check=True)
        for run in CONFIGS if name == "bottleneck" else ("safe", "exact"):
            store = ("--store", f"chdb://{work}/{name}-{run}")
            at = ("--registry", work / f"{name}.json", *store, "--run-id", run, "--config", work / f"{run}.toml")
            hitonami("replay", work / f"{name}.jsonl", *at)
            for product in PRODUCTS[run]:
                hitonami("export", product, *store, "--run-id", run, "-o", work / f"{name}-{run}-{product}.csv")
    return work


def people(of: list[dict[str, str]], window: str) -> dict[str, int]:
    """Direction → people in all windows of one length."""
    out: Counter[str] = Counter()
    for row in of:
        if row["window"] == window:
            out[row["direction"]] += int(row["n"])
    return dict(out)


@pytest.mark.parametrize("window", ["10s", "1m", "1h"])
def test_two_streams_to_the_person(made: Path, window: str) -> None:
    exact = rows(made / "bidirectional-exact-flow.csv")
    assert people(exact, window) == {"ab": 232, "ba": 250, "unknown": 0}
    assert people(rows(made / "bottleneck-exact-flow.csv"), window) == {"ab": 348, "ba": 0, "unknown": 0}


def test_the_bottleneck_s_cumulative_curve_at_the_end_of_every_pane(made: Path, shared_data: Path) -> None:
    """Within one frame of the reference, which counts with the frame behind the line."""
    folder = shared_data / "juelich_bottleneck" / "results" / "FlowVelocity"
    curve = np.loadtxt(folder / "Flow_NT_traj_AO_300.txt_id_4.dat")
    panes = [r for r in rows(made / "bottleneck-exact-flow.csv") if r["window"] == "10s" and r["direction"] == "ab"]
    told = [int(r["n"]) for r in panes]
    assert len(told) == 6
    for pane, n in enumerate(np.cumsum(told).tolist(), 1):
        frame = pane * TEN_S * FRAMES_A_SECOND // 1000
        least, most = (curve[min(at, len(curve) - 1), 2] for at in (frame - 1, frame + 1))
        assert least <= n <= most


def test_the_bottleneck_s_density(made: Path, shared_data: Path) -> None:
    """In the measurement box, per pane that the data fills: within 1 % of the reference's classical density."""
    folder = shared_data / "juelich_bottleneck" / "results" / "Classical_Voronoi"
    table = np.loadtxt(folder / "rho_v_Classic_traj.txt_id_1.dat")
    pane = table[:, 0].astype(np.int64) * 1000 // FRAMES_A_SECOND // TEN_S
    told = [float(r["density"]) for r in rows(made / "bottleneck-exact-zones.csv") if r["window"] == "10s"]
    assert len(told) == 6
    for number, density in enumerate(told[:5]):
        assert density == pytest.approx(table[pane == number, 1].mean(), rel=0.01)


def test_classes_of_the_box_hold_the_truth_and_by_default_it_tells_nothing_beside_its_gate(made: Path) -> None:
    key = ("window", "window_start", "zone")
    truth = {tuple(r[k] for k in key): float(r["occupancy"]) for r in rows(made / "bottleneck-exact-zones.csv")}
    classes = rows(made / "bottleneck-classes-zones.csv")
    assert {tuple(r[k] for k in key) for r in classes} == set(truth)
    for row in classes:
        low, high = float(row["occupancy_low"]), float(row["occupancy_high"])
        assert low <= truth[tuple(row[k] for k in key)] < high + 1 and high - low == pytest.approx(4)
        assert row["window"] != "10s" or low % 5 == 0
    assert rows(made / "bottleneck-safe-zones.csv") == []


@pytest.mark.parametrize("name", FILES)
def test_every_safe_row_holds_the_truth(made: Path, name: str) -> None:
    key = ("window", "window_start", "gate", "direction")
    truth = {tuple(r[k] for k in key): int(r["n"]) for r in rows(made / f"{name}-exact-flow.csv")}
    safe = rows(made / f"{name}-safe-flow.csv")
    assert {tuple(r[k] for k in key) for r in safe} == set(truth)
    for row in safe:
        low, high, n = int(row["n_low"]), int(row["n_high"]), truth[tuple(row[k] for k in key)]
        assert low <= n <= high
        assert n >= 6 if row["status"] == "released" else high - low + 1 >= 5
    assert all(int(r["n"]) >= 6 for r in rows(made / f"{name}-safe-runs_of_flow.csv"))


@pytest.mark.parametrize("name", FILES)
def test_the_audit_finds_nothing(made: Path, name: str) -> None:
    report = json.loads(hitonami("audit", "--store", f"chdb://{made}/{name}-safe"))
    assert report["passed"] is True and report["findings"] == []
    safe = rows(made / f"{name}-safe-flow.csv")
    assert (report["audited_runs"], report["flow_rows"]) == (1, len(safe))
