"""People in motion: how fast, through which gates, and where they end up when they cannot go on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from loadgen.control import Control, Order
from loadgen.crowd import CAPACITY_S_M, JAM_M2, Crowd
from loadgen.motion import STEP_S, Passed, Path, rank, walking_speed
from loadgen.people import AB, BA, NOBODY, UNKNOWN, Coming, Flow
from loadgen.place import GATES, PLAZAS, ROW, WALL_M, ZONE_ROW, ZONES


def coming(door: str, target: str, people: int, enter_s: float = 0.0, stop: int = -1, rest_s: float = 0.0) -> Coming:
    return Coming(
        np.full(people, enter_s),
        np.full(people, ROW[door]),
        np.full(people, ROW[target]),
        np.full(people, stop),
        np.full(people, rest_s),
        np.full(people, 1.34),
        np.zeros(people),
    )


def run(crowd: Crowd, first: Coming, seconds: float) -> list[tuple[Passed, Path]]:
    steps = []
    for number in range(int(seconds / STEP_S)):
        steps.append(crowd.step(number * STEP_S, first if number == 0 else NOBODY))
    return steps


def passages(steps: list[tuple[Passed, Path]]) -> list[tuple[float, str, int]]:
    """(second, gate, direction) of all passages but those at the wall."""
    return sorted(
        (number * STEP_S + share * STEP_S, GATES[gate].id, way)
        for number, (passed, _) in enumerate(steps)
        for share, gate, way in zip(passed.share.tolist(), passed.gate.tolist(), passed.direction.tolist(), strict=True)
        if way != UNKNOWN
    )


def test_people_walk_by_weidmanns_curve() -> None:
    densities = np.linspace(0.01, 5.4, 2_000)
    speed = walking_speed(densities)
    assert walking_speed(np.array([0.0, 5.4, 7.0])) == pytest.approx([1.34, 0.0, 0.0], abs=1e-9)
    assert (np.diff(speed) <= 0).all()
    flow = speed * densities
    assert flow.max() == pytest.approx(73.5 / 60, rel=0.01)  # OPERATORS' figures: 73.5 persons/min/m at 1.75 p/m²
    assert densities[flow.argmax()] == pytest.approx(1.75, abs=0.03)


def test_rank_counts_within_runs() -> None:
    assert rank(np.array([4, 4, 4, 7, 9, 9])).tolist() == [0, 1, 2, 0, 0, 1]
    assert rank(np.empty(0, np.int64)).tolist() == []


def test_one_person_passes_every_gate_on_the_way_in_time() -> None:
    told = passages(run(Crowd(np.random.default_rng(1)), coming("j1", "j5", 1), 450))
    assert [(gate, way) for _, gate, way in told] == [(f"j{n}", AB) for n in (1, 2, 3, 4, 5)]
    times = [second for second, _, _ in told]
    for (early, late), way_m in zip(pairwise(times), (180, 100, 120, 120), strict=True):
        assert late - early == pytest.approx(way_m / 1.34, rel=0.03)
    back = passages(run(Crowd(np.random.default_rng(1)), coming("e4", "e1", 1), 450))
    assert [(gate, way) for _, gate, way in back] == [("e4", BA), ("j4", BA), ("j3", BA), ("j2", BA), ("e1", AB)]


def test_a_rest_in_a_plaza_is_as_long_as_meant() -> None:
    told = passages(run(Crowd(np.random.default_rng(1)), coming("j1", "j5", 1, stop=0, rest_s=100.0), 700))
    assert PLAZAS[0].zone == "p3w"
    assert [gate for _, gate, _ in told] == ["j1", "k1", "k1", "j2", "j3", "j4", "j5"]
    enters, leaves = (second for second, gate, _ in told if gate == "k1")
    assert 100.0 <= leaves - enters <= 100.0 + 2 * 25 / 1.34  # the way through the plaza and back


def test_a_gate_lets_through_what_its_width_allows() -> None:
    told = passages(run(Crowd(np.random.default_rng(1)), coming("b1", "j5", 400), 60))
    most = GATES[ROW["b1"]].width_m * CAPACITY_S_M
    assert len([1 for _, gate, _ in told if gate == "b1"]) == pytest.approx(60 * most, abs=2 * most)
    single = passages(run(Crowd(np.random.default_rng(1)), coming("e2", "j5", 400), 60))
    times = [second for second, gate, _ in single if gate == "e2"]
    assert len(times) == 60 and min(np.diff(times)) > 0.5


def test_nobody_passes_a_shut_gate_and_all_look_for_another_way() -> None:
    control = Control([Order(0.0, "shut", ("j3",))])
    steps = run(Crowd(np.random.default_rng(1), control=control), coming("j1", "j5", 50), 1_000)
    told = passages(steps)
    assert "j3" not in {gate for _, gate, _ in told}
    left = [gate for _, gate, way in told if (gate, way) in (("e2", AB), ("b1", AB), ("j1", BA))]
    assert len(left) == 50 and set(left) <= {"e2", "b1"}  # the doors nearest to it


def test_people_pile_up_where_there_is_no_way_out() -> None:
    shut = ("j3", "j2", "e2", "b1")
    control = Control([Order(200.0, "shut", (*shut, "e1")), Order(200.0, "only_ab", ("j1",))])
    crowd = Crowd(np.random.default_rng(1), control=control)
    flow = Flow((0.0, 1.0), (12.0, 12.0), {"j1": 1.0}, {"j5": 1.0})
    rng = np.random.default_rng(2)
    after = 0
    for number in range(400):
        clock = number * STEP_S
        passed, _ = crowd.step(clock, flow.draw(rng, clock, clock + STEP_S, 1.0))
        if clock >= 200.0:
            after += int(np.isin(passed.gate, [ROW[gate] for gate in shut]).sum())
    assert after == 0
    here = np.bincount((crowd.persons.along[crowd.persons.side < 0] // 5).astype(int), minlength=104) / 100
    assert here[34] > 3.0 and here.max() < 1.25 * JAM_M2  # before j2, and nowhere a crush
    trapped = (crowd.persons.along >= 180) & (crowd.persons.along < 280)
    assert trapped.sum() > 100
    assert crowd.people[ZONE_ROW["c2"]] == (trapped & (crowd.persons.side < 0)).sum()


def test_one_way_gates_let_one_way_through() -> None:
    control = Control([Order(0.0, "only_ab", ("j2",))])
    crowd = Crowd(np.random.default_rng(1), control=control)
    crowd.step(0.0, coming("j1", "j5", 5))
    crowd.step(2.0, coming("j5", "j1", 5, 2.0))
    told = passages([crowd.step(4.0 + number * STEP_S, NOBODY) for number in range(500)])
    assert [way for _, gate, way in told if gate == "j2"] == [AB] * 5
    assert not len(crowd.persons)


def test_signs_keep_those_out_who_would_not_get_through() -> None:
    control = Control([Order(0.0, "signs", ()), Order(0.0, "shut", ("j3",))])
    crowd = Crowd(np.random.default_rng(1), control=control)
    crowd.step(0.0, coming("j1", "j5", 5))
    assert len(crowd.persons) == 0 and len(crowd.waiting.enter_s) == 0
    crowd.step(2.0, coming("j1", "e2", 5, 2.0))
    assert len(crowd.persons) == 5


def test_an_alarm_empties_a_section_and_its_plazas() -> None:
    control = Control([Order(300.0, "shut", ("b2", "e3")), Order(300.0, "alarm", ("c3",))])
    crowd = Crowd(np.random.default_rng(1), control=control)
    site = [plaza.zone for plaza in PLAZAS].index("p1")
    crowd.step(0.0, coming("j5", "j1", 30, stop=site, rest_s=5_000.0))
    for number in range(1, 149):
        crowd.step(number * STEP_S, NOBODY)
    assert crowd.people[ZONE_ROW["p1"]] == crowd.people[ZONE_ROW["c3"]] == 30
    for number in range(149, 400):
        crowd.step(number * STEP_S, NOBODY)
    assert crowd.people[ZONE_ROW["c3"]] == 0


def test_everybody_stays_within_the_walls() -> None:
    crowd = Crowd(np.random.default_rng(3))
    flow = Flow(
        (0.0, 1.0), (8.0, 8.0), {"j1": 1.0, "e3": 1.0, "b2": 1.0}, {"j5": 1.0, "e1": 1.0, "e4": 1.0, "j1": 1.0}, 0.3
    )
    rng = np.random.default_rng(4)
    boxes = np.array([ZONES[ZONE_ROW[plaza.zone]].box for plaza in PLAZAS])
    for number in range(300):
        clock = number * STEP_S
        crowd.step(clock, flow.draw(rng, clock, clock + STEP_S, 1.0))
        p = crowd.persons
        inside = p.side < 0
        assert (np.abs(p.across[inside]) <= WALL_M).all()
        assert ((p.along[inside] >= 0) & (p.along[inside] <= 520)).all()
        box = boxes[p.side[~inside]]
        along, across = p.along[~inside], p.across[~inside]
        assert ((along >= box[:, 0]) & (along <= box[:, 1]) & (across >= box[:, 2]) & (across <= box[:, 3])).all()
    assert (~inside).sum() > 20
