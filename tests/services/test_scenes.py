"""Scenarios with their truth through the command line: what the desk would have been shown, and what was."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.services.test_live_replay import hitonami

pytestmark = pytest.mark.slow

TEN_S, MINUTE, QUARTER = 10_000, 60_000, 900_000
PRODUCTS = ("flow", "zones", "alerts", "health", "headings")
Rows = list[dict[str, str]]


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def table(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Shown:
    """A scenario replayed with the settings that are given where none are: its rows, and the truth.

    ``exact``: the rows of ``flow`` with k = 1.
    """

    def __init__(self, name: str, work: Path) -> None:
        at = (work / f"{name}.jsonl", "--registry-out", work / "registry.json", "--truth", work / "truth.jsonl")
        hitonami("load", name, "-o", *at)
        self.events = at[0]
        store = ("--store", f"chdb://{work}/store", "--run-id", name)
        self.summary = json.loads(
            hitonami("replay", at[0], "--registry", work / "registry.json", *store).splitlines()[-1]
        )
        (work / "exact.toml").write_text("[flow]\nk = 1\nguard = 0\n")
        exact = ("--store", f"chdb://{work}/exact", "--run-id", "exact")
        hitonami("replay", at[0], "--registry", work / "registry.json", *exact, "--config", work / "exact.toml")
        hitonami("export", "flow", *exact, "-o", work / "exact.csv")
        self.exact = table(work / "exact.csv")
        self.rows: dict[str, Rows] = {}
        for product in PRODUCTS:
            hitonami("export", product, *store, "-o", work / f"{product}.csv")
            self.rows[product] = table(work / f"{product}.csv")
        self.registry: dict[str, Any] = json.loads((work / "registry.json").read_text())
        self.leaf = {gate["id"]: gate["leaf"] for gate in self.registry["gates"]}
        self.gated = {side for gate in self.registry["gates"] for side in (gate["a"], gate["b"])}
        self.area = {zone["id"]: zone["area_m2"] for zone in self.registry["zones"]}
        self.passed: Counter[tuple[str, str, int]] = Counter()  # gate, direction, start of its leaf window
        self.inside: dict[tuple[str, int], dict[str, Any]] = {}  # zone, ms
        self.faults: list[dict[str, Any]] = []
        for line in (work / "truth.jsonl").read_text().splitlines():
            told = json.loads(line)
            if "gate" in told:
                self.passed[told["gate"], told["direction"], told["start_ms"]] = told["n"]
            elif "zone" in told:
                self.inside[told["zone"], told["start_ms"]] = told
            elif "kind" in told:
                self.faults.append(told)

    def people(self, row: dict[str, str]) -> float | None:
        """Who was truly there, as a zone's row means it: at its end, or on average where nobody counts at gates."""
        start, length = ms(row["window_start"]), TEN_S if row["window"] == "10s" else MINUTE
        if row["zone"] in self.gated:
            truth = self.inside.get((row["zone"], start + length))
            return None if truth is None else truth["people"]
        means = [self.inside.get((row["zone"], at)) for at in range(start, start + length, TEN_S)]
        told = [truth["mean"] for truth in means if truth is not None]
        return sum(told) / len(means) if len(told) == len(means) else None

    def zones(self, window: str) -> Rows:
        return [row for row in self.rows["zones"] if row["window"] == window]

    def alerts(self, kind: str) -> dict[str, Rows]:
        """Zone → changes of its alerts of a kind, in order."""
        out: dict[str, Rows] = defaultdict(list)
        for row in sorted(self.rows["alerts"], key=lambda r: r["changed"]):
            if row["kind"] == kind:
                out[row["zone"]].append(row)
        return out


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return Shown("smoke", tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="module")
def blackout(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return Shown("blackout", tmp_path_factory.mktemp("blackout"))


def test_every_passage_lies_in_its_row_s_range_where_sensors_are_sound(smoke: Shown) -> None:
    gate_of = {sensor["id"]: sensor["gate"] for sensor in smoke.registry["sensors"]}
    wrong = {gate_of[fault["sensor"]] for fault in smoke.faults}
    told = 0
    for row in smoke.rows["flow"]:
        if row["window"] != smoke.leaf[row["gate"]] or row["status"] == "unknown" or row["gate"] in wrong:
            continue
        n = smoke.passed[row["gate"], row["direction"], ms(row["window_start"])]
        assert int(row["n_low"]) <= n <= int(row["n_high"]), row
        told += n
    assert told > 50_000
    exact = Counter(
        {
            (row["gate"], row["direction"], ms(row["window_start"])): int(row["n"] or 0)
            for row in smoke.exact
            if row["window"] == smoke.leaf[row["gate"]] and row["gate"] not in wrong
        }
    )
    assert +exact == Counter({key: n for key, n in smoke.passed.items() if key[0] not in wrong})


def test_smoke_shows_who_is_inside_to_a_tenth_of_a_person_per_square_metre(smoke: Shown) -> None:
    shown: Counter[str] = Counter()
    for row in smoke.zones("1m"):
        truth = smoke.people(row)
        if row["occupancy"] and truth is not None and row["los"] != "unknown":
            assert abs(float(row["occupancy"]) - truth) <= 0.1 * smoke.area[row["zone"]], row
            shown[row["zone"]] += 1
    assert len(shown) == len(smoke.area) and sum(shown.values()) > 600


def test_headings_hold_the_ways_that_people_went(smoke: Shown) -> None:
    """Of those before the stairs in the west, by the first and last place where the tracker saw each."""
    tracks: dict[int, list[tuple[int, float, float]]] = defaultdict(list)
    with smoke.events.open() as lines:
        for line in lines:
            if '"tr-x3"' in line and '"point"' in line:
                point = json.loads(line)
                tracks[point["track"]].append((point["ts"], point["x"], point["y"]))
    went: Counter[tuple[int, int]] = Counter()
    for places in tracks.values():
        (_, x0, y0), (ts, x1, y1) = min(places), max(places)
        bearing = math.degrees(math.atan2(x1 - x0, y1 - y0)) % 360
        went[ts // QUARTER * QUARTER, int((bearing + 22.5) // 45) % 8] += 1
    rows = [row for row in smoke.rows["headings"] if row["window"] == "15m"]
    assert len(rows) == 6 * 8 and {row["zone"] for row in rows} == {"x3"}
    for row in rows:
        assert int(row["n_low"]) <= went[ms(row["window_start"]), int(row["sector"])] <= int(row["n_high"]), row
    assert sum(int(row["n_low"]) for row in rows) > 0.8 * went.total() > 1_500


def first(times: list[int], lasting_ms: int) -> int:
    """Start of the first of some windows (their starts, in order) that follow each other for so long and more."""
    begun = previous = times[0]
    for at in times:
        begun = begun if at - previous <= TEN_S else at
        previous = at
        if at - begun >= lasting_ms:
            return begun
    raise AssertionError("never")


def test_counterflow_is_told_within_half_a_minute(smoke: Shown) -> None:
    """At j2, against the truth of the same windows; people as many as the rule asks for."""
    rule = next(r for r in smoke.registry["thresholds"] if r["kind"] == "counterflow")
    starts = sorted({start for gate, _, start in smoke.passed if gate == "j2"})
    crossed = []
    for start in starts:
        ab, ba = (smoke.passed["j2", way, start] for way in ("ab", "ba"))
        if (ab + ba) * 6 >= rule["people_per_minute"] and min(ab, ba) >= rule["limits"][0]["limit"] * (ab + ba):
            crossed.append(start)
    raised = [ms(row["changed"]) for row in smoke.alerts("counterflow")["c1"] if row["gate"] == "j2"]
    assert 0 < raised[0] - first(crossed, rule["on_delay_s"] * 1000) <= 30_000


def test_a_full_corridor_that_stopped_is_told_within_half_a_minute_and_never_green(smoke: Shown) -> None:
    rule = next(r for r in smoke.registry["thresholds"] if r["kind"] == "stopped")
    limit = rule["limits"][0]["limit"] * smoke.area["c2"]
    gates = [gate for gate in smoke.registry["gates"] if "c2" in (gate["a"], gate["b"])]
    width = max(gate["width_m"] for gate in gates)
    full, still = [], []
    for (zone, start), truth in sorted(smoke.inside.items(), key=lambda item: item[0][1]):
        after = smoke.inside.get((zone, start + TEN_S))
        if zone != "c2" or after is None or after["people"] < limit:
            continue
        full.append(start)
        passed = sum(smoke.passed[gate["id"], way, start] for gate in gates for way in ("ab", "ba", "unknown"))
        if (truth["speed"] is not None and truth["speed"] < 0.2) or passed * 6 / width < 5.0:
            still.append(start)
    raised = smoke.alerts("stopped")["c2"]
    assert raised[0]["state"] == "new" and raised[0]["severity"] == "critical"
    assert 0 < ms(raised[0]["changed"]) - first(still, rule["on_delay_s"] * 1000) <= 30_000
    while_full = {row["los"] for row in smoke.zones("10s") if row["zone"] == "c2" and ms(row["window_start"]) in full}
    assert while_full <= {"E", "F"}


def test_silent_sensors_are_named_within_a_minute(smoke: Shown) -> None:
    """By the minute in which the state is told; and nobody else is named."""
    named = {(row["sensor"], row["state"]): ms(row["window_start"]) for row in smoke.rows["health"]}
    assert {key for key in named if key[1] != "ok"} == {(fault["sensor"], fault["kind"]) for fault in smoke.faults}
    for fault in smoke.faults:
        assert -MINUTE < named[fault["sensor"], fault["kind"]] - fault["from_ms"] <= MINUTE
        back = [row for row in smoke.rows["health"] if row["sensor"] == fault["sensor"] and row["state"] == "ok"]
        assert fault["to_ms"] <= ms(back[-1]["window_start"]) + MINUTE


def test_in_a_blackout_nothing_turns_green_or_zero(blackout: Shown) -> None:
    lost = min(fault["from_ms"] for fault in blackout.faults)
    seen = 0
    for row in blackout.rows["zones"]:
        end = ms(row["window_start"]) + {"10s": TEN_S, "1m": MINUTE}.get(row["window"], 0)
        if row["window"] not in ("10s", "1m") or end <= lost + 30_000:
            continue
        truth = blackout.people(row)
        seen += 1
        if row["los"] != "unknown" or row["occupancy"]:  # then it is known, and true
            assert truth is not None and row["coverage"] and float(row["coverage"]) > 0, row
            error = float(row["error"] or 0)
            assert float(row["occupancy_low"]) - error <= truth <= float(row["occupancy_high"]) + error, row
    assert seen > 10_000


def test_those_who_shelter_are_not_zeroed_by_closing_hours(blackout: Shown) -> None:
    """The night ends at 5:44, with 1,700 people in five plazas and most sensors still away."""
    sheltering = [zone["id"] for zone in blackout.registry["zones"] if zone["kind"] == "shelter"]
    most = max(sum(blackout.inside[zone, at]["people"] for zone in sheltering) for _, at in blackout.inside)
    assert len(sheltering) == 5 and most > 1_600
    lost = min(fault["from_ms"] for fault in blackout.faults)
    hours = [row for row in blackout.zones("1h") if row["zone"] in blackout.gated and ms(row["window_start"]) > lost]
    assert len(hours) > 30
    assert {(row["occupancy"], row["density"], row["los"]) for row in hours} == {("", "", "unknown")}
