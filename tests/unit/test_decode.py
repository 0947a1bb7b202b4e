"""The wire format as tables of messages and rows, on both implementations."""

import numpy as np
import pytest

from engine import batch, decode, model
from engine.fast import _decode
from engine.model import (
    BAD_VALUE,
    COUNT,
    CROSS,
    HEARTBEAT,
    MALFORMED,
    MISSING_FIELD,
    NO_TIME,
    REGISTRY,
    SET,
    TICK,
    UNKNOWN_TYPE,
    Payloads,
)
from engine.model import COUNT_MAX as MOST
from engine.model import TS_MAX as LATEST
from engine.model import TS_MIN as EARLIEST
from tests.support.decoded import room_for, rows_in

IDS = ["j1-03", "j2-01", "狸小路", "x" * 64, 'a"b', "狸" * 21, "", "nul\0", "12345678", "123456789"]
STAMP = 1_770_450_099_000  # record_ts of the message, as Kafka gives it
TS = 1_770_450_000_123
AB, BA, UN, NOBODY = (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)
INFINITE = 2**1024 - 2**970  # as a double
YEAR_AND_A_DAY = 366 * 86_400_000

both = pytest.fixture(params=[decode, _decode], ids=["reference", "compiled"])(lambda request: request.param)


def payloads(messages, record_ts=STAMP):
    """The messages as one buffer, each between bytes that belong to none."""
    data = b"".join(b'"' + message + b"}" for message in messages)
    sizes = np.array([len(message) + 2 for message in messages], np.int64)
    ends = np.cumsum(sizes, dtype=np.int64)
    return data, ends - sizes + 1, ends - 1, np.full(len(messages), record_ts, np.int64)


def rows_of(module, messages, record_ts=STAMP, room=50):
    """[(message, Row)] of all messages in one call."""
    out = room_for(room, 77)
    ids = module.Ids([sensor_id.encode() for sensor_id in IDS])
    given = payloads([m if isinstance(m, bytes) else m.encode() for m in messages], record_ts)
    following, filled = module.decode(*given, ids, *out, 0)
    assert following == len(messages)
    return rows_in(out, filled)


def one(module, message, record_ts=STAMP):
    ((_, row),) = rows_of(module, [message], record_ts)
    return row


def row(kind=0, reason=0, sensor=-1, ts=TS, span_ms=0, n=NOBODY, seq=None, x=0, y=0, record_ts=STAMP):
    return decode.Row(kind, reason, sensor, ts, span_ms, n, seq or 0, int(seq is not None), x, y, record_ts)


def rejected(reason, kind=CROSS, sensor=0, ts=TS, record_ts=STAMP):
    return row(kind, reason, sensor, ts, record_ts=record_ts)


def cross(more="", sensor='"j1-03"', ts=TS):
    return f'{{"sensor":{sensor},"ts":{ts},"type":"cross"{more}}}'


def count(fields='"span_ms":60000,"ab":6,"ba":8,"un":0', ts=TS):
    return f'{{"sensor":"j1-03","ts":{ts},"type":"count",{fields}}}'


def counted(n, span_ms=60_000, **more):
    return row(COUNT, 0, 0, TS, span_ms, n, **more)


