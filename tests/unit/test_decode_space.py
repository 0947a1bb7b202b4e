"""Points, beams and readings of occupancy on the wire, and the numbers they hold, on both implementations."""

import math

import numpy as np
import pytest

from engine import decode
from engine.fast import _decode
from engine.model import BAD_VALUE, BEAM, COUNT_MAX, MISSING_FIELD, OCCUPANCY, POINT
from tests.support.decoded import room_for
from tests.unit.test_decode import NOBODY, TS, cross, one, payloads, row, rows_of

both = pytest.fixture(params=[decode, _decode], ids=["reference", "compiled"])(lambda request: request.param)

UNTOLD = None  # a speed
FAR, JUST_BEYOND = 10**6, "1000000.0000000001"
MOST = 2**63 - 1


def point(fields='"track":17,"x":3.21,"y":-1.10'):
    return f'{{"sensor":"j1-03","ts":{TS},"type":"point",{fields}}}'


def beam(fields='"beam":"a","on":true'):
    return f'{{"sensor":"j1-03","ts":{TS},"type":"beam",{fields}}}'


def occupancy(fields='"people":37,"speed":0.4'):
    return f'{{"sensor":"j1-03","ts":{TS},"type":"occupancy",{fields}}}'


def placed(x=3.21, y=-1.1, track=17):
    return row(POINT, 0, 0, seq=track, x=x, y=y)


def inside(people, speed=UNTOLD):
    return row(OCCUPANCY, 0, 0, n=(0, 0, people), x=speed, y=None)


GOOD = {
    "point": (point(), placed()),
    "point of integers": (point('"track":0,"x":-7,"y":12'), placed(-7, 12, 0)),
    "point at the origin": (point('"track":1,"x":-0,"y":0.0e5'), placed(0, 0, 1)),
    "point with exponents": (point('"track":1,"x":1.5E+2,"y":-25e-1'), placed(150, -2.5, 1)),
    "point as far as can be": (point(f'"track":{MOST},"x":{FAR},"y":-1e6'), placed(FAR, -FAR, MOST)),
    "point that rounds to as far as can be": (point('"track":1,"x":1000000.00000000001,"y":0'), placed(FAR, 0, 1)),
    "point with seq": (point('"seq":5,"track":17,"x":3.21,"y":-1.1'), placed()),
    "point with fields of others": (point('"track":17,"x":3.21,"y":-1.1,"ab":-1,"on":7,"people":"x"'), placed()),
    "point, fields twice": (point('"x":"no","track":null,"track":17,"y":9,"x":3.21,"y":-1.1'), placed()),
    "point, keys escaped": (point(r'"tr\u0061ck":17,"\u0078":3.21,"\u0079":-1.1'), placed()),
    "beam a": (beam(), row(BEAM, 0, 0, n=(1, 0, 0))),
    "beam b": (beam('"on":true,"beam":"b","seq":4'), row(BEAM, 0, 0, n=(0, 1, 0), seq=4)),
    "beam escaped": (beam(r'"on":true,"beam":"\u0062"'), row(BEAM, 0, 0, n=(0, 1, 0))),
    "beam off": (beam('"beam":"a","on":false'), row(BEAM, 0, 0)),
    "beam off, with seq": (beam('"beam":"b","on":false,"seq":-9'), row(BEAM, 0, 0, seq=-9)),
    "occupancy": (occupancy(), inside(37, 0.4)),
    "occupancy of nobody": (occupancy('"people":0'), inside(0)),
    "occupancy, speed null": (occupancy('"people":3,"speed":null'), inside(3)),
    "occupancy, most people": (occupancy(f'"people":{COUNT_MAX},"speed":0'), inside(COUNT_MAX, 0)),
    "occupancy, greatest speed": (occupancy('"people":1,"speed":1e2,"x":"?"'), inside(1, 100)),
    "occupancy with seq": (occupancy('"people":1,"seq":8'), inside(1)._replace(seq=8, has_seq=1)),
    "fields of these in a cross": (
        cross(',"x":"?","y":[],"track":-1,"beam":"c","on":0,"people":1.5,"speed":-3'),
        row(1, 0, 0, n=(0, 0, 1)),
    ),
}
MISSING = {
    "track": point('"x":1,"y":2'),
    "track null": point('"track":null,"x":1,"y":2'),
    "x": point('"track":1,"y":2'),
    "y": point('"track":1,"x":2'),
    "y null, x bad": point('"track":1,"x":"?","y":null'),
    "beam": beam('"on":true'),
    "beam null": beam('"beam":null,"on":true'),
    "on": beam('"beam":"a"'),
    "people": occupancy('"speed":1'),
    "people null, speed bad": occupancy('"people":null,"speed":-1'),
}
BAD = {
    "track negative": point('"track":-1,"x":1,"y":2'),
    "track with point": point('"track":1.0,"x":1,"y":2'),
    "track beyond int64": point(f'"track":{MOST + 1},"x":1,"y":2'),
    "track a string": point('"track":"1","x":1,"y":2'),
    "x a string": point('"track":1,"x":"1","y":2'),
    "x true": point('"track":1,"x":true,"y":2'),
    "x a list": point('"track":1,"x":[1],"y":2'),
    "x too far": point(f'"track":1,"x":{FAR + 1},"y":2'),
    "x just too far": point(f'"track":1,"x":{JUST_BEYOND},"y":2'),
    "x far too far": point('"track":1,"x":-1e308,"y":2'),
    "x beyond int64": point('"track":1,"x":18446744073709551616,"y":2'),
    "y too far": point(f'"track":1,"x":2,"y":-{JUST_BEYOND}'),
    "point with a bad seq": point('"track":1,"x":1,"y":2,"seq":"1"'),
    "beam another letter": beam('"beam":"c","on":true'),
    "beam longer": beam('"beam":"ab","on":true'),
    "beam empty": beam('"beam":"","on":true'),
    "beam true": beam('"beam":true,"on":true'),
    "beam far too long": beam('"beam":"' + r"\u0061" * 99 + '","on":true'),
    "on a number": beam('"beam":"a","on":1'),
    "on a string": beam('"beam":"a","on":"true"'),
    "beam with a bad seq": beam('"beam":"a","on":true,"seq":1.5'),
    "people negative": occupancy('"people":-1'),
    "people with point": occupancy('"people":1.0'),
    "people too many": occupancy(f'"people":{COUNT_MAX + 1}'),
    "people false": occupancy('"people":false'),
    "speed negative": occupancy('"people":1,"speed":-1e-9'),
    "speed too great": occupancy('"people":1,"speed":100.00000000000002'),
    "speed a string": occupancy('"people":1,"speed":"1"'),
    "occupancy with a bad seq": occupancy('"people":1,"seq":{}'),
}
KIND = {"point": POINT, "beam": BEAM, "occupancy": OCCUPANCY}


