"""Readings of zones: one pane by a table of cases, longer windows from what was released, what is not heard."""

from __future__ import annotations

from typing import Any

import pytest

from engine.readers import Rule
from tests.support.readings import Heard, Log, Read, readings, sensor, told, world, zone

K5, EXACT = Rule(5), Rule(1)
TRACKER, CAMERA = sensor("t", "tracker"), sensor("c", "occupancy")
MUTE = sensor("t", "tracker", reporting="on_change")
MUTE_CAMERA = sensor("c", "occupancy", reporting="on_change")
LIFE, LIFE_C = Heard(0, "t"), Heard(0, "c")


def pane(sensors: list[dict[str, Any]], said: list[Read | Heard], rule: Rule = K5, **more: Any) -> dict[str, Any]:
    """What is told of the first pane."""
    found = readings([world(*sensors, **more)], [Log(said, active=[0])], rule)
    return dict(told(found)["10s", 0, "hall"])


CASES = {  # sensors, said, (low, high, sure, covered, expected)
    "seven and a half people": ([TRACKER], [LIFE, Read(0, "t", 75_000, tracks=9)], (5, 9, True, 10_000, 10_000)),
    "just ten": ([TRACKER], [LIFE, Read(0, "t", 100_000, tracks=10)], (10, 14, True, 10_000, 10_000)),
    "a hair less than ten": ([TRACKER], [LIFE, Read(0, "t", 99_999, tracks=10)], (5, 9, True, 10_000, 10_000)),
    "few people": ([TRACKER], [LIFE, Read(0, "t", 49_999, tracks=5)], (0, 4, True, 10_000, 10_000)),
    "nobody": ([TRACKER], [LIFE], (0, 4, True, 10_000, 10_000)),
    "no heartbeat": ([TRACKER], [], (None, None, False, 0, 10_000)),
    "people, but no heartbeat": ([TRACKER], [Read(0, "t", 75_000, tracks=9)], (None, None, False, 0, 10_000)),
    "it died in the pane": (
        [TRACKER],
        [Heard(0, "t", 7_000), Read(0, "t", 75_000, tracks=9)],
        (5, 9, False, 7_000, 10_000),
    ),
    "mute and nobody": ([MUTE], [], (0, 4, False, 0, 0)),
    "mute and few": ([MUTE], [Read(0, "t", 49_999, tracks=5)], (0, 4, False, 0, 0)),
    "mute and many": ([MUTE], [Read(0, "t", 50_000, tracks=5)], (5, 9, True, 0, 0)),
    "a camera": ([CAMERA], [LIFE_C, Read(0, "c", 30_000, told=4_000)], (5, 9, True, 10_000, 10_000)),
    "a camera that tells nobody": ([CAMERA], [LIFE_C, Read(0, "c", 0, told=4_000)], (0, 4, True, 10_000, 10_000)),
    "a camera without a reading": ([CAMERA], [LIFE_C], (None, None, False, 0, 10_000)),
    "a camera's reading without heartbeat": ([CAMERA], [Read(0, "c", 0, told=10_000)], (None, None, False, 0, 10_000)),
    "a mute camera without a reading": ([MUTE_CAMERA], [], (None, None, False, 0, 0)),
    "a mute camera with many": ([MUTE_CAMERA], [Read(0, "c", 60_000, told=10_000)], (5, 9, True, 0, 0)),
    "they add up": (
        [TRACKER, CAMERA],
        [LIFE, LIFE_C, Read(0, "t", 40_000, tracks=4), Read(0, "c", 30_000, told=5_000)],
        (10, 14, True, 20_000, 20_000),
    ),
    "one of two is not heard": (
        [TRACKER, CAMERA],
        [LIFE_C, Read(0, "t", 40_000, tracks=4), Read(0, "c", 30_000, told=5_000)],
        (None, None, False, 0, 20_000),
    ),
    "told by two partitions": (
        [TRACKER],
        [LIFE, LIFE, Read(0, "t", 40_000, tracks=4), Read(0, "t", 60_000, tracks=4)],
        (10, 14, True, 10_000, 10_000),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_pane(case: tuple[Any, ...]) -> None:
    sensors, said, want = case
    found = pane(sensors, said)
    assert tuple(found[name] for name in ("low", "high", "sure", "covered", "expected")) == want
    assert found["blind"] == (sensors[0]["reporting"] == "on_change" and want[0] is not None)


def test_a_sensor_heard_in_two_partitions_does_not_stand_for_another() -> None:
    both = [TRACKER, sensor("u", "tracker")]
    found = pane(both, [LIFE, LIFE, Heard(0, "u", 5_000), Read(0, "t", 70_000, tracks=7)])
    assert (found["covered"], found["expected"], found["sure"]) == (15_000, 20_000, False)


def test_with_k_1_the_mean_itself_is_published() -> None:
    found = pane([TRACKER], [LIFE, Read(0, "t", 12_345, tracks=2)], EXACT)
    assert (found["low"], found["high"], found["most"]) == (1.2345, 1.2345, 1.2345)
    assert pane([TRACKER], [LIFE], EXACT)["low"] == 0


GROUP = [sensor("t", "tracker", group="g"), sensor("u", "tracker", group="g")]
FAILOVER = {  # heartbeats of t and u in ms -> low
    (10_000, 10_000): 10,
    (5_000, 10_000): 10,
    (4_999, 10_000): 20,
    (0, 5_000): 20,
    (4_000, 4_000): 10,  # neither is alive enough: the first listed
    (0, 0): None,
}


@pytest.mark.parametrize(("beats", "low"), FAILOVER.items())
def test_redundant_sensors_stand_in_for_each_other(beats: tuple[int, int], low: int | None) -> None:
    said = [Heard(0, name, ms) for name, ms in zip("tu", beats, strict=True) if ms]
    found = pane(GROUP, [*said, Read(0, "t", 100_000, tracks=10), Read(0, "u", 200_000, tracks=20)])
    assert found["low"] == low
    assert found["expected"] == 10_000


def test_a_mute_sensor_of_a_group_counts_where_none_is_alive() -> None:
    group = [sensor("t", "tracker", group="g"), sensor("u", "tracker", group="g", reporting="on_change")]
    found = pane(group, [Heard(0, "t", 4_000), Read(0, "t", 100_000, tracks=10), Read(0, "u", 200_000, tracks=20)])
    assert (found["low"], found["blind"]) == (20, True)


SPEEDS = {  # sensors, said, speed
    "five tracks": ([TRACKER], [LIFE, Read(0, "t", 20_000, way_mm=30_000, tracks=5)], 1.5),
    "four tracks": ([TRACKER], [LIFE, Read(0, "t", 20_000, way_mm=30_000, tracks=4)], None),
    "five that stand": ([TRACKER], [LIFE, Read(0, "t", 50_000, tracks=5)], 0),
    "not heard": ([TRACKER], [Read(0, "t", 20_000, way_mm=30_000, tracks=5)], None),
    "a camera's least reading is five": ([CAMERA], [LIFE_C, Read(0, "c", 20_000, 30_000, 5, told=4_000)], 1.5),
    "a camera's least reading is four": ([CAMERA], [LIFE_C, Read(0, "c", 20_000, 30_000, 4, told=3_000)], None),
    "a camera told twice": (
        [CAMERA],
        [LIFE_C, Read(0, "c", 20_000, 30_000, 4, told=3_000), Read(0, "c", 20_000, 30_000, 9, told=3_000)],
        None,
    ),
    "three and two": (
        [TRACKER, CAMERA],
        [LIFE, LIFE_C, Read(0, "t", 20_000, 30_000, 3), Read(0, "c", 20_000, 10_000, 2, told=10_000)],
        1.0,
    ),
    "a camera that tells no speed": (
        [TRACKER, CAMERA],
        [LIFE, LIFE_C, Read(0, "t", 20_000, 30_000, 5), Read(0, "c", 90_000, 0, 0, told=10_000)],
        1.5,
    ),
    "alone": ([CAMERA], [LIFE_C, Read(0, "c", 90_000, 0, 0, told=10_000)], None),
}


@pytest.mark.parametrize("case", SPEEDS.values(), ids=SPEEDS)
def test_speed_is_path_by_time_of_k_people_or_more(case: tuple[Any, ...]) -> None:
    sensors, said, want = case
    assert pane(sensors, said)["speed"] == want


def test_longer_windows_are_means_over_what_was_released() -> None:
    people = [12.5, 17.5, None, 0, 12.5, 99.5]  # None: not heard
    said: list[Read | Heard] = []
    for number, mean in enumerate(people):
        if mean is not None:
            said += [Heard(number, "t"), Read(number, "t", int(mean * 10_000), int(mean) * 10_000, int(mean))]
    found = told(readings([world(TRACKER)], [Log(said)], K5))
    minute = found["1m", 0, "hall"]
    assert minute["low"] == pytest.approx((10 + 15 + 0 + 10 + 95) / 5)
    assert minute["high"] == pytest.approx((14 + 19 + 4 + 14 + 99) / 5)
    assert minute["most"] == minute["high"] + 1
    assert (minute["covered"], minute["expected"]) == (50_000, 60_000)
    assert minute["error"] == 3  # 10 % of 30, rounded up
    pace = {12.5: 12 / 12.5, 17.5: 17 / 17.5, 99.5: 99 / 99.5}
    weight = {12.5: 24, 17.5: 34, 99.5: 194}  # low + high
    both = [12.5, 17.5, 12.5, 99.5]
    assert minute["speed"] == pytest.approx(sum(pace[m] * weight[m] for m in both) / sum(weight[m] for m in both))
    assert [found["10s", i, "hall"]["low"] for i in range(6)] == [10, 15, None, 0, 10, 95]
    hour = found["1h", 0, "hall"]
    assert hour["low"] == minute["low"] and hour["expected"] == 3_600_000


def test_a_window_in_which_nothing_was_heard_is_unknown() -> None:
    found = told(readings([world(TRACKER)], [Log([Heard(6, "t")])], K5))
    assert found["1m", 0, "hall"]["low"] is None and found["1m", 0, "hall"]["covered"] == 0
    assert found["1m", 6, "hall"]["low"] == 0


def test_in_a_blackout_nothing_turns_green_or_zero() -> None:
    """A tracker with a beat of 10 s dies at the end of pane 3 with 40 people before it; heard for 20 s more."""
    said: list[Read | Heard] = []
    for number in range(4):
        said += [Heard(number, "t"), Read(number, "t", 400_000, tracks=40)]
    said += [Heard(4, "t"), Heard(5, "t", 9_000)]
    found = told(readings([world(TRACKER)], [Log(said, active=range(12))], K5))
    assert [found["10s", i, "hall"]["low"] for i in range(12)] == [40] * 4 + [0, 0] + [None] * 6
    assert [found["10s", i, "hall"]["sure"] for i in range(12)] == [True] * 5 + [False] * 7
    assert [found["10s", i, "hall"]["gone"] for i in range(12)] == [0] * 4 + [45] * 2 + [0] * 6
    assert found["1m", 0, "hall"]["gone"] == found["5m", 0, "hall"]["gone"] == 45
    assert found["1m", 6, "hall"]["low"] is None


def test_people_who_left_have_left_once_heartbeats_tell_that_the_sensor_stayed() -> None:
    said: list[Read | Heard] = [Heard(0, "t"), Read(0, "t", 400_000, tracks=40)]
    said += [Heard(number, "t") for number in range(1, 12)]
    found = told(readings([world(TRACKER)], [Log(said)], K5))
    assert [found["10s", i, "hall"]["gone"] for i in range(12)] == [0, 45, 45] + [0] * 9
    assert found["1m", 0, "hall"]["gone"] == found["1m", 6, "hall"]["gone"] == 0


def test_a_sensor_that_dies_within_a_pane_does_not_make_a_small_crowd_of_a_large_one() -> None:
    said = [Heard(number, "t") for number in range(4)]
    said += [Read(0, "t", 800_000, tracks=80), Read(1, "t", 400_000, tracks=40), Read(2, "t", 100_000, tracks=40)]
    found = told(readings([world(TRACKER)], [Log(said)], K5))
    assert [found["10s", i, "hall"]["gone"] for i in range(4)] == [0, 0, 0, 45]


def test_a_mute_sensor_s_minute_of_few_people_is_not_sure_even_if_its_end_is() -> None:
    said = [Read(0, "t", 10_000, tracks=1), Read(5, "t", 50_000, tracks=5)]
    found = told(readings([world(MUTE)], [Log(said)], K5))
    assert found["10s", 5, "hall"]["sure"] and not found["1m", 0, "hall"]["sure"]


def test_nobody_watches_where_no_sensor_is_approved() -> None:
    late = [{"from": "2026-02-02T02:00:05Z", "to": None}]  # within the first pane
    found = told(readings([world(sensor("t", "tracker", approved=late))], [Log([Heard(0, "t"), Heard(1, "t")])], K5))
    assert found["10s", 0, "hall"]["low"] is None and found["10s", 0, "hall"]["expected"] == 0
    assert found["10s", 1, "hall"]["low"] == 0
    assert found["1m", 0, "hall"]["expected"] == 50_000


def zones_of(*sensors: dict[str, Any], rule: Rule = K5, **more: Any) -> set[str]:
    document = world(*sensors, **more)
    names = [z["id"] for z in document["zones"]]
    return {name for _, _, name in told(readings([document], [Log(active=[0])], rule), names)}


BARE = zone("bare", polygon_m=None)
AWAY = zone("away", polygon_m=[[20, 0], [30, 0], [30, 10]])
HALL = zone()


def gate(a: str | None, b: str | None, line: Any = None) -> list[dict[str, Any]]:
    return [{"id": "g", "a": a, "b": b, "leaf": "1m", "line_m": line}]


def test_which_zones_have_readings() -> None:
    three = [HALL, AWAY, BARE]
    every = sensor("t", "tracker", None)
    assert zones_of(every, zones=three) == {"hall", "away"}
    assert zones_of(sensor("t", "tracker", "away"), zones=three) == {"away"}
    assert zones_of(sensor("t", "tracker", "bare"), zones=three) == set()
    assert zones_of(sensor("c", "occupancy", "bare"), zones=three) == {"bare"}
    assert zones_of(sensor("c", "occupancy", None), zones=three) == set()
    at_gate = sensor("t", "tracker", None, gate="g")
    assert zones_of(at_gate, zones=three, gates=gate(None, None)) == set()
    assert zones_of(sensor("n", "counter", "hall"), zones=three) == set()


BESIDE = Rule(5, beside_gates=True)


@pytest.mark.parametrize(
    ("gates", "without"),
    [
        (gate("hall", None), {"hall"}),
        (gate("away", "hall"), {"hall", "away"}),
        (gate(None, None, [[5, -1], [5, 11]]), {"hall"}),
        (gate(None, None, [[4, 4], [5, 5]]), {"hall"}),  # wholly inside
        (gate(None, None, [[10, 2], [12, 2]]), {"hall"}),  # touches its edge
        (gate(None, None, [[10, 10], [20, 0]]), {"hall", "away"}),  # from a corner to a corner
        (gate(None, None, [[-5, 10], [5, 10]]), {"hall"}),  # along an edge
        (gate(None, None, [[11, 0], [19, 10]]), set()),
        (gate(None, None, [[9, 12], [12, 9]]), set()),  # within the box of none
        (gate(None, None, [[20, 9], [22, 9]]), set()),  # in the box of away, not in it
        (gate(None, None), set()),
    ],
)
def test_a_zone_with_gates_publishes_no_readings(gates: list[dict[str, Any]], without: set[str]) -> None:
    every = sensor("t", "tracker", None)
    assert zones_of(every, zones=[HALL, AWAY], gates=gates) == {"hall", "away"} - without
    beside = zones_of(every, zones=[HALL, AWAY], gates=gates, rule=BESIDE)
    assert beside == {"hall", "away"}


def test_beside_gates_windows_are_no_shorter_than_those_of_the_gates() -> None:
    document = world(TRACKER, gates=gate("hall", None))
    found = told(readings([document], [Log([LIFE])], BESIDE))
    assert min(found) == ("15m", -54, "hall") or {window for window, _, _ in found} == {"1m", "5m", "15m", "1h", "1d"}


def test_zones_of_cameras_do_not_wait_for_tracks() -> None:
    """Lines in panes: a tracker's pane is final track_ms later, one at a slow gate later still."""
    slow = [{"id": "g", "a": None, "b": None, "leaf": "10s", "delay_s": 25}]
    sensors = [TRACKER, sensor("c", "occupancy", "bare"), sensor("d", "occupancy", "away", gate="g")]
    document = world(*sensors, zones=[HALL, BARE, AWAY], gates=slow)
    found = told(readings([document], [Log(active=[0])], K5), ["hall", "bare", "away"])
    line = {
        name: (found["10s", 0, name]["line"] - found["10s", 0, "bare"]["line"]) // 10_000 for name in ("hall", "away")
    }
    assert line == {"hall": 1, "away": 3}


def test_a_version_that_puts_a_sensor_beside_another_holds_from_its_window_on() -> None:
    first, second = world(TRACKER), world(TRACKER, CAMERA, version="v2")
    said: list[Read | Heard] = []
    for number in range(4):
        said += [Heard(number, "t"), Read(number, "t", 100_000, tracks=10)]
        said += [Heard(number, "c"), Read(number, "c", 100_000, told=10_000)]
    found = told(readings([first, second], [Log(said)], K5, switched=[20_000]))
    assert [found["10s", i, "hall"]["low"] for i in range(4)] == [10, 10, 20, 20]
    assert [found["10s", i, "hall"]["version"] for i in range(4)] == [0, 0, 1, 1]
    minute = found["1m", 0, "hall"]
    assert (minute["version"], minute["low"], minute["expected"]) == (1, 15, 120_000)


def test_a_version_that_brings_the_first_camera_and_another_that_brings_a_tracker() -> None:
    """The delay of the zone changes with its sensors, and nothing is told twice or left out."""
    document = [world(), world(CAMERA, version="v2"), world(CAMERA, TRACKER, version="v3")]
    said: list[Read | Heard] = []
    for number in range(6):
        said += [Heard(number, "c"), Read(number, "c", 100_000, told=10_000)]
        said += [Heard(number, "t"), Read(number, "t", 100_000, tracks=10)]
    for steps in ([], range(0, 100_000, 10_000)):
        found = told(readings(document, [Log(said)], K5, switched=[15_000, 40_000], steps=steps))
        assert {at: row["low"] for (window, at, _), row in found.items() if window == "10s"} == {
            1: 10, 2: 10, 3: 10, 4: 20, 5: 20,
        }  # fmt: skip
        assert found["1m", 0, "hall"]["version"] == 2 and found["1m", 0, "hall"]["low"] == 14


def test_a_window_that_closed_in_a_silence_is_not_told_again_with_the_panes_of_the_silence() -> None:
    """Nothing is accepted from pane 3 to 7; the first minute closes before it is known that the silence ends."""
    said = [Read(number, "t", 100_000, tracks=10) for number in (0, 1, 2, 8)]
    whole = told(readings([world(MUTE)], [Log(said, active=[0, 1, 2, 8])], K5))
    live = told(
        readings([world(MUTE)], [Log(said, active=[0, 1, 2, 8])], K5, steps=range(0, 200_000, 10_000)),
    )
    assert live == whole
    assert whole["1m", 0, "hall"]["low"] == 10
    assert [whole["10s", i, "hall"]["low"] for i in range(9)] == [10] * 3 + [0] * 5 + [10]