GOOD = {
    "cross ab": (cross(',"dir":"ab","seq":88121'), row(CROSS, 0, 0, n=AB, seq=88121)),
    "cross ba": (cross(',"dir":"ba"'), row(CROSS, 0, 0, n=BA)),
    "direction absent": (cross(), row(CROSS, 0, 0, n=UN)),
    "direction null": (cross(',"dir":null'), row(CROSS, 0, 0, n=UN)),
    "direction escaped": (cross(r',"dir":"\u0061b"'), row(CROSS, 0, 0, n=AB)),
    "seq zero": (cross(',"seq":0'), row(CROSS, 0, 0, n=UN, seq=0)),
    "seq minus zero": (cross(',"seq":-0'), row(CROSS, 0, 0, n=UN, seq=0)),
    "seq null": (cross(',"seq":null'), row(CROSS, 0, 0, n=UN)),
    "least seq": (cross(',"seq":-9223372036854775808'), row(CROSS, 0, 0, n=UN, seq=-(2**63))),
    "greatest seq": (cross(',"seq":9223372036854775807'), row(CROSS, 0, 0, n=UN, seq=2**63 - 1)),
    "count": (count(), counted((6, 8, 0))),
    "count, one direction": (count('"span_ms":1,"ba":3'), counted((0, 3, 0), 1)),
    "count, others null": (count('"span_ms":1,"ab":null,"ba":null,"un":0'), counted(NOBODY, 1)),
    "count, longest span": (count(f'"span_ms":{YEAR_AND_A_DAY},"un":1'), counted(UN, YEAR_AND_A_DAY)),
    "count, most people": (count(f'"span_ms":9,"ab":{MOST},"un":-0'), counted((MOST, 0, 0), 9)),
    "count with seq": (count('"span_ms":9,"ab":1,"seq":7'), counted(AB, 9, seq=7)),
    "heartbeat": ('{"sensor":"j2-01","ts":1,"type":"heartbeat"}', row(HEARTBEAT, 0, 1, 1)),
    "heartbeat with seq": ('{"seq":5,"sensor":"j2-01","ts":1,"type":"heartbeat"}', row(HEARTBEAT, 0, 1, 1, seq=5)),
    "tick": ('{"type":"tick","ts":5}', row(TICK, ts=5)),
    "tick uses ts alone": ('{"type":"tick","ts":5,"sensor":"j1-03","seq":1.5}', row(TICK, ts=5)),
    "registry": ('{"type":"registry","registry":{"version":"1","ts":9}}', row(REGISTRY, ts=NO_TIME)),
    "registry with ts": ('{"type":"registry","registry":{},"ts":9}', row(REGISTRY, ts=9)),
    "set": ('{"type":"set","zone":"c1","people":0,"by":"me","ts":9}', row(SET, ts=9)),
    "set, nothing checked": ('{"type":"set","ts":"soon","sensor":7,"seq":{}}', row(SET, ts=NO_TIME)),
    "sensor not in the table": (cross(sensor='"j9"'), row(CROSS, n=UN)),
    "empty id": (cross(sensor='""'), row(CROSS, 0, 6, n=UN)),
    "id of 8 bytes": (cross(sensor='"12345678"'), row(CROSS, 0, 8, n=UN)),
    "id of 9 bytes": (cross(sensor='"123456789"'), row(CROSS, 0, 9, n=UN)),
    "id that only begins like one": (cross(sensor='"1234567"'), row(CROSS, n=UN)),
    "id with a NUL more": (cross(sensor=r'"j1-03\u0000"'), row(CROSS, n=UN)),
    "id with a NUL": (cross(sensor=r'"nul\u0000"'), row(CROSS, 0, 7, n=UN)),
    "id of 64 bytes": (cross(sensor=f'"{"x" * 64}"'), row(CROSS, 0, 3, n=UN)),
    "id of 63 bytes in 21 signs": (cross(sensor=f'"{"狸" * 21}"'), row(CROSS, 0, 5, n=UN)),
    "id beyond ASCII": (cross(sensor='"狸小路"'), row(CROSS, 0, 2, n=UN)),
    "id escaped": (cross(sensor=r'"\u72f8小\u8DEF"'), row(CROSS, 0, 2, n=UN)),
    "id with an escaped quote": (cross(sensor=r'"a\"b"'), row(CROSS, 0, 4, n=UN)),
    "id of 64 bytes, 384 escaped": (cross(sensor='"' + r"\u0078" * 64 + '"'), row(CROSS, 0, 3, n=UN)),
    "keys escaped": (
        r'{"\u0073ensor":"j1-03","t\u0073":1,"\u0074ype":"\u0063ross","\u0064ir":"ba"}',
        row(CROSS, 0, 0, 1, n=BA),
    ),
    "a key that begins like one": (cross(r',"ts\"":"no","t":0,"tss":0,"ts\u0000":0'), row(CROSS, 0, 0, n=UN)),
    "last duplicate wins": (
        '{"ts":"x","type":"count","sensor":1,"type":"cross","sensor":"j1-03","ts":2}',
        row(CROSS, 0, 0, 2, n=UN),
    ),
    "last duplicate is null": (cross(',"dir":"ab","dir":null'), row(CROSS, 0, 0, n=UN)),
    "last duplicate is escaped": (cross(r',"dir":"ab","\u0064ir":"ba"'), row(CROSS, 0, 0, n=BA)),
    "white space": (' {\t"sensor" : "j1-03" ,\r\n"ts": 7 ,"type" :"cross" } \n', row(CROSS, 0, 0, 7, n=UN)),
    "the greatest finite number": (cross(f',"x":{INFINITE - 1}e0,"y":-{INFINITE - 1}'), row(CROSS, 0, 0, n=UN)),
    "fields of other types": (cross(',"ab":-1,"span_ms":"x","un":{},"zone":[]'), row(CROSS, 0, 0, n=UN)),
    "direction in a count": (count('"span_ms":9,"ab":1,"dir":"up"'), counted(AB, 9)),
    "unknown fields": (cross(',"a":{"ts":[1,{"b":null}],"":-1.5e-3},"z":[[],{},true,false]'), row(CROSS, 0, 0, n=UN)),
    "record_ts of a message with one": (cross(',"record_ts":"never"'), row(CROSS, 0, 0, n=UN)),
    "first instant": (cross(ts=EARLIEST), row(CROSS, 0, 0, EARLIEST, n=UN)),
    "last instant": (cross(ts=LATEST - 1), row(CROSS, 0, 0, LATEST - 1, n=UN)),
}

