"""Rows of Arrow streams of any columns are those of the same objects in JSON."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import decode
from engine.model import NO_TIME
from tests.support import streams
from tests.support.streams import PLAIN, column, stream
from tests.unit.test_arrow import IDS, MODULES, STAMP, TS, as_json, rows_of

LEAST, MOST = -(2**63), 2**63 - 1
TIMES = ["2026-02-07T07:40:00.123Z", "2026-02-07T07:40:00+09:00", "2026-02-07 07:40:00", "2026-02-07T24:00:00Z", ""]
TIMES += ["\\u0032026-02-07T07:40:00.123Z", "2026-02-07T07:40:00Z\\", "２026-02-07T07:40:00Z"]
WORDS = ["cross", "count", "heartbeat", "tick", "point", "beam", "occupancy"]
WORDS += ["set", "registry", "touch", "", "Cross", "crosses"]
some_text = {
    "sensor": st.sampled_from([*(i.decode() for i in IDS), "x" * 65, "狸" * 22, "j1-0", "j1-03\0"]),
    "ts": st.sampled_from(TIMES),
    "record_ts": st.sampled_from(TIMES),
    "type": st.one_of(st.sampled_from(WORDS[:7]), st.sampled_from(WORDS)),
    "dir": st.sampled_from(["ab", "ba", "ab", "ba", "a", "", "abc"]),
    "beam": st.sampled_from(["a", "b", "a", "b", "ab", "c", ""]),
}
some_times = st.one_of(st.integers(-3_000_000, 8_000_000), st.sampled_from([LEAST, MOST, -1, 999, -999_999_999]))


@st.composite
def columns(draw, name, rows):
    """A column for a field: mostly of a type the field takes."""
    kinds = [PLAIN[name]] * 4 + streams.TEXTS + streams.INTEGERS + streams.ZONED
    if name in ("x", "y", "speed", "on"):
        kinds = [PLAIN[name]] * 8 + streams.REALS * 2 + streams.INTEGERS
    others = [pa.timestamp("ms"), *streams.REALS, pa.float16(), pa.null(), pa.bool_(), pa.list_(pa.int8())]
    kind = draw(st.sampled_from([*kinds, *others]))
    text = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_integer(kind):
        low, high = (-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
        if kind not in streams.SIGNED:
            low, high = 0, 2**kind.bit_width - 1
        edges = [v for v in (low, high, 0, 1, 60_000, TS, 2**31 - 1, 2**31, 2**63, 366 * 86_400_000 + 1) if v <= high]
        values = st.one_of(st.sampled_from(edges), st.integers(max(low, 0), min(high, 10**6)))
    elif pa.types.is_string(text) or pa.types.is_large_string(text):
        values = some_text.get(name, st.sampled_from(["", "7", "ab"]))
    elif pa.types.is_timestamp(kind):
        scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        values = some_times.map(lambda at: max(LEAST, min(MOST, at * scale + at % 7)))
    else:
        values = {"bool": st.booleans()}.get(str(kind), st.none())
        if pa.types.is_floating(kind):
            few = st.floats(0, 100, width=kind.bit_width)
            values = st.one_of(few, few, st.floats(width=kind.bit_width), st.sampled_from([1e6, -1e6, 1e7, -0.0]))
            values = values.filter(lambda v: kind.bit_width > 16 or abs(v) < 65_000 or v != v)
        if pa.types.is_list(kind):
            values = st.lists(st.integers(0, 9), max_size=2)
    gaps = st.none() if draw(st.booleans()) else values
    made = draw(st.lists(st.one_of(values, values, values, gaps), min_size=rows, max_size=rows))
    return pa.array(made, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else column(made, kind)


@st.composite
def batches(draw):
    """A batch of our fields in any order, some not there, some strange columns between them."""
    rows = draw(st.integers(0, 20))
    names = draw(st.permutations(list(PLAIN)))[: draw(st.integers(1, len(PLAIN)))]
    own = draw(st.sampled_from([[], ["track", "x", "y"], ["beam", "on"], ["people", "speed"]]))
    if own:
        names = draw(st.permutations(["type", "sensor", "ts", *own]))
    parts = [(name, draw(columns(name, rows))) for name in names]
    for _ in range(draw(st.integers(0, 3))):
        strange = [pa.array([value, None] * rows, kind)[:rows] for kind, value in streams.STRANGE]
        odd = draw(st.sampled_from([*strange, *streams.unions(rows)]))
        parts.insert(draw(st.integers(0, len(parts))), (draw(st.sampled_from(["", "x", "sensors", "狸"])), odd))
    return pa.RecordBatch.from_arrays([array for _, array in parts], [name for name, _ in parts])


@settings(max_examples=120)
@given(batch=batches(), cut=st.integers(0, 20), record_ts=st.sampled_from([NO_TIME, STAMP]))
def test_rows_are_those_of_the_same_objects_in_json(batch, cut, record_ts):
    message = stream([batch[:cut], batch[cut:]])
    expected = rows_of(decode, as_json(batch), record_ts=record_ts)
    assert len(expected) == len(batch)
    for module in MODULES.values():
        assert rows_of(module, message, record_ts=record_ts) == expected
