"""Documents for the differential fuzz: a grammar of events with everything odd in it, then cuts and damage.

Pools of keys and values are made first and documents put together from them, so that a document costs about ten
microseconds; new pools come every ``POOL_LASTS`` documents. All of it is a function of the seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from tests.property.test_decode_fuzz import PARTS, SEEDS, TOKENS

POOL_LASTS = 20_000
IDS = [b"j1-03", "狸小路".encode(), b"x" * 64, b"", b"12345678", b"a\0", b'"\\/']
WORDS = ["cross", "count", "heartbeat", "tick", "set", "registry", "point", "beam", "occupancy"]
KEYS = ["sensor", "ts", "type", "dir", "seq", "span_ms", "ab", "ba", "un", "record_ts"]
KEYS += ["track", "x", "y", "beam", "on", "people", "speed"]
KINDS = [KEYS[3:5], KEYS[4:9], ["track", "x", "y"], ["beam", "on"], ["people", "speed"]]  # besides type, sensor, ts
STRANGE_KEYS = ["", "t", "tss", 'ts"', "TS", "sensors", "span_mss", "record_t", "record_tsx", "狸", "\0", "x" * 70]
STRANGE_KEYS += ["xx", 'y"', "o", "ons", "tracks", "trac", "beams", "peoples", "speeds"]
TIMES = ["2026-02-07T07:40:00.123Z", "2026-02-07T07:40:00+09:00", "2024-02-29t23:59:59.9999z", "1900-01-01 00:00:00Z"]
WRONG_TIMES = ["2026-02-07T07:40:00", "2026-02-07T24:00:00Z", "2026-02-29T07:40:00Z", "2200-01-01T00:00:00Z", "Z", "20"]
EDGES = [0, 1, 10, 60_000, 366 * 86_400_000, 2**31 - 1, 2**31, 2**53, 10**18, 2**63 - 1, 2**63, 2**64 - 1, 2**64]
EDGES += [2_208_988_800_000, 7_258_118_400_000, 99_999_999, 10**8, 12345678901234567890, 10**307, 10**400]
REALS = [b"-0", b"0", b"6.0", b"1e3", b"1E-3", b"-1.5e+10", b"0e0", b"-0.0", b"0e999", b"1e308", b"1e-999", b"1.0E+2"]
REALS += [b"1.7976931348623157e308", b"0." + b"0" * 400 + b"1e720", b"-0e-0", b"123456789.123456789"]
REALS += [b"3.21", b"-1.10", b"0.4", b"1e6", b"-1000000.0000000001", b"1000000.00000000001", b"100.00000000000001"]
REALS += [b"9007199254740993e-12", b"0.1e1", b"5e-324", b"2.4703282292062328e-324", b"1e-400", b"1e-28"]
REALS += [
    b"0.1000000000000000055511151231257827021181583404541015625",
    b"1.00000000000000011102230246251565404236316680908203125",
]
NO_NUMBERS = b"01 -01 00 - -- 1. .5 -.5 1e 1e+ 1.e1 +1 0x1 NaN -Infinity 1e309 -1e999 1.8e308 1_0 1e3.0 --1".split()
ESCAPES = [rb"\"", rb"\\", rb"\/", rb"\b", rb"\f", rb"\n", rb"\r", rb"\t", rb"\u0000", rb"\u0041", rb"\u72F8"]
ESCAPES += [rb"\ud83d\ude00", rb"\uDBFF\uDFFF", rb"\u00e9", rb"\uFFFF", rb"\ue000"]
NO_ESCAPES = [rb"\ud83d", rb"\ude00", rb"\ud83dx", rb"\ud83d\n", rb"\ud83d\u0041", rb"\ud83d\ud83d", rb"\u12G4"]
NO_ESCAPES += [rb"\u12", rb"\x41", rb"\'", b"\\\n", rb"\U0041", *PARTS]
CHARACTERS = [bytes([c]) for c in range(0x20, 0x80) if c not in b'"\\']
CHARACTERS += [
    t.encode() for t in ("é", "\u0080", "\u07ff", "\u0800", "狸", "\ud7ff", "\ue000", "\uffff", "😀", "\U0010ffff")
]
NO_CHARACTERS = [b"\0", b"\n", b"\x1f", b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xed\xa0\x80"]
NO_CHARACTERS += [
    b"\xed\xbf\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf5",
    b"\xff",
    b"\xc2",
    b"\xe7\x8b",
    b'"',
]
BLANKS = [b"", b"", b"", b"", b" ", b"\n", b"\t\r ", b"         "]
NO_BLANKS = [b"\x0b", b"\x0c", b"\xc2\xa0", b"\0", b"\xef\xbb\xbf", b"/**/"]


class Documents:
    """An endless row of documents; the same seed gives the same ones."""

    keys, strange_keys, seeds = KEYS, STRANGE_KEYS, SEEDS
    always, kinds = ["type", "sensor", "ts"], KINDS

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self._fill()
            for _ in range(POOL_LASTS):
                yield self._document()

    # -------------------------------------------------------------------------------- pools
    def _fill(self) -> None:
        self._values = [self._value(0) for _ in range(1_500)]
        self._members = {name: [self._member(name) for _ in range(200)] for name in self.keys}
        self._strange = [self._key(self._rng.choice(self.strange_keys)) + b":" + self._one() for _ in range(400)]

    def _one(self) -> bytes:
        return self._rng.choice(self._values)

    def _key(self, name: str) -> bytes:
        return self._string(name, self._rng.random() < 0.1)

    def _member(self, name: str) -> bytes:
        colon = b":" if self._rng.random() < 0.8 else self._rng.choice(BLANKS) + b":" + self._rng.choice(BLANKS)
        return self._key(name) + colon + (self._usual(name) if self._rng.random() < 0.9 else self._one())

    def _usual(self, name: str) -> bytes:
        """What the field takes, mostly: so that the later checks are reached."""
        rng = self._rng
        if name == "sensor":
            return self._string(rng.choice(IDS).decode(), rng.random() < 0.3)
        if name == "type":
            return self._string(rng.choice(WORDS), rng.random() < 0.2)
        if name == "dir":
            return self._string(rng.choice(("ab", "ba")), rng.random() < 0.2)
        if name == "beam":
            return self._string(rng.choice("ab"), rng.random() < 0.2)
        if name == "on":
            return rng.choice((b"true", b"false"))
        if name in ("x", "y", "speed"):
            return self._real()
        if name in ("ts", "record_ts"):
            if rng.random() < 0.4:
                return self._string(rng.choice(TIMES if rng.random() < 0.8 else WRONG_TIMES), rng.random() < 0.2)
            return b"%d" % rng.randrange(-(2**41), 2**43)
        return b"%d" % (rng.randrange(10**11) if name == "span_ms" else rng.choice((rng.randrange(100), 2**31 - 1)))

    def _real(self) -> bytes:
        """A number that a coordinate or speed may be, mostly: in few digits, those of a double, or very many."""
        rng, r = self._rng, self._rng.random()
        if r < 0.4:
            return b"%d.%02d" % (rng.randrange(-50, 101), rng.randrange(100))
        value = rng.uniform(-1, 1) * 10 ** rng.choice((0, 1, 2, 6, rng.randrange(-330, 7), rng.randrange(-326, -290)))
        if r < 0.6:
            return repr(value).encode()
        if r < 0.7:
            return b"%d" % rng.randrange(-(10**6), 10**6)
        if r < 0.8:
            return rng.choice(REALS)
        size = rng.choice((17, 18, 19, 20, 21, 40, 60, 769, 900))
        digits = str(rng.randrange(10 ** (size - 1), 10**size))
        cut, places = rng.randrange(1, size), rng.choice((6, rng.randrange(-20, 8), rng.randrange(-340, 8)))
        text = f"{digits[:cut]}.{digits[cut:]}e{places - cut}" if r < 0.9 else f"0.{'0' * max(0, -places)}{digits}"
        return rng.choice((b"", b"-")) + text.encode()

    def _string(self, text: str, escaped: bool) -> bytes:
        """JSON of a text, some of its characters written as UTF-16 escapes."""
        parts = []
        for character in text:
            plain = json.dumps(character, ensure_ascii=False)[1:-1].encode()
            if escaped and self._rng.random() < 0.4:
                units = character.encode("utf-16-be").hex()
                plain = b"".join(b"\\u" + units[i : i + 4].encode() for i in range(0, len(units), 4))
            parts.append(plain)
        return b'"' + b"".join(parts) + b'"'

    def _value(self, depth: int) -> bytes:
        rng, r = self._rng, self._rng.random()
        if r < 0.25:
            return rng.choice((b"null", b"true", b"false") if rng.random() < 0.9 else (b"nul", b"True", b"truex"))
        if r < 0.55:
            return self._number()
        if r < 0.85 or depth > 4:
            return self._any_string()
        if r < 0.865:  # at and around the greatest depth
            deep = rng.randrange(1_018, 1_028)
            return b"[" * deep + b"]" * deep if rng.random() < 0.5 else b'{"":' * deep + b"{}" + b"}" * deep
        parts = [self._value(depth + 1) for _ in range(rng.randrange(4))]
        if rng.random() < 0.5:
            return self._joined(b"[", parts, b"]")
        keys = [self._key(rng.choice(self.strange_keys + self.keys)) for _ in parts]
        return self._joined(b"{", [key + b":" + part for key, part in zip(keys, parts, strict=True)], b"}")

    def _number(self) -> bytes:
        rng, r = self._rng, self._rng.random()
        if r < 0.4:
            return b"%d" % (rng.choice((1, -1)) * (rng.choice(EDGES) + rng.randrange(-1, 2)))
        if r < 0.6:
            return b"%d" % rng.randrange(-(10 ** rng.randrange(1, 22)), 10 ** rng.randrange(1, 22))
        if r < 0.75:
            return rng.choice(REALS)
        if r < 0.8:  # about where a double becomes infinite
            off = rng.choice((-(10**290), -1, 0, 1, 10**290))
            exponent = rng.randrange(309)
            return b"%de%d" % ((2**1024 - 2**970 + off) // 10**exponent, exponent)
        if r < 0.95:
            return repr(rng.uniform(-1, 1) * 10 ** rng.randrange(-310, 309)).encode()
        return rng.choice(NO_NUMBERS)

    def _any_string(self) -> bytes:
        rng = self._rng
        size = rng.choice((0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65))
        parts = [rng.choice(ESCAPES) if rng.random() < 0.2 else rng.choice(CHARACTERS) for _ in range(size)]
        if rng.random() < 0.15:
            parts.insert(rng.randrange(size + 1), rng.choice(NO_ESCAPES + NO_CHARACTERS))
        return b'"' + b"".join(parts) + b'"'

    def _joined(self, opening: bytes, parts: list[bytes], closing: bytes) -> bytes:
        space = self._rng.choice(BLANKS)
        return opening + space + (space + b"," + space).join(parts) + space + closing

    # ---------------------------------------------------------------------------- documents
    def _object(self) -> bytes:
        rng, members = self._rng, self._members
        r = rng.random()
        if r < 0.3:
            names = rng.sample(self.keys, rng.randrange(3, len(self.keys) + 1))
        else:
            names = [*self.always, *(self.keys[3:] if r < 0.6 else rng.choice(self.kinds))]
        parts = [rng.choice(members[name]) for name in names]
        r = rng.random()
        if r < 0.3:  # the same key once more: the last one counts
            parts.append(rng.choice(members[rng.choice(names)]))
        if r > 0.7:
            parts.insert(rng.randrange(len(parts) + 1), rng.choice(self._strange))
        return self._joined(b"{", parts, b"}")

    def _document(self) -> bytes:
        rng, r = self._rng, self._rng.random()
        if r < 0.5:
            made = self._object()
        elif r < 0.65:
            elements = [self._object() if rng.random() < 0.7 else self._one() for _ in range(rng.randrange(5))]
            made = self._joined(b"[", elements, b"]")
        elif r < 0.8:  # whatever stands here is read to its end, and well formed it gives an accepted row
            made = b'{"x":' + self._one() + b',"type":"tick","ts":1}'
        elif r < 0.9:
            made = rng.choice(self.seeds)
        elif r < 0.95:
            made = b"".join(rng.choices(TOKENS, k=rng.randrange(1, 9)))
        else:
            made = self._one()
        r = rng.random()
        if r < 0.4:
            return self._damaged(made)
        if r < 0.45:
            return made[: rng.randrange(len(made) + 1)]
        if r < 0.5:
            edge = rng.choice(BLANKS + NO_BLANKS + TOKENS)
            return edge + made if r < 0.475 else made + edge
        return made

    def _damaged(self, made: bytes) -> bytes:
        """Some bytes replaced, dropped, doubled, or a token put among them."""
        rng = self._rng
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            at = rng.randrange(len(made) + 1)
            to = at + rng.choice((0, 0, 1, 1, 2, 8))
            r = rng.random()
            if r < 0.4:
                piece = rng.choice(TOKENS)
            elif r < 0.6:
                piece = bytes([rng.randrange(256)])
            elif r < 0.7:
                piece = b""
            elif r < 0.8:
                piece = made[at:to] * 2
            else:
                piece = rng.choice(rng.choice((NO_ESCAPES, NO_CHARACTERS, NO_NUMBERS, NO_BLANKS, ESCAPES, REALS)))
            made = made[:at] + piece + made[to:]
        return made
