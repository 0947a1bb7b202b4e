"""/api/history over a real embedded ClickHouse: figures over time, what is usual then, what comes next."""

from __future__ import annotations

import asyncio
import gzip
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from dashboard.app import create_app
from dashboard.history import Kept
from dashboard.serve import serve
from engine.model import LOS, NULL_INT, PRODUCTS, STATUS, Released
from sinks.clickhouse.store import Run, Store
from tests.browser.apart import run_apart
from tests.browser.conftest import Served
from tests.browser.fake_store import CONFIG, FakeStore

pytestmark = [pytest.mark.browser, pytest.mark.embedded]

MINUTE, QUARTER, DAY = 60_000, 900_000, 86_400_000
AREA = 100.0
REGISTRY: dict[str, Any] = {
    "version": "1",
    "timezone": "Asia/Tokyo",
    "zones": [
        {"id": "c1", "kind": "walkway", "area_m2": AREA},
        {"id": "c2", "kind": "walkway", "area_m2": AREA},
    ],
    "gates": [{"id": "j1", "a": "c1", "b": "c2", "leaf": "1m"}],
    "sensors": [],
    "thresholds": [
        {
            "id": "dense",
            "kind": "density",
            "limits": [{"from": "07:00", "to": "09:00", "limit": 2.45}, {"limit": 9.0}],
        }
    ],
}


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Tokyo")).timestamp() * 1000)


NOW = ms("2026-02-06T08:00")  # a Friday


def rows(window: str, starts: Any, zone: str, people: Any) -> Released:
    """Windows of one zone; people (n,), NaN = unknown."""
    people = np.asarray(people, np.float64)
    size, unknown = len(people), np.isnan(people)
    inside = {
        "occupancy": people,
        "occupancy_low": people - 5,
        "occupancy_high": people + 5,
        "error": np.full(size, 10),
        "density": people / AREA,
        "los": np.where(unknown, 0, LOS.index("C")),
        "status": np.where(unknown, STATUS.index("unknown"), STATUS.index("range")),
        "window_start": np.asarray(starts, np.int64),
    }
    fill = {"i": (NULL_INT, np.int64), "n": (-(2**63), np.int64), "f": (np.nan, np.float64)}
    fill |= {"d": (0, np.int32), "t": (0, np.int64)}
    columns = {
        name: np.asarray(inside.get(name, np.full(size, fill[kind][0])), fill[kind][1])
        for name, kind in PRODUCTS["zones"][1].items()
    }
    names = {"window": (window,), "zone": (zone,), "los_scheme": ("",), "los": LOS, "status": STATUS}
    return Released("zones", f"{zone}-{window}-{starts[0]}", columns, names, "1")


def a_run(store: Store, name: str, kind: str, zone: str = "Asia/Tokyo", started_ms: int = 1) -> None:
    state = "running" if kind == "live" else "finished"
    run = Run(name, kind, CONFIG, "c", "1", "h1", "0", zone, {}, state=state, started_ms=started_ms, updated_ms=1)
    store.start_run(run)


WEEKS = (1, 2, 3, 6, 7)  # known; four weeks ago was unknown, and five weeks ago was 2 January


def usual(week: int) -> Any:
    """People in the four quarters of 8 o'clock, so many weeks ago."""
    return 10 * week + np.arange(4.0)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Six hours of minutes of today, and 8 o'clock of five Fridays before."""
    folder: Path = tmp_path_factory.mktemp("history")
    with Store.open(f"chdb://{folder}/store") as store:
        store.migrate()
        store.put_registry("1", "h1", json.dumps(REGISTRY))
        for name, kind, zone, started in (
            ("live", "live", "Asia/Tokyo", 9),
            ("old", "replay", "Asia/Tokyo", 1),
            ("again", "replay", "Asia/Tokyo", 0),
            ("bench", "workbench", "Asia/Tokyo", 8),
            ("far", "replay", "UTC", 8),
        ):
            a_run(store, name, kind, zone, started)
        minutes = NOW - np.arange(360, 0, -1) * MINUTE
        rising = np.linspace(10, 240, 360)
        rising[200] = np.nan
        store.insert(rows("1m", minutes, "c1", rising), "live")
        store.insert(rows("1m", minutes, "c2", np.full(360, 50.0)), "live")
        weeks = [NOW - week * 7 * DAY + np.arange(4) * QUARTER for week in WEEKS]
        quarters = np.concatenate(weeks)
        known = np.concatenate([usual(week) for week in WEEKS])
        store.insert(rows("15m", quarters, "c1", np.full(20, 7_777.0)), "again")  # the same span once more
        for run in ("bench", "far"):
            store.insert(rows("15m", quarters, "c1", np.full(20, 9_999.0)), run)
        store.insert(rows("15m", quarters[:12], "c2", np.full(12, 30.0)), "old")
        # not a Friday, a holiday, not 8 o'clock, not earlier
        others = [NOW - 6 * DAY, NOW - 35 * DAY, NOW - 7 * DAY + 8 * QUARTER, NOW]
        wrong = np.concatenate([start + np.arange(4) * QUARTER for start in others])
        unknown = NOW - 28 * DAY + np.arange(4) * QUARTER
        people = np.concatenate([known, np.full(16, 5_555.0), np.full(4, np.nan)])
        store.insert(rows("15m", np.concatenate([quarters, wrong, unknown]), "c1", people), "old")
        yield store