@pytest.mark.parametrize("message, expected", GOOD.values(), ids=GOOD)
def test_what_a_row_says(both, message, expected):
    assert one(both, message) == one(both, f"[{message}]") == expected


@pytest.mark.parametrize(
    "message, reason",
    [*((m, MISSING_FIELD) for m in MISSING.values()), *((m, BAD_VALUE) for m in BAD.values())],
    ids=[*MISSING, *BAD],
)
def test_a_row_refused_keeps_what_is_known_of_it(both, message, reason):
    kind = next(code for word, code in KIND.items() if f'"type":"{word}"' in message)
    assert one(both, message) == row(kind, reason, 0, n=NOBODY)


def test_x_and_y_are_left_alone_where_they_have_no_meaning(both):
    messages = [cross(), beam(), point('"track":1,"x":1,"y":1e7'), point(), '{"type":"tick","ts":1}', occupancy(), "["]
    out = room_for(8, 77)
    both.decode(*payloads([m.encode() for m in messages]), both.Ids([]), *out, 0)
    x, y = out[list(decode.COLUMNS).index("x")].tolist(), out[list(decode.COLUMNS).index("y")].tolist()
    assert x == [77, 77, 77, 3.21, 77, 0.4, 77, 77]
    assert y[:5] == [77, 77, 77, -1.1, 77]
    assert math.isnan(y[5])
    assert y[6:] == [77, 77]


def test_a_point_without_record_ts_takes_its_own(both):
    ((_, found),) = rows_of(both, [point()], -(2**63))
    assert found.record_ts == TS


# ------------------------------------------------------------------------------------------- the nearest double
def value_of(module, text):
    """The double that the text of a number becomes, by its bits."""
    out = room_for(1, 77)
    message = f'{{"type":"point","sensor":"","ts":1,"track":0,"x":{text},"y":0}}'.encode()
    assert module.decode(*payloads([message]), module.Ids([]), *out, 0) == (1, 1)
    return out[list(decode.COLUMNS).index("x")][0].view(np.int64) if not out[1][0] else None


NUMBERS = {
    "0.1e1": 1.0,
    "-0.0": -0.0,
    "-0": 0.0,
    "-0e5": -0.0,
    "5e-324": 5e-324,
    "4.9406564584124654e-324": 5e-324,
    "2.4703282292062327e-324": 0.0,
    "2.4703282292062328e-324": 5e-324,
    "2.2250738585072011e-308": 2.225073858507201e-308,
    "2.2250738585072014e-308": 2.2250738585072014e-308,
    "2.225073858507201136057409796709131975934819546351645648023426109724822222021076945516529523908135087914e-308": (
        2.225073858507201e-308
    ),
    "1e-400": 0.0,
    "-1e-99999999999999999999999": -0.0,
    "0e99999999999999999999999": 0.0,
    "1e-27": 1e-27,
    "1e-28": 1e-28,
    "9999999999999999999e-27": 9999999999999999999e-27,
    "9999999999999999999999e-27": 9999999999999999999999e-27,
    "0." + "0" * 1100 + "1e1100": 0.1,
    "0." + "0" * 1100 + "1": 0.0,
    "1" + "0" * 300 + "e-300": 1.0,
    "999999." + "9" * 1200: 1e6,
    "0.3" + "0" * 1200 + "1": 0.3,
    "3.2099999999999999644728632119949907064437866210937500": 3.21,
}


@pytest.mark.parametrize("text, value", NUMBERS.items(), ids=range(len(NUMBERS)))
def test_a_number_is_the_nearest_double(both, text, value):
    assert text == "-0" or float(text).hex() == value.hex(), "what Python reads"
    assert value_of(both, text) == np.float64(value).view(np.int64)
