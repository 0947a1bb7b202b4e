"""The compiled decoder of signage and its readable twin give the same rows and words and refuse the same arguments."""

import json
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import touch
from engine.fast import _touch
from engine.languages import LANGUAGES
from engine.model import ARROW, AUTO, JSON, MALFORMED, NO_TIME, TOUCH
from tests.parity.test_arrow import mutated as mutated_stream
from tests.parity.test_decode import TIMES, blank, joined, messages_of, strings, values
from tests.support import streams
from tests.support.touched import DEVICES, STAMP, Tables, decoded, laid_out, room_for

both = pytest.fixture(params=[touch, _touch], ids=["reference", "compiled"])(lambda request: request.param)

KEYS = ["device", "ts", "type", "session", "screen", "to", "lang", "record_ts"]
OTHER_KEYS = ["", "t", "too", 'to"', "TO", "devices", "session\0", "sessions", "screens", "langs", "sensor", "x" * 70]
TYPES = ["touch", "heartbeat", "tick", "set", "registry", "cross", "point", "Touch", "touches", ""]
SCREENS = ["top", "map", "exits", "ja", "狸小路", "x" * 64, "狸" * 21, "狸" * 22, "", 'a"b', "nul\0", "x" * 65]
TAGS = [
    "ja",
    "EN",
    "zh-Hant",
    "ZH_TW",
    "other",
    "jpn",
    "",
    "-ja",
    "x-ja",
    "ja-" + "x" * 61,
    "ja-" + "x" * 62,
    "jа",
    "j",
]
likely = {  # mostly what the field takes, so that the later checks are reached
    "device": strings(st.sampled_from([d.decode() for d in DEVICES if d is not None] + ["nobody"])),
    "ts": st.one_of(st.integers(-(2**42), 2**43).map(str), strings(st.sampled_from(TIMES))),
    "type": strings(st.sampled_from(TYPES[:1] * 8 + TYPES)),
    "session": strings(st.one_of(st.sampled_from(SCREENS), st.text(min_size=1, max_size=9))),
    "screen": strings(st.sampled_from(SCREENS)),
    "to": st.one_of(st.just("null"), strings(st.sampled_from(SCREENS))),
    "lang": strings(st.sampled_from(TAGS + list(LANGUAGES))),
    "record_ts": st.integers(0, 2**43).map(str),
}


@st.composite
def objects(draw):
    """An object of fields in any order, some twice, some odd, some unknown."""
    names = draw(st.permutations(KEYS))
    names = names[: draw(st.sampled_from([3, 6, 7, 8, 8, 8]))]
    names += draw(st.lists(st.sampled_from(KEYS + OTHER_KEYS), max_size=2))
    parts = []
    for key in names:
        odd = key not in likely or draw(st.integers(0, 11)) == 0
        colon = draw(st.sampled_from([":", ":", ":", " : "]))
        parts.append(draw(strings(st.just(key))) + colon + draw(values if odd else likely[key]))
    return joined("{", parts, "}", draw(blank))


arrays = st.builds(joined, st.just("["), st.lists(st.one_of(objects(), values), max_size=4), st.just("]"), blank)


@settings(max_examples=100)
@given(
    batch=st.lists(messages_of(st.one_of(objects(), objects(), arrays, blank)), min_size=1, max_size=8),
    record_ts=st.lists(st.sampled_from([NO_TIME, NO_TIME, STAMP, -1]), min_size=8, max_size=8),
    room=st.sampled_from([1, 3, 100]),
    wire=st.sampled_from([AUTO, JSON, ARROW]),
)
@example(batch=[b'{"type":"tick","ts":1}', b"", b"[{},{}", b"[{},1]"], record_ts=[NO_TIME] * 8, room=1, wire=AUTO)
def test_both_give_the_same_rows_and_words(batch, record_ts, room, wire):
    found = []
    for module in (_touch, touch):
        tables = Tables.of(module)
        rows = decoded(module, batch, record_ts[: len(batch)], wire, room, tables)
        found.append((rows, tables.words()))
    assert found[0] == found[1]


ROWS = [
    {"device": "kita2-01", "ts": 1_770_450_000_300, "type": "touch", "session": "x1", "screen": "top", "to": "map"},
    {"device": "kita2-02", "ts": 1_770_450_000_301, "type": "touch", "session": "狸", "screen": "map", "lang": "zh-TW"},
    {"device": "kita2-01", "ts": 1_770_450_000_302, "type": "heartbeat"},
    {"ts": 1_770_450_000_303, "type": "tick"},
    {"device": "", "ts": 1_770_450_000_304, "type": "set", "session": "x2", "screen": "x" * 65, "lang": "x" * 64},
    {"device": "who", "ts": None, "type": "touch", "session": "x" * 64, "screen": "", "to": "top", "lang": ""},
]
TEXTS = {
    name: pa.dictionary(pa.int16(), pa.string()) for name in ("device", "type", "session", "screen", "to", "lang")
} | {"ts": pa.int64(), "record_ts": pa.int64()}
PLAIN_TEXTS = dict.fromkeys(("device", "type", "to", "lang"), pa.large_string()) | {
    "ts": streams.ZONED[2],
    "session": pa.string(),
    "screen": pa.binary(),
}


STREAMS = [
    streams.stream([streams.table_of(ROWS, TEXTS)]),
    streams.stream([streams.table_of(ROWS * 60, TEXTS)]),
    streams.stream(
        [streams.table_of(ROWS, {**TEXTS, "session": pa.string(), "screen": pa.string(), "device": pa.string()})]
    ),
    streams.stream([streams.table_of([row for row in ROWS if row["ts"]], PLAIN_TEXTS)]),
    streams.stream([streams.table_of(ROWS[:2], TEXTS), streams.table_of(ROWS[:2] * 2, TEXTS)]),
]


