"""Arrow messages: their rows are those of the same objects in JSON, and what cannot be read is one reject."""

import json

import numpy as np
import pyarrow as pa
import pytest

from engine import arrow, decode
from engine.fast import _decode
from engine.model import (
    ARROW,
    AUTO,
    BAD_VALUE,
    JSON,
    KIND_NONE,
    KINDS,
    MALFORMED,
    MISSING_FIELD,
    NO_TIME,
    TS_MAX,
    TS_MIN,
    UNKNOWN_TYPE,
)
from tests.support import streams
from tests.support.decoded import room_for, rows_in
from tests.support.streams import PLAIN, arrow_of, json_of, stream, table_of

MODULES = {"reference": decode, "compiled": _decode}
both = pytest.fixture(params=MODULES.values(), ids=MODULES)(lambda request: request.param)

IDS = [b"j1-03", b"j2-01", "狸小路".encode(), b"x" * 64, b""]
TS, STAMP = 1_770_450_000_123, 1_770_450_099_000
CROSSED = {"sensor": "j1-03", "ts": TS, "type": "cross", "dir": "ab", "seq": 7}
COUNTED = {"sensor": "狸小路", "ts": TS, "type": "count", "span_ms": 60_000, "ab": 6, "ba": 8, "un": 0}
ALIVE = {"sensor": "j2-01", "ts": TS, "type": "heartbeat"}
EVENTS = [CROSSED, COUNTED, ALIVE, {**CROSSED, "dir": "ba", "seq": None}, {**CROSSED, "dir": None}]


def decoded(module, messages, record_ts=STAMP, wire=AUTO, ids=None):
    """[(message, Row)], each column of which holds what decode gave."""
    sizes = np.array([len(m) for m in messages], np.int64)
    data, ends = np.frombuffer(b"".join(messages), np.uint8).copy(), np.cumsum(sizes)
    given = data, ends - sizes, ends, np.full(len(messages), record_ts, np.int64)
    room = 8
    while True:
        out = room_for(room)
        following, filled = module.decode(*given, ids or module.Ids(IDS), *out, 0, wire)
        if following == len(messages):
            break
        room *= 2
    return rows_in(out, filled)


def rows_of(module, message, **more):
    return [row for _, row in decoded(module, [message], **more)]


def as_json(batch):
    return b"[" + b",".join(json_of(batch)) + b"]"


def reasons(module, message, **more):
    return [row.reason for row in rows_of(module, message, **more)]


# ------------------------------------------------------------------------------------------ the same rows
def test_a_thousand_rows_are_those_of_the_same_objects_in_json(both):
    records = [{**EVENTS[i % 5], "ts": TS + i, "ab": i % 7 or None} for i in range(1_000)]
    whole = as_json(table_of(records))
    for per_batch in (1, 255, 256, 257, None):
        assert rows_of(both, arrow_of(records, per_batch)) == rows_of(decode, whole)


def row(event, **more):
    base = decode.Row(KINDS.index(event["type"]), 0, IDS.index(event["sensor"].encode()), TS, record_ts=STAMP)
    return base._replace(**more)


def test_what_a_row_says(both):
    assert rows_of(both, arrow_of(EVENTS)) == [
        row(CROSSED, n=(1, 0, 0), seq=7, has_seq=1),
        row(COUNTED, n=(6, 8, 0), span_ms=60_000),
        row(ALIVE),
        row(CROSSED, n=(0, 1, 0)),
        row(CROSSED, n=(0, 0, 1), seq=7, has_seq=1),
    ]
    alone = rows_of(both, arrow_of([COUNTED]), record_ts=NO_TIME)
    assert alone[0].record_ts == TS + 60_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": None}, MISSING_FIELD),
        ({"type": "touch"}, UNKNOWN_TYPE),
        ({"type": "set"}, UNKNOWN_TYPE),
        ({"type": "registry"}, UNKNOWN_TYPE),
        ({"sensor": None}, MISSING_FIELD),
        ({"ts": None}, MISSING_FIELD),
        ({"ts": -(2**62)}, BAD_VALUE),
        ({"ts": TS_MIN - 1}, BAD_VALUE),
        ({"ts": TS_MIN}, 0),
        ({"ts": TS_MAX - 1}, 0),
        ({"ts": TS_MAX}, BAD_VALUE),
        ({"dir": "AB"}, BAD_VALUE),
        ({"sensor": "x" * 65}, BAD_VALUE),
        ({"sensor": "nobody"}, 0),
        ({"type": "tick", "sensor": None}, 0),
    ],
)
def test_rows_are_judged_one_by_one(both, change, reason):
    assert reasons(both, arrow_of([CROSSED, {**CROSSED, **change}, CROSSED])) == [0, reason, 0]


