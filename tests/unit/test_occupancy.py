"""Who is inside a zone, day after day: anchors, what stays over night, drift, what is lost, how it is graded.

Days are told by records of counts and read off rows of 15 minutes; with k = 1 and guard = 0, so to the person.
"""

from __future__ import annotations

import json

import pytest

from engine.rfc3339 import parse_ms
from tests.support.engine_run import run
from tests.support.halls import EXACT, HOUR, MINUTE, Log, at, beats, count, in_order, inside, rows, ticks, told, world

# Monday 2 February: opens at 5:44, 30 come, 10 go, the rest at night
MONDAY: Log = [
    count(at("05:00")),
    count(at("08:03"), 30),
    count(at("09:50"), 0, 10),
    count(at("23:02"), 0, 20),
]


def test_a_day_from_the_closing_hours_on() -> None:
    result = run(world(), [[*MONDAY, count(at("01:00", 3))]], EXACT)
    # the last edge that is not behind 5:44 is that of 5:30; before, nobody knows
    assert inside(result) == [("05:15", None), ("05:30", 0), ("08:15", 30), ("10:00", 20), ("23:15", 0)]
    assert {row["error"] for row in rows(result).values() if row["occupancy"] is not None} == {0}
    # at 6:00 nobody had been heard since 5:00, so nobody knew yet whether 5:30 was a silence without rows
    hours = inside(result, window="1h")
    assert hours == [("06:00", None), ("07:00", 0), ("09:00", 30), ("10:00", 20), ("24:00", 0)]
    assert rows(result, "1d")[at("00:00", 3)]["occupancy"] == 0


def test_the_second_night_begins_anew_and_tells_the_drift() -> None:
    result = run(world(), [[*MONDAY, count(at("12:00", 3), 5)]], EXACT)
    told_of = {end: (row["drift_low"], row["drift_high"]) for end, row in rows(result).items()}
    assert told_of[at("05:30")] == told_of[at("05:15", 3)] == (None, None)  # nothing had been counted from
    assert told_of[at("05:30", 3)] == told_of[at("12:15", 3)] == (0, 0)
    assert inside(result, day=3) == [("00:15", 0), ("12:15", 5)]


# name -> people in and out, error, expected: before the closing, after it, drift
DRIFTS: dict[str, tuple[int, int, float | None, int, int, tuple[int, int] | None]] = {
    "exits missed": (100, 97, 0.05, 3, 0, (3, 3)),
    "entries missed": (100, 103, 0.05, -3, 0, (-3, -3)),
    "more out than in, by sensors that make no error": (0, 7, 0, -7, 0, (-7, -7)),
    "no error told, taken as 10 %": (100, 90, None, 10, 0, (10, 10)),
    "more than errors explain": (100, 80, 0.05, 20, 20, None),
    "some, by sensors that make no error": (10, 9, 0, 1, 1, None),
    "few, by sensors that may": (10, 7, 0.05, 3, 0, (3, 3)),
}


@pytest.mark.parametrize("case", DRIFTS)
def test_what_is_left_at_the_closing_is_drift_or_people(case: str) -> None:
    into, out, error, late, early, drift = DRIFTS[case]
    log = [count(at("05:00")), count(at("08:03"), into), count(at("22:03"), 0, out), count(at("07:00", 3))]
    found = rows(run(world(error=error), [log], EXACT))
    before, after = found[at("05:15", 3)], found[at("05:30", 3)]
    assert (before["occupancy"], after["occupancy"]) == (late, early)
    assert (after["drift_low"], after["drift_high"]) == (drift or (None, None))
    if drift and error is not None:
        assert after["error"] == 0  # the count begins anew


def test_those_who_stay_stay_until_they_go() -> None:
    """After a busy day the error of the whole day is larger than the crowd that comes in the evening."""
    log = [count(at("05:00"))]
    log += [count(at("06:00") + i * 10 * MINUTE, 200, 200) for i in range(60)]  # 12,000 each way
    log += [count(at("19:00"), 60), count(at("20:00"), 4, 4)]
    log += [count(at("06:30", 3)), count(at("09:00", 3), 0, 60), count(at("07:00", 4))]
    result = run(world(error=0.05), [log], EXACT)
    found = rows(result)
    assert found[at("23:45")]["error"] > 1000 and found[at("23:45")]["occupancy"] == 60
    assert inside(result, day=3) == [("00:15", 60), ("09:15", 0)]
    assert found[at("05:30", 3)]["drift_low"] is None and found[at("05:30", 4)]["drift_low"] == 0


