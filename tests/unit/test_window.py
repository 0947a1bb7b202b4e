"""Panes, watermark, lateness and duplicates of one partition on time lines small enough to check by eye.

Times are seconds; panes are 10 s, the bound is 5 s, so W stands 5 s behind the newest admitted record.
"""

from typing import Any, NamedTuple

import numpy as np
import pytest

from engine.keys import unpack
from engine.model import BEAM, COUNT, CROSS, DUPLICATE, HEARTBEAT, LATE, NO_TIME, OCCUPANCY, POINT, SET, TICK
from tests.support.columns import TABLES

SENSORS = 40
ON_CHANGE, BY_HEARTBEAT, EVERY_SPAN = 0, 1, 2


class Row(NamedTuple):
    """One admitted record; ``record`` None = the record's own time, ``seq`` None = without; ``repeat``: is kept."""

    kind: int
    ts: float
    sensor: int = 0
    record: float | None = None
    span: float = 0
    seq: int | None = None
    n: tuple[int, int, int] = (1, 0, 0)
    repeat: bool = False


class Log:
    """A table fed with rows of leaf 10 s; keeps what became of them."""

    def __init__(self, kind: str, delay_s: int = 0, reporting: int = ON_CHANGE, wait_s: int | None = None) -> None:
        self.table: Any = TABLES[kind](5_000)
        self.kind, self.delay_s, self.reporting = kind, delay_s, reporting
        self.wait_s = delay_s if wait_s is None else wait_s

    def add(self, *rows: Row) -> list[int]:
        def ms(values: list[float]) -> Any:
            return np.array([round(v * 1000) for v in values], np.int64)

        ts, span = ms([r.ts for r in rows]), ms([r.span for r in rows])
        record = ms([r.ts + r.span if r.record is None else r.record for r in rows])
        alone = np.array([r.kind in (POINT, BEAM) for r in rows])  # in panes of a millisecond, as admit has it
        pane = np.where(alone, ts, (ts + span // 2) // 10_000 * 10_000)
        end = pane + np.where(alone, 1, 10_000)
        reason, self.told = np.zeros(len(rows), np.uint8), np.empty(len(rows), np.int64)
        self.tally = self.table.add(
            np.array([r.kind for r in rows], np.int8), reason, np.array([r.sensor for r in rows], np.int32), ts, span,
            np.array([r.n for r in rows], np.int64).reshape(-1, 3), np.array([r.seq or 0 for r in rows], np.int64),
            np.array([r.seq is not None for r in rows], np.uint8), pane, end, np.minimum(ts + span, record),
            np.array([r.repeat for r in rows], np.uint8), np.full(SENSORS, self.delay_s * 1000, np.int64),
            np.full(SENSORS, self.wait_s * 1000, np.int64), np.full(SENSORS, self.reporting, np.int8),
            np.full(SENSORS, 20_000, np.int64), self.told,
        )  # fmt: skip
        return reason.tolist()

    @property
    def w(self) -> float:
        return float(self.table.watermark) / 1000

    def panes(self, until: float = 1e9) -> list[list[int]]:
        rows = np.frombuffer(self.table.take(round(until * 1000)), np.int64).reshape(-1, 9)
        return sorted([start // 1000, close // 1000, *rest] for start, close, *rest in rows.tolist())

    def covers(self) -> list[list[int]]:
        rows = np.frombuffer(self.table.covers(), np.int64).reshape(-1, 3)
        return sorted([s, start // 1000, end // 1000] for s, start, end in rows.tolist())


@pytest.fixture(params=TABLES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def cross(ts: float, **rest: Any) -> Row:
    return Row(CROSS, ts, **rest)


def test_nothing_is_known_before_the_first_record(kind: str) -> None:
    log = Log(kind)
    assert (log.table.watermark, log.table.first_watermark) == (NO_TIME, NO_TIME)
    log.add(cross(12), cross(31))
    assert (log.w, log.table.first_watermark) == (26, 7_000)


def test_a_pane_is_open_until_w_reaches_its_end(kind: str) -> None:
    # log   ──12──────14.999───8───────15───────9───▶
    # W        7       9.999   9.999   10       10       [0, 10) closes at W = 10, not before
    log = Log(kind)
    assert log.add(cross(12), cross(14.999), cross(8), cross(15), cross(9)) == [0, 0, 0, 0, LATE]
    assert log.panes() == [[0, 10, 0, 1, 0, 0, 1, 0, 0], [10, 20, 0, 3, 0, 0, 3, 0, 0]]


def test_late_is_judged_before_the_record_moves_w(kind: str) -> None:
    log = Log(kind)
    assert log.add(cross(1), cross(99), cross(98), cross(80)) == [0, 0, 0, LATE]
    assert log.w == 94


def test_a_late_record_moves_nothing_and_is_told_under_w(kind: str) -> None:
    log = Log(kind)
    log.add(cross(50))
    assert log.add(cross(3), cross(51)) == [LATE, 0]
    assert log.told.tolist() == [45_000, 51_000]


def test_a_delay_keeps_the_pane_open_longer(kind: str) -> None:
    log = Log(kind, delay_s=20)
    # [0, 10) closes at 30: open at W = 29, closed at W = 30
    assert log.add(cross(34), cross(9), cross(35), cross(9)) == [0, 0, 0, LATE]
    assert log.panes(29) == []
    assert log.panes(30) == [[0, 30, 0, 1, 0, 0, 1, 0, 0]]


def test_the_same_count_counts_once_while_its_pane_is_open(kind: str) -> None:
    log = Log(kind)
    one = Row(COUNT, 10, span=10, n=(3, 2, 1))
    other = one._replace(n=(9, 9, 9))  # whatever its values
    longer, elsewhere = one._replace(span=8), one._replace(sensor=1)
    assert log.add(one, other, longer, elsewhere) == [0, DUPLICATE, 0, 0]
    assert log.panes() == [[10, 20, 0, 6, 4, 2, 0, 0, 0], [10, 20, 1, 3, 2, 1, 0, 0, 0]]


def test_the_same_cross_counts_once_by_its_seq(kind: str) -> None:
    log = Log(kind)
    assert log.add(*(cross(10, seq=s) for s in (7, 7, 8, 0, 0))) == [0, DUPLICATE, 0, 0, DUPLICATE]
    assert log.add(cross(10, seq=7, sensor=1), cross(10.001, seq=7)) == [0, 0]


def test_a_cross_without_seq_is_never_a_duplicate(kind: str) -> None:
    log = Log(kind)
    assert log.add(*[cross(10)] * 9) == [0] * 9
    assert log.panes() == [[10, 20, 0, 9, 0, 0, 9, 0, 0]]


def test_a_heartbeat_is_never_a_duplicate(kind: str) -> None:
    assert Log(kind).add(*[Row(HEARTBEAT, 10, seq=7)] * 3) == [0] * 3


def test_after_its_pane_has_closed_a_repeat_is_late_not_duplicate(kind: str) -> None:
    log = Log(kind)
    assert log.add(cross(5, seq=1), cross(40), cross(5, seq=1)) == [0, 0, LATE]


def test_w_follows_the_lesser_of_ts_and_record_ts(kind: str) -> None:
    log = Log(kind)
    log.add(cross(50, record=20))  # a clock 30 s fast
    assert log.w == 15
    log.add(cross(21, record=900))  # a slow upload
    assert log.w == 16
    log.add(Row(COUNT, 20, span=10))  # enters with ts + span
    assert log.w == 25


def test_w_never_goes_back(kind: str) -> None:
    log = Log(kind)
    log.add(cross(50), cross(46), cross(49, record=3))
    assert log.w == 45


def test_a_tick_moves_w_and_nothing_else(kind: str) -> None:
    log = Log(kind)
    log.add(cross(12))
    assert log.add(Row(TICK, 60), Row(TICK, 40)) == [0, 0]
    assert log.told.tolist() == [NO_TIME, NO_TIME]
    assert log.w == 55
    assert log.add(cross(49)) == [LATE]
    assert log.panes() == [[10, 20, 0, 1, 0, 0, 1, 0, 0]]


def test_heartbeats_cover_twice_their_beat(kind: str) -> None:
    log = Log(kind, reporting=BY_HEARTBEAT)
    log.add(Row(HEARTBEAT, 10), cross(12), Row(COUNT, 10, span=10))
    assert log.covers() == [[0, 10, 50]]
    assert log.covers() == []


def test_spans_cover_themselves(kind: str) -> None:
    log = Log(kind, reporting=EVERY_SPAN)
    log.add(Row(COUNT, 10, span=10), Row(HEARTBEAT, 12), cross(13))
    assert log.covers() == [[0, 10, 20]]
    # both belong to [10, 20), the pane of their middle; what lies before 10 covers only while [0, 10) is still open
    log = Log(kind, reporting=EVERY_SPAN)
    log.add(Row(COUNT, 8, span=10), cross(15.5), Row(COUNT, 8, span=9, sensor=1))
    assert log.covers() == [[0, 8, 18], [1, 10, 17]]


def test_take_gives_a_pane_once(kind: str) -> None:
    log = Log(kind)
    log.add(cross(5), cross(15, n=(0, 1, 0)), cross(18, n=(0, 0, 1)))
    assert log.panes(10) == [[0, 10, 0, 1, 0, 0, 1, 0, 0]]
    assert log.panes(10) == []
    assert log.panes(20) == [[10, 20, 0, 0, 1, 1, 0, 1, 1]]


def test_a_restart_remembers_panes_keys_and_w(kind: str) -> None:
    log = Log(kind)
    log.add(cross(31, seq=4), Row(COUNT, 30, span=10))
    log.table = TABLES[kind](5_000, log.table.state())
    assert log.add(cross(31, seq=4), Row(COUNT, 30, span=10), cross(24), cross(36)) == [DUPLICATE, DUPLICATE, LATE, 0]
    assert log.panes() == [[30, 40, 0, 3, 0, 0, 2, 0, 0]]


def point(ts: float, track: int = 1, **rest: Any) -> Row:
    return Row(POINT, ts, seq=track, n=(0, 0, 0), **rest)


def test_events_in_space_are_accepted_and_add_to_no_pane(kind: str) -> None:
    log = Log(kind, reporting=BY_HEARTBEAT)
    rows = point(12), Row(BEAM, 31), Row(OCCUPANCY, 32, n=(0, 0, 37)), Row(SET, 99), cross(33)
    assert log.add(*rows) == [0] * 5
    assert log.tally == (4, 3, 0, 12_000, 33_000), "the reading of occupancy tells of nobody in particular"
    assert log.told.tolist() == [12_000, 31_000, 32_000, NO_TIME, 33_000]
    assert log.w == 28
    assert log.covers() == []
    assert log.panes() == [[30, 40, 0, 1, 0, 0, 1, 0, 0]]


@pytest.mark.parametrize("of", [POINT, BEAM])
def test_points_and_beams_that_repeat_one_are_known_by_who_keeps_them(kind: str, of: int) -> None:
    log = Log(kind)
    assert log.add(Row(of, 10, seq=7), Row(of, 10, seq=7, repeat=True), Row(of, 10, seq=7)) == [0, DUPLICATE, 0]
    assert log.tally[:2] == (2, 2)
    assert log.told.tolist() == [10_000, 5_000, 10_000]
    assert unpack(log.table.state()[2]) == []


def test_readings_count_once_by_their_seq(kind: str) -> None:
    log = Log(kind)
    assert log.add(*(Row(OCCUPANCY, 10, seq=s) for s in (7, 7, 8))) == [0, DUPLICATE, 0]
    assert log.add(*[Row(OCCUPANCY, 10)] * 3, Row(OCCUPANCY, 10.001, seq=7), Row(OCCUPANCY, 10, sensor=2, seq=7)) == (
        [0] * 5
    )


def test_points_and_beams_are_late_from_the_moment_w_has_passed_them(kind: str) -> None:
    log = Log(kind)
    assert log.add(point(25), point(20), point(19.999), Row(BEAM, 20), Row(BEAM, 19.999)) == [0, 0, LATE, 0, LATE]
    again = point(20, repeat=True), point(19.999, repeat=True)
    assert log.add(Row(OCCUPANCY, 20), Row(OCCUPANCY, 19.999), *again) == [0, LATE, DUPLICATE, LATE]


def test_a_pane_closes_later_than_its_records_may_come(kind: str) -> None:
    log = Log(kind, delay_s=9, wait_s=7)
    rows = cross(25), point(12.999), Row(BEAM, 12.999), point(13), Row(BEAM, 13)
    assert log.add(*rows) == [0, LATE, LATE, 0, 0]
    assert log.add(Row(OCCUPANCY, 3.5), cross(3), cross(12)) == [LATE, LATE, 0]
    assert log.panes(until=28) == []
    assert log.add(cross(45), point(32.999), cross(29), cross(33)) == [0, LATE, LATE, 0]
    assert [pane[:2] for pane in log.panes(until=39)] == [[10, 29], [20, 39]]


def test_events_in_space_are_late_like_all_others(kind: str) -> None:
    log = Log(kind)
    rows = [point(10), point(25), point(9, 2), Row(BEAM, 9), Row(OCCUPANCY, 9, seq=3), point(10), point(20, 3)]
    assert log.add(*rows) == [0, 0, LATE, LATE, LATE, LATE, 0]


def test_a_restart_remembers_the_keys_of_readings(kind: str) -> None:
    log = Log(kind)
    frame = [Row(OCCUPANCY, 31 + at / 25, seq=of, sensor=s) for at in range(3) for s in (0, 1) for of in range(50)]
    rows = [*frame, Row(OCCUPANCY, 31, seq=2**63 - 1), Row(OCCUPANCY, 31, seq=-(2**63))]
    assert log.add(*rows) == [0] * 302
    state = log.table.state()
    assert len(unpack(state[2])) == 302
    assert len(state[2]) < 302 * 4, "neighbours share what they have in common"
    log.table = TABLES[kind](5_000, state)
    assert log.add(*rows) == [DUPLICATE] * 302
    assert log.panes() == []
    assert log.add(cross(60), *rows) == [0, *[LATE] * 302]


@pytest.mark.parametrize("fast", [15, 20, 55])
def test_one_fast_clock_makes_nobody_late(kind: str, fast: int) -> None:
    log = Log(kind)
    rows = [
        cross(now + (fast if sensor == 7 else 0), sensor=sensor, record=now)
        for now, sensor in ((100 + i / 4, i % SENSORS) for i in range(1_200))
    ]
    assert log.add(*rows) == [0] * 1_200
    assert log.w == 100 + 1_199 / 4 - 5
