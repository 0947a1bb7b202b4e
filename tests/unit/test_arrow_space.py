"""Points, beams and readings of occupancy as Arrow rows, on both implementations."""

import pyarrow as pa
import pytest

from engine import decode
from engine.fast import _decode
from engine.model import BAD_VALUE, MALFORMED, MISSING_FIELD
from tests.support import streams
from tests.support.streams import arrow_of, stream, table_of
from tests.unit.test_arrow import CROSSED, TS, as_json, reasons, row, rows_of

both = pytest.fixture(params=[decode, _decode], ids=["reference", "compiled"])(lambda request: request.param)

PLACED = {"sensor": "j1-03", "ts": TS, "type": "point", "track": 17, "x": 3.21, "y": -1.1}
SWITCHED = {"sensor": "j2-01", "ts": TS, "type": "beam", "beam": "b", "on": True, "seq": 4}
INSIDE = {"sensor": "狸小路", "ts": TS, "type": "occupancy", "people": 37, "speed": 0.4}
IN_SPACE = [PLACED, SWITCHED, INSIDE, {**SWITCHED, "on": False}, {**INSIDE, "speed": None}]


def test_what_a_row_says(both):
    assert rows_of(both, arrow_of(IN_SPACE)) == [
        row(PLACED, seq=17, has_seq=1, x=3.21, y=-1.1),
        row(SWITCHED, n=(0, 1, 0), seq=4, has_seq=1),
        row(INSIDE, n=(0, 0, 37), x=0.4, y=None),
        row(SWITCHED, seq=4, has_seq=1),
        row(INSIDE, n=(0, 0, 37), x=None, y=None),
    ]


def test_a_thousand_rows_are_those_of_the_same_objects_in_json(both):
    records = [
        {**IN_SPACE[i % 5], "ts": TS + i, "on": i % 7 < 3, "x": i / 7, "speed": i % 11 or None} for i in range(1_000)
    ]
    whole = as_json(table_of(records))
    for per_batch in (1, 255, 256, 257, None):
        assert rows_of(both, arrow_of(records, per_batch)) == rows_of(decode, whole)


@pytest.mark.parametrize(
    ("event", "change", "reason"),
    [
        (PLACED, {"track": None}, MISSING_FIELD),
        (PLACED, {"y": None}, MISSING_FIELD),
        (PLACED, {"track": -1}, BAD_VALUE),
        (PLACED, {"x": 1_000_000.0000000001}, BAD_VALUE),
        (PLACED, {"x": float("nan")}, BAD_VALUE),
        (PLACED, {"y": float("-inf")}, BAD_VALUE),
        (PLACED, {"x": 1e6, "y": -1e6}, 0),
        (SWITCHED, {"beam": None}, MISSING_FIELD),
        (SWITCHED, {"on": None}, MISSING_FIELD),
        (SWITCHED, {"beam": "ab"}, BAD_VALUE),
        (INSIDE, {"people": None}, MISSING_FIELD),
        (INSIDE, {"people": -1}, BAD_VALUE),
        (INSIDE, {"people": 2**31}, BAD_VALUE),
        (INSIDE, {"speed": 100.1}, BAD_VALUE),
        (INSIDE, {"speed": float("nan")}, BAD_VALUE),
    ],
)
def test_rows_in_space_are_judged_one_by_one(both, event, change, reason):
    assert reasons(both, arrow_of([event, {**event, **change}, CROSSED, event])) == [0, reason, 0, 0]


@pytest.mark.parametrize("kind", [*streams.REALS, *streams.INTEGERS], ids=str)
def test_a_coordinate_is_a_float_or_an_integer(both, kind):
    values = [0, 100, None, 7] if pa.types.is_integer(kind) else [0.1, -1e5, None, 1e-40]
    batch = table_of([PLACED] * 4).set_column(4, "x", pa.array(values, kind))
    found = rows_of(both, stream([batch]))
    assert [row.reason for row in found] == [0, 0, MISSING_FIELD, 0]
    assert [row.x for row in found if not row.reason] == [v for v in batch.column("x").to_pylist() if v is not None]


def test_bits_and_floats_end_with_their_buffers(both):
    """Columns of nine rows whose buffers have a byte too few."""
    events = [PLACED if i % 2 else SWITCHED for i in range(9)]
    whole = arrow_of(events)
    assert reasons(both, whole) == [0] * 9
    header = streams.header_of(whole, streams.batch_at(whole))
    sizes = header.vector(2, 16)
    lengths = {header.flat.number(sizes.at + 16 * i + 8, 8) for i in range(sizes.length)}
    assert {2, 72} <= lengths
    for i in range(sizes.length):
        size = header.flat.number(sizes.at + 16 * i + 8, 8)
        at = streams.batch_at(whole) + 8 + sizes.at + 16 * i + 8
        if size:
            short = whole[:at] + (size - 1).to_bytes(8, "little") + whole[at + 8 :]
            assert reasons(both, short) == [MALFORMED]
