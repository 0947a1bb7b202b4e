"""Health of sensors by their heartbeats and spans: who is named, when, and since when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.engine_run import Result, run

START = 1_770_450_000_000  # a whole minute
MINUTE = 60_000
APPROVED = [{"from": "2020-01-01T00:00:00Z", "to": None}]
Log = list[tuple[bytes, int | None]]


def world(**sensor: Any) -> dict[str, Any]:
    """One gate, with sensor ``s`` as told, beside ``other`` at another gate, which is always sound."""
    told = {"kind": "counter", "gate": "g0", "approved": APPROVED, "reporting": "heartbeat", "beat_s": 10}
    return {
        "version": "v1",
        "timezone": "Asia/Tokyo",
        "zones": [],
        "gates": [{"id": f"g{i}", "a": None, "b": None, "leaf": "10s"} for i in range(2)]
        + [{"id": "minutes", "a": None, "b": None, "leaf": "1m"}],
        "sensors": [{**told, "id": "s", **sensor}, {**told, "id": "other", "gate": "g1"}],
    }


def record(at_s: float, document: dict[str, Any]) -> tuple[bytes, int]:
    return json.dumps(document).encode(), START + round(at_s * 1000)


def beats(sensor: str, from_s: float, to_s: float, every_s: float = 10, skew_s: float = 0, way_s: float = 0.2) -> Log:
    """Heartbeats in [from_s, to_s), each ``way_s`` on its way, told by a clock that is wrong by ``skew_s``."""
    out: Log = []
    at = from_s
    while at < to_s:
        ts = START + round((at + skew_s) * 1000)
        out.append(record(at + way_s, {"type": "heartbeat", "sensor": sensor, "ts": ts}))
        at += every_s
    return out


def ticks(to_s: int, from_s: int = 0) -> Log:
    """What the flow appends where nothing comes: here always, once a second."""
    return [record(at, {"type": "tick", "ts": START + at * 1000}) for at in range(from_s, to_s)]


def played(document: dict[str, Any], *logs: Log, **how: Any) -> Result:
    """One partition of all logs in the order of their arrival."""
    whole = sorted((row for log in logs for row in log), key=lambda row: row[1] or 0)
    return run(document, [whole], **how)


def told(result: Result, sensor: str = "s") -> list[tuple[float, str]]:
    """Changes of a sensor: its state, and the second on which the line lies that W has passed.

    At a line the 10 s before it are judged.
    """
    return [((line - START) / 1000, state) for line, of, state in result.changes if of == sensor]


def test_a_sound_sensor_has_one_row_with_the_first_minute_it_is_heard_in() -> None:
    result = played(world(), beats("s", 65, 600), beats("other", 0, 600), ticks(600))
    assert told(result, "other") == [(10, "ok")]
    assert told(result)[0][1] == "silent"  # 65 s are more than two beats
    result = played(world(beat_s=60), beats("s", 65, 600, 60), beats("other", 0, 600), ticks(600))
    assert told(result) == [(70, "ok")]
    rows = [row for row in result.rows["health"] if row["sensor"] == "s"]
    assert rows == [
        {
            "window": "1m",
            "window_start": START + MINUTE,
            "sensor": "s",
            "state": "ok",
            "since": START + MINUTE,
            "registry_version": "v1",
        }
    ]


@pytest.mark.parametrize("beat_s", [1, 10, 20])
@pytest.mark.parametrize("gone_s", [300, 303.7, 309.9])
def test_silence_is_told_within_a_minute(beat_s: int, gone_s: float) -> None:
    document = world(beat_s=beat_s)
    result = played(document, beats("s", 1, gone_s, beat_s), beats("other", 0, 600), ticks(600))
    (_, first), (line, state) = told(result)
    assert (first, state) == ("ok", "silent")
    assert gone_s < line + beat_s  # not before anything is missing
    assert line + 5 + 1 - gone_s <= 60  # 5 s of bound, a tick


def test_silence_is_told_where_nothing_is_heard_at_all() -> None:
    """Only ticks move the watermark: the power is gone."""
    result = played(world(), beats("s", 0, 300), beats("other", 0, 300), ticks(900))
    assert told(result) == [(10, "ok"), (320, "silent")]
    assert told(result, "other") == [(10, "ok"), (320, "silent")]
    result = played(world(), ticks(300))
    assert told(result) == told(result, "other") == [(40, "silent")]


def test_nobody_is_silent_for_the_end_of_a_log() -> None:
    result = played(world(), beats("s", 0, 300), beats("other", 0, 300))
    assert told(result) == told(result, "other") == [(10, "ok")]


def test_one_lost_heartbeat_is_no_silence() -> None:
    lost = [row for row in beats("s", 0, 600) if row[1] != START + 300_200]
    result = played(world(), lost, beats("other", 0, 600), ticks(600))
    assert told(result) == [(10, "ok")]


def test_a_sensor_that_comes_back_is_ok_again() -> None:
    result = played(world(), beats("s", 0, 100), beats("s", 250, 600), beats("other", 0, 600), ticks(600))
    assert told(result) == [(10, "ok"), (120, "silent"), (260, "ok")]


def test_a_minute_has_one_change_of_a_sensor() -> None:
    """Back after 15 s, gone again, and back: what is true when the next minute begins is told then."""
    document = world(beat_s=1)
    log = beats("s", 0, 120, 1) + beats("s", 135, 150, 1) + beats("s", 157, 600, 1)
    result = played(document, log, beats("other", 0, 600), ticks(600))
    assert told(result) == [(10, "ok"), (130, "silent"), (190, "ok")]
    starts = [row["window_start"] for row in result.rows["health"] if row["sensor"] == "s"]
    assert starts == [START, START + 2 * MINUTE, START + 3 * MINUTE]


def test_nobody_is_judged_who_is_not_approved() -> None:
    span = {"from": "2026-02-07T07:45:00Z", "to": "2026-02-07T07:50:00Z"}  # 5 to 10 minutes after the start
    for approved, heard, expected in (
        ([], (0, 900), []),
        ([span], (0, 900), [(310, "ok"), (610, "")]),
        ([span], (0, 400), [(310, "ok"), (420, "silent"), (610, "")]),
        ([span], (900, 900), [(330, "silent"), (610, "")]),
    ):
        document = world(approved=approved)
        result = played(document, beats("s", *heard), beats("other", 0, 900), ticks(900))
        assert told(result) == expected, (approved, heard)
        assert [row["state"] for row in result.rows["health"] if row["sensor"] == "s"] == [
            state for _, state in expected if state
        ]


# ------------------------------------------------------------------------------ clocks
@pytest.mark.parametrize("skew_s", [2.5, 45, 90, 86_400, -4, -60, -1_500, -86_400])
@pytest.mark.parametrize("beat_s", [1, 10, 20])
def test_a_wrong_clock_is_told_within_a_minute(skew_s: float, beat_s: int) -> None:
    """Whether its heartbeats are accepted, late or too far in the future."""
    log = beats("s", 0, 300, beat_s) + beats("s", 300, 600, beat_s, skew_s) + beats("s", 600, 900, beat_s)
    result = played(world(beat_s=beat_s), log, beats("other", 0, 900), ticks(900))
    (_, first), (line, state), (again, last) = told(result)
    assert (first, state, last) == ("ok", "skewed", "ok")
    assert 300 - beat_s <= line and line + 5 + 1 - 300 <= 60
    assert 650 <= again <= 600 + 6 * max(beat_s, 10) + 20  # six right cells


def test_a_clock_that_was_always_wrong_is_never_ok() -> None:
    for skew_s in (30, -300):
        result = played(world(), beats("s", 0, 600, skew_s=skew_s), beats("other", 0, 600), ticks(600))
        assert [state for _, state in told(result)] == ["skewed"]


def test_a_sensor_whose_clock_is_wrong_can_fall_silent() -> None:
    result = played(world(), beats("s", 0, 300, skew_s=-300), beats("other", 0, 600), ticks(600))
    assert [state for _, state in told(result)] == ["skewed", "silent"]
    assert told(result)[1][0] <= 330


@pytest.mark.parametrize("way_s", [0, 1, 2])
def test_a_way_of_two_seconds_is_no_wrong_clock(way_s: float) -> None:
    result = played(world(), beats("s", 0, 600, way_s=way_s), beats("other", 0, 600), ticks(600))
    assert told(result) == [(10, "ok")]


def test_every_other_heartbeat_may_be_long_on_its_way() -> None:
    log = beats("s", 0, 600, 20, way_s=4) + beats("s", 10, 600, 20)
    for by_line in (False, True):
        result = played(world(), log, beats("other", 0, 600), ticks(600), by_line=by_line)
        assert [state for _, state in told(result)] == ["ok"]


def test_what_was_long_on_its_way_is_no_wrong_clock() -> None:
    """A line that was cut for five minutes brings all heartbeats at once, then goes on."""
    cut = [(message, START + 620_000) for message, _ in beats("s", 300, 620)]
    result = played(world(), beats("s", 0, 300), cut, beats("s", 621, 900), beats("other", 0, 900), ticks(900))
    assert told(result) == [(10, "ok"), (320, "silent"), (630, "ok")]


def test_only_heartbeats_tell_the_clock() -> None:
    passing = [record(at, {"type": "cross", "sensor": "s", "ts": START + (at + 30) * 1000}) for at in range(300)]
    result = played(world(), beats("s", 0, 300), passing, beats("other", 0, 300), ticks(300))
    assert told(result) == [(10, "ok")]


# ------------------------------------------------------------------------------ spans
def spans(from_s: int, to_s: int, length_s: int = 60, way_s: float = 1) -> Log:
    return [
        record(
            at + length_s + way_s,
            {"type": "count", "sensor": "s", "ts": START + at * 1000, "span_ms": length_s * 1000, "ab": 0},
        )
        for at in range(from_s, to_s, length_s)
    ]


def test_spans_tell_the_life_of_a_sensor_that_reports_every_span() -> None:
    document = world(reporting="every_span", gate="minutes")
    result = played(document, spans(0, 540), beats("other", 0, 900), ticks(900))
    (heard, first), (line, state) = told(result)
    assert (first, state) == ("ok", "silent") and heard <= 70
    assert line == 600  # the span to 10:00 is late from then on
    result = played(document, beats("s", 0, 900), beats("other", 0, 900), ticks(900))
    assert told(result) == [(140, "silent")]  # heartbeats are not what it promised


def test_spans_may_come_as_late_as_their_gate_allows() -> None:
    document = world(reporting="every_span", gate="minutes")
    document["gates"][2]["delay_s"] = 30
    result = played(document, spans(0, 840, way_s=30), beats("other", 0, 900), ticks(900))
    assert [state for _, state in told(result)] == ["ok"]


def test_nothing_is_expected_of_a_sensor_that_tells_changes() -> None:
    document = world(reporting="on_change")
    assert told(played(document, beats("other", 0, 600), ticks(600))) == []
    passing = [record(at, {"type": "cross", "sensor": "s", "ts": START + at * 1000}) for at in range(300)]
    assert told(played(document, passing, ticks(600))) == []
    result = played(document, beats("s", 0, 100), beats("s", 100, 200, skew_s=30), ticks(600))
    assert [state for _, state in told(result)] == ["ok", "skewed"]  # but its clock is seen where it tells it


# ------------------------------------------------------------------------------ versions
def version(document: dict[str, Any], at_s: float) -> Log:
    return [record(at_s, {"type": "registry", "registry": document})]


def test_a_sensor_that_moves_is_known_anew_and_one_that_goes_is_no_more() -> None:
    before, moved = world(), world(gate="minutes") | {"version": "v2"}
    rest = beats("other", 0, 600), ticks(600)
    for shards in (1, 5):
        result = played(before, beats("s", 0, 600), version(moved, 300), *rest, shards=shards)
        assert told(result) == [(10, "ok"), (300, ""), (310, "ok")]
        assert [r["registry_version"] for r in result.rows["health"] if r["sensor"] == "s"] == ["v1", "v2"]
        assert told(result, "other") == [(10, "ok")]
    gone = {**world(), "version": "v3", "sensors": world()["sensors"][1:]}
    result = played(before, beats("s", 0, 200), version(gone, 300), *rest)
    assert told(result) == [(10, "ok"), (220, "silent"), (300, "")]