BAD = {
    "truncated": ('{"sensor":"j1-03","ts":1,"type":"cross"', row(0, MALFORMED, ts=NO_TIME)),
    "trailing garbage": (cross() + "x", row(0, MALFORMED, ts=NO_TIME)),
    "two documents": (cross() + cross(), row(0, MALFORMED, ts=NO_TIME)),
    "byte order mark": (b"\xef\xbb\xbf" + cross().encode(), row(0, MALFORMED, ts=NO_TIME)),
    "NaN": (cross(',"x":NaN'), row(0, MALFORMED, ts=NO_TIME)),
    "infinite": (cross(',"x":1e999'), row(0, MALFORMED, ts=NO_TIME)),
    "the least infinite number": (cross(f',"x":{INFINITE}'), row(0, MALFORMED, ts=NO_TIME)),
    "lone surrogate": (cross(r',"x":"\ud800"'), row(0, MALFORMED, ts=NO_TIME)),
    "not UTF-8": (b'{"x":"\xff"}', row(0, MALFORMED, ts=NO_TIME)),
    "a number": ("17", row(0, MALFORMED, ts=NO_TIME)),
    "null": ("null", row(0, MALFORMED, ts=NO_TIME)),
    "a string": ('"cross"', row(0, MALFORMED, ts=NO_TIME)),
    "empty object": ("{}", rejected(MISSING_FIELD, 0, -1, NO_TIME)),
    "no type": ('{"sensor":"j1-03","ts":1}', rejected(MISSING_FIELD, 0, 0, 1)),
    "type null": ('{"sensor":"j1-03","ts":1,"type":null}', rejected(MISSING_FIELD, 0, 0, 1)),
    "type of another topic": ('{"sensor":"j1-03","ts":1,"type":"touch"}', rejected(UNKNOWN_TYPE, 0, 0, 1)),
    "type empty": ('{"type":""}', rejected(UNKNOWN_TYPE, 0, -1, NO_TIME)),
    "type in capitals": ('{"type":"Cross"}', rejected(UNKNOWN_TYPE, 0, -1, NO_TIME)),
    "type a number": ('{"type":1}', rejected(UNKNOWN_TYPE, 0, -1, NO_TIME)),
    "type a list": ('{"type":["cross"]}', rejected(UNKNOWN_TYPE, 0, -1, NO_TIME)),
    "type true": ('{"type":true}', rejected(UNKNOWN_TYPE, 0, -1, NO_TIME)),
    "type far too long": ('{"type":"' + r"\u0078" * 99 + '"}', rejected(UNKNOWN_TYPE, 0, -1, NO_TIME)),
    "unknown type before bad value": ('{"sensor":1,"type":"touch"}', rejected(UNKNOWN_TYPE, 0, -1, NO_TIME)),
    "no ts": ('{"sensor":"j1-03","type":"cross"}', rejected(MISSING_FIELD, ts=NO_TIME)),
    "ts null": (cross(ts="null"), rejected(MISSING_FIELD, ts=NO_TIME)),
    "no sensor": ('{"ts":1,"type":"heartbeat"}', rejected(MISSING_FIELD, HEARTBEAT, -1, 1)),
    "sensor null": (cross(sensor="null"), rejected(MISSING_FIELD, sensor=-1)),
    "missing before bad": ('{"sensor":7,"type":"cross","dir":"up"}', rejected(MISSING_FIELD, sensor=-1, ts=NO_TIME)),
    "count without span": (count('"ab":6'), rejected(MISSING_FIELD, COUNT)),
    "count without people": (count('"span_ms":6'), rejected(MISSING_FIELD, COUNT)),
    "count with nulls alone": (count('"span_ms":6,"ab":null,"un":null'), rejected(MISSING_FIELD, COUNT)),
    "tick without ts": ('{"type":"tick","ts":null}', rejected(MISSING_FIELD, TICK, -1, NO_TIME)),
    "tick with a bad ts": ('{"type":"tick","ts":1.0}', rejected(BAD_VALUE, TICK, -1, NO_TIME)),
    "19 digits as id": (cross(sensor="1234567890123456789"), rejected(BAD_VALUE, sensor=-1)),
    "id of 65 bytes": (cross(sensor=f'"{"x" * 65}"'), rejected(BAD_VALUE, sensor=-1)),
    "id of 66 bytes in 22 signs": (cross(sensor=f'"{"狸" * 22}"'), rejected(BAD_VALUE, sensor=-1)),
    "id of 65 bytes, escaped": (cross(sensor='"' + "x" * 64 + r'\n"'), rejected(BAD_VALUE, sensor=-1)),
    "id a list": (cross(sensor='["j1-03"]'), rejected(BAD_VALUE, sensor=-1)),
    "direction another word": (cross(',"dir":"up","seq":4'), rejected(BAD_VALUE)),
    "direction longer": (cross(',"dir":"abc"'), rejected(BAD_VALUE)),
    "direction empty": (cross(',"dir":""'), rejected(BAD_VALUE)),
    "direction false": (cross(',"dir":false'), rejected(BAD_VALUE)),
    "direction far too long": (cross(',"dir":"' + r"\u0061" * 99 + '"'), rejected(BAD_VALUE)),
    "seq with point": (cross(',"seq":1.0'), rejected(BAD_VALUE)),
    "seq a string": (cross(',"seq":"1"'), rejected(BAD_VALUE)),
    "seq true": (cross(',"seq":true'), rejected(BAD_VALUE)),
    "seq beyond int64": (cross(',"seq":9223372036854775808'), rejected(BAD_VALUE)),
    "seq below int64": (cross(',"seq":-9223372036854775809'), rejected(BAD_VALUE)),
    "seq of 20 digits": (cross(',"seq":10000000000000000000'), rejected(BAD_VALUE)),
    "count 6.0": (count('"span_ms":60000,"ab":6.0'), rejected(BAD_VALUE, COUNT)),
    "count 1e3": (count('"span_ms":60000,"ba":1e3'), rejected(BAD_VALUE, COUNT)),
    "count negative": (count('"span_ms":60000,"un":-1'), rejected(BAD_VALUE, COUNT)),
    "count beyond the most": (count(f'"span_ms":60000,"ab":{MOST + 1}'), rejected(BAD_VALUE, COUNT)),
    "count a string": (count('"span_ms":60000,"ab":1,"ba":"2"'), rejected(BAD_VALUE, COUNT)),
    "span zero": (count('"span_ms":0,"ab":1'), rejected(BAD_VALUE, COUNT)),
    "span negative": (count('"span_ms":-60000,"ab":1'), rejected(BAD_VALUE, COUNT)),
    "span above a year": (count(f'"span_ms":{YEAR_AND_A_DAY + 1},"ab":1'), rejected(BAD_VALUE, COUNT)),
    "span a string": (count('"span_ms":"60000","ab":1'), rejected(BAD_VALUE, COUNT)),
    "before the first instant": (cross(ts=EARLIEST - 1), rejected(BAD_VALUE, ts=NO_TIME)),
    "after the last instant": (cross(ts=LATEST), rejected(BAD_VALUE, ts=NO_TIME)),
    "ts true": (cross(ts="true"), rejected(BAD_VALUE, ts=NO_TIME)),
    "ts with exponent": (cross(ts="1e12"), rejected(BAD_VALUE, ts=NO_TIME)),
    "ts in digits of a string": (cross(ts='"1770450000123"'), rejected(BAD_VALUE, ts=NO_TIME)),
}


