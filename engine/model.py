"""What flows through the engine: columns, windows, products. Data types live only here.

Times are integer milliseconds since the Unix epoch, UTC. All intervals are half-open ``[start, end)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I8 = NDArray[np.int8]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]

# ---------------------------------------------------------------------------------------- time
NO_TIME = -(2**63)  # "not known"; also the watermark of a partition that has admitted nothing
END = 2**62  # the watermark of a log that has ended; also an approval without end
TS_MIN = -2_208_988_800_000  # 1900-01-01T00:00:00Z, first instant an event may carry
TS_MAX = 7_258_118_400_000  # 2200-01-01T00:00:00Z, first instant it may not (DateTime64(3) ends in 2299)
FUTURE_MS = 60_000  # ts further than this ahead of record_ts is too_far_in_future
CELL_MS = 10_000  # grid on which partitions tell activity and rejects: the shortest window
GAP_MS = 86_400_000  # spans longer than this without any accepted record have no rows


class Window(NamedTuple):
    """One window ``[start_ms, end_ms)`` of a named length (see WINDOWS)."""

    label: str
    start_ms: int
    end_ms: int


WINDOWS = ("10s", "1m", "5m", "15m", "1h", "1d")  # index = code of a window length
LENGTH_MS = (10_000, 60_000, 300_000, 900_000, 3_600_000, 86_400_000)  # nominal; 1h and 1d follow the clock
LEAVES = WINDOWS[:5]
MINUTE = 1
HOUR = 4
DAY = 5

# -------------------------------------------------------------------------------------- events
KIND_NONE = 0  # row without a known type (a reject)
CROSS, COUNT, HEARTBEAT = 1, 2, 3  # events
TICK, SET, REGISTRY = 4, 5, 6  # in-band control records: not events
POINT, BEAM, OCCUPANCY = 7, 8, 9  # events
TOUCH = 10  # event of signage, which has heartbeats and control records too (engine.touch)
KINDS = ("", "cross", "count", "heartbeat", "tick", "set", "registry", "point", "beam", "occupancy")

DIRECTIONS = ("ab", "ba", "unknown")  # index = column of n
DIRECTION_COUNT = 3
SECTORS = 8  # of the compass: 0 = north, clockwise
COUNT_MAX = 2**31 - 1  # most people one count record may tell, per direction
ID_BYTES = 64  # longest id, bytes of UTF-8
FAR_M = 1_000_000  # furthest coordinate of a point, either way
FAST_M_S = 100  # greatest speed of a reading of occupancy
UM = 1_000_000  # micrometres of a metre

# Reject reasons in the order of the checks; code 0 = not rejected.
REASONS = (
    "",
    "malformed",
    "unknown_type",
    "missing_field",
    "bad_value",
    "unknown_sensor",
    "not_approved",
    "no_consent",
    "no_contract",
    "too_far_in_future",
    "span_too_long",
    "late",
    "duplicate",
)
MALFORMED, UNKNOWN_TYPE, MISSING_FIELD, BAD_VALUE, UNKNOWN_SENSOR, NOT_APPROVED = 1, 2, 3, 4, 5, 6
NO_CONSENT, NO_CONTRACT, TOO_FAR_IN_FUTURE, SPAN_TOO_LONG, LATE, DUPLICATE = 7, 8, 9, 10, 11, 12
# Counted, never dead-lettered one by one (PRIVACY.md R9).
NOT_DEAD_LETTERED = frozenset({LATE, DUPLICATE, NOT_APPROVED})
# Nor these, but of synthetic people ([status] exact): the message is right, and its letter would be a trace of one
# person who has not consented (docs/adr/0007).
OF_ONE_PERSON = frozenset({NO_CONSENT, NO_CONTRACT})

# What the messages of a topic may be: JSON, Arrow IPC streams, or each what its first bytes tell.
AUTO, JSON, ARROW = 0, 1, 2
FORMATS = ("auto", "json", "arrow")

# What a tracker serves where it is not one gate or zone (rows are 0 and greater).
EVERY, NOTHING = -1, -2

ON_CHANGE, BY_HEARTBEAT, EVERY_SPAN = 0, 1, 2
REPORTING = ("on_change", "heartbeat", "every_span")


@dataclass(frozen=True, slots=True)
class Payloads:
    """Messages of one partition in log order, in one buffer.

    Message i is ``data[starts[i]:ends[i]]``. ``record_ts[i]`` is its Kafka record timestamp (ms), or NO_TIME
    in a file without that column: then the field ``record_ts`` of a record counts, else its ts (+ span_ms).
    ``offsets[i]`` is its place in the log (Kafka offset, or byte offset of a line), for dead letters.
    """

    data: bytes | memoryview | U8
    starts: I64
    ends: I64
    record_ts: I64
    offsets: I64

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class Events:
    """Decoded records in log order, one row per event or control record (shape (rows,), n (rows, 3)).

    ``reason`` 0 = decoded; a rejected row keeps what is known of it, unknown columns hold the defaults below. ``x`` and
    ``y`` are written for points and readings of occupancy that decode let through, and hold no meaning in all other
    rows: reading them there would make the outcome depend on what the memory held before.
    """

    kind: I8  # KINDS; KIND_NONE where the type is not known
    reason: U8  # REASONS
    sensor: I32  # row in the registry's sensor table; -1 = not in it, or no valid id
    ts: I64  # ms; NO_TIME where not known
    span_ms: I64  # count: length of the span; else 0
    # (rows, 3) people ab, ba, unknown: cross one-hot, count its values; occupancy: (0, 0, people); beam that went on:
    # (1, 0, 0) a, (0, 1, 0) b; else 0
    n: I64
    seq: I64  # valid where has_seq; point: its track, always there
    has_seq: U8
    x: F64  # point: m; occupancy: speed in m/s, NaN = not told
    y: F64  # point: m; occupancy: NaN
    record_ts: I64  # ms; of the message, or of the record in a file
    message: I32  # index of the message in Payloads

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True)
class Touches:
    """Decoded records of signage in log order, one row per event or control record (shape (rows,), session (rows, 2)).

    ``reason`` 0 = decoded; only such rows of kind TOUCH have a session, a screen and, where they are told, ``to`` and
    ``lang``. Names are codes into the table that was handed to the decoder, -1 = none.
    """

    kind: I8  # TOUCH, HEARTBEAT, TICK, SET, REGISTRY; KIND_NONE where the type is not known
    reason: U8  # REASONS
    device: I32  # row in the table of devices; -1 = not in it, or no valid id
    ts: I64  # ms; NO_TIME where not known
    session: I64  # (rows, 2) halves of the session's pseudonym; 0 where there is none
    screen: I32
    to: I32
    lang: I32  # one of engine.languages.LANGUAGES
    record_ts: I64  # ms; of the message, or of the record in a file
    message: I32  # index of the message in Payloads

    def __len__(self) -> int:
        return len(self.kind)


# ------------------------------------------------------------------------------------ products
# Column kinds: t = time in ms, i = count (NULL_INT = null), n = number that may be negative (NO_TIME = null), f = float
# (NaN = null), d = int32 code into names.
NULL_INT = -1
STATUS = ("unknown", "released", "suppressed", "range")
LOS = ("unknown", "A", "B", "C", "D", "E", "F")  # levels of service: index = grade, 0 = nothing tells
# What is wrong with a sensor; of several faults the one that stands later in HEALTH_BY_WEIGHT is told.
HEALTH = ("ok", "silent", "stuck", "chattering", "skewed", "imbalanced")
HEALTH_OK, HEALTH_SILENT, HEALTH_STUCK, HEALTH_CHATTERING, HEALTH_SKEWED, HEALTH_IMBALANCED = range(6)
HEALTH_BY_WEIGHT = (
    HEALTH_OK, HEALTH_IMBALANCED, HEALTH_STUCK, HEALTH_CHATTERING, HEALTH_SKEWED, HEALTH_SILENT,
)  # fmt: skip
UNKNOWN_STATUS, RELEASED_STATUS, SUPPRESSED_STATUS, RANGE_STATUS = 0, 1, 2, 3

_PEOPLE = {"n": "i", "n_low": "i", "n_high": "i", "status": "d"}  # of a cell of a table: distinct people
# product -> (key columns, all columns with kind); every stored row adds run_id, registry_version, revision.
PRODUCTS: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "runs_of_flow": (
        ("gate", "direction", "run_start"),
        {"gate": "d", "direction": "d", "run_start": "t", "run_end": "t", "n": "i"},
    ),
    "flow": (
        ("window", "window_start", "gate", "direction"),
        {
            "window": "d",
            "window_start": "t",
            "gate": "d",
            "direction": "d",
            "n": "i",
            "n_low": "i",
            "n_high": "i",
            "status": "d",
            "coverage": "f",
        },
    ),
    "zones": (
        ("window", "window_start", "zone"),
        {
            "window": "d",
            "window_start": "t",
            "zone": "d",
            "inflow": "i",
            "inflow_low": "i",
            "inflow_high": "i",
            "outflow": "i",
            "outflow_low": "i",
            "outflow_high": "i",
            "occupancy": "f",
            "occupancy_low": "f",
            "occupancy_high": "f",
            "density": "f",
            "speed": "f",
            "los_scheme": "d",
            "los": "d",
            "status": "d",
            "coverage": "f",
            "drift_low": "n",
            "drift_high": "n",
            "error": "i",
        },
    ),
    "headings": (
        ("window", "window_start", "zone", "sector"),
        {
            "window": "d",
            "window_start": "t",
            "zone": "d",
            "sector": "i",
            "n": "i",
            "n_low": "i",
            "n_high": "i",
            "status": "d",
            "mean_heading": "f",
            "resultant_length": "f",
        },
    ),
    # Tables: an empty text in a column of names is the total over it.
    "touches": (
        ("window", "window_start", "device", "screen", "lang"),
        {"window": "d", "window_start": "t", "device": "d", "screen": "d", "lang": "d", **_PEOPLE},
    ),
    "screens": (
        ("window", "window_start", "device", "from", "to"),
        {"window": "d", "window_start": "t", "device": "d", "from": "d", "to": "d", **_PEOPLE},
    ),
    "profiles": (
        ("window", "window_start", "table", "row", "col"),
        {"window": "d", "window_start": "t", "table": "d", "row": "d", "col": "d", **_PEOPLE},
    ),
    "trips": (
        ("window", "window_start", "from", "to"),
        {"window": "d", "window_start": "t", "from": "d", "to": "d", **_PEOPLE},
    ),
    "alerts": (
        ("id", "changed"),
        {
            "id": "d",
            "changed": "t",
            "state": "d",
            "reason": "d",
            "began": "t",
            "rule": "d",
            "kind": "d",
            "severity": "d",
            "zone": "d",
            "gate": "d",
            "of_window": "d",
            "value": "f",
            "threshold": "f",
        },
    ),
    "health": (
        ("window", "window_start", "sensor"),
        {"window": "d", "window_start": "t", "sensor": "d", "state": "d", "since": "t"},
    ),
    "rejects": (("hour", "sensor", "reason"), {"hour": "t", "sensor": "d", "reason": "d", "n": "i"}),
}
DIGESTED = (
    "runs_of_flow",
    "flow",
    "zones",
    "headings",
    "touches",
    "screens",
    "profiles",
    "trips",
    "alerts",
    "health",
)  # products a window's digest is over (not rejects, runs, registries)


@dataclass(frozen=True, slots=True)
class Released:
    """Rows that may leave the engine: made by ``release`` and ``figures`` only, the only type a sink takes.

    ``columns`` hold the product's columns (PRODUCTS) as arrays of one length; a column of kind d holds int32
    codes into ``names[column]``. ``unit`` names the rows inside a run and product (shard and windows): with the
    content it makes the insert token, so it must be a function of the log.
    """

    product: str
    unit: str
    columns: Mapping[str, NDArray[np.generic]]
    names: Mapping[str, tuple[str, ...]]
    registry_version: str = ""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come, as it may be shown on live surfaces (PRIVACY.md R6).

    read = accepted + sum(rejected) by construction; cross records enter ``accepted`` only with their released run.
    ``closed_ms`` is the least watermark over all partitions: every window with end + delay ≤ it is closed.
    """

    closed_ms: int = NO_TIME
    accepted: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """Events shown as read."""
        return self.accepted + sum(self.rejected.values())
