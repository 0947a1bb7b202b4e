"""Headings: what is published follows from the partitions alone, is what the rules say, and holds the truth."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.naive import window
from tests.support.stays import CELL, DAY, Outcome, Rule, Story, Truth, tell
from tests.unit.test_headings import LINE, SQUARE, START

APPROVALS = (
    [{"from": "2020-01-01T00:00:00Z", "to": None}],
    [{"from": "2020-01-01T00:00:00Z", "to": "2026-04-04T15:02:07Z"}],  # 2 minutes behind START
)
SENSORS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["tracker", "tracker", "tracker", "occupancy"]),
            "zone": st.sampled_from(["c1", "c1", "c2", "c3", None]),
            "gate": st.sampled_from([None] * 7 + ["g1"]),
            "reporting": st.sampled_from(["on_change", "heartbeat", "heartbeat"]),
            "approved": st.sampled_from([APPROVALS[0]] * 3 + [APPROVALS[1]]),
            "group": st.sampled_from([None, None, "twins"]),
        }
    ),
    min_size=1,
    max_size=4,
)
STEP = st.sampled_from([0, 0, 1, 1, 2, 5, 30, 400])  # cells
STAY = st.tuples(STEP, st.integers(0, 3), st.integers(0, 2), st.integers(0, 7), st.sampled_from([1, 1, 2, 5, 6, 9, 40]))
BEAT = st.tuples(STEP, st.integers(0, 3), st.sampled_from([1_000, 4_999, 5_000, CELL, CELL]))
STORY = st.tuples(st.lists(STAY, max_size=30), st.lists(BEAT, max_size=30))
STORIES = st.lists(STORY, min_size=1, max_size=3)
RULES = st.sampled_from([Rule(6, 2_000), Rule(6, 2_000), Rule(1, 2_000), Rule(3, 25_000)])
ZONES = ("c1", "c2", "c3")


def document(sensors: list[dict[str, Any]], line: bool, name: str = "v1") -> dict[str, Any]:
    return {
        "version": name,
        "timezone": "Asia/Tokyo",
        "zones": [{"id": z, "kind": "plaza", **({"polygon_m": SQUARE} if z != "c3" else {})} for z in ZONES],
        "gates": [{"id": "g1", "a": "c1", "b": None, "leaf": "10s", "line_m": LINE if line else None}],
        "sensors": [{"id": f"s{i}", **s} for i, s in enumerate(sensors)],
    }


def stories_of(made: list[Any], world: dict[str, Any]) -> list[Story]:
    """Stories as partitions can tell them: of zones a tracker serves, heard in panes in which it is approved."""
    truth, out = Truth(world, [], Rule(1, 0)), []
    for stays, beats in made:
        story = Story()
        for cell, (_, s, zone, sector, n) in zip(_cells(stays), stays, strict=True):
            story.active.append(cell)
            if s < len(world["sensors"]) and any(t["id"] == f"s{s}" for t in truth.zones.get(ZONES[zone], [])):
                story.stays.append((cell, f"s{s}", ZONES[zone], sector, n))
        for cell, (_, s, ms) in zip(_cells(beats), beats, strict=True):
            story.active.append(cell)
            if s < len(world["sensors"]) and truth._approved(f"s{s}", cell):
                story.heard.append((cell, f"s{s}", ms))
        out.append(story)
    if not any(story.active for story in out):
        out[0].active.append(START)
    return out


def _cells(steps: list[Any]) -> list[int]:
    return [START + CELL * at for at in itertools.accumulate(step[0] for step in steps)]


def by_key(out: Outcome) -> dict[Any, Any]:
    names, key = ("n", "n_low", "n_high", "status"), ("window", "window_start", "zone", "sector")
    found = {tuple(r[name] for name in key): tuple(r[name] for name in names) for r in out.rows}
    assert len(found) == len(out.rows)
    return found


@given(SENSORS, st.booleans(), STORIES, RULES)
@settings(max_examples=60)
def test_rows_are_what_the_rules_say(sensors: list[Any], line: bool, made: list[Any], rule: Rule) -> None:
    world = document(sensors, line)
    stories = stories_of(made, world)
    truth, out = Truth(world, stories, rule), tell(world, stories, rule)
    assert by_key(out) == truth.rows()
    counted = {zone: truth.people(zone) for zone in truth.zones}
    assert out.released + out.rest == sum(people.total() for people in counted.values())
    for row in out.rows:
        if row["n"] is not None:
            start, end = window(row["window_start"], row["window"], "Asia/Tokyo")
            cells = counted[row["zone"]].items()
            people = sum(n for (cell, sector), n in cells if start <= cell < end and sector == row["sector"])
            assert row["n_low"] <= people <= row["n_high"]
            assert row["n_high"] - row["n_low"] >= rule.threshold - 1 or row["n"] >= rule.threshold


@given(SENSORS, st.booleans(), STORIES, RULES, st.integers(0, 2**32))
@settings(max_examples=60)
def test_cuts_interleavings_and_restarts_change_nothing(
    sensors: list[Any], line: bool, made: list[Any], rule: Rule, seed: int
) -> None:
    world = document(sensors, line)
    stories = stories_of(made, world)
    plain, mixed = tell(world, stories, rule), tell(world, stories, rule, seed=seed, restart=True)
    assert by_key(mixed) == by_key(plain)
    assert (mixed.rest, mixed.released) == (plain.rest, plain.released)


@given(SENSORS, STORY, RULES, st.lists(st.integers(0, 2), min_size=30, max_size=30))
@settings(max_examples=40)
def test_partitions_do_not_matter(sensors: list[Any], made: Any, rule: Rule, to: list[int]) -> None:
    world = document(sensors, False)
    (one,) = stories_of([made], world)
    parts = [Story([s for s, p in zip(one.stays, to, strict=False) if p == number]) for number in range(3)]
    parts[1].heard, parts[2].active = one.heard, one.active
    assert by_key(tell(world, parts, rule)) == by_key(tell(world, [one], rule))


LINES = st.lists(st.integers(-2, 60), min_size=1, max_size=3)


@given(SENSORS, SENSORS, STORIES, RULES, st.lists(LINES, min_size=3, max_size=3), st.integers(0, 2**32))
@settings(max_examples=80)
def test_versions_depend_on_the_logs_alone(
    before: list[Any], after: list[Any], made: list[Any], rule: Rule, lines: list[list[int]], seed: int
) -> None:
    """Each partition meets the versions at times of its own; live units come again as they were."""
    one, two = document(before, False), document(after, True, "v2")
    three = copy.deepcopy(document(before, False, "v3")) | {"zones": document(before, False)["zones"][1:]}
    for sensor in three["sensors"]:
        sensor["zone"] = None if sensor["zone"] == "c1" else sensor["zone"]
    three["gates"] = [{"id": "g9", "a": "c2", "b": None, "leaf": "1m"}]
    three["sensors"] = [{**s, "gate": s["gate"] and "g9"} for s in three["sensors"]]
    stories = stories_of(made, one)
    for story, at in zip(stories, lines, strict=False):
        first, *_, last = [*sorted(at), max(at)]
        story.versions = [(START + CELL * first, two), (START + CELL * last, three)][: len(at)]
        _only_known(story, one)
    plain = tell(one, stories, rule, by_line=True, until=START + 3 * DAY)
    mixed = tell(one, stories, rule, by_line=True, until=START + 3 * DAY, seed=seed, restart=True)
    bulk = tell(one, stories, rule, until=START + 3 * DAY, seed=seed + 1)
    assert mixed.units == plain.units
    assert by_key(bulk) == by_key(plain)


def _only_known(story: Story, first: dict[str, Any]) -> None:
    """Leave out what sensors tell that the version of the time does not know."""

    def known(cell: int, sensor: str) -> bool:
        holds = [first, *(version for at, version in story.versions if at < cell + CELL)][-1]
        return any(s["id"] == sensor for s in holds["sensors"])

    story.stays = [stay for stay in story.stays if known(*stay[:2])]
    story.heard = [beat for beat in story.heard if known(*beat[:2])]