@pytest.mark.parametrize("message, expected", [*GOOD.values(), *BAD.values()], ids=[*GOOD, *BAD])
def test_one_object_is_one_row(both, message, expected):
    assert one(both, message) == expected
    surrounded = f"[{message}]" if isinstance(message, str) else b"[" + message + b"]"
    if expected.reason != MALFORMED:
        assert one(both, surrounded) == expected


TIMES = {
    '"2026-02-07T07:40:00.123Z"': TS,
    '"2026-02-07T16:40:00.123+09:00"': TS,
    '"2026-02-06t19:10:00.123999999999999999999999999999999999999999999999999999999999999999-12:30"': TS,
    '"2026-02-07 07:40:00.1z"': TS - 23,
    '"2026-02-07T07:40:00Z"': TS - 123,
    r'"2026\u002d02-07T07:40:00.12\u0033' + r"\u0039" * 70 + r'\u005A"': TS,
    '"1970-01-01T00:00:00+23:59"': -86_340_000,
    '"2024-02-29T00:00:00Z"': 1_709_164_800_000,
    '"2000-02-29T23:59:59.999Z"': 951_868_799_999,
    '"1900-01-01T00:00:00Z"': EARLIEST,
    '"1899-12-31T23:59:59.999Z"': None,
    '"2199-12-31T23:59:59.999Z"': LATEST - 1,
    '"2200-01-01T00:00:00Z"': None,
    '"2200-01-01T00:00:00+00:01"': LATEST - 60_000,
    '"0001-01-01T00:00:00Z"': None,
    '"9999-12-31T23:59:59Z"': None,
    '"0000-01-01T00:00:00Z"': None,
    '"2100-02-29T00:00:00Z"': None,
    '"2025-02-29T00:00:00Z"': None,
    '"2026-02-07T07:40:00.123"': None,
    '"2026-02-07T24:00:00Z"': None,
    '"2026-02-07T23:60:00Z"': None,
    '"2026-02-07T23:59:60Z"': None,
    '"2026-00-07T07:40:00Z"': None,
    '"2026-13-07T07:40:00Z"': None,
    '"2026-04-31T07:40:00Z"': None,
    '"2026-04-00T07:40:00Z"': None,
    '"2026-02-07T07:40:00.Z"': None,
    '"2026-02-07T07:40:00,5Z"': None,
    '"2026-02-07T07:40Z"': None,
    '"2026-02-07T07:40:00+0900"': None,
    '"2026-02-07T07:40:00+24:00"': None,
    '"2026-02-07T07:40:00+09:60"': None,
    '"2026-02-07T07:40:00ZZ"': None,
    '"2026-02-07T07:40:00Z "': None,
    r'"2026-02-07T07:40:00Z\u0000"': None,
    '" 2026-02-07T07:40:00Z"': None,
    '"2026-02-07T07:40:00"': None,
    '"２026-02-07T07:40:00Z"': None,
    '"2026-02-07T07:40:00\u221209:00"': None,
    '"2026-02-07"': None,
    '"2026"': None,
    '""': None,
}


