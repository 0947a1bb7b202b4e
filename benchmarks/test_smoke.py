"""The benchmarks run and check their own results (figures of runs this small mean nothing)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import forecast, memory

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow  # so that among the tests they begin early: they mostly wait


def run(name: str, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *words, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-500:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_replay() -> None:
    assert run("replay", "--events", "20000", "--repeats", "1")["events"] == 20_000


@pytest.mark.kafka
def test_touches() -> None:
    told = run("touches", "--events", "20000", "--repeats", "1")  # each part counts what is true, else it had ended
    ways = {name.removesuffix("_to_twin") for name in told if name.endswith("_to_twin")}
    assert ways == {"decode", "partition", "replay", "kafka"} and told["sent"] == pytest.approx(20_000, rel=0.1)


def test_forecast() -> None:
    told = run("forecast", "--scenario", "smoke", "--seconds", "1200", "--every", "5")
    assert (told["minutes"], told["zones"]) == (20, 11) and told["horizons"].keys() == {"5", "15"}
    assert all(each["of"] > 10 and each["shown"] == 0 for each in told["horizons"].values())  # no past to be judged by


def test_a_forecast_is_compared_where_it_is_shown() -> None:
    rise = np.arange(150.0)[:, None] / 100
    told = forecast.compared(np.hstack([rise, np.ones_like(rise)]), 10)  # what stays as it is is not shown
    assert told["5"]["of"] == 2 * 14 and told["5"]["shown"] == 7  # from 79 to 139: from then on there is a judgement
    assert told["5"]["mae"] < told["5"]["persistence"] == pytest.approx(0.05) and told["5"]["within"] == 1


def test_adult(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    ages = np.minimum(17 + rng.gamma(2, 12, 1_500), 70).astype(int)
    rows = zip(rng.choice(["f", "m"], 1_500), ages, rng.choice(list("abc"), 1_500, p=[0.8, 0.15, 0.05]), strict=True)
    (tmp_path / "adult.csv").write_text("\n".join(["sex;age;race", *(f"{s};{a};{r}" for s, a, r in rows)]))
    told = run("adult", "--data", str(tmp_path), "--worlds", "300")
    assert told["people"] == 1_500
    for name in ("sex_age_k5", "sex_age_k10", "sex_age_race_k5", "sex_age_race_k10"):
        tree, plain = told[name]["tree"], told[name]["plain"]
        for table in (tree, told[name]["providers"]):
            assert (table["sums"], table["algorithm"]) == ({"exact": 0, "narrowed": 0}, 0)
            assert table["insider"].pop("worlds") > 0 and set(table["insider"].values()) == {0}
        assert told[name]["providers"]["provider"] == {"exact": 0, "narrowed": 0}
        assert tree["provider"]["exact"] > 0
        assert plain["cells"] == tree["cells"] and plain["people"] == tree["people"] and plain["totals"] == 1
    for reader in ("sums", "insider"):
        assert sum(told[name]["plain"][reader]["exact"] for name in told if name.startswith("sex")) > 0


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_latency() -> None:
    told = run("latency", "--rate", "10000", "--seconds", "20", "--per-message", "10")
    assert told["windows"] == 1 and told["rows"] == 750  # two directions and those of none, of 250 gates


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.browser
def test_pixel() -> None:
    told = run("pixel", "--seconds", "10", "--rate", "1000")
    assert told["events"] == 10_000 and told["windows"] >= 1
    assert set(told["parts_ms"]) == {"bound", "flow", "store", "push", "paint"}
    assert sum(told["histogram"]["counts"]) == told["windows"]


@pytest.mark.browser
def test_paint() -> None:
    told = run("paint", "--zones", "400", "--minutes", "0.1", "--every", "2")
    assert told["ticks"] >= 2 and len(told["over_time_mb"]) == 3
    assert told["browser_cpu_ms_per_tick"] > 0 and told["last_quarter_nodes"] > 400


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_memory() -> None:
    told = run("memory", "--rate", "2000", "--seconds", "15", "--every", "1", "--sensors", "1000")["sensors_1000"]
    # Both are rounded from the same readings, one to whole megabytes and one to tenths.
    assert 12 <= len(told["over_time_mb"]) <= 15 and told["greatest_mb"] > 0  # beside tests a look can come late
    assert abs(told["greatest_mb"] - max(told["over_time_mb"])) <= 0.55


def test_a_slope_is_that_of_the_last_two_thirds() -> None:
    told = memory.told([1_000.0] * 10 + [100 + hour for hour in range(20)], every_s=3_600)
    assert told["slope_mb_per_hour"] == {"slope": 1, "error": 0}
    assert (told["second_quarter_mb"], told["last_quarter_mb"], told["greatest_mb"]) == (103, 116, 1_000)
    slope, error = memory.line([0, 3, 2, 5], 0.5)  # by hand: 14 / 5 a unit of 0.5; residuals -0.4 1.2 -1.2 0.4
    assert slope == pytest.approx(2.8) and error == pytest.approx((3.2 / 2 / 1.25) ** 0.5)


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_scale_out() -> None:
    told = run("scale_out", "--events", "300000", "--repeats", "1", "--rate", "10000")
    assert told["events_per_s_1"]["median"] > 0 and told["ratio"]["median"] > 0


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_peers() -> None:
    told = run("peers", "--events", "20000", "--peers", "ceiling,orjson", "--same-events", "--repeats", "1")
    assert told["missing"] == {}
    for peer in told["peers"].values():  # equal to the truth, else it had ended
        assert peer["events"] > 20_000 and peer["rows_compared"] == 250 * 2 * 8


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_stages() -> None:
    told = run("stages", "--events", "100000", "--repeats", "1", "--any-sum")
    stages = {name: each["median"] for name, each in told["stages_ns"].items()}
    assert sum(stages.values()) == pytest.approx(told["sum_ns"]["median"], abs=1)
    assert all(ns > 0 for ns in stages.values()), stages  # a clock around what is no longer called tells nothing
    assert told["take_alone_ns"]["median"] > 0


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_withdrawal() -> None:
    told = run("withdrawal", "--rate", "200", "--withdrawals", "10", "--tail-seconds", "4")
    assert told["withdrawals"] == 10 and told["refused"] > 10
    assert 0 <= told["passed_s"]["p50"] < told["stopped_s"]["p100"]