def test_with_small_numbers_hidden_only_certain_people_have_stayed() -> None:
    """Of those who came in 5 may have come before, 5 that are not told may have gone, and a tenth is the sensors'."""
    for people, left in ((16, False), (30, True)):
        log = [count(at("05:00")), count(at("19:00"), people), count(at("07:00", 3))]
        row = rows(run(world(error=0.1), [log]))[at("05:30", 3)]
        assert (row["occupancy_low"] > 0, row["drift_low"] is None) == (left, left)


def test_a_shelter_is_not_emptied_by_closing_hours() -> None:
    log = [count(at("05:00")), told(at("06:00"), 0), count(at("06:10")), count(at("08:00"), 3), count(at("07:00", 3))]
    found = rows(run(world({"kind": "shelter"}), [log], EXACT))
    assert found[at("05:30")]["occupancy"] is None
    assert found[at("06:15")]["occupancy"] == 0 and found[at("05:30", 3)]["occupancy"] == 3


def test_nobody_is_sent_away_in_a_night_of_which_an_operator_told() -> None:
    """1,700 came before anybody counted; after a night of which nobody told they would be taken as gone."""
    start, end = count(at("20:00")), count(at("07:00", 3))
    assert rows(run(world(), [[start, end]], EXACT))[at("05:30", 3)]["occupancy"] == 0
    for when in (at("00:46", 3), at("02:07", 3), at("05:44", 3)):
        log = in_order([start, end, told(when, 1700)])
        found = rows(run(world(), [log], EXACT))
        assert {found[at(t, 3)]["occupancy"] for t in ("05:45", "06:15", "07:00")} == {1700}
    few = rows(run(world(error=0.05), [in_order([start, end, told(at("02:07", 3), 3)])], EXACT))
    assert few[at("07:00", 3)]["occupancy"] == 3
    # of the evening before, it says nothing of who stayed
    log = in_order([start, end, told(at("21:00"), 1700)])
    assert rows(run(world(), [log], EXACT))[at("05:30", 3)]["occupancy"] == 1700  # more than errors explain
    log = in_order([start, count(at("22:00"), 0, 1700), end, told(at("21:00"), 1700)])
    assert rows(run(world(), [log], EXACT))[at("05:30", 3)]["drift_low"] == 0


def test_what_a_blackout_hid_may_still_be_inside() -> None:
    """Sensors fall silent for hours of the 2nd; the closing that night says nothing, that of the next one does."""
    document = world(reporting="heartbeat", beat_s=600)
    dark = (at("12:00"), at("18:00"))
    alive = [*beats("s0", at("05:00"), dark[0]), *beats("s0", dark[1], at("12:00", 5))]
    log = in_order(alive, [count(at("08:00"), 40), count(at("19:00"), 0, 1)], ticks(2, 3, 4))
    result = run(document, [log], EXACT)
    assert inside(result) == [("05:15", None), ("05:30", 0), ("08:15", 40), ("12:30", None)]
    assert inside(result, day=3) == [("00:15", None)]
    assert inside(result, day=4) == [("00:15", None), ("05:30", 0)]
    found = rows(result)
    assert found[at("14:00")]["status"] == "unknown" and found[at("14:00")]["los"] == "unknown"
    assert found[at("20:00")]["status"] != "unknown" and found[at("20:00")]["density"] is None
    assert found[at("20:00")]["los"] == "unknown"
    # an operator's word brings the count back
    again = run(document, [in_order(log, [told(at("18:40"), 35)])], EXACT)
    assert inside(again)[-2:] == [("18:45", 35), ("19:15", 34)]
    # what was said while a gate was dark does not: who passed since is in no count
    for when in (at("14:00"), dark[1] - MINUTE):
        assert inside(run(document, [in_order(log, [told(when, 35)])], EXACT)) == inside(result)


