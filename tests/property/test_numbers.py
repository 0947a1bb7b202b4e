"""Numbers of any length and size become the double that orjson gives, and Python's float(), in both decoders."""

from __future__ import annotations

import random
from decimal import Decimal, localcontext
from itertools import pairwise

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine import decode
from engine.fast import _decode
from engine.model import FAR_M, FAST_M_S
from tests.support.decoded import room_for

both = pytest.mark.parametrize("module", [decode, _decode], ids=["reference", "compiled"])
X, REASON = (list(decode.COLUMNS).index(name) for name in ("x", "reason"))
LARGEST = int(np.float64(FAR_M).view(np.int64))  # bits of the largest coordinate


def values_of(module, texts, where="x"):
    """The bits of the doubles that numbers become, None where one is refused."""
    fields = {"x": '"type":"point","track":0,"y":0', "speed": '"type":"occupancy","people":0'}[where]
    messages = [f'{{"sensor":"","ts":1,{fields},"{where}":{text}}}'.encode() for text in texts]
    ends, out = np.cumsum([len(m) for m in messages], dtype=np.int64), room_for(len(texts))
    starts = np.append(0, ends[:-1])
    given = np.frombuffer(b"".join(messages), np.uint8), starts, ends, ends, module.Ids([])
    assert module.decode(*given, *out, 0) == (len(texts), len(texts))
    found = zip(out[REASON].tolist(), out[X].view(np.int64).tolist(), strict=True)
    return [None if reason else bits for reason, bits in found]


def digits_of(text):
    """How many digits a number has from the first one that is not 0 on."""
    return len(text.lower().partition("e")[0].replace(".", "").lstrip("-0"))


def expected(texts, least=-FAR_M, most=FAR_M):
    """The same by orjson, which float() agrees with where there are not more than 768 digits."""
    values = [float(orjson.loads(text)) for text in texts]
    assert [t for t, v in zip(texts, values, strict=True) if v != float(t) and digits_of(t) <= 768] == []
    return [int(np.float64(v).view(np.int64)) if least <= v <= most else None for v in values]


def spellings(number: Decimal) -> list[str]:
    """A positive number in plain digits and with exponents, and what lies just below and above it."""
    digits, exponent = "".join(map(str, number.as_tuple().digits)), number.as_tuple().exponent
    places = max(len(digits) + exponent, 0)
    plain = f"{number:f}"
    out = [plain, f"{number:e}", f"{digits}e{exponent}", f"0.{digits}E+{places}" if exponent < 0 and places else plain]
    out += [f"{digits}{more}e{exponent - len(more)}" for more in ("0" * 30, "1", "0" * 40 + "1", "0" * 800 + "1")]
    below = str(int(digits) - 1) if digits != "0" else "0"
    return out + [f"{below}{more}e{exponent - len(more)}" for more in ("", "9", "9" * 40, "9" * 800)]


def doubles(rng: random.Random, many: int) -> list[int]:
    """Bits of positive doubles up to the largest coordinate: of all sizes, of daily ones, at the edges of exponents."""
    daily = int(np.float64(1e-3).view(np.int64))
    out = [rng.randrange(LARGEST) for _ in range(many)] + [rng.randrange(daily, LARGEST) for _ in range(many)]
    out += [rng.randrange(1 << 53) for _ in range(many)]
    edges = [exponent << 52 for exponent in range(LARGEST >> 52)]
    return out + [bits + off for bits in rng.sample(edges, many) for off in (0, 1, 2)]


@both
def test_halfway_between_doubles_it_is_the_even_one(module):
    rng = random.Random(20260207)
    texts = []
    with localcontext() as context:
        context.prec = 2_000
        for bits in doubles(rng, 60):
            low, high = (Decimal(v) for v in np.array([bits, bits + 1]).view(np.float64).tolist())
            texts += spellings((low + high) / 2)
            texts += spellings(low)[:3]
    assert len(texts) > 4_000
    found = values_of(module, texts)
    assert [t for t, one, two in zip(texts, found, expected(texts), strict=True) if one != two] == []
    assert len(set(found)) > 500


@both
def test_shortest_and_exact_digits_come_back(module):
    rng = random.Random(5)
    values = np.array(doubles(rng, 250)).view(np.float64).tolist()
    texts = [sign + text for v in values for sign in ("", "-") for text in (repr(v), f"{v:.17g}", f"{v:.25e}")]
    texts += [repr(float(np.float32(v))) for v in values] + [f"{v:.20f}" for v in values]
    assert values_of(module, texts) == expected(texts)


@both
def test_the_limits_are_those_of_the_double(module):
    """A number is judged by the double it becomes, so both sides of a limit are those of the rounded value."""
    for limit, where in ((FAR_M, "x"), (FAST_M_S, "speed")):
        near = np.array([-3, -2, -1, 0, 1, 2, 3]) + np.float64(limit).view(np.int64)
        cuts = near.view(np.float64).tolist()
        with localcontext() as context:
            context.prec = 2_000
            middle = [(Decimal(a) + Decimal(b)) / 2 for a, b in pairwise(cuts)]
            texts = [text for number in [*map(Decimal, cuts), *middle] for text in spellings(number)]
        least = -limit if where == "x" else 0
        found = values_of(module, texts, where)
        assert found == expected(texts, least, limit)
        assert None in found


digits = st.text("0123456789", min_size=1, max_size=30)
exponents = st.one_of(
    st.just(""),
    st.integers(-45, 12).map("e{}".format),
    st.integers(-400, 400).map("E{:+}".format),
    st.integers(-(10**25), 10**25).map("e{}".format),
)
fractions = st.one_of(st.just(""), digits.map(".{}".format))
wholes = st.one_of(st.just("0"), digits.map(lambda text: text.lstrip("0") or "0"))
numbers = st.one_of(
    st.builds("{}{}{}{}".format, st.sampled_from(["", "-"]), wholes, fractions, exponents),
    st.builds("{}0.{}{}{}".format, st.sampled_from(["", "-"]), st.integers(0, 400).map("0".__mul__), digits, exponents),
    st.floats(-2e6, 2e6).map(repr),
    st.floats(-1e-290, 1e-290).map(repr),
    st.integers().map(str),
)


@given(texts=st.lists(numbers, min_size=1, max_size=20))
@example(texts=["9007199254740993e-12", "0.1e1", "-0", "-0.0", "1e-400", "4.9e-324", "1e6", "1000001", "00"[:1]])
def test_any_number(texts):
    texts = [text for text in texts if abs(float(text)) < float("inf")]  # else the message is malformed
    if texts:
        assert values_of(decode, texts) == values_of(_decode, texts) == expected(texts)
