"""When alerts are raised and resolved: a table of cases for each kind of rule, delays, noise, versions, bands.

Rows of zones and gates are 10 s windows from T0 on (Saturday 16:00 in Tokyo); a change is told as "seconds behind T0,
what, rule, where".
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from engine.alert_values import RECOVERY
from engine.los import SCHEMES, Scheme, grade
from engine.model import LOS, WINDOWS
from engine.thresholds import OF_GATES
from tests.support.alert_rows import STEP, T0, Run, gates, line, rule, tables, zones

Row = Mapping[str, Any] | None


def dense(*values: float | None) -> list[Row]:
    return [None if value is None else {"density": value} for value in values]


def changes(told: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    of = tables(told)
    return Run(of).take(zones(of, rows))


NEW, GONE = "10 new density c1", "20 recovered density c1"


@pytest.mark.parametrize(
    ("told", "rows", "expected"),
    [
        # limit 2, recovery 1.8; a window's end decides
        (rule("density", 2), dense(2.0, 1.79), [NEW, GONE]),
        (rule("density", 2), dense(1.99, 1.99), []),
        (rule("density", 2), dense(2.0, 1.8, 1.8), [NEW]),  # at the recovery it has not recovered
        (rule("density", {"limit": 2, "recovery": 2}), dense(2.0, 1.99), [NEW, GONE]),
        # unknown and null: never an alert, never the end of one
        (rule("density", 2), dense(None, None, None), []),
        (rule("density", 2), [{}, {}], []),
        (rule("density", 2), dense(2.0, None, None, None), [NEW]),
        (rule("density", 2), [{"density": 2.0}, {}, {}], [NEW]),
        (rule("density", 2), [{"density": 9.0, "status": "unknown"}], []),
        # on_delay: counted from the end of the first window above; the band does not end the wait, the recovery does
        (rule("density", 2, on_delay_s=20), dense(2, 2), []),
        (rule("density", 2, on_delay_s=20), dense(2, 2, 2), ["30 new density c1"]),
        (rule("density", 2, on_delay_s=20), dense(2, 1.9, 1.9), ["30 new density c1"]),
        (rule("density", 2, on_delay_s=20), dense(2, 2, 1.7, 2, 2), []),
        (rule("density", 2, on_delay_s=20), dense(1.9, 1.9, 1.9, 1.9), []),
        (rule("density", 2, on_delay_s=15), dense(2, 2, 2), ["30 new density c1"]),
        # unknown windows are no time
        (rule("density", 2, on_delay_s=20), dense(2, None, None, None, 2), []),
        (rule("density", 2, on_delay_s=20), dense(2, None, None, 2, 2), ["50 new density c1"]),
        (rule("density", 2, on_delay_s=20), dense(2, 2, None, 1.0, 2, 2), []),
        # off_delay: below the recovery all the while
        (rule("density", 2, off_delay_s=20), dense(2, 1, 1), [NEW]),
        (rule("density", 2, off_delay_s=20), dense(2, 1, 1, 1), [NEW, "40 recovered density c1"]),
        (rule("density", 2, off_delay_s=20), dense(2, 1, 1, 1.9, 1, 1), [NEW]),
        (rule("density", 2, off_delay_s=20), dense(2, 1, None, None, 1, 1), [NEW, "60 recovered density c1"]),
        (rule("density", 2, off_delay_s=20), dense(2, 1, None, None, None), [NEW]),
        # it comes again under another name
        (rule("density", 2), dense(2, 1, 2, 1), [NEW, GONE, "30 new density c1", "40 recovered density c1"]),
    ],
)
def test_delays_recovery_and_unknown_windows(told: Any, rows: Any, expected: list[str]) -> None:
    assert changes(told, rows) == expected


UP, DOWN = "new", "recovered"
FULL = {"density": 2.5}
IN_AND_OUT = {"inflow_low": 30, "inflow_high": 34, "outflow_low": 0, "outflow_high": 2}


@pytest.mark.parametrize(
    ("told", "row", "verdict"),
    [
        (rule("speed", 0.5), {"speed": 0.49, "occupancy_high": 40}, UP),
        (rule("speed", 0.5), {"speed": 0.5, "occupancy_high": 40}, ""),
        (rule("speed", 0.5), {"speed": 0.49}, UP),  # how many there are is not known
        (rule("speed", 0.5), {"speed": 0.49, "occupancy_high": 9}, DOWN),  # fewer than 10: not slow because of others
        (rule("speed", 0.5), {"occupancy_high": 9}, DOWN),
        (rule("speed", 0.5), {"occupancy_high": 10}, ""),
        (rule("speed", 0.5, people=0), {"speed": 0.49, "occupancy_high": 1}, UP),
        (rule("speed", 0.5), {"speed": 0.56, "occupancy_high": 40}, DOWN),
        (rule("sensor_loss", 0.5), None, UP),
        (rule("sensor_loss", 0.5), {"coverage": 0.49}, UP),
        (rule("sensor_loss", 0.5), {"coverage": 0.5}, ""),
        (rule("sensor_loss", 0.5), {"coverage": 0.56}, DOWN),
        (rule("sensor_loss", 1), {"coverage": 1.0}, DOWN),
        (rule("sensor_loss", 1), {"coverage": 0.999}, UP),
        (rule("sensor_loss", 0.5), {"coverage": float("nan")}, DOWN),  # nothing tells coverage
        # a full corridor that stopped, and an empty one: flow is 0 in both
        (rule("stopped", 2), {**FULL, "speed": 0.1}, UP),
        (rule("stopped", 2), {"density": 0.1, "speed": 0.1}, DOWN),
        (rule("stopped", 2), {**FULL, "speed": 1.0}, DOWN),
        (rule("stopped", 2), {**FULL, "speed": 0.21}, ""),
        (rule("stopped", 2), {"density": 1.9, "speed": 0.1}, ""),
        (rule("stopped", 2), {**FULL, "outflow_low": 0, "outflow_high": 10}, UP),  # 5 of 10 m × 1/6 min: 3 per m·min
        (rule("stopped", 2), {**FULL, "outflow_low": 20, "outflow_high": 30}, DOWN),  # 15 per m·min
        (rule("stopped", 2), {**FULL, "speed": 1.0, "outflow_low": 0, "outflow_high": 0}, DOWN),  # speed tells more
        (rule("stopped", 2), FULL, ""),  # nothing tells whether they move
        (rule("stopped", 2), {"speed": 0.1}, ""),  # nothing tells whether it is full
        (rule("stopped", 2), IN_AND_OUT, ""),
        (rule("stopped", 2, rise=100), IN_AND_OUT, UP),  # at least 28 in 10 s = 168 per minute
        (rule("stopped", 2, rise=200), IN_AND_OUT, ""),
        (rule("stopped", 2, rise=200), {**IN_AND_OUT, "density": 1.0}, DOWN),
        (rule("stopped", 2, rise=100), {**IN_AND_OUT, "density": 1.0}, UP),
        (rule("stopped", 2), {**FULL, "speed": 0.1, "status": "unknown"}, ""),
    ],
)
def test_each_kind_of_a_zone(told: Any, row: Row, verdict: str) -> None:
    """Whether a row raises the alert of its rule, resolves one that stands, or neither."""
    of, kind = tables(told), told["kind"]
    raised = [f"10 new {kind} c1"] if verdict == UP else []
    assert Run(of).take(zones(of, [row])) == raised
    assert Run(of).take(zones(of, [STANDING[kind], row])) == (
        [f"10 new {kind} c1"] + ([f"20 recovered {kind} c1"] if verdict == DOWN else [])
    )


STANDING: dict[str, Row] = {
    "speed": {"speed": 0.0, "occupancy_high": 99},
    "sensor_loss": None,
    "stopped": {"density": 9.0, "speed": 0.0},
}


@pytest.mark.parametrize(
    ("told", "row", "verdict"),
    [
        # g1 is 4 m wide: 44 in 10 s are 66 per metre and minute
        (rule("flow", 66), (22, 22), UP),
        (rule("flow", 66), (21, 22), ""),
        (rule("flow", 66), (10, 9), DOWN),
        (rule("flow", 66), None, ""),
        (rule("counterflow", 0.3), (10, 20), UP),
        (rule("counterflow", 0.3), (20, 10), UP),
        (rule("counterflow", 0.3), (10, 24), ""),  # 0.294
        (rule("counterflow", 0.3), (0, 40), DOWN),
        (rule("counterflow", 0.3), (2, 2), DOWN),  # fewer than 30 a minute
        (rule("counterflow", 0.3, people_per_minute=0), (2, 2), UP),
        (rule("counterflow", 0.3, people_per_minute=0), (0, 0), DOWN),
        (rule("counterflow", 0.3), None, ""),
    ],
)
def test_each_kind_of_a_gate(told: Any, row: Any, verdict: str) -> None:
    of, kind = tables(told), told["kind"]
    raised = [f"10 new {kind} g1"] if verdict == UP else []
    assert Run(of).take(gates(of, [row])) == raised
    assert Run(of).take(gates(of, [(50, 50), row])) == (
        [f"10 new {kind} g1"] + ([f"20 recovered {kind} g1"] if verdict == DOWN else [])
    )


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("flow", [0.0, 3.0])
@pytest.mark.parametrize("speed", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("density", [0.9, 1.2, 2.0, 4.0, 7.0])
def test_a_full_corridor_that_stopped_raises_an_alert_and_never_grades_a(
    density: float, speed: float, flow: float, scheme: Scheme
) -> None:
    """Whether it is the speed that tells or, without one, that nobody leaves; an empty one as still does not."""
    of = tables(rule("stopped", 0.9))
    leaving = {"outflow_low": round(flow * 10 / 6), "outflow_high": round(flow * 10 / 6)}  # in 10 s, of 10 m
    timed, untimed = {"density": density, "speed": speed, **leaving}, {"density": density, **leaving}
    for row, pace in ((timed, speed), (untimed, float("nan"))):
        assert Run(of).take(zones(of, [row])) == ["10 new stopped c1"]
        assert LOS[int(grade(scheme, density, flow, pace))] in "BCDEF"
        assert Run(of).take(zones(of, [{**row, "density": 0.0}])) == []


def test_a_gate_between_two_zones_raises_one_alert_told_with_its_side_a() -> None:
    of = tables(rule("flow", 10))
    run = Run(of)
    assert run.take(gates(of, [(50, 50)], gate="g2")) == ["10 new flow g2"]
    assert run.rows[0]["zone"] == "c2"
    assert run.rows[0]["value"] == 100 * 6 / 20  # of the zone's width: the gate has none of its own


# kind: limit, a row of the noise u around it, a row that has recovered
NOISY: dict[str, tuple[float, Any, Any]] = {
    "density": (2, lambda u: {"density": 2 * u}, {"density": 1.0}),
    "speed": (0.5, lambda u: {"speed": 0.5 * u, "occupancy_high": 40}, {"speed": 1.2, "occupancy_high": 40}),
    "stopped": (2, lambda u: {"density": 2 * u, "speed": 0.2 * (2 - u)}, {"density": 1.0, "speed": 0.1}),
    "sensor_loss": (0.5, lambda u: {"coverage": 0.5 * u}, {"coverage": 1.0}),
    "flow": (66, lambda u: (round(22 * u), 22), (5, 5)),  # 44 in 10 s at a gate of 4 m
    "counterflow": (0.3, lambda u: (round(300 * u), 1000 - round(300 * u)), (50, 950)),
}


@pytest.mark.parametrize("kind", NOISY)
@pytest.mark.parametrize("on_delay", [0, 30, 60])
@pytest.mark.parametrize("seed", range(20))
def test_op_05_noise_around_the_limit_for_ten_minutes_gives_exactly_one_alert(
    kind: str, on_delay: int, seed: int
) -> None:
    """±5 % around the limit; whether the noise begins above or below it."""
    rng = random.Random(seed)
    limit, noise, free = NOISY[kind]
    made = gates if kind in OF_GATES else zones
    of = tables(rule(kind, limit, on_delay_s=on_delay, off_delay_s=60))
    run, noisy = Run(of), [noise(rng.uniform(0.95, 1.05)) for _ in range(60)]
    told = [change for at, row in enumerate(noisy) for change in run.take(made(of, [row], start=T0 + at * STEP))]
    assert [change.split()[1] for change in told] == ["new"]
    place = "g1" if kind in OF_GATES else "c1"
    assert run.take(made(of, [free] * 7, start=T0 + 60 * STEP)) == [f"670 recovered {kind} {place}"]


def test_noise_around_the_recovery_resolves_once_at_most() -> None:
    rng = random.Random(1)
    of = tables(rule("density", 2, off_delay_s=30))
    noisy = dense(2.0, *(2 * RECOVERY * rng.uniform(0.95, 1.05) for _ in range(60)))
    assert [change.split()[1] for change in Run(of).take(zones(of, noisy))] in (["new"], ["new", "recovered"])


def test_what_a_row_says() -> None:
    of = tables(rule("density", 2, severity="critical"))
    run = Run(of)
    run.take(zones(of, dense(2.5, 1.0)))
    new, gone = run.rows
    assert new == {
        "id": "20260207T070010Z-" + new["id"][-12:],
        "changed": T0 + STEP,
        "state": "new",
        "reason": "",
        "began": T0 + STEP,
        "rule": "density",
        "kind": "density",
        "severity": "critical",
        "zone": "c1",
        "gate": "",
        "of_window": "10s",
        "value": 2.5,
        "threshold": 2.0,
        "registry_version": "v1",
    }
    assert gone == {**new, "changed": T0 + 2 * STEP, "state": "resolved", "reason": "recovered", "value": 1.0}


def test_names_of_alerts_differ_by_time_rule_place_and_window() -> None:
    of = tables(rule("density", 2), rule("density", 2, id="again"), rule("sensor_loss", 0.5, window="1m"))
    run = Run(of)
    run.take(zones(of, dense(2, 1, 2)), zones(of, dense(2), zone="c2"), zones(of, [None], window="1m"))
    ids = [row["id"] for row in run.rows if row["state"] == "new"]
    assert len(ids) == 7 and len(set(ids)) == 7


# ------------------------------------------------------------------------------------- which limit
def first(told: Mapping[str, Any], value: float, *, zone: str = "c1", start: int = T0, window: str = "10s") -> Any:
    """The limit that a row of this density passes; None where there is no alert."""
    of = tables(told)
    run = Run(of)
    run.take(zones(of, dense(value), zone=zone, start=start, window=window))
    return run.rows[0]["threshold"] if run.rows else None


def test_the_first_limit_that_fits_zone_and_kind_holds() -> None:
    told = rule(
        "density",
        {"zones": ["c1"], "limit": 3},
        {"zone_kinds": ["walkway"], "limit": 2},
        {"zone_kinds": ["plaza"], "limit": 4},
    )
    assert [first(told, value) for value in (2.5, 3.5)] == [None, 3]
    assert [first(told, value, zone="c2") for value in (3.5, 4.5)] == [None, 4]
    assert first(rule("density", {"zones": ["c2"], "limit": 1}), 9) is None


HOUR = 360 * STEP


@pytest.mark.parametrize(
    ("band", "inside", "outside"),
    [
        # T0 is Saturday 16:00; hours behind it
        ({"from": "16:00", "to": "17:00"}, [0, 0.5, 24], [-0.01, 1, 12]),
        ({"from": "22:00", "to": "06:00"}, [6, 8, 13.99], [5.99, 14, 0]),
        ({"days": ["sat"]}, [0, 7.99, -16], [8, -16.01]),
        ({"days": ["sat"], "from": "22:00", "to": "06:00"}, [6, 13.99], [-11, 14, 30]),  # until Sunday's 6:00
        ({"days": ["sun"], "from": "22:00", "to": "06:00"}, [30, 37.9, -131], [8, 13, 6]),  # over the week's end
        ({"days": ["fri", "sat"], "from": "00:00", "to": "12:00"}, [-16, -10, -40], [8, 0]),
    ],
)
def test_time_bands_are_local_and_belong_to_the_day_they_begin(band: Any, inside: Any, outside: Any) -> None:
    told = rule("density", {**band, "limit": 1})
    for hours, expected in [*((h, 1) for h in inside), *((h, None) for h in outside)]:
        start = T0 + round(hours * HOUR) // STEP * STEP
        assert first(told, 5, start=start) == expected, hours


def test_where_a_band_changes_the_limit_the_alert_goes_on() -> None:
    of = tables(rule("density", {"from": "16:00", "to": "16:01", "limit": 2}, 4))
    assert Run(of).take(zones(of, dense(2, 2, 2, 2, 2, 2, 3.7))) == ["10 new density c1"]  # 3.7 is in the later band
    assert Run(of).take(zones(of, dense(2, 2, 2, 2, 2, 2, 3.5))) == ["10 new density c1", "70 recovered density c1"]


def test_where_no_limit_is_in_force_any_more_the_alert_ends_even_if_nothing_is_known() -> None:
    of = tables(rule("density", {"from": "16:00", "to": "16:01", "limit": 2}, off_delay_s=600))
    run = Run(of)
    assert run.take(zones(of, dense(*[2] * 6, None))) == ["10 new density c1", "70 not_in_force density c1"]
    assert run.rows[1]["value"] is None
    waiting = tables(rule("density", {"from": "16:00", "to": "16:01", "limit": 2}, on_delay_s=60))
    assert Run(waiting).take(zones(waiting, dense(*[2] * 9))) == []


def test_a_rule_looks_at_its_window_and_a_coarser_zone_at_its_finest() -> None:
    coarse = [{"id": "g1", "a": "c1", "b": None, "leaf": "5m"}, {"id": "g2", "a": "c2", "b": None, "leaf": "10s"}]
    of = tables(rule("density", 2, window="1m"), gates=coarse)
    for window in WINDOWS[:5]:
        got = {zone: Run(of).take(zones(of, dense(9), window=window, zone=zone)) != [] for zone in ("c1", "c2")}
        assert got == {"c1": window == "5m", "c2": window == "1m"}


# --------------------------------------------------------------------------------------- versions
def test_an_edited_limit_holds_from_the_version_on_and_the_alert_goes_on() -> None:
    one = tables(rule("density", 2))
    two = tables(rule("density", 4, severity="critical"), version="v2", before=one)
    run = Run(one, two, since=[T0 + 2 * STEP])
    assert run.take(zones(one, dense(2, 3))) == ["10 new density c1"]
    assert run.take(zones(two, dense(3.7, 3.5), start=T0 + 2 * STEP), version=1) == ["40 recovered density c1"]
    assert [(row["registry_version"], row["severity"]) for row in run.rows] == [("v1", "warning"), ("v2", "critical")]


def test_a_version_without_the_rule_ends_its_alert_once_the_rows_before_have_come() -> None:
    one = tables(rule("density", 2), rule("sensor_loss", 0.5))
    two = tables(rule("sensor_loss", 0.5), version="v2", before=one)
    at = T0 + 2 * STEP + 123
    run = Run(one, two, since=[at])
    assert run.take(zones(one, dense(2, 2))) == ["10 new density c1"]
    assert run.take(zones(one, [{}], zone="c2"), w=at + STEP) == []  # nobody has told of the version yet
    assert run.take(zones(two, [{}], zone="c2", start=T0 + 3 * STEP), version=1, w=at - 1) == []
    assert run.take(zones(two, [{}], zone="c2", start=T0 + 4 * STEP), version=1, w=at) == [
        "20.124 not_in_force density c1"
    ]
    assert run.rows[-1]["registry_version"] == "v2"


def test_a_rule_that_went_and_came_again_ends_its_alert_between() -> None:
    one = tables(rule("density", 2))
    two = tables(version="v2", before=one)
    three = tables(rule("density", 2), version="v3", before=two)
    rows = [(v, zones(of, dense(2), start=T0 + v * STEP)) for v, of in enumerate((one, two, three))]
    at_once, cut = (Run(one, two, three, since=[T0 + STEP, T0 + 2 * STEP]) for _ in range(2))
    at_once.take_versions(rows)
    for row in rows:
        cut.take_versions([row])
    expected = ["10 new density c1", "10.001 not_in_force density c1", "30 new density c1"]
    assert [line(row) for row in at_once.rows] == [line(row) for row in cut.rows] == expected


def test_a_zone_that_is_gone_ends_its_alerts() -> None:
    one = tables(rule("sensor_loss", 0.5))
    two = tables(
        rule("sensor_loss", 0.5),
        version="v2",
        zones=[{"id": "c2", "kind": "plaza"}],
        gates=[{"id": "g3", "a": "c2", "b": None, "leaf": "10s"}],
        before=one,
    )
    run = Run(one, two, since=[T0 + STEP])
    assert run.take(zones(one, [None])) == ["10 new sensor_loss c1"]
    told = run.take(zones(two, [{}], zone="c2", start=T0 + STEP), version=1, w=T0 + 2 * STEP)
    assert told == ["10.001 not_in_force sensor_loss c1"]


def test_a_run_goes_on_from_its_snapshot() -> None:
    of = tables(rule("density", 2, on_delay_s=20, off_delay_s=20))
    rows = dense(2, 2, None, 2, 1, None, 1, 1, 2, 2, 2)
    whole, cut = Run(of), Run(of)
    whole.take(zones(of, rows))
    for at, row in enumerate(rows):
        cut.take(zones(of, [row], start=T0 + at * STEP))
        cut.restart()
    assert [row["state"] for row in whole.rows] == ["new", "resolved", "new"]
    assert cut.rows == whole.rows