@pytest.mark.parametrize("text, ms", TIMES.items(), ids=range(len(TIMES)))
def test_times_are_rfc_3339_with_offset(both, text, ms):
    expected = rejected(BAD_VALUE, ts=NO_TIME) if ms is None else row(CROSS, 0, 0, ms, n=UN)
    assert one(both, cross(ts=text)) == expected


FILE = {
    "absent": (cross(), row(CROSS, 0, 0, n=UN, record_ts=TS)),
    "null": (cross(',"record_ts":null'), row(CROSS, 0, 0, n=UN, record_ts=TS)),
    "integer": (cross(',"record_ts":5'), row(CROSS, 0, 0, n=UN, record_ts=5)),
    "RFC 3339": (cross(',"record_ts":"1970-01-01T00:00:01Z"'), row(CROSS, 0, 0, n=UN, record_ts=1000)),
    "of a count": (count(), counted((6, 8, 0), record_ts=TS + 60_000)),
    "of a count, told": (count('"record_ts":1,"span_ms":9,"ab":1'), counted(AB, 9, record_ts=1)),
    "of a tick": ('{"type":"tick","ts":5}', row(TICK, ts=5, record_ts=5)),
    "of a tick, told": ('{"type":"tick","ts":5,"record_ts":6}', row(TICK, ts=5, record_ts=6)),
    "of a tick, bad": ('{"type":"tick","ts":5,"record_ts":"6"}', rejected(BAD_VALUE, TICK, -1, 5, NO_TIME)),
    "of a set": ('{"type":"set","ts":5}', row(SET, ts=5, record_ts=5)),
    "of a set, told": ('{"type":"set","ts":5,"record_ts":6}', row(SET, ts=5, record_ts=6)),
    "of a set, bad": ('{"type":"set","ts":5,"record_ts":"6"}', row(SET, ts=5, record_ts=5)),
    "of a registry": ('{"type":"registry"}', row(REGISTRY, ts=NO_TIME, record_ts=NO_TIME)),
    "a word": (cross(',"record_ts":"now"'), rejected(BAD_VALUE, record_ts=NO_TIME)),
    "with point": (cross(',"record_ts":5.0'), rejected(BAD_VALUE, record_ts=NO_TIME)),
    "out of range": (cross(f',"record_ts":{LATEST}'), rejected(BAD_VALUE, record_ts=NO_TIME)),
    "of a reject": (cross(',"dir":"up"'), rejected(BAD_VALUE, record_ts=NO_TIME)),
    "of a reject, told": (cross(',"dir":"up","record_ts":7'), rejected(BAD_VALUE, record_ts=7)),
    "of what is malformed": ("17", row(0, MALFORMED, ts=NO_TIME, record_ts=NO_TIME)),
}


