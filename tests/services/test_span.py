"""A replay of a span stores exactly the rows of the full replay that lie inside it."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from engine.model import Released
from engine.timezone import TimeZone
from flows.store_sink import Span
from tests.services.test_live_replay import hitonami, rfc3339

LENGTH_S = {"10s": 10, "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86_400}


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def exported(work: Path, run_id: str, product: str) -> list[dict[str, str]]:
    path = work / f"{run_id}-{product}.csv"
    hitonami("export", product, "--store", f"chdb://{work}/store", "--run-id", run_id, "-o", path)
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "run_id"} for row in csv.DictReader(file)]


def test_the_rows_of_a_span_are_those_of_the_full_run(tmp_path: Path) -> None:
    hitonami(
        *("load", "weekday", "--seconds", 1500, "--rate", 10),
        *("-o", tmp_path / "e.jsonl", "--registry-out", tmp_path / "r.json"),
    )
    times = [json.loads(line)["ts"] for line in (tmp_path / "e.jsonl").read_bytes().splitlines()]
    at = ("--store", f"chdb://{tmp_path}/store", "--registry", tmp_path / "r.json", "--run-id")
    hitonami("replay", tmp_path / "e.jsonl", *at, "all")
    runs = exported(tmp_path, "all", "runs_of_flow")
    ends = sorted({ms(run["run_end"]) for run in runs if min(times) + 300_000 < ms(run["run_end"]) < max(times)})
    start, end = ends[0], ends[len(ends) // 2]  # both are ends of runs: one lies before the span, one in it
    hitonami("replay", tmp_path / "e.jsonl", "--from", rfc3339(start), "--to", rfc3339(end), *at, "span")

    inside = [run for run in runs if start < ms(run["run_end"]) <= end]
    assert exported(tmp_path, "span", "runs_of_flow") == inside and 0 < len(inside) < len(runs)
    for product in ("flow", "zones"):
        rows = exported(tmp_path, "all", product)
        inside = [
            row
            for row in rows
            if start <= ms(row["window_start"]) and ms(row["window_start"]) + LENGTH_S[row["window"]] * 1000 <= end
        ]
        assert exported(tmp_path, "span", product) == inside and 0 < len(inside) < len(rows)


def test_a_run_belongs_to_the_window_that_ends_where_it_does() -> None:
    span = Span(TimeZone("UTC"), 10_000, 30_000)

    def kept(*ends: int) -> list[int]:
        columns = {"run_end": np.array(ends, np.int64)}
        rows = span.clip(Released("runs_of_flow", "0", columns, {}, "v"))
        return [] if rows is None else list(rows.columns["run_end"])

    assert kept(5_000, 10_000) == [] == kept(30_001)
    assert kept(10_000, 10_001, 30_000, 40_000) == [10_001, 30_000]


def test_a_change_of_an_alert_belongs_to_the_minute_that_ends_with_it_or_holds_it() -> None:
    span = Span(TimeZone("UTC"), 60_000, 180_000)
    changed = np.array([60_000, 60_001, 120_000, 180_000, 180_001], np.int64)
    rows = span.clip(Released("alerts", "u", {"changed": changed}, {}))
    assert rows is not None and rows.columns["changed"].tolist() == [60_001, 120_000, 180_000]
    cut = Span(TimeZone("UTC"), 90_000, 170_000)  # whole minutes only: [120 s, 170 s) holds none
    assert cut.clip(Released("alerts", "u", {"changed": changed}, {})) is None
