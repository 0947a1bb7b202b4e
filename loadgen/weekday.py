"""Scenario `weekday`: a working day in チ・カ・ホ."""

from __future__ import annotations

from collections.abc import Sequence

from loadgen import people
from loadgen.faults import CHATTERING, IMBALANCED, SILENT, SKEWED, STUCK, Fault
from loadgen.place import GATES
from loadgen.scenario import Cast, Scenario
from loadgen.sensors import ALL, BEAT_S, COUNTERS, registry, sensors
from loadgen.telling import SPAN_MS

WEEKDAY_S = 72_000  # 5:00 to 1:00: everyone who enters has left
START_MS = 1_770_148_800_000  # Tuesday 2026-02-03 05:00 in Sapporo, the place still closed
BUSY_START_MS = START_MS + 3 * 3_600_000  # 08:00, for shorter scenarios
JST_MS = 32_400_000

# Sensor, kind, from and to (hour of the day), by, direction: one of each kind, and a counter whose twin takes over.
_FAULTS = (
    ("cam-q5", STUCK, 8.25, 8.5, None, None),
    ("j4-02", SILENT, 9.0, 9.33, None, None),
    ("j1-02", SKEWED, 10.0, 10.5, 30_000.0, None),
    ("k4-01", STUCK, 11.0, 12.0, None, None),
    ("e1-02", CHATTERING, 13.0, 13.17, 12.0, None),
    ("j2-01", IMBALANCED, 14.0, 16.0, 0.5, "ba"),
    ("k1-01", SILENT, 17.0, 17.5, None, None),
)


def weekday(
    seed: int = 1,
    seconds: float | None = WEEKDAY_S,
    rate: float | None = None,
    start_ms: int | None = None,
    clock_of_day_s: float | None = None,
    equipment: str = COUNTERS,
    faults: bool | None = None,
    empty: bool = False,
) -> Scenario:
    """A weekday in the walkway: 55,000 to 70,000 passages of each cross-section, peaks at 8:30, 12:20 and 18:00.

    ``seconds``: how long (None = without end). ``rate``: events per second on average over ``seconds`` (over the
    first hour where there is no end); it scales the number of people, and the room they have beyond an ordinary day's,
    None = an ordinary day. ``start_ms``: event time of the beginning, default Tuesday 2026-02-03 in Sapporo at 08:00,
    or at 05:00 for a whole weekday. ``clock_of_day_s``: what the clock on the wall says then, default the true one; a
    demo that starts at night passes 8 * 3600. ``equipment``: ``counters`` (passages and counts only) or ``all``
    (beams, trackers and cameras too); ``faults``: whether sensors have some, by default those of ``all``;
    ``empty``: it begins with ``set`` records that nobody is there, so that zones with gates are known at once. Raises
    ValueError for a rate that the heartbeats alone exceed or that is not of ``counters``, and for a length that is not
    positive.
    """
    if seconds is not None and seconds <= 0:
        raise ValueError("seconds must be positive")
    if rate is not None and equipment != COUNTERS:
        raise ValueError(f"rate is of the equipment {COUNTERS} only")
    whole = seconds is not None and seconds >= WEEKDAY_S
    start = start_ms if start_ms is not None else START_MS if whole else BUSY_START_MS
    clock = (start + JST_MS) / 1000 % people.DAY_S if clock_of_day_s is None else clock_of_day_s
    scale = 1.0 if rate is None else _scale(rate, 3600.0 if seconds is None else seconds, clock)
    wrong = _FAULTS if faults or (faults is None and equipment == ALL) else ()
    cast = Cast(
        "weekday",
        (people.Weekday(),),
        (),
        sensors(equipment),
        registry(equipment),
        timed(wrong, start, clock),
        empty,
    )
    return Scenario(cast, seed, seconds, scale, start, clock)


def timed(
    faults: Sequence[tuple[str, str, float, float, float | None, str | None]], start_ms: int, clock_s: float
) -> list[Fault]:
    """Faults by hours of the day as those of a scenario that begins at ``start_ms``, when it is ``clock_s``."""

    def at(hour: float) -> int:
        return start_ms + round((hour * 3600 - clock_s) * 1000)

    return [
        Fault(sensor, kind, at(begin), at(end), by, direction) for sensor, kind, begin, end, by, direction in faults
    ]


def _scale(rate: float, seconds: float, clock_s: float) -> float:
    beating = sum(gate.lanes for gate in GATES if gate.reporting == "heartbeat") / BEAT_S
    counting = sum(1 for gate in GATES if gate.reporting == "every_span") / (SPAN_MS / 1000)
    passing = rate - beating - counting
    expected = people.expected_passages(clock_s, seconds) / seconds
    if passing <= 0:
        raise ValueError(f"rate must be above {beating + counting:.1f} events/s: so many are heartbeats and counts")
    if expected <= 0:
        raise ValueError("nobody is there at that time of the day")
    return passing / expected