@pytest.mark.parametrize("message, expected", FILE.values(), ids=FILE)
def test_a_message_without_record_ts_takes_the_record_s_own(both, message, expected):
    assert one(both, message, NO_TIME) == expected


@pytest.mark.parametrize(
    "message, reasons",
    [
        ("", []),
        (" \t\r\n", []),
        ("[]", []),
        (" [ ] ", []),
        (f"[{cross()},{cross()}]", [0, 0]),
        (f" [ {cross()} , {{}} ] ", [0, MISSING_FIELD]),
        ('[1,"a",null,[],[{}],{"type":"tick","ts":1}]', [MALFORMED] * 5 + [0]),
        (f"[{cross()},{cross()}", [MALFORMED]),
        (f"[{cross()},{cross()}]]", [MALFORMED]),
        (f"[{cross()},]", [MALFORMED]),
        (f"[{cross()} {cross()}]", [MALFORMED]),
        (f"[{cross()}, [1,]]", [MALFORMED]),
        ("[", [MALFORMED]),
        ("]", [MALFORMED]),
        ("[,]", [MALFORMED]),
        ("\v", [MALFORMED]),
        ("\0", [MALFORMED]),
    ],
)
def test_rows_of_a_message(both, message, reasons):
    found = rows_of(both, [cross(), message, cross()])
    assert [r.reason for _, r in found] == [0, *reasons, 0]
    assert [i for i, _ in found] == [0, *[1] * len(reasons), 2]


