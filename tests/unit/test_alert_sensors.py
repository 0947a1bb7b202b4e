"""When the loss of sensors is an alert by their health: with no row of any zone, for nobody is heard.

Two sensors at g1 of zone c1, one at g2 between c2 and c1; times are seconds behind T0, a full minute (alert_rows).
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from engine.alert_sensors import LOST
from engine.model import END
from engine.tables import Tables
from tests.support.alert_rows import T0, Run, gates, line, rule, zones
from tests.support.alert_rows import tables as bare

ALWAYS = [{"from": "2020-01-01T00:00:00Z", "to": None}]
STATES = ("ok", "silent", "stuck", "chattering", "skewed", "imbalanced")


def sensor(name: str, gate: str | None = "g1", **told: Any) -> dict[str, Any]:
    return {"id": name, "kind": "counter", "gate": gate, "reporting": "heartbeat", "approved": ALWAYS, **told}


SENSORS = [sensor("s1"), sensor("s2"), sensor("s3", "g2")]


def tables(*rules: Any, sensors: Any = SENSORS, before: Tables | None = None, **changed: Any) -> Tables:
    return bare(*rules, sensors=sensors, before=before, **changed)


def loss(*limits: Any, **told: Any) -> dict[str, Any]:
    return rule("sensor_loss", *limits, **{"by": "health", **told})


def silence(run: Run, upto: int) -> list[str]:
    """W alone goes on, as by ticks, 10 s by 10 s."""
    return [change for second in range(0, upto + 1, 10) for change in run.pass_to(second)]


def told(of: Tables, *changes: tuple[float, str], upto: int = 600) -> list[str]:
    """What comes of changes "second, sensor state, sensor state", and then of silence."""
    run = Run(of)
    for second, words in changes:
        run.tell(second, *words.split(", "))
    return silence(run, upto)


ALL_LOST = (60, "s1 silent, s2 silent, s3 silent")
NEW_1, NEW_2 = "60 new sensor_loss c1", "60 new sensor_loss c2"


def test_a_silence_of_everything_raises_alerts_although_no_row_comes() -> None:
    assert sorted(told(tables(loss(0.5)), ALL_LOST)) == [NEW_1, NEW_2]


@pytest.mark.parametrize(
    ("limit", "changes", "expected"),
    [
        # c1 has three sensors; the limit itself is no loss
        (0.5, [(60, "s1 silent")], []),
        (0.5, [(60, "s1 silent, s2 silent")], [NEW_1]),
        (0.67, [(60, "s2 silent")], [NEW_1]),
        (0.66, [(60, "s2 silent")], []),
        (1, [(60, "s2 silent")], [NEW_1]),
        # the recovery: a tenth behind the limit
        (0.5, [(60, "s1 silent, s2 silent"), (120, "s1 ok")], [NEW_1, "120 recovered sensor_loss c1"]),
        (0.65, [(60, "s1 silent, s2 silent"), (120, "s1 ok")], [NEW_1]),
        (0.65, [(60, "s1 silent, s2 silent"), (120, "s1 ok"), (300, "s2 ok")], [NEW_1, "300 recovered sensor_loss c1"]),
        # what is told again changes nothing; of two changes at one line the later counts
        (0.5, [(60, "s1 silent, s2 silent"), (120, "s2 stuck")], [NEW_1]),
        (0.5, [(60, "s1 silent, s2 silent, s2 ok")], []),
        # at a line behind the end of a cell: from the next one on
        (0.5, [(63, "s1 silent, s2 silent")], ["70 new sensor_loss c1"]),
        (0.5, [(63, "s1 silent, s2 silent"), (68, "s1 ok")], []),
        # a sensor that no version knows
        (0.5, [(60, "who silent")], []),
    ],
)
def test_the_share_of_sensors_that_are_not_lost_decides(limit: float, changes: Any, expected: list[str]) -> None:
    assert told(tables(loss({"zones": ["c1"], "limit": limit})), *changes) == expected


@pytest.mark.parametrize("state", STATES)
def test_which_states_are_a_loss(state: str) -> None:
    lost = state in ("silent", "stuck", "skewed")
    assert (state in LOST) == lost
    assert told(tables(loss({"zones": ["c1"], "limit": 1})), (60, f"s1 {state}")) == ([NEW_1] if lost else [])


def test_delays_count_cells() -> None:
    slow = loss({"zones": ["c1"], "limit": 1}, on_delay_s=15, off_delay_s=15)
    assert told(tables(slow), (60, "s1 silent"), (120, "s1 ok")) == [
        "80 new sensor_loss c1",
        "140 recovered sensor_loss c1",
    ]
    assert told(tables(slow), (60, "s1 silent"), (80, "s1 ok")) == []  # the cell until 80 is one of health again
    assert told(tables(slow), (60, "s1 silent"), (90, "s1 ok"), (100, "s1 silent"), (110, "s1 ok")) == [
        "80 new sensor_loss c1",
        "130 recovered sensor_loss c1",
    ]


@pytest.mark.parametrize(
    ("sensors", "lost", "value"),
    [
        ([sensor("s1"), sensor("s2")], "s1", 0.5),
        # those of a group stand in for each other; a name belongs to its gate
        ([sensor("s1", group="x"), sensor("s2", group="x"), sensor("s3")], "s1", None),
        ([sensor("s1", group="x"), sensor("s2", group="x"), sensor("s3")], "s1 s2", 0.5),
        ([sensor("s1", group="x"), sensor("s2", "g2", group="x")], "s1", 0.5),
        # only who is approved counts
        ([sensor("s1"), sensor("s2", approved=[])], "s1", 0.0),
        ([sensor("s1", approved=[]), sensor("s2")], "s1", None),
        ([sensor("s1", group="x"), sensor("s2", group="x", approved=[])], "s1", 0.0),
        ([sensor("s1", approved=[])], "s1", None),
        # in the zone itself; a tracker of gate or zone; one that sees all gates with lines and zones with polygons
        ([sensor("s1", None, zone="c1", kind="occupancy"), sensor("s2")], "s1", 0.5),
        ([sensor("s1", None, zone="c2", kind="occupancy"), sensor("s2")], "s1", None),
        ([sensor("s1", kind="tracker"), sensor("s2")], "s1", 0.5),
        ([sensor("s1", None, kind="tracker"), sensor("s2")], "s1", 0.5),
        ([sensor("s1", None, kind="counter"), sensor("s2")], "s1", None),
        ([sensor("s1", None, kind="tracker"), sensor("s2", None, kind="tracker")], "s1 s2", 0.0),
    ],
)
def test_whom_a_zone_counts(sensors: Any, lost: str, value: float | None) -> None:
    lines = [
        {"id": "g1", "a": "c1", "b": None, "leaf": "10s", "line_m": [[0, 0], [0, 5]]},
        {"id": "g2", "a": "c2", "b": "c1", "leaf": "10s"},
    ]
    run = Run(tables(loss({"zones": ["c1"], "limit": 1}), sensors=sensors, gates=lines))
    run.tell(60, *(f"{name} silent" for name in lost.split()))
    run.pass_to(60)
    assert [row["value"] for row in run.rows] == ([] if value is None else [value])


def test_a_tracker_without_gate_and_zone_serves_zones_with_a_polygon() -> None:
    seen = {"id": "c3", "kind": "plaza", "polygon_m": [[0, 0], [9, 0], [0, 9]]}
    unseen = [{"id": "c1", "kind": "walkway"}, {"id": "c2", "kind": "plaza"}]
    of = tables(loss({"limit": 1}), zones=[*unseen, seen], sensors=[sensor("s1", None, kind="tracker")])
    assert told(of, (60, "s1 skewed")) == ["60 new sensor_loss c3"]


def test_an_approval_that_ends_is_not_a_loss() -> None:
    """T0 is 07:00 in UTC: s1 and s2 are approved until 07:03, s3 stays."""
    until = [{"from": "2020-01-01T00:00:00Z", "to": "2026-02-07T07:03:00Z"}]
    of = tables(
        loss({"zones": ["c1"], "limit": 0.5}),
        sensors=[sensor("s1", approved=until), sensor("s2", approved=until), sensor("s3", "g2")],
    )
    assert told(of, (60, "s1 silent, s2 silent")) == [NEW_1, "190 recovered sensor_loss c1"]


def test_a_band_begins_and_ends_in_silence() -> None:
    """T0 is 16:00 in Tokyo."""
    of = tables(loss({"zones": ["c1"], "from": "16:03", "to": "16:05", "limit": 0.5}))
    assert told(of, (60, "s1 silent, s2 silent")) == ["190 new sensor_loss c1", "310 not_in_force sensor_loss c1"]


def test_a_version_without_the_rule_or_the_zone_ends_the_alert_in_silence() -> None:
    one = tables(loss({"zones": ["c1"], "limit": 0.5}))
    for changed in (
        {"sensors": SENSORS},
        {
            "sensors": [],
            "zones": [{"id": "c2", "kind": "plaza"}],
            "gates": [{"id": "g3", "a": "c2", "b": None, "leaf": "10s"}],
        },
    ):
        rules = [] if len(changed) == 1 else [loss(0.5)]
        two = tables(*rules, version="v2", before=one, **changed)
        run = Run(one, two, since=[T0 + 150_000])
        run.tell(60, "s1 silent", "s2 silent")
        assert silence(run, 600) == [NEW_1, "150.001 not_in_force sensor_loss c1"]
        assert [row["registry_version"] for row in run.rows] == ["v1", "v2"]


def test_a_version_with_more_sensors_changes_the_share_in_silence() -> None:
    one = tables(loss({"zones": ["c1"], "limit": 0.5}))
    two = tables(loss({"zones": ["c1"], "limit": 0.5}), sensors=[*SENSORS, sensor("s4")], version="v2", before=one)
    run = Run(one, two, since=[T0 + 180_000])
    run.tell(60, "s1 silent", "s2 silent")
    assert silence(run, 600) == [NEW_1]  # 2 of 4: not below the limit, nor recovered
    assert run.pass_to(660) == []
    run.tell(720, "s1 ok")
    assert run.pass_to(720) == ["720 recovered sensor_loss c1"]
    assert run.rows[-1]["value"] == 0.75


def test_a_cell_that_ends_with_a_version_s_instant_belongs_to_the_version_before() -> None:
    one = tables(loss({"zones": ["c1"], "limit": 0.5}))
    run = Run(one, tables(version="v2", before=one, sensors=SENSORS), since=[T0 + 60_000])
    run.tell(60, "s1 silent", "s2 silent")
    assert silence(run, 120) == [NEW_1, "60.001 not_in_force sensor_loss c1"]


def test_a_zone_that_is_unknown_is_no_loss_by_health() -> None:
    of = tables(loss(1))
    assert Run(of).take(zones(of, [None, {"coverage": 0.1}]), w=T0 + 120_000) == []


def test_rows_and_health_are_judged_apart() -> None:
    of = tables(loss(0.5, id="a"), rule("sensor_loss", 0.5, id="b"))
    run = Run(of)
    run.tell(60, "s1 silent", "s2 silent")
    assert run.pass_to(60) == ["60 new a c1"]
    assert run.take(zones(of, [None, None]), w=T0 + 60_000) == ["10 new b c1"]
    assert run.take(gates(of, [None])) == []
    ids = {row["id"] for row in run.rows}
    assert len(ids) == 2


def test_the_same_rule_by_another_measure_is_another_alert() -> None:
    one = tables(loss({"zones": ["c1"], "limit": 0.5}))
    two = tables(rule("sensor_loss", {"zones": ["c1"], "limit": 0.5}), version="v2", before=one)
    run = Run(one, two, since=[T0 + 90_000])
    run.tell(60, "s1 silent", "s2 silent")
    assert silence(run, 120) == [NEW_1, "90.001 not_in_force sensor_loss c1"]
    assert run.take(zones(two, [None], start=T0 + 110_000), version=1, w=T0 + 120_000) == ["120 new sensor_loss c1"]
    assert run.rows[0]["id"][-12:] != run.rows[2]["id"][-12:]


def test_at_the_end_of_the_logs_states_hold_on_until_every_wait_is_over() -> None:
    run = Run(tables(loss({"zones": ["c1"], "limit": 0.5}, on_delay_s=600, off_delay_s=120)))
    run.tell(60, "s1 silent", "s2 silent")
    assert run.pass_to(130) == []
    assert run.watch(END) == ["660 new sensor_loss c1"]
    assert run.watch(END) == []
    at_once = Run(run.versions[0])
    at_once.tell(60, "s1 silent", "s2 silent")
    assert at_once.watch(END) == ["660 new sensor_loss c1"]


def test_an_old_loss_without_an_alert_is_told_long_later_at_once() -> None:
    """Days of cells with a sensor that is lost: one pass, as many verdicts as cells."""
    run = Run(tables(loss({"zones": ["c1"], "days": ["sun"], "limit": 1})))
    run.tell(60, "s1 silent")
    changes = run.pass_to(3 * 86_400)
    assert [change.split()[1] for change in changes] == ["new", "not_in_force"]


@pytest.mark.parametrize("seed", range(40))
def test_any_cut_and_restart_equals_one_pass(seed: int) -> None:
    rng = random.Random(seed)
    rules = [
        loss({"zones": ["c1"], "limit": 0.5}, {"limit": 1}, on_delay_s=rng.choice([0, 20, 60, 130]), off_delay_s=60),
        loss({"from": "16:10", "to": "16:30", "limit": 0.9}, id="band", on_delay_s=0),
    ]
    one = tables(*rules)
    two = tables(rules[0], version="v2", before=one, sensors=[*SENSORS, sensor("s4")])
    three = tables(*rules, version="v3", before=two)
    since = sorted(T0 + rng.randrange(3_000_000) for _ in range(2))
    changes = [
        (10 * rng.randint(1, 300), f"{rng.choice(['s1', 's2', 's3', 's4'])} {rng.choice(STATES[:3])}")
        for _ in range(30)
    ]
    whole, cut = (Run(one, two, three, since=since) for _ in range(2))
    for second, words in changes:
        whole.tell(second, words)
    whole.pass_to(3_600)
    for before, second in itertools.pairwise([0, *sorted(rng.sample(range(0, 3_600, 10), 40)), 3_600]):
        for at, words in changes:
            if before < at <= second:
                cut.tell(at, words)
        cut.pass_to(second)
        if rng.random() < 0.3:
            cut.restart()
    assert sorted(map(line, cut.rows)) == sorted(map(line, whole.rows))
    assert whole.rows