def one_column(name, array):
    """CROSSED with another column in the place of one of its own."""
    batch = table_of([CROSSED] * len(array))
    return stream([batch.set_column(batch.schema.names.index(name), name, array)])


def test_times_are_cut_to_a_millisecond_below(both):
    for unit, value, ms in (("s", -7, -7_000), ("ms", -7, -7), ("us", -1, -1), ("us", 1_999, 1), ("ns", -1, -1)):
        array = pa.array([value], pa.int64()).cast(pa.timestamp(unit, "Asia/Tokyo"))
        assert rows_of(both, one_column("ts", array))[0].ts == ms
    assert reasons(both, one_column("ts", pa.array([2**62, None], pa.int64()).cast(streams.ZONED[0]))) == [
        BAD_VALUE,
        MISSING_FIELD,
    ]


def test_a_time_without_zone_is_refused(both):
    assert reasons(both, one_column("ts", pa.array([TS], pa.timestamp("ms")))) == [BAD_VALUE]


def test_text_that_is_not_utf8_is_no_value(both):
    for bad in (b"\xff", b"j1-03\xed\xa0\x80", b"\xc0\x80", b"\xe7\x8b"):
        text = pa.Array.from_buffers(
            pa.utf8(), 1, [None, pa.py_buffer(np.array([0, len(bad)], np.int32)), pa.py_buffer(bad)]
        )
        assert reasons(both, one_column("sensor", text)) == [BAD_VALUE]
        assert reasons(both, one_column("type", text)) == [UNKNOWN_TYPE]
        assert reasons(both, one_column("ts", text)) == [BAD_VALUE]


def test_of_two_columns_of_one_name_the_last_counts(both):
    batch = table_of([CROSSED, CROSSED])
    doubled = batch.append_column("dir", pa.array(["ba", None]))
    assert [r.n for r in rows_of(both, stream([doubled]))] == [(0, 1, 0), (0, 0, 1)]


# ------------------------------------------------------------------------------------------ dictionaries
def test_dictionaries_are_replaced_and_go_on(both):
    first = [{**CROSSED, "sensor": name} for name in ("j1-03", "j2-01")]
    second = [{**CROSSED, "sensor": name} for name in ("狸小路", "j1-03", "nobody")]
    pieces = [table_of(first), table_of(second), table_of(first)]
    for deltas in (False, True):
        assert [r.sensor for r in rows_of(both, stream(pieces, emit_dictionary_deltas=deltas))] == [
            0,
            1,
            2,
            0,
            -1,
            0,
            1,
        ]
    names = ["j2-01", "nobody", "狸小路"]
    grown = [
        pa.DictionaryArray.from_arrays(pa.array([size - 1, 0], pa.int16()), pa.array(names[:size]))
        for size in (1, 2, 3)
    ]
    pieces = [table_of([CROSSED] * 2).set_column(0, "sensor", part) for part in grown]
    message = stream(pieces, emit_dictionary_deltas=True)
    assert [r.sensor for r in rows_of(both, message)] == [1, 1, -1, 1, 2, 1]
    assert len(message) < len(stream(pieces))


