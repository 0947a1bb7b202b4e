"""The compiled decoder and its readable twin give the same rows and refuse the same arguments."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import decode
from engine.fast import _decode
from engine.model import NO_TIME
from tests.support.decoded import listed, room_for

both = pytest.fixture(params=[decode, _decode], ids=["reference", "compiled"])(lambda request: request.param)

IDS = [b"j1-03", "狸小路".encode(), b"x" * 64, b"", b"12345678", b"a\0"]
KEYS = ["sensor", "ts", "type", "dir", "seq", "span_ms", "ab", "ba", "un", "record_ts"]
KEYS += ["track", "x", "y", "beam", "on", "people", "speed"]
SPACE = [["track", "x", "y"], ["beam", "on"], ["people", "speed"]]  # what a kind has besides type, sensor and ts
OTHER_KEYS = ["", "t", "tss", 'ts"', "TS", "sensors", "span_mss", "record_t", "record_tsx", "狸", "\0", "x" * 70]
OTHER_KEYS += ["xx", 'y"', "o", "tracks", "peopl", "speeds", "beams"]
TYPES = ["cross", "count", "heartbeat", "tick", "set", "registry", "point", "beam", "occupancy"]
WORDS = [*TYPES, "Cross", "", "crosses", "points", "touch", "ab", "ba", "abc", "a", "b"]
TIMES = ["2026-02-07T07:40:00.123Z", "2026-02-07T07:40:00+09:00", "2026-02-07 24:00:00Z", "2024-02-29t23:59:59.9z"]
INTEGERS = [0, 1, 7, 60_000, 1_770_450_000_123, 366 * 86_400_000, 2**31 - 1, 2**63 - 1, -(2**63)]
INTEGERS += [-2_208_988_800_000, 7_258_118_400_000, 10**8, 10**18, 2**64, 10**400]
REALS = ["-0", "6.0", "1e3", "1E-3", "-1.5e+10", "0e0", "0.0", "0e999", "1e308", "1.8e308", "1e999", "-1e999", "1e-999"]
NO_NUMBERS = b"01 -01 00 - 1. .5 -.5 1e 1e+ 1.e1 +1 0x1 NaN -Infinity".split()
INFINITE = 2**1024 - 2**970  # the least number that rounds to an infinite double
PIECES = [bytes([c]) for c in b'"\\{}[],:0123456789.eE+- \n\t\r\x00\x0b\x1f\x7f\x80\xc0\xc2\xe0\xed\xf0\xf4\xff']
PIECES += [b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xe7\x8b\xb8", b"\xc2\x80"]
PIECES += [rb"\u0000", rb"\ud83d", rb"\ude00", rb"\u12G4", rb"\/", rb"\x", b"null", b"nul", b'"ts":1,', b"{}", b"[]"]


def spelled(text, escaped):
    """A JSON string; the characters whose place is in ``escaped`` are written as UTF-16 escapes."""

    def one(place, character):
        if place not in escaped:
            return json.dumps(character, ensure_ascii=False)[1:-1]
        units = character.encode("utf-16-be")
        return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))

    return '"' + "".join(one(place, character) for place, character in enumerate(text)) + '"'


def strings(texts):
    return st.builds(spelled, texts, st.one_of(st.just(set()), st.sets(st.integers(0, 9), max_size=3)))


texts = st.one_of(
    st.sampled_from([i.decode() for i in IDS] + WORDS + TIMES + OTHER_KEYS),
    st.text(max_size=70),
    st.text("x狸", min_size=60, max_size=66),
)
near_limit = st.builds(
    lambda off, digits, exponent: f"{(INFINITE + off) // 10**exponent}{digits}e{exponent - len(digits)}",
    st.sampled_from([-(10**290), -1, 0, 1, 10**290]),
    st.text("05", max_size=3),
    st.integers(0, 308),
)
numbers = st.one_of(
    st.sampled_from(INTEGERS).flatmap(lambda i: st.sampled_from([i - 1, i, i + 1, -i])).map(str),
    st.integers().map(str),
    st.sampled_from(REALS),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    near_limit,
)
scalars = st.one_of(numbers, strings(texts), st.sampled_from(["null", "true", "false"]))
blank = st.one_of(st.just(""), st.text(" \t\n\r", max_size=3))


def joined(opening, parts, closing, space):
    return opening + space + f"{space},{space}".join(parts) + space + closing


def nested(values):
    elements = st.builds(joined, st.just("["), st.lists(values, max_size=3), st.just("]"), blank)
    members = st.builds("{}:{}".format, strings(texts), values)
    return st.one_of(elements, st.builds(joined, st.just("{"), st.lists(members, max_size=3), st.just("}"), blank))


values = st.recursive(scalars, nested, max_leaves=6)
likely = {  # mostly what the field takes, so that the later checks are reached
    "sensor": strings(st.sampled_from([i.decode() for i in IDS])),
    "ts": st.one_of(st.integers(-(2**42), 2**43).map(str), strings(st.sampled_from(TIMES))),
    "type": strings(st.sampled_from(TYPES)),
    "dir": strings(st.sampled_from(["ab", "ba"])),
    "span_ms": st.integers(1, 10**11).map(str),
    "record_ts": st.integers(0, 2**43).map(str),
    "beam": strings(st.sampled_from(["a", "b"])),
    "on": st.sampled_from(["true", "false"]),
    "speed": st.one_of(st.floats(0, 101).map(repr), st.just("null")),
}
for name in ("seq", "ab", "ba", "un", "track", "people"):
    likely[name] = st.integers(0, 2**31).map(str)
for name in ("x", "y"):
    digits = st.builds("{}.{}e{}".format, st.integers(-(10**6), 10**6), st.text("059", min_size=1), st.integers(-9, 1))
    likely[name] = st.one_of(st.floats(-1.1e6, 1.1e6).map(repr), digits, st.integers(-(10**6), 10**6).map(str))


@st.composite
def objects(draw):
    """An object of fields in any order, some twice, some odd, some unknown."""
    names = draw(st.permutations(KEYS))[: draw(st.integers(2, 10))]
    if draw(st.booleans()):
        names = draw(st.permutations(["type", "sensor", "ts", *draw(st.sampled_from(SPACE))]))
    names += draw(st.lists(st.sampled_from(KEYS + OTHER_KEYS), max_size=2))
    parts = []
    for key in names:
        odd = key not in likely or draw(st.integers(0, 7)) == 0
        colon = draw(st.sampled_from([":", ":", ":", " : "]))
        parts.append(draw(strings(st.just(key))) + colon + draw(values if odd else likely[key]))
    return joined("{", parts, "}", draw(blank))


arrays = st.builds(joined, st.just("["), st.lists(st.one_of(objects(), values), max_size=4), st.just("]"), blank)
documents = st.one_of(objects(), objects(), values, arrays, blank)


@st.composite
def broken(draw, documents):
    """A document with a few bytes put in, taken out or written over; or cut."""
    message = draw(documents).encode()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(message)))
        taken = draw(st.sampled_from([0, 0, 1, 1, 2, 10**9]))
        piece = draw(st.sampled_from(PIECES + NO_NUMBERS))
        message = message[:at] + (b"" if taken > 2 else piece) + message[at + taken :]
    return message


def messages_of(documents):
    """Documents whole and broken, and other bytes."""
    return st.one_of(documents.map(str.encode), broken(documents), st.binary(max_size=20))


messages = messages_of(documents)


def rows_of(module, batch, record_ts):
    """All columns of the batch, and where each call ended: rooms of 0, 1, 2, 4 … rows."""
    data = b"".join(batch)
    ends = np.cumsum([len(m) for m in batch], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    stamps = np.array(record_ts, np.int64)
    ids, first, room, steps, columns = module.Ids(IDS), 0, 0, [], []
    while first < len(batch):
        out = room_for(room)
        first, filled = module.decode(data, starts, ends, stamps, ids, *out, first)
        steps.append((first, filled))
        columns.append(listed(out, filled))
        room = 2 * room or 1
    return steps, columns


@settings(max_examples=400)
@given(
    batch=st.lists(messages, min_size=1, max_size=8),
    record_ts=st.lists(st.sampled_from([NO_TIME, NO_TIME, 1_770_450_099_000, -1]), min_size=8, max_size=8),
)
@example(batch=[b'{"type":"tick","ts":1}', b"", b"[{},{}", b"[{},1]"], record_ts=[NO_TIME] * 8)
def test_both_give_the_same_rows(batch, record_ts):
    stamps = record_ts[: len(batch)]
    assert rows_of(_decode, batch, stamps) == rows_of(decode, batch, stamps)


def sound_arguments(module):
    return {
        "data": b"{}{}{}{",
        "starts": np.array([0, 2], np.int64),
        "ends": np.array([2, 5], np.int64),
        "record_ts": np.zeros(2, np.int64),
        "ids": module.Ids([]),
        **{f"out_{name}": column for name, column in zip(decode.COLUMNS, room_for(4), strict=True)},
        "first": 0,
    }


@pytest.mark.parametrize(
    "name, value",
    [
        ("starts", np.array([-1, 0], np.int64)),
        ("starts", np.array([0, 6], np.int64)),
        ("ends", np.array([0, 8], np.int64)),
        ("ends", np.array([0], np.int64)),
        ("record_ts", np.zeros(3, np.int64)),
        ("starts", np.zeros(2, np.int32)),
        ("out_kind", np.zeros(3, np.int8)),
        ("out_sensor", np.zeros(4, np.int64)),
        ("out_n", np.zeros((4, 2), np.int64)),
        ("out_n", np.zeros((3, 4), np.int64).T),
        ("out_x", np.zeros(3, np.float64)),
        ("out_y", np.zeros(4, np.float32)),
        ("out_message", np.zeros(5, np.int32)),
        ("first", -1),
        ("first", 3),
    ],
)
def test_arrays_that_do_not_fit_are_refused(both, name, value):
    sound = sound_arguments(both)
    assert name in sound
    assert both.decode(*sound.values()) == (2, 2)
    with pytest.raises(ValueError):
        both.decode(*(sound | {name: value}).values())


@pytest.mark.parametrize("ids", [[b"a", b"b", b"a"], [b"x" * 65]])
def test_ids_that_cannot_be_are_refused(both, ids):
    with pytest.raises(ValueError):
        both.Ids(ids)


@settings(max_examples=50)
@given(ids=st.lists(st.binary(max_size=64), unique=True, max_size=40), other=st.binary(max_size=70))
def test_both_find_the_same_ids(ids, other):
    compiled, reference = _decode.Ids(ids), decode.Ids(ids)
    assert len(compiled) == len(reference) == len(ids)
    assert [compiled.find(i) for i in ids] == [reference.find(i) for i in ids] == list(range(len(ids)))
    assert compiled.find(other) == reference.find(other)