def test_gates_that_are_heard_one_after_the_other_at_the_start_are_no_blackout() -> None:
    document = world(gates=2, reporting="heartbeat", beat_s=600)
    log = in_order(beats("s0", at("03:00"), at("12:00")), beats("s1", at("03:40"), at("12:00")))
    assert inside(run(document, [log], EXACT)) == [("03:15", None), ("05:30", 0)]


def test_a_silence_of_all_is_lost_time() -> None:
    log = [*MONDAY, count(at("08:00", 5), 7), count(at("08:00", 6)), count(at("08:00", 7), 2)]
    result = run(world(), [log], EXACT)
    assert inside(result, day=5) == [("08:15", None)]
    assert inside(result, day=6) == [("00:15", None)]  # they may have come in the silence
    assert inside(result, day=7) == [("00:15", None), ("05:30", 0), ("08:15", 2)]


def test_unseen_time_is_taken_as_busy_as_the_rest() -> None:
    document = world(error=0.1, reporting="every_span")
    spans = [count(at("05:00") + i * MINUTE, int(i >= 30)) for i in range(60)]
    spans += [count(at("06:00") + i * MINUTE, 4) for i in range(0, 60, 2)]  # every other minute is missing
    found = rows(run(document, [spans], EXACT))
    assert (found[at("05:45")]["occupancy"], found[at("05:45")]["error"]) == (15, 2)  # 10 % of 15
    # 60 of 90 minutes since 5:30 were seen: half as many again, and 10 %
    assert (found[at("07:00")]["occupancy"], found[at("07:00")]["error"]) == (150, 90)


def test_passages_of_unknown_direction_are_error_and_nothing_else() -> None:
    log = [count(at("05:00")), count(at("08:00"), 10, 0, un=6), count(at("08:20"))]
    found = rows(run(world(), [log], EXACT))
    assert (found[at("08:15")]["occupancy"], found[at("08:15")]["error"]) == (10, 6)


def test_a_gate_with_the_zone_on_both_sides_moves_nobody() -> None:
    document = world()
    document["gates"][0] |= {"a": "hall"}
    log = [count(at("05:00")), count(at("08:00"), 10), count(at("08:20"))]
    found = rows(run(document, [log], EXACT))[at("08:15")]
    assert (found["inflow"], found["occupancy"]) == (10, 0)


def test_a_version_changes_area_error_and_hours() -> None:
    first, second = world(error=0.1), world({"area_m2": 400, "closed": []}, error=0.5) | {"version": "v2"}
    publish = (json.dumps({"type": "registry", "registry": second}).encode(), None)
    log = [count(at("05:00")), count(at("08:00"), 20), count(at("08:29")), publish]
    log += [count(at("08:40"), 0, 4), count(at("07:00", 3))]
    found = rows(run(first, [log], EXACT))
    assert (found[at("08:15")]["density"], found[at("08:15")]["error"]) == (0.2, 2)
    assert (found[at("08:45")]["density"], found[at("08:45")]["error"]) == (0.04, 12)
    assert found[at("05:30", 3)]["occupancy"] == 16  # closed no more


def test_gates_come_and_go_with_versions() -> None:
    first, second, third = world(), world(gates=2) | {"version": "v2"}, world(gates=2) | {"version": "v3"}
    third["gates"], third["sensors"] = third["gates"][1:], third["sensors"][1:]
    v2, v3 = ((json.dumps({"type": "registry", "registry": v}).encode(), None) for v in (second, third))
    log = [count(at("05:00")), count(at("08:00"), 20), count(at("08:50")), v2]
    log += [count(at("09:20"), 5, 1, sensor="s1"), count(at("09:50"), 0, 2), count(at("10:05")), v3]
    log += [count(at("10:20"), 0, 3, sensor="s1"), count(at("10:50"), sensor="s1")]
    result = run(first, [log], EXACT)
    assert inside(result)[-5:] == [("05:30", 0), ("08:15", 20), ("09:30", 24), ("10:00", 22), ("10:30", 19)]
    for seed in range(4):
        assert run(first, [log], EXACT, seed=seed, restart=True, by_line=True).canonical() == result.canonical()


