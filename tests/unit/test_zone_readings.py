"""Rows of zones that cameras and trackers read, from their records to the row: occupancy, speed, levels of service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.config import Config
from tests.support.engine_run import Result, run
from tests.support.readings import T0, sensor, world, zone

K5, EXACT = Config(), Config({"zones": {"k": 1}, "flow": {"k": 1, "guard": 0}})
BESIDE = Config({"zones": {"beside_gates": True}})
CAMERA = sensor("c", "occupancy")
TRACKER = sensor("t", "tracker")
Log = list[tuple[bytes, int | None]]


def said(kind: str, name: str, ts: float, **more: Any) -> tuple[bytes, None]:
    return json.dumps({"type": kind, "sensor": name, "ts": round(T0 + 1000 * ts), **more}).encode(), None


def filmed(people: int, speed: float | None = None, *, to: float = 60, name: str = "c", **more: Any) -> Log:
    """A camera that lives and tells the same every five seconds."""
    told = {"people": people} | ({} if speed is None else {"speed": speed}) | more
    return [
        said(kind, name, 5 * i, **(told if kind == "occupancy" else {}))
        for i in range(int(to) // 5)
        for kind in ("heartbeat", "occupancy")
    ]


def walked(people: int, m_s: float, *, to: float = 60, name: str = "t", beats: bool = True) -> Log:
    """People who walk up and down in the middle of the hall, seen twice a second."""
    out: Log = [said("heartbeat", name, 5 * i) for i in range(int(to) // 5) if beats]
    for i in range(int(to * 2)):
        x = 5 + m_s * (i % 2) / 2
        out += [said("point", name, i / 2, track=who, x=x, y=1 + who / 10) for who in range(people)]
    return sorted(out, key=lambda record: json.loads(record[0])["ts"])


def rows(result: Result, window: str, name: str = "hall") -> dict[int, dict[str, Any]]:
    """Rows of a zone by the second from T0 at which they begin."""
    found = [r for r in result.rows.get("zones", []) if (r["window"], r["zone"]) == (window, name)]
    out = {(r["window_start"] - T0) // 1000: r for r in found}
    assert len(out) == len(found), "twice"
    return out


def first(document: dict[str, Any], log: Log, config: Config = K5, window: str = "10s") -> dict[str, Any]:
    return dict(rows(run(document, [log], config), window)[0])


def test_a_row_of_a_camera_s_zone() -> None:
    row = first(world(CAMERA), filmed(37, 0.4))
    assert row == {
        "window": "10s", "window_start": T0, "zone": "hall",
        "inflow": None, "inflow_low": None, "inflow_high": None,
        "outflow": None, "outflow_low": None, "outflow_high": None,
        "occupancy": 35, "occupancy_low": 35, "occupancy_high": 39, "density": 0.35, "speed": pytest.approx(0.4),
        "los_scheme": "fruin-walkway-1", "los": "C", "status": "range", "coverage": 1,
        "drift_low": None, "drift_high": None, "error": 4, "registry_version": "v1",
    }  # fmt: skip
    row = first(world(CAMERA), filmed(37, 0.4), EXACT)
    assert (row["occupancy"], row["occupancy_low"], row["occupancy_high"], row["status"]) == (37, 37, 37, "released")


def test_a_row_of_a_tracker_s_zone() -> None:
    document = world(TRACKER)
    row = rows(run(document, [walked(12, 1.2)], EXACT), "10s")[20]
    assert (row["occupancy"], row["status"], row["coverage"]) == (12, "released", 1)
    assert row["speed"] == pytest.approx(1.2)
    row = rows(run(document, [walked(12, 1.2)], K5), "1m")[0]
    assert (row["occupancy_low"], row["occupancy_high"]) == (10, 14)


def test_few_people_are_one_class() -> None:
    for people in range(5):
        row = first(world(CAMERA), filmed(people, 1.0))
        assert (row["occupancy"], row["occupancy_low"], row["occupancy_high"]) == (None, 0, 4)
        assert (row["status"], row["density"], row["speed"], row["los"]) == ("suppressed", 0.02, None, "A")


GRADES = {  # sensors, log, config -> grade of a row of 10 s, of 100 m² in which people walk
    "free": ([CAMERA], filmed(20, 1.3), "A"),
    "the sensor's error makes it worse": ([sensor("c", "occupancy", relative_error=0.5)], filmed(20, 1.3), "B"),
    "dense": ([CAMERA], filmed(120, 1.0), "E"),
    "full": ([CAMERA], filmed(250, 0.3), "F"),
    "a full corridor that stopped": ([CAMERA], filmed(250, 0.0), "F"),
    "a corridor that stopped before it was full": ([CAMERA], filmed(80, 0.1), "F"),
    "the same, walking": ([CAMERA], filmed(80, 0.9), "D"),
    "the same, of unknown speed": ([CAMERA], filmed(80), "D"),
    "standing in the open": ([CAMERA], filmed(20, 0.0), "A"),
    "tracked, full and stopped": ([TRACKER], walked(100, 0.0, to=20), "F"),
    "tracked, few": ([TRACKER], walked(2, 1.2, to=20), "A"),
    "mute and few": ([sensor("t", "tracker", reporting="on_change")], walked(2, 1.2, to=20, beats=False), "unknown"),
    "mute and many": ([sensor("t", "tracker", reporting="on_change")], walked(20, 1.2, to=20, beats=False), "A"),
    "full, of unknown size": ([CAMERA], filmed(250, 0.0), "unknown"),
}


@pytest.mark.parametrize("name", GRADES)
def test_levels_of_service(name: str) -> None:
    sensors, log, grade = GRADES[name]
    place = zone(area_m2=None) if "unknown size" in name else zone()
    row = rows(run(world(*sensors, zones=[place]), [log], K5), "10s")[10]
    assert row["los"] == grade
    assert row["los"] != "A" or row["occupancy_high"] < 40


def test_a_blackout_leaves_neither_green_nor_zero() -> None:
    """100 people; everything dies after a minute, one counter elsewhere lives on. Beats are of 10 s."""
    other = {"id": "n", "kind": "counter", "gate": "g", "approved": CAMERA["approved"], "reporting": "heartbeat"}
    gates = [{"id": "g", "a": None, "b": None, "leaf": "10s"}]
    life: Log = [said("heartbeat", "n", 5 * i) for i in range(60)]
    for reader, log in ((CAMERA, filmed(100, 0.5)), (TRACKER, walked(100, 0.5))):
        for config in (K5, EXACT):
            both = sorted([*life, *log], key=lambda record: json.loads(record[0])["ts"])
            result = run(world(reader, other, gates=gates), [both], config)
            for window in ("10s", "1m", "5m"):
                for start, row in rows(result, window).items():
                    if start >= 60:
                        assert row["los"] != "A", (window, start)
                    if start >= 80:
                        assert (row["occupancy"], row["occupancy_low"], row["status"]) == (None, None, "unknown")
                        assert row["coverage"] == 0 and row["los"] == "unknown" and row["density"] is None
            assert rows(result, "5m")[0]["coverage"] < 0.3


def test_a_zone_with_gates_is_told_by_them_alone() -> None:
    counter = {"id": "n", "kind": "counter", "gate": "g", "approved": CAMERA["approved"], "reporting": "heartbeat"}
    gates = [{"id": "g", "a": None, "b": "hall", "leaf": "1m"}]
    log = sorted(
        [*filmed(37, 0.4), *(said("heartbeat", "n", 5 * i) for i in range(12)), said("cross", "n", 3, dir="ab")],
        key=lambda record: json.loads(record[0])["ts"],
    )
    document = world(CAMERA, counter, gates=gates)
    row = rows(run(document, [log], K5), "1m")[0]
    assert (row["occupancy"], row["occupancy_low"], row["speed"], row["los"]) == (None, None, None, "unknown")
    assert (row["inflow_low"], row["status"]) == (0, "suppressed")
    both = run(document, [log], BESIDE)
    row = rows(both, "1m")[0]
    assert (row["occupancy"], row["occupancy_high"], row["speed"]) == (35, 39, pytest.approx(0.4))
    assert (row["inflow_low"], row["status"], row["los"]) == (0, "suppressed", "C")
    assert not rows(both, "10s")


def test_beside_gates_the_gates_count_where_nothing_is_read() -> None:
    counter = {"id": "n", "kind": "counter", "gate": "g", "approved": CAMERA["approved"], "reporting": "heartbeat"}
    gates = [{"id": "g", "a": None, "b": "hall", "leaf": "10s"}]
    told = {"type": "set", "zone": "hall", "people": 9, "by": "h", "ts": T0 + 10_000}
    log = [said("heartbeat", "n", 5 * i) for i in range(24)]
    log.insert(1, (json.dumps(told).encode(), None))
    log = sorted([*log, *filmed(37, 0.4, to=40)], key=lambda record: json.loads(record[0])["ts"])
    found = rows(run(world(CAMERA, counter, gates=gates), [log], Config({**EXACT_BESIDE})), "10s")
    assert [found[s]["occupancy"] for s in (0, 20, 30, 100)] == [37, 37, 37, 9]


EXACT_BESIDE = {"zones": {"k": 1, "beside_gates": True}, "flow": {"k": 1, "guard": 0}}


def test_redundant_cameras_do_not_add_up() -> None:
    group = [sensor("c", "occupancy", group="x"), sensor("d", "occupancy", group="x")]
    log = sorted([*filmed(30), *filmed(37, name="d")], key=lambda record: json.loads(record[0])["ts"])
    assert first(world(*group), log, EXACT)["occupancy"] == 30
    assert first(world(CAMERA, sensor("d", "occupancy")), log, EXACT)["occupancy"] == 67


def test_a_version_that_puts_a_sensor_beside_another() -> None:
    second = world(CAMERA, sensor("d", "occupancy"), version="v2")
    record = json.dumps({"type": "registry", "registry": second}).encode(), None
    log = sorted([*filmed(30), *filmed(37, name="d")], key=lambda r: json.loads(r[0])["ts"])
    place = next(i for i, r in enumerate(log) if json.loads(r[0])["ts"] >= T0 + 37_000)
    log.insert(place, record)
    found = rows(run(world(CAMERA), [log], EXACT), "10s")
    assert [found[s]["registry_version"] for s in range(0, 60, 10)] == ["v1"] * 3 + ["v2"] * 3
    assert [found[s]["occupancy"] for s in (0, 10, 20, 40, 50)] == [30, 30, 30, 67, 67]
    assert rows(run(world(CAMERA), [log], EXACT), "1m")[0]["registry_version"] == "v2"


@pytest.mark.parametrize("by_line", [False, True])
def test_the_same_however_it_comes(by_line: bool) -> None:
    """Cuts, partitions, restarts: the rows are the same; live, each is told in one line."""
    sensors = [CAMERA, sensor("t", "tracker", None), sensor("d", "occupancy", "yard", reporting="on_change")]
    yard = zone("yard", polygon_m=[[20, 0], [30, 0], [30, 10], [20, 10]])
    document = world(*sensors, zones=[zone(), yard])
    later = world(*sensors, sensor("e", "occupancy", "yard"), zones=[zone(), yard], version="v2")
    version = json.dumps({"type": "registry", "registry": later}).encode(), None
    logs = [
        [*filmed(12, 0.4, to=90), said("heartbeat", "c", 500)],
        walked(7, 1.0, to=75),
        [*filmed(9, to=45, name="d"), *filmed(3, to=120, name="e")],
    ]
    logs = [sorted(log, key=lambda record: json.loads(record[0])["ts"]) for log in logs]
    for number, place in enumerate((9, 40, 12)):
        logs[number].insert(place, version)
    once = run(document, logs, K5).canonical()
    assert len(once["zones"]) > 60
    for seed in range(6):
        again = run(document, logs, K5, seed=seed, restart=True, by_line=by_line, shards=1 + seed % 3)
        assert again.canonical() == once