def test_what_was_found_in_a_dictionary_holds_for_the_same_dictionary_only(both):
    ids = both.Ids(IDS)
    lists = [["j1-03", "j2-01"], ["j1-03", "j2-01"], ["j2-01", "j1-03"], ["j1-03", "j2-01"], ["j1-0", "j2-01", ""]]
    messages = [arrow_of([{**CROSSED, "sensor": name} for name in names]) for names in lists]
    wide = {**PLAIN, "sensor": pa.dictionary(pa.int32(), pa.large_utf8())}
    messages.append(stream([table_of([CROSSED], wide)]))
    messages.append(arrow_of([CROSSED])[:-9])  # without its end: the dictionary alone was good
    messages.append(arrow_of([CROSSED]))
    found = [[row.sensor for m, row in decoded(both, messages, ids=ids) if m == i] for i in range(len(messages))]
    assert found == [[0, 1], [0, 1], [1, 0], [0, 1], [-1, 1, 4], [0], [-1], [0]]
    assert decoded(both, messages[::-1], ids=ids) == decoded(both, messages[::-1])


def test_the_same_bytes_are_another_dictionary_where_the_schema_reads_them_otherwise(both):
    wide = stream([table_of([CROSSED], {**PLAIN, "sensor": pa.dictionary(pa.int32(), pa.large_utf8())})])
    field = next(arrow._tables(streams.header_of(wide), 1))
    at = 8 + field.place(2)
    assert wide[at] == arrow.LARGE_UTF8
    narrow = wide[:at] + bytes([arrow.UTF8]) + wide[at + 1 :]
    found = decoded(both, [wide, narrow, wide], ids=both.Ids(IDS))
    assert [row.sensor for _, row in found] == [0, IDS.index(b""), 0], "offsets 0, 5 read as 0, 0"


def test_a_shared_dictionary_is_read_for_each_of_its_columns(both):
    words, others = pa.array(["ab", "cross", "j1-03"]), pa.array(["x", "y", "z"])
    parts = [pa.DictionaryArray.from_arrays(pa.array([at]), of) for at, of in ((2, words), (1, others), (0, others))]
    batch = pa.RecordBatch.from_arrays([*parts, pa.array([TS])], ["sensor", "type", "dir", "ts"])
    message = bytearray(stream([batch]))
    assert reasons(both, bytes(message)) == [UNKNOWN_TYPE]
    schema = streams.header_of(message)
    encodings = [field.child(4) for field in arrow._tables(schema, 1)][:3]
    assert [encoding.number(0, 8) for encoding in encodings] == [0, 1, 2]
    for encoding in encodings[1:]:  # all three of dictionary 0
        at = 8 + encoding.place(0)
        message[at : at + 8] = bytes(8)
    assert rows_of(both, bytes(message)) == [row(CROSSED, n=(1, 0, 0))]


def test_an_index_that_is_not_in_the_dictionary_makes_the_message_unreadable(both):
    for index in (3, -1, 127):
        indices = pa.array([0, index, 1], pa.int8())
        array = pa.DictionaryArray.from_arrays(indices, pa.array(["j1-03", "j2-01", "x"]), safe=False)
        assert reasons(both, one_column("sensor", array)) == [MALFORMED]
    unseen = pa.array([0, None, 1], pa.int8())
    array = pa.DictionaryArray.from_arrays(unseen, pa.array(["j1-03", None]))
    assert reasons(both, one_column("sensor", array)) == [0, MISSING_FIELD, MISSING_FIELD]


# ------------------------------------------------------------------------------------------ unreadable
def test_a_stream_without_rows_has_none(both):
    assert rows_of(both, stream([table_of([CROSSED])[:0]])) == []
    whole = arrow_of([CROSSED])
    schema = pa.ipc.open_stream(whole).schema.serialize().to_pybytes()
    assert rows_of(both, schema) == []
    assert rows_of(both, schema + whole[-8:]) == []
    assert reasons(both, whole[-8:]) == [MALFORMED], "an end without a beginning"


def test_the_end_mark_may_be_left_out_and_nothing_follows_it(both):
    whole = arrow_of([CROSSED, ALIVE])
    assert reasons(both, whole[:-8]) == reasons(both, whole) == [0, 0]
    for more in (b" ", b"\0", whole[-8:], whole):
        assert reasons(both, whole + more) == [MALFORMED]
    assert reasons(both, whole[:-8] + whole) == [MALFORMED], "a second schema"


