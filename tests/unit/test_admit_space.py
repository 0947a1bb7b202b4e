"""Points, beams and readings of occupancy: who may send them, when, and in which pane they lie."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.model import (
    BEAM,
    COUNT,
    CROSS,
    HEARTBEAT,
    NO_TIME,
    NOT_APPROVED,
    OCCUPANCY,
    POINT,
    SET,
    TOO_FAR_IN_FUTURE,
    UNKNOWN_SENSOR,
)
from tests.support.columns import ADMITS, admitted, columns, tables

OF: Any = tables("Asia/Tokyo")
PAUSE_MS = 1_680_361_200_000  # 2023-04-01T15:00Z: sensor 6, at a gate of leaf 1m, is not approved for half an hour
HOURLY, GATELESS, PAUSED = 4, 7, 6  # sensors


@pytest.fixture(params=ADMITS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def judged(
    name: str, kind: int, sensor: int, ts: int = PAUSE_MS + 123, record_ts: int | None = None, of: Any = OF
) -> list[Any]:
    """Reason, pane, its end and mark of one event."""
    one = columns(1, 1, 0, 1)
    made = one._replace(
        kind=np.array([kind], np.int8),
        reason=np.zeros(1, np.uint8),
        sensor=np.array([sensor], np.int32),
        ts=np.array([ts], np.int64),
        span_ms=np.array([1_000 if kind == COUNT else 0], np.int64),
        record_ts=np.array([ts if record_ts is None else record_ts], np.int64),
    )
    return [int(column[0]) for column in admitted(name, made, of)]


def test_a_sensor_without_gate_tells_of_no_passages(name: str) -> None:
    reasons = {kind: judged(name, kind, GATELESS)[0] for kind in (CROSS, COUNT, BEAM, POINT, OCCUPANCY, HEARTBEAT)}
    assert reasons == {
        CROSS: UNKNOWN_SENSOR, COUNT: UNKNOWN_SENSOR, BEAM: UNKNOWN_SENSOR, POINT: 0, OCCUPANCY: 0, HEARTBEAT: 0,
    }  # fmt: skip


@pytest.mark.parametrize("kind", [POINT, BEAM, OCCUPANCY])
def test_a_sensor_that_is_not_in_the_registry_is_unknown(name: str, kind: int) -> None:
    assert judged(name, kind, -1) == [UNKNOWN_SENSOR, NO_TIME, NO_TIME, NO_TIME]


def test_points_and_beams_lie_in_their_millisecond_readings_in_the_leaf(name: str) -> None:
    start, at = PAUSE_MS // 10_000 * 10_000, PAUSE_MS + 123
    for kind, sensor in ((POINT, HOURLY), (POINT, GATELESS), (BEAM, HOURLY)):
        assert judged(name, kind, sensor) == [0, at, at + 1, at]
    reason, pane, end, mark = judged(name, OCCUPANCY, HOURLY)
    assert (reason, end - pane, mark) == (0, 3_600_000, at)
    assert judged(name, OCCUPANCY, GATELESS) == [0, start, start + 10_000, PAUSE_MS + 123]


def test_a_point_is_judged_at_its_ts_the_others_at_the_start_of_their_pane(name: str) -> None:
    # the pause begins and ends 5 s behind a whole minute, and the leaf is one minute
    names = ("sensor_gate", "sensor_leaf", "approved_at", "zone_clock")
    off = SimpleNamespace(**{name: getattr(OF, name) for name in names})
    off.approved_from, off.approved_to = OF.approved_from + 5_000, np.minimum(OF.approved_to, 2**61) + 5_000
    pause, resumes = PAUSE_MS + 5_000, PAUSE_MS + 1_805_000

    def reasons(kind: int) -> list[int]:
        instants = (pause - 1, pause, pause + 54_999, pause + 55_000, resumes - 1, resumes, resumes + 55_000)
        return [judged(name, kind, PAUSED, at, of=off)[0] for at in instants]

    no = NOT_APPROVED
    assert reasons(POINT) == reasons(HEARTBEAT) == [0, no, no, no, no, 0, 0]
    assert reasons(BEAM) == reasons(OCCUPANCY) == reasons(CROSS) == [0, 0, 0, no, no, no, 0]


@pytest.mark.parametrize("kind", [POINT, BEAM, OCCUPANCY])
def test_the_lesser_time_moves_the_watermark(name: str, kind: int) -> None:
    ts = PAUSE_MS - 3_600_000
    assert judged(name, kind, HOURLY, ts, ts - 5_000)[3] == ts - 5_000
    assert judged(name, kind, HOURLY, ts, ts + 5_000)[3] == ts
    assert judged(name, kind, HOURLY, ts, ts - 60_000)[0] == 0
    assert judged(name, kind, HOURLY, ts, ts - 60_001)[0] == TOO_FAR_IN_FUTURE


def test_a_set_record_is_no_event(name: str) -> None:
    assert judged(name, SET, -1) == [0, NO_TIME, NO_TIME, NO_TIME]
