"""What decode promises for any bytes: it accepts what orjson accepts, and a message's rows are its own alone."""

import random

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import decode
from engine.fast import _decode
from engine.model import MALFORMED
from tests.support.decoded import listed, room_for
from tests.support.guarded import ROOM, assert_nothing_is_read_behind

both = pytest.mark.parametrize("module", [decode, _decode], ids=["reference", "compiled"])

# A seed's worth of every kind of token; the fuzz glues, cuts and repeats them.
TOKENS = [bytes([c]) for c in b'"\\{}[],:0123456789.eE+-truefalsn \n\t\r\x00\x0b\x1f\x7f\x80\xbf\xc2\xed\xf4\xff']
TOKENS += [b'"ts":1', b'"a":', b'"type":"tick"', b"[[", b"]]", b'{"', b'"}', b"null", b"true", b"false", b'"', b'""']
TOKENS += [
    b"1e308",
    b"1e309",
    b"-0",
    b"0.5",
    b"1E+2",
    b"18446744073709551616",
    b"9" * 309,
    b"0." + b"0" * 400 + b"1e720",
]
TOKENS += [rb"\ud83d\ude00", rb"\ud83d", rb"\ude00", rb"\u0022", rb"\n", rb"\q", b"\xe7\x8b\xb8", b"\xf0\x9f\x98\x80"]
TOKENS += [b'"x":', b'"y":', b'"track":', b'"on":', b'"beam":"b"', b'"people":', b'"speed":', b"3.21", b"1e-7"]
TOKENS += [b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"xxxxxxx", b"12345678"]
PARTS = [rb"\ud83", rb"\udc0g", rb"\uDC", rb"\ue000", rb"\ude00"]  # of a second escape
SEEDS = [
    b'{"sensor":"j1-03","ts":1770450000123,"type":"cross","dir":"ab","seq":88121}',
    b'{"sensor":"j1-03","ts":"2026-02-07T07:40:00Z","type":"count","span_ms":60000,"ab":6,"ba":8,"un":0}',
    b'{"sensor":"j1-03","ts":1770450000200,"type":"point","track":17,"x":3.21,"y":-1.10}',
    b'[{"sensor":"j1-03","ts":1,"type":"beam","beam":"a","on":true},'
    b'{"sensor":"j1-03","ts":2,"type":"occupancy","people":37,"speed":0.4}]',
    b'[{"type":"tick","ts":1,"x":{"a":[1,2.5,{"b":null}],"c":"\\u72f8 \xe7\x8b\xb8"}} , [true,false,null]]',
]


def accepted(document):
    """Whether orjson takes it, and as what a message may be: the oracle."""
    try:
        return isinstance(orjson.loads(document), dict | list)
    except orjson.JSONDecodeError:
        return False


def decoded(module, messages, room=None, record_ts=0):
    """[(message, rest of the row)] of the messages, laid one behind the other."""
    data = np.frombuffer(b"".join(messages), np.uint8).copy()  # an allocation of just this size, for the sanitizer
    ends = np.cumsum([len(m) for m in messages], dtype=np.int64)
    starts = ends - np.array([len(m) for m in messages], np.int64)
    stamps = np.full(len(messages), record_ts, np.int64)
    first, rows, grown, ids = 0, [], room or 1 + int((data == ord(",")).sum()) + len(messages), module.Ids([b"j1-03"])
    while first < len(messages):
        out = room_for(grown)
        first, filled = module.decode(data, starts, ends, stamps, ids, *out, first)
        *columns, message = listed(out, filled)
        rows += zip(message, zip(*columns, strict=True), strict=True)
        grown += not filled
    return rows


def mutated(rng):
    """A seed with some of its bytes replaced, dropped, doubled, or a chain of tokens alone."""
    if rng.random() < 0.2:
        return b"".join(rng.choices(TOKENS, k=rng.randrange(1, 9)))
    message = rng.choice(SEEDS)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at, to = sorted((rng.randrange(len(message) + 1), rng.randrange(len(message) + 1)))
        to = rng.choice((at, at, at + 1, at + 2, to))
        message = message[:at] + rng.choice((b"", message[at:to] * 2, *rng.choices(TOKENS, k=4))) + message[to:]
        if not message:
            return b""
    return message


