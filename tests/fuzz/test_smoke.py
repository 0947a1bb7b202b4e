"""The differential fuzz in small (`make fuzz` is the long one), and that it finds what it is there to find."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from engine.decode import COLUMNS
from engine.fast import _decode
from engine.model import BAD_VALUE, MALFORMED, MISSING_FIELD, UNKNOWN_TYPE
from tests.fuzz.__main__ import run
from tests.fuzz.compare import Comparison, last_document
from tests.fuzz.documents import Documents
from tests.fuzz.grammar import fuzz
from tests.realservices.cache import ROOT

SEED = 20_260_207
FEW = 20_000


def test_the_scanner_reads_what_orjson_reads() -> None:
    comparison = Comparison(_decode)
    assert fuzz(comparison, FEW, SEED) is None
    assert comparison.documents == FEW
    assert set(comparison.reasons) == {0, MALFORMED, UNKNOWN_TYPE, MISSING_FIELD, BAD_VALUE}
    assert min(comparison.reasons.values()) > FEW / 100


class Faulty:
    """The scanner with a fault: documents that match are malformed for it, and those of them that are, are not."""

    Ids = _decode.Ids

    def __init__(self, where: Callable[[bytes], object], judged: bool) -> None:
        self.where, self.judged = where, judged

    def decode(self, data: Any, starts: Any, ends: Any, *more: Any) -> tuple[int, int]:
        done, filled = _decode.decode(data, starts, ends, *more)
        reason = more[3][:filled]
        if filled and bool((reason == MALFORMED).all()) != self.judged and self.where(data[starts[0] :].tobytes()):
            reason[:] = MALFORMED if self.judged else 0
        return done, filled


def has(pattern: bytes) -> Callable[[bytes], object]:
    return re.compile(pattern, re.DOTALL).search


WELL_FORMED = {  # what is there to be read in both readers alike
    "a key twice": rb'"(ts|seq|dir|sensor)".*"\1"',
    "a key with escapes": rb'"[a-z]*\\u00[67][0-9a-f][a-z]*"\s*:',
    "a pair of surrogates": rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..",
    "an escaped NUL": rb"\\u0000",
    "1e3": rb"\D1e3\D",
    "minus zero": rb"[:,\s]-0[,}\]\s]",
    "twenty digits": rb"[1-9]\d{19}[,}\]\s]",
    "most int64": rb"\D9223372036854775807\D",
    "white space": rb"\t\r ",
    "four bytes of UTF-8": rb"\xf0\x9f",
    "the greatest depth": rb"\[{1018}",
    "an id of 64 bytes": rb"x{64}",
}
MALFORMED_ONES = {  # what neither may take
    "half a pair": rb'\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])"',
    "the second half": rb'"\\ude00',
    "a surrogate in UTF-8": rb"\xed\xa0\x80",
    "NUL": rb'"[^"]*\0',
    "a BOM": rb"\A\xef\xbb\xbf",
    "a string cut": rb'"[a-z]*\Z',
    "an escape cut": rb"\\u?.?\Z",
    "NaN": rb"NaN",
    "infinity": rb"1e309",
    "a zero in front": rb"[:\[,]0\d",
    "too deep": rb"\[{1025}",
    "trailing garbage": rb"}\w+\Z",
}
FAULTS = [(name, True, pattern) for name, pattern in WELL_FORMED.items()]
FAULTS += [(name, False, pattern) for name, pattern in MALFORMED_ONES.items()]


@pytest.mark.parametrize(("judged", "pattern"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_fault_is_found(judged: bool, pattern: bytes) -> None:
    wrong = fuzz(Comparison(Faulty(has(pattern), judged)), FEW, SEED)
    assert wrong is not None
    assert wrong.startswith("b")


NUMBERS = {
    "few digits": rb'"x":-?\d\d?\.\d\d[,}]',
    "a double's digits": rb'"x":-?0\.\d{15,17}[,}]',
    "many digits": rb'"x":-?[\d.]{40}',
    "nearly zero": rb'"x":-?\d\.?\d*e-3\d\d',
    "a speed": rb'"speed":\d+\.\d+[,}]',
}


@pytest.mark.parametrize("pattern", NUMBERS.values(), ids=NUMBERS)
def test_a_wrong_last_bit_is_found(pattern: bytes) -> None:
    where = has(pattern)

    class Wrong:
        Ids = _decode.Ids

        @staticmethod
        def decode(data: Any, starts: Any, *more: Any) -> tuple[int, int]:
            done, filled = _decode.decode(data, starts, *more)
            if filled and where(data[starts[0] :].tobytes()):
                more[3 + list(COLUMNS).index("x")][:filled].view("int64")[:] ^= 1
            return done, filled

    wrong = fuzz(Comparison(Wrong), FEW, SEED)
    assert wrong is not None
    assert wrong.startswith("b")


def test_the_same_seed_gives_the_same_documents() -> None:
    one, two, other = (list(islice(Documents(seed), 500)) for seed in (1, 1, 2))
    assert one == two
    assert one != other


DIES = """
import ctypes, sys
from pathlib import Path
from engine.fast import _decode
from tests.fuzz import grammar

class Beyond:
    Ids = _decode.Ids
    def decode(data, starts, *more):
        ctypes.string_at(data.ctypes.data + len(data), 1)
        return _decode.decode(data, starts, *more)

sys.exit(grammar.main(10, 1, Path(sys.argv[1]), Beyond))
"""


def test_reading_behind_a_document_is_death_and_the_document_is_known(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.write_bytes(b"")
    os.truncate(memory, Comparison.SIZE)
    done = subprocess.run([sys.executable, "-c", DIES, str(memory)], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr, "it was to die, not to raise"
    assert last_document(memory.read_bytes()) == next(iter(Documents(1)))


def test_the_guided_fuzzer_runs() -> None:
    found = run("guided", 2_000, 1)
    assert isinstance(found, dict), found
    assert found["documents"] == 2_000
