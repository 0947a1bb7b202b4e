"""The wire format of signage as tables of messages and rows, on both implementations; and sessions' pseudonyms."""

import hashlib
import re

import numpy as np
import pytest

from engine import kernels, touch, touches
from engine.fast import _touch
from engine.languages import LANGUAGES, OTHER
from engine.model import (
    ARROW,
    AUTO,
    BAD_VALUE,
    HEARTBEAT,
    MALFORMED,
    MISSING_FIELD,
    NO_TIME,
    REGISTRY,
    SET,
    TICK,
    TOUCH,
    UNKNOWN_SENSOR,
    UNKNOWN_TYPE,
    Payloads,
)
from engine.touch import Row
from tests.support.touched import DEVICES, STAMP, decoded, laid_out

both = pytest.fixture(params=[touch, _touch], ids=["reference", "compiled"])(lambda request: request.param)
TS = 1_770_450_000_300
TOUCHED = (
    b'{"device":"kita2-01","ts":1770450000300,"type":"touch","session":"x1","screen":"top","to":"map","lang":"ja"}'
)
GOOD = Row(TOUCH, 0, 0, TS, STAMP, b"x1", b"top", b"map", b"ja")


def with_(field, value):
    text = "" if value is None else f'"{field}":{value},'
    told = re.sub(rf'"{field}":("[^"]*"|\d+)(,|(?=}}))', lambda _: text, TOUCHED.decode())
    return told.replace(",}", "}").encode()


def test_a_touch(both):
    assert decoded(both, [TOUCHED]) == [(0, GOOD)]
    assert decoded(both, [TOUCHED], NO_TIME) == [(0, GOOD._replace(record_ts=TS))]
    stamped = TOUCHED[:-1] + b',"record_ts":"2026-02-07T07:40:01Z"}'
    assert decoded(both, [stamped], NO_TIME) == [(0, GOOD._replace(record_ts=1_770_450_001_000))]
    assert decoded(both, [stamped]) == [(0, GOOD)]


def test_what_is_no_touch(both):
    messages = [
        b'{"device":"kita2-02","ts":1770450000300,"type":"heartbeat","session":7}',
        b'{"type":"tick","ts":1770450000300,"device":7}',
        b'{"type":"set","ts":1770450000300,"zone":"c1"}',
        b'{"type":"registry","registry":{"devices":[]}}',
        b'[{"type":"tick","ts":1},7]',
        b" \n",
        b"[]",
    ]
    assert decoded(both, messages) == [
        (0, Row(HEARTBEAT, 0, 2, TS, STAMP)),
        (1, Row(TICK, 0, -1, TS, STAMP)),
        (2, Row(SET, 0, -1, TS, STAMP)),
        (3, Row(REGISTRY, 0, -1, NO_TIME, STAMP)),
        (4, Row(TICK, 0, -1, 1, STAMP)),
        (4, Row(reason=MALFORMED, record_ts=STAMP)),
    ]


REJECTS = [
    *((bad, MALFORMED) for bad in (b"\xef\xbb\xbf" + TOUCHED, TOUCHED + b"x", TOUCHED[:-1], b"7", with_("ts", "NaN"))),
    *((with_("type", value), UNKNOWN_TYPE) for value in ('"cross"', '"Touch"', '"point"', "7", '""', "[]")),
    *((with_(name, None), MISSING_FIELD) for name in ("type", "device", "ts", "session", "screen")),
    *((with_(name, "null"), MISSING_FIELD) for name in ("type", "device", "ts", "session", "screen")),
    *((with_("ts", value), BAD_VALUE) for value in ("1.0", "1e3", "9223372036854775808", '"2026-02-07T07:40:00"')),
    *((with_("ts", value), BAD_VALUE) for value in ('"2026-02-07T24:00:00Z"', "7258118400000", "true", "[1]")),
    *((with_("device", value), BAD_VALUE) for value in ("1234567890123456789", "{}", f'"{"x" * 65}"', "false")),
    *((with_("session", value), BAD_VALUE) for value in ("17", '""', f'"{"狸" * 22}"', "[]")),
    *((with_("screen", value), BAD_VALUE) for value in ("17", '""', f'"{"x" * 65}"', "true")),
    *((with_("to", value), BAD_VALUE) for value in ("17", '""', f'"{"x" * 65}"', "{}")),
    *((with_("lang", value), BAD_VALUE) for value in ("17", f'"{"x" * 65}"', "{}")),
    *((with_("device", value), UNKNOWN_SENSOR) for value in ('"kita2-03"', '"KITA2-01"', '"kita2-01\\u0000"')),
]


@pytest.mark.parametrize(("message", "reason"), REJECTS)
def test_why_a_record_is_rejected(both, message, reason):
    ((_, row),) = decoded(both, [message])
    assert row.reason == reason
    assert (row.session, row.screen, row.to, row.lang) == (None,) * 4, "of what is refused no word is kept"


def test_a_rejected_record_keeps_what_is_known_of_it(both):
    kept = Row(TOUCH, BAD_VALUE, 0, TS, STAMP)
    assert decoded(both, [with_("lang", "7")]) == [(0, kept)]
    assert decoded(both, [with_("type", '"cross"')]) == [(0, kept._replace(kind=0, reason=UNKNOWN_TYPE))]
    unknown = [b'{"device":"who","ts":1770450000300,"type":"heartbeat"}']
    assert decoded(both, unknown) == [(0, Row(HEARTBEAT, UNKNOWN_SENSOR, -1, TS, STAMP))]
    assert decoded(both, unknown, NO_TIME) == [(0, Row(HEARTBEAT, UNKNOWN_SENSOR, -1, TS, TS))]