def test_a_row_of_arrow_is_the_object_of_its_values(both):
    for message in STREAMS[:3] + STREAMS[4:]:
        with pa.ipc.open_stream(message) as reader:
            records = [record for batch in reader for record in batch.to_pylist()]
        told = [{name: value for name, value in record.items() if value is not None} for record in records]
        document = json.dumps(told, ensure_ascii=False).encode()
        rows = [row for _, row in decoded(both, [message])]
        # what holds objects comes as JSON: in a stream such a type is unknown
        expected = [row for _, row in decoded(touch, [document.replace(b'"set"', b'"sets"')])]
        assert rows == expected
        assert TOUCH in {row.kind for row in rows if not row.reason}


def test_mutants_of_streams_are_read_the_same_way():
    rng = random.Random(8)
    kept = Tables.of(_touch)  # dictionaries that were read before must not shine through
    outcomes = {"unreadable": 0, "rows": 0}
    for _ in range(1_000):
        message = mutated_stream(rng, rng.choice(STREAMS))
        expected = decoded(touch, [message], NO_TIME)
        assert decoded(_touch, [message], NO_TIME, tables=kept) == expected, message.hex()
        outcomes["unreadable" if [row.reason for _, row in expected] == [MALFORMED] else "rows"] += 1
    assert min(outcomes.values()) > 100, outcomes


def sound_arguments(module):
    tables = Tables.of(module)
    data, starts, ends, record_ts = laid_out([b"{}", b"{}{"], STAMP)
    return {
        "data": data,
        "starts": starts,
        "ends": ends,
        "record_ts": record_ts,
        "devices": tables.devices,
        "names": tables.names,
        "languages": len(LANGUAGES),
        "sessions": tables.sessions,
        **{f"out_{name}": column for name, column in zip(touch.COLUMNS, room_for(4), strict=True)},
        "first": 0,
    }


@pytest.mark.parametrize(
    "name, value",
    [
        ("starts", np.array([-1, 0], np.int64)),
        ("starts", np.array([0, 9], np.int64)),
        ("ends", np.array([0, 99], np.int64)),
        ("ends", np.array([0], np.int64)),
        ("record_ts", np.zeros(3, np.int64)),
        ("starts", np.zeros(2, np.int32)),
        ("languages", 0),
        ("languages", 1_000),
        ("out_kind", np.zeros(3, np.int8)),
        ("out_device", np.zeros(4, np.int64)),
        ("out_session", np.zeros((4, 2), np.int32)),
        ("out_lang", np.zeros(8, np.int32)[::2]),
        ("out_message", np.zeros(5, np.int32)),
        ("first", -1),
        ("first", 3),
    ],
)
def test_arrays_that_do_not_fit_are_refused(both, name, value):
    sound = sound_arguments(both)
    assert name in sound
    assert both.touch(*sound.values()) == (2, 2)
    with pytest.raises(ValueError):
        both.touch(*(sound | {name: value}).values())


words = st.one_of(st.binary(max_size=64), st.sampled_from([b"a", b"a\0", b"12345678", b"", b"x" * 64]))


@settings(max_examples=60)
@given(
    first=st.lists(st.one_of(st.none(), st.binary(max_size=3)), max_size=9, unique_by=lambda w: w or object()),
    steps=st.lists(st.one_of(words, st.integers(0, 200)), max_size=300),
)
def test_both_number_words_alike(first, steps):
    """Words are taken and, by a number, all from there on forgotten."""
    first = [w for i, w in enumerate(first) if w is None or w not in first[:i]]
    compiled, reference = _touch.Names(first), touch.Names(first)
    for step in steps:
        if isinstance(step, int):
            count = min(step, len(reference))
            compiled.keep(count), reference.keep(count)
        else:
            assert compiled.find(step) == reference.find(step)
            assert compiled.take(step) == reference.take(step)
        assert len(compiled) == len(reference)
    assert compiled.words() == reference.words()
    for word in reference.words():
        assert word is None or compiled.find(word) == reference.find(word)


def test_a_thousand_words_and_what_is_refused(both):
    names = both.Names(b"%d" % i for i in range(1_000))
    assert [names.find(b"%d" % i) for i in range(1_001)] == [*range(1_000), -1]
    assert names.words(998) == [b"998", b"999"]
    assert names.find(b"x" * 65) == -1
    for wrong in (
        lambda: both.Names([b"a", None, b"a"]),
        lambda: both.Names([b"a", b"a"]),
        lambda: names.take(b"x" * 65),
    ):
        with pytest.raises(ValueError):
            wrong()
    for place in (-1, 1_001):
        with pytest.raises(ValueError):
            names.keep(place)
        with pytest.raises(ValueError):
            names.words(place)


def test_words_of_a_message_that_waits_or_is_malformed_are_in_no_table(both):
    tables, columns = Tables.of(both), room_for(2)
    one = b'{"device":"kita2-01","ts":1,"type":"touch","session":"%b","screen":"%b"}'
    pair = b"[" + one % (b"s2", b"b") + b"," + one % (b"s3", b"c") + b"]"
    messages = [one % (b"s1", b"a"), b"[" + one % (b"s9", b"z") + b",", pair]
    given = laid_out(messages, STAMP)
    done = both.touch(*given, tables.devices, tables.names, len(LANGUAGES), tables.sessions, *columns, 0)
    assert done == (2, 2)
    assert tables.words() == ([b"a"], [b"s1"])
    done = both.touch(*given, tables.devices, tables.names, len(LANGUAGES), tables.sessions, *columns, 2)
    assert done == (3, 2)
    assert tables.words() == ([b"a", b"b", b"c"], [b"s1", b"s2", b"s3"])