def test_on_days_on_which_the_clocks_change() -> None:
    """Berlin, closed from 1:00 to 2:30: 29 March has no 2:30, 25 October has it twice (the first counts)."""
    document = world({"closed": [{"from": "01:00", "to": "02:30"}]}) | {"timezone": "Europe/Berlin"}
    for early, anchor in (
        ("2026-03-28T23:10:00Z", "2026-03-29T01:00:00Z"),
        ("2026-10-24T22:10:00Z", "2026-10-25T00:30:00Z"),
    ):
        start, expected = parse_ms(early), parse_ms(anchor)
        assert start is not None and expected is not None
        found = rows(run(document, [[count(start), count(start + 6 * HOUR)]], EXACT))
        assert min(end for end, row in found.items() if row["occupancy"] == 0) == expected


# people -> grade of a walkway of 100 m² (width 10 m), of a queue
GRADES = [
    (0, "A", "A"),
    (31, "A", "A"),
    (32, "B", "A"),
    (84, "D", "B"),
    (217, "E", "D"),
    (218, "F", "D"),
    (501, "F", "F"),
]


@pytest.mark.parametrize(("people", "walkway", "queue"), GRADES)
def test_grades_by_the_kind_of_the_zone(people: int, walkway: str, queue: str) -> None:
    for kind, scheme, letter in (
        ("walkway", "fruin-walkway-1", walkway),
        ("plaza", "fruin-walkway-1", walkway),
        ("exit", "fruin-walkway-1", walkway),
        ("queue", "hcm-queue-1", queue),
        ("shelter", "hcm-queue-1", queue),
    ):
        log = [told(at("07:59"), people), count(at("08:00")), count(at("08:20"))]
        row = rows(run(world({"kind": kind}), [log], EXACT))[at("08:15")]
        assert (row["los_scheme"], row["los"], row["density"]) == (scheme, letter, people / 100)


def test_no_grade_without_area_nor_by_flow_alone() -> None:
    log = [count(at("05:00")), count(at("08:00"), 500, 500), count(at("08:20"))]
    assert rows(run(world({"area_m2": None}), [log], EXACT))[at("08:15")]["los"] == "unknown"
    never = rows(run(world({"closed": []}), [log], EXACT))[at("08:15")]  # nobody knows who is inside
    assert (never["inflow"], never["density"], never["los"]) == (500, None, "unknown")


def test_a_flow_that_is_certain_makes_a_grade_worse() -> None:
    # 5,000 in a quarter of an hour on 10 m: 33 a minute and metre, C
    log = [count(at("05:00")), count(at("08:00"), 5_000, 5_000), count(at("08:20"))]
    found = rows(run(world(), [log], EXACT))
    assert (found[at("08:15")]["density"], found[at("08:15")]["los"], found[at("08:30")]["los"]) == (0, "C", "A")
    assert rows(run(world({"width_m": None}), [log], EXACT))[at("08:15")]["los"] == "A"


def test_the_worse_end_with_the_sensors_error_in_it_is_graded() -> None:
    def graded(people: int, passed: int, error: float | None) -> str:
        log = [told(at("07:59"), people), count(at("08:00"), passed, passed), count(at("08:20"))]
        return str(rows(run(world(error=error), [log], EXACT))[at("08:15")]["los"])

    assert (graded(30, 0, 0.1), graded(30, 100, 0), graded(30, 100, None)) == ("A", "A", "A")
    assert graded(30, 100, 0.1) == "C"  # 30 and at most 20 more
    assert graded(30, 1_000, 0.1) == "unknown"  # anything from nobody to a jam
    with_default_k = [told(at("07:59"), 30), count(at("08:00"), 6, 6), count(at("08:20"))]
    (row,) = (row for end, row in rows(run(world(), [with_default_k])).items() if end == at("08:15"))
    assert (row["occupancy_low"], row["occupancy_high"], row["los"]) == (30, 30, "A")  # whole runs
    later = rows(run(world(), [with_default_k]))[at("08:30")]
    assert (later["occupancy_low"], later["occupancy_high"], later["los"]) == (25, 35, "B")


def test_counts_that_contradict_themselves_have_no_grade() -> None:
    log = [count(at("05:00")), count(at("08:00"), 0, 7), count(at("08:20"))]
    row = rows(run(world(), [log], EXACT))[at("08:15")]
    assert (row["occupancy"], row["density"], row["los"]) == (-7, -0.07, "unknown")