def test_the_order_of_the_checks(both):
    message = b'{"device":"who","ts":1,"type":"touch","session":7}'
    assert [row.reason for _, row in decoded(both, [message])] == [MISSING_FIELD]
    assert [row.reason for _, row in decoded(both, [with_("device", '"who"').replace(b'"x1"', b"7")])] == [BAD_VALUE]


@pytest.mark.parametrize(
    ("field", "value", "is_"),
    [
        ("session", f'"{"狸" * 21}"', ("狸" * 21).encode()),
        ("session", '"\\u0000"', b"\0"),
        ("screen", f'"{"x" * 64}"', b"x" * 64),
        ("screen", '"\\ud83d\\ude00"', "😀".encode()),
        ("screen", '"ja"', b"ja"),
        ("to", "null", None),
        ("lang", "null", None),
        ("lang", '"EN"', b"en"),
        ("lang", '"zh-Hant-TW"', b"zh"),
        ("lang", '"ZH_TW"', b"zh"),
        ("lang", '"\\u0065n"', b"en"),
        *(("lang", f'"{tag}"', OTHER.encode()) for tag in ("jpn", "", "-ja", "x-ja", "other", "jа", "zz", "iw", "top")),
    ],
)
def test_what_is_taken(both, field, value, is_):
    assert decoded(both, [with_(field, value)]) == [(0, GOOD._replace(**{field: is_}))]


def test_the_last_of_two_keys_counts_and_unknown_ones_do_not(both):
    twice = TOUCHED[:-1] + b',"screen":7,"screen":"exits","user":{"lang":"en"},"dir":[7],"sensor":"j1","to":null}'
    assert decoded(both, [twice]) == [(0, GOOD._replace(screen=b"exits", to=None))]


def test_a_topic_of_arrow_takes_control_records_in_json(both):
    messages = [TOUCHED, b'{"type":"tick","ts":1770450000300}']
    assert [row.reason for _, row in decoded(both, messages, wire=ARROW)] == [MALFORMED, 0]


def test_the_languages_are_iso_639_1():
    assert len(LANGUAGES) == 183 + 1
    assert len(set(LANGUAGES)) == len(LANGUAGES)
    assert all(len(code) == 2 and code.isalpha() and code.islower() for code in LANGUAGES[:-1])
    assert {"ja", "en", "zh", "ko", "th", "ru", "fr", "de", "es", "id", "vi"} < set(LANGUAGES)
    assert LANGUAGES[-1] == OTHER


# ------------------------------------------------------------------------------------------------ pseudonyms
KEY = bytes(range(32))


def payloads(messages):
    data, starts, ends, record_ts = laid_out(messages, STAMP)
    return Payloads(data, starts, ends, record_ts, starts)


@pytest.fixture(params=kernels.MODES)
def active(request):
    yield kernels.use(request.param)
    kernels.use("compiled")


def test_a_session_is_told_by_keyed_blake2b(active):
    chunks = touches.TouchChunks(touches.new_names(), KEY)
    messages = [with_("session", f'"s{i % 3}"') for i in range(7)] + [with_("session", "7"), b'{"type":"tick","ts":1}']
    behind, found = chunks.decode(payloads(messages), active.Names(DEVICES), 0, AUTO)
    assert behind == len(found) == 9
    digests = [hashlib.blake2b(b"s%d" % (i % 3), digest_size=16, key=KEY).digest() for i in range(7)]
    assert [row.astype("<i8").tobytes() for row in found.session] == [*digests, bytes(16), bytes(16)]
    behind, again = chunks.decode(payloads(messages[5:7]), active.Names(DEVICES), 0, AUTO)
    assert [row.astype("<i8").tobytes() for row in again.session] == digests[5:7]


def test_another_key_tells_other_pseudonyms():
    one, other = (touches.pseudonyms([b"x1", b"x2"], key) for key in (KEY, KEY[:-1]))
    assert one.shape == (2, 2)
    assert not set(one.ravel().tolist()) & set(other.ravel().tolist())
    assert touches.pseudonyms([], KEY).shape == (0, 2)
    for wrong in (b"", bytes(65)):
        with pytest.raises(ValueError, match="1 to 64 bytes"):
            touches.pseudonyms([b"x1"], wrong)


@pytest.mark.parametrize("kept", [touches.SESSIONS, 1_500, 2])
def test_chunks_of_a_long_log_are_its_rows(active, monkeypatch, kept):
    """Also where one message alone has more rows than the columns hold, and however many sessions are kept."""
    monkeypatch.setattr(touches, "SESSIONS", kept)
    count = 20_000
    one = [with_("ts", str(TS + i)).replace(b'"x1"', b'"s%d"' % (i % 999)) for i in range(count)]
    array = b"[" + b",".join(one[1_000:]) + b"]"
    given, chunks = payloads([*one[:1_000], array]), touches.TouchChunks(touches.new_names([b"map"]), KEY)
    devices, first, ts, sessions = active.Names(DEVICES), 0, [], []
    while first < len(given):
        first, found = chunks.decode(given, devices, first, AUTO)
        ts += found.ts.tolist()
        sessions += found.session.tolist()
    assert ts == list(range(TS, TS + count))
    assert sessions == touches.pseudonyms([b"s%d" % (i % 999) for i in range(count)], KEY).tolist()
    assert chunks.names.words(len(LANGUAGES)) == [b"map", b"top"]
    assert np.array_equal(found.screen, np.full(len(found), len(LANGUAGES) + 1))