@pytest.mark.parametrize("opening, closing, levels", [("[", "]", 1), ('{"a":', "}", 1), ('[{"a":', "}]", 2)])
@pytest.mark.parametrize("innermost", ["0", "[]", "{}"])
@pytest.mark.parametrize("whole", ["{}", "[{}]"])
def test_containers_nest_1024_deep_and_no_deeper(both, opening, closing, levels, innermost, whole):
    around = len(whole) // 2 + (innermost != "0")  # containers beside those that repeat
    repeats = (1024 - around) // levels
    assert repeats * levels + around in (1023, 1024)

    def reason(repeats):
        value = opening * repeats + innermost + closing * repeats
        return one(both, whole.replace("{}", f'{{"type":"tick","ts":1,"x":{value}}}')).reason

    assert reason(repeats) == 0
    assert reason(repeats + 1) == MALFORMED


def test_what_does_not_fit_waits_for_the_next_call(both):
    messages = [m.encode() for m in (cross(), f"[{cross()},{cross()},{cross()}]", "", f"[{cross()},", "[]")]
    given, ids = payloads(messages), both.Ids([])
    assert both.decode(*given, ids, *room_for(0), 0) == (0, 0)
    assert both.decode(*given, ids, *room_for(1), 0) == (1, 1)
    assert both.decode(*given, ids, *room_for(3), 0) == (1, 1)
    assert both.decode(*given, ids, *room_for(2), 1) == (1, 0), "no progress: the caller grows the columns"
    assert both.decode(*given, ids, *room_for(3), 1) == (3, 3), "a message without rows always fits"
    assert both.decode(*given, ids, *room_for(1), 3) == (5, 1), "a malformed array is one row"
    assert both.decode(*given, ids, *room_for(0), 4) == (5, 0)
    assert both.decode(*given, ids, *room_for(9), 5) == (5, 0)


def test_messages_may_lie_anywhere_in_the_buffer(both):
    text = b'{"type":"tick","ts":1}'
    starts, ends = np.array([10, 0, 10], np.int64), np.array([32, 0, 31], np.int64)
    out = room_for(3)
    for data in (b" " * 10 + text, memoryview(b" " * 10 + text), np.frombuffer(b" " * 10 + text, np.uint8)):
        assert both.decode(data, starts, ends, starts, both.Ids([]), *out, 0) == (3, 2)
        assert out[1][:2].tolist() == [0, MALFORMED]
        assert out[-1][:2].tolist() == [0, 2]
    nothing = np.zeros(1, np.int64)
    assert both.decode(b"", nothing, nothing, nothing, both.Ids([]), *out, 0) == (1, 0)


def test_ids_are_found_exactly(both):
    ids = [f"s{i:0{width}}".encode() for width in (1, 7, 8, 15, 16, 63) for i in range(300)]
    ids = list(dict.fromkeys(ids))
    table = both.Ids(ids)
    assert len(table) == len(ids)
    assert [table.find(i) for i in ids] == list(range(len(ids)))
    assert table.find(b"s0\0") == table.find(b"") == table.find(b"S0") == table.find(b"s" * 65) == -1
    assert both.Ids([]).find(b"s0") == -1


def test_the_kernel_s_constants_are_the_model_s():
    assert {name: getattr(model, name) for name in _decode.CONSTANTS} == _decode.CONSTANTS


def test_a_batch_grows_its_columns(kernels):
    messages = [m.encode() for m in (cross(), "", "[" + ",".join([cross()] * 1000) + "]", count(), "{")] * 3
    data, starts, ends, record_ts = payloads(messages)
    events = batch.decode_events(Payloads(data, starts, ends, record_ts, starts), kernels.Ids([b"j1-03"]))
    assert len(events) == 3 * 1003
    assert events.n.sum(axis=0).tolist() == [18, 24, 3 * 1001]
    assert np.bincount(events.reason).tolist() == [3 * 1002, 3]
    assert np.unique(events.message).tolist() == [i for i in range(15) if i % 5 != 1]
    assert (np.diff(events.message) >= 0).all()
    none = np.zeros(0, np.int64)
    assert len(batch.decode_events(Payloads(b"", none, none, none, none), kernels.Ids([]))) == 0