class Asker:
    """Asks one server, whose clock stands still."""

    def __init__(self, store: Store) -> None:
        self.now_ms = NOW + 5_000
        self.server = serve(create_app(store, clock=lambda: self.now_ms / 1000, run_id="live"))

    def __call__(self, query: str = "") -> Any:
        with urllib.request.urlopen(f"{self.server.url}/api/history?{query}", timeout=20) as response:
            return json.load(response)


@pytest.fixture(scope="module")
def asked(filled: Store) -> Iterator[Asker]:
    asker = Asker(filled)
    yield asker
    asker.server.stop()


def status(asked: Asker, query: str) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        asked(query)
    return caught.value.code, json.load(caught.value)["error"]


def test_the_last_hour_is_told_with_ranges(asked: Asker) -> None:
    told = asked()
    assert (told["window"], told["length_ms"], set(told["zones"])) == ("1m", MINUTE, {"c1", "c2"})
    c2 = told["zones"]["c2"]
    assert c2["t"] == [NOW - minute * MINUTE for minute in range(60, 0, -1)]
    assert {name: column[0] for name, column in c2.items() if name != "t"} == {
        "occ": 50, "occ_lo": 45, "occ_hi": 55, "dens": 0.5, "dens_lo": 0.35, "dens_hi": 0.65,
        "s": STATUS.index("range"), "los": LOS.index("C"),
    }  # fmt: skip
    request = urllib.request.Request(f"{asked.server.url}/api/history", headers={"accept-encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=20) as response:
        assert json.loads(gzip.decompress(response.read())) == told
    hole = NOW - 160 * MINUTE
    told = asked(f"from={hole - MINUTE}&to={hole + MINUTE}&zones=c1")
    assert told["zones"].keys() == {"c1"}
    assert told["zones"]["c1"]["t"] == [hole - MINUTE, hole]
    assert told["zones"]["c1"]["dens"][1] is None and told["zones"]["c1"]["s"][1] == STATUS.index("unknown")


def test_op_16_normal_is_that_of_the_same_weekday_and_hour_of_earlier_days(asked: Asker) -> None:
    told = asked(f"from={NOW}&to={NOW + 90 * MINUTE}&window=15m")["normal"]
    known = np.concatenate([usual(week) for week in WEEKS])
    assert set(told) == {"c1"}  # of c2 three days are known
    assert told["c1"]["t"] == [NOW, NOW + 60 * MINUTE] and told["c1"]["days"] == 5
    for share, name in ((0.1, "p10"), (0.5, "p50"), (0.9, "p90")):
        assert told["c1"][f"occ_{name}"] == [pytest.approx(np.quantile(known, share)), None]
        assert told["c1"][name] == [pytest.approx(np.quantile(known, share) / AREA), None]


def test_op_17_the_forecast_is_told_with_its_interval_its_backtest_and_the_time_to_the_limit(asked: Asker) -> None:
    told = asked()["forecast"]
    assert set(told) == {"c1"}  # c2 stays as it is: no better than persistence
    c1 = told["c1"]
    assert c1["t"] == [NOW + minutes * MINUTE for minutes in (5, 15, 30)]
    assert 2.38 < c1["mid"][0] < c1["mid"][1] < c1["mid"][2] < 2.7
    assert all(low <= mid <= high for low, mid, high in zip(c1["low"], c1["mid"], c1["high"], strict=True))
    assert set(c1["backtest"]) == {"5", "15", "30"}
    for minutes, judged in c1["backtest"].items():
        assert judged["mae"] < judged["persistence"] and judged["n"] > 250
        assert judged["persistence"] == pytest.approx(int(minutes) * 230 / 359 / AREA, rel=0.01)
    limit = c1["to_limit"]
    assert (limit["limit"], limit["rule"]) == (2.45, "dense")  # of 7 to 9 o'clock
    assert NOW + 6 * MINUTE < limit["high_ms"] < NOW + 10 * MINUTE  # 2.45 is reached in 8 minutes
    assert limit["high_ms"] <= limit["mid_ms"] <= NOW + 30 * MINUTE


def test_op_17_what_was_forecast_then_does_not_know_what_came_after(asked: Asker, filled: Store) -> None:
    until = NOW - 120 * MINUTE
    then = asked(f"to={until}")["forecast"]["c1"]
    assert then["t"][0] == until + 5 * MINUTE
    assert then["to_limit"] is None and then["backtest"]["5"]["n"] < 240
    # a run that ended there has the same
    a_run(filled, "cut", "replay")
    table = filled.zone_span("live", "1m", 0, until, ["c1"])
    filled.insert(rows("1m", table["t"].to_numpy(), "c1", table["occupancy"].to_numpy()), "cut")
    assert asked("run=cut")["forecast"]["c1"] == then


def test_op_02_of_a_zone_that_is_unknown_now_nothing_is_forecast(asked: Asker) -> None:
    hole = NOW - 160 * MINUTE
    assert "c1" in asked(f"from={hole - MINUTE}&to={hole}")["forecast"]
    assert asked(f"from={hole}&to={hole + MINUTE}")["forecast"] == {}
    assert "c1" in asked(f"from={hole}&to={hole + 2 * MINUTE}")["forecast"]


def test_op_17_a_live_run_that_has_stopped_has_no_forecast(asked: Asker) -> None:
    asked.now_ms += 6 * MINUTE
    told = asked()["forecast"]
    asked.now_ms -= 6 * MINUTE
    assert told == {} != asked()["forecast"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("run=nobody", (404, "run")),
        ("window=2m", (400, "window")),
        ("from=x", (400, "from")),
        ("to=99999999999999999", (400, "to")),
        ("from=20&to=10", (400, "from")),
        (f"from=0&to={26 * 60 * MINUTE}", (400, "span too long")),
        (f"from=0&to={DAY}&window=10s&zones=" + ",".join("abcdefgh"), (400, "span too long")),
        ("zones=" + ",".join(map(str, range(1_001))), (400, "zones")),
    ],
)
def test_what_cannot_be_answered_is_refused(asked: Asker, query: str, told: tuple[int, str]) -> None:
    assert status(asked, query) == told


def test_a_store_that_does_not_answer_is_a_503(served: Served) -> None:
    store = FakeStore()
    store.broken = True
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{served(store).url}/api/history", timeout=20)
    assert caught.value.code == 503


def test_a_place_without_rows_has_an_empty_history(served: Served, store: FakeStore) -> None:
    with urllib.request.urlopen(f"{served(store).url}/api/history?window=10s", timeout=20) as response:
        told = json.load(response)
    assert set(told["zones"]) == {"c1", "c2"} and told["normal"] == told["forecast"] == {}
    with urllib.request.urlopen(f"{served(store).url}/api/history", timeout=20) as response:
        assert json.load(response)["zones"] == {}


def test_eight_tabs_cost_one_forecast_and_one_look_at_what_is_usual(
    asked: Asker, filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    for name in ("zone_densities", "usual_zones"):
        real = getattr(filled, name)

        def counted(*words: Any, name: str = name, real: Any = real) -> Any:
            reads.append(name)
            return real(*words)

        monkeypatch.setattr(filled, name, counted)
    until = NOW - 200 * MINUTE  # nobody has asked for it yet: 4:40, and the hours 3 and 4
    with ThreadPoolExecutor(8) as tabs:
        answers = list(tabs.map(asked, [f"to={until}"] * 8))
    assert all(answer == answers[0] for answer in answers) and answers[0]["zones"]
    assert sorted(reads) == ["usual_zones"] * 2 + ["zone_densities"]


def test_however_many_ask_it_is_worked_out_once() -> None:
    made: list[str] = []

    async def main() -> None:
        kept = Kept(2)

        async def make(name: str) -> str:
            made.append(name)
            await asyncio.sleep(0.01)
            if name == "bad":
                raise RuntimeError("gone")
            return name

        async def ask(name: str) -> str:
            return await kept.get(name, lambda: make(name))

        assert await asyncio.gather(*(ask("a") for _ in range(8))) == ["a"] * 8
        assert made == ["a"]
        failed = await asyncio.gather(ask("bad"), ask("bad"), return_exceptions=True)
        assert [type(each) for each in failed] == [RuntimeError] * 2 and made == ["a", "bad"]
        with pytest.raises(RuntimeError):
            await ask("bad")  # not kept
        for name in ("b", "c", "a"):  # a was asked for longest ago
            await ask(name)
        assert made == ["a", "bad", "bad", "b", "c", "a"]

    run_apart(main())