def unreadable():
    batch = table_of(EVENTS)
    whole = stream([batch])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    yield "file format", sink.getvalue().to_pybytes()
    yield "before 0.15", stream([batch], use_legacy_format=True)
    yield "lz4", stream([batch], compression="lz4")
    yield "zstd", stream([batch], compression="zstd")
    yield "blank before it", b" " + whole
    yield "one byte", whole[:1]
    yield "another mark", whole[:3] + b"\xfe" + whole[4:]
    yield "no rows, a tensor", pa_tensor()


def pa_tensor():
    sink = pa.BufferOutputStream()
    pa.ipc.write_tensor(pa.Tensor.from_numpy(np.zeros((2, 2))), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(("name", "message"), list(unreadable()), ids=[name for name, _ in unreadable()])
def test_what_cannot_be_read_is_one_reject(both, name, message):
    expected = [decode.Row(reason=MALFORMED, record_ts=STAMP)]
    assert rows_of(both, message) == expected
    good = arrow_of(EVENTS)
    among = decoded(both, [good, message, good])
    assert [row for at, row in among if at == 1] == expected
    assert len(among) == 11


def test_older_metadata_are_read(both):
    message = stream([table_of(EVENTS)], metadata_version=pa.ipc.MetadataVersion.V4)
    assert rows_of(both, message) == rows_of(both, arrow_of(EVENTS))


def test_a_batch_of_nothing_claims_no_more_rows_than_it_has_bytes(both):
    for rows, expected in ((200, [MISSING_FIELD] * 200), (10**9, [MALFORMED])):
        batch = pa.RecordBatch.from_arrays([pa.nulls(rows)], ["type"])
        assert reasons(both, stream([batch])) == expected


def test_a_message_that_does_not_fit_waits(both):
    messages = [arrow_of(EVENTS), arrow_of(EVENTS)[:-30]]
    sizes = np.array([len(m) for m in messages], np.int64)
    ends = np.cumsum(sizes)
    ids = both.Ids(IDS)

    def call(room, first):
        return both.decode(b"".join(messages), ends - sizes, ends, ends, ids, *room_for(room), first)

    assert [call(0, 0), call(4, 0), call(5, 0), call(6, 0)] == [(0, 0), (0, 0), (1, 5), (2, 6)]
    assert [call(0, 1), call(1, 1)] == [(1, 0), (2, 1)], "what cannot be read is one row"


# ------------------------------------------------------------------------------------------ topics
def test_a_topic_takes_what_it_is_set_to(both):
    stream_, object_, array = arrow_of([CROSSED]), json.dumps(CROSSED).encode(), b"[%b]" % json.dumps(CROSSED).encode()
    messages = [stream_, object_, b" ", array, b"", stream_]
    fine, bad = [0], [MALFORMED]

    def by_message(wire):
        found = decoded(both, messages, wire=wire)
        return [[row.reason for m, row in found if m == at] for at in range(len(messages))]

    assert by_message(AUTO) == [fine, fine, [], fine, [], fine]
    assert by_message(JSON) == [bad, fine, [], fine, [], bad]
    assert by_message(ARROW) == [fine, bad, [], bad, [], fine]


def test_control_records_are_json_in_every_topic(both):
    tick, event = b'{"type":"tick","ts":1}', json.dumps(CROSSED).encode()
    for message in (tick, b'{"type":"registry","registry":{}}', b'{"type":"set"}', b"[%b,%b]" % (tick, tick), b"[]"):
        assert rows_of(both, message, wire=ARROW) == rows_of(both, message, wire=JSON)
    for message in (b"[%b,%b]" % (tick, event), b"[1,%b]" % tick, b'{"type":"tock"}', b"{}", b"7", b"[%b" % tick):
        assert rows_of(both, message, wire=ARROW) == [decode.Row(KIND_NONE, MALFORMED, record_ts=STAMP)]
    assert reasons(both, b'{"type":"tick"}', wire=ARROW) == [MISSING_FIELD]