def test_the_language_is_that_of_orjson():
    rng = random.Random(20260207)
    messages = [mutated(rng) for _ in range(60_000)]
    # inside an object of a known type every well-formed value gives reason 0, whatever it is
    wrapped = [b'{"x":' + m + b',"type":"tick","ts":1}' for m in messages]
    verdicts = [accepted(w) for w in wrapped]
    assert 2_000 < sum(verdicts) < 58_000
    rows = decoded(_decode, wrapped)
    assert len(rows) == len(messages)
    wrong = [
        w for w, verdict, (_, row) in zip(wrapped, verdicts, rows, strict=True) if verdict != (row[1] != MALFORMED)
    ]
    assert wrong == []


def test_the_reference_reads_every_mutant_the_same_way():
    rng = random.Random(7)
    messages = [mutated(rng) for _ in range(15_000)]
    assert decoded(_decode, messages) == decoded(decode, messages)
    record_ts = -(2**63)
    assert decoded(_decode, messages, record_ts=record_ts) == decoded(decode, messages, record_ts=record_ts)


def test_every_prefix_of_a_message_is_malformed():
    whole = [seed + b" " for seed in SEEDS]
    for message in whole:
        cuts = [message[:n] for n in range(1, len(message) - 1)]
        assert [row[1] for cut in cuts for _, row in decoded(_decode, [cut])] == [MALFORMED] * len(cuts)


def test_every_byte_at_every_place_is_judged_as_orjson_does():
    seed = b'{"type":"tick","ts":-12,"x":["\\u00e9\xc3\xa9",1.5e3]}'
    messages = [
        seed[:at] + bytes([c]) + seed[at + keep :] for at in range(len(seed)) for c in range(256) for keep in (0, 1)
    ]
    verdicts = [accepted(m) for m in messages]
    found = [row[1] != MALFORMED for _, row in decoded(_decode, messages)]
    assert found == verdicts


def test_every_character_is_judged_as_orjson_does():
    """All first two bytes of UTF-8 with edges behind them, all UTF-16 units that begin or end something."""
    edges = [0x00, 0x22, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
    tails = [b"", *(bytes([c]) for c in edges), *(bytes([c, d]) for c in (0x7F, 0x80, 0xBF, 0xC0) for d in edges)]
    contents = [bytes([a, b]) + tail for a in range(0x80, 0x100) for b in edges for tail in tails]
    contents += [bytes([a, b]) for a in range(256) for b in range(256)]
    units = [0, 0x1F, 0x22, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFFFF]
    contents += [b"\\u%04x" % a + more for a in units for more in (b"", b"x", b"\\n", b"\\u", *PARTS)]
    contents += [b"\\u%04x\\u%04X" % (a, b) for a in units for b in units]
    messages = [b'{"type":"tick","ts":1,"x":"' + content + b'"}' for content in contents]
    found = [row[1] != MALFORMED for _, row in decoded(_decode, messages)]
    assert [m for m, f in zip(messages, found, strict=True) if f != accepted(m)] == []
    assert 1_000 < sum(found) < len(found) - 1_000


def guarded():
    """Sensors and messages of tests.support.guarded."""
    rng = random.Random(11)
    messages = [seed[:n] for seed in SEEDS for n in range(1, len(seed) + 1)] + [mutated(rng) for _ in range(5_000)]
    return [b"j1-03"], [message[-ROOM:] for message in messages]


def test_nothing_is_read_behind_a_message():
    """Messages end where a page begins that may not be read: the process would die."""
    assert_nothing_is_read_behind("tests.property.test_decode_fuzz")


@both
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), room=st.integers(1, 4))
def test_rows_depend_on_the_message_alone(module, seed, room):
    """Not on its neighbours in the buffer, nor on where a call ended."""
    rng = random.Random(seed)
    messages = [mutated(rng) for _ in range(12)]
    alone = [(i, row) for i, m in enumerate(messages) for _, row in decoded(module, [m])]
    assert decoded(module, messages) == alone
    assert decoded(module, messages, room) == alone
