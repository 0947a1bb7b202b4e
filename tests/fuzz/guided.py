"""Documents that libFuzzer makes, led by what they reach in the scanner.

``python -m tests.fuzz.guided DOCUMENTS SEED MEMORY [KERNELS]``; KERNELS is where setup.py built mode ``coverage``.
GCC's -fsanitize-coverage calls __sanitizer_cov_trace_pc for every block and __sanitizer_cov_trace_cmp* for every
comparison. libFuzzer (Atheris brings it) no longer knows the former: COUNTERS below makes its counters of blocks, and
hands the latter on, for Atheris loads libFuzzer where nobody else finds it. Without KERNELS only the twin's coverage
leads.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

SEEDS_OF_GRAMMAR = 1_500
LONGEST = 2_048
TWIN = ("engine.decode", "engine.rfc3339")
COUNTERS = r"""
#include <stdint.h>
enum { SIZE = 1 << 16 };
uint8_t counters[SIZE];
uintptr_t places[2 * SIZE]; /* libFuzzer's table of addresses and flags, which it asks for beside counters */
static uintptr_t first;     /* so that the counters do not depend on where the module was loaded */
void __sanitizer_cov_trace_pc(void) {
  uintptr_t at = (uintptr_t)__builtin_return_address(0);
  if (!first) first = at;
  at -= first;
  counters[(at ^ at >> 16) & (SIZE - 1)]++;
}
/* Handed on as a jump, with the caller's address, by which libFuzzer tells comparisons apart. */
#define HAND_ON(name, a, b) \
  void (*to_##name)(a, b);  \
  void __sanitizer_cov_##name(a x, b y) { to_##name(x, y); }
HAND_ON(trace_cmp1, uint8_t, uint8_t)
HAND_ON(trace_cmp2, uint16_t, uint16_t)
HAND_ON(trace_cmp4, uint32_t, uint32_t)
HAND_ON(trace_cmp8, uint64_t, uint64_t)
HAND_ON(trace_const_cmp1, uint8_t, uint8_t)
HAND_ON(trace_const_cmp2, uint16_t, uint16_t)
HAND_ON(trace_const_cmp4, uint32_t, uint32_t)
HAND_ON(trace_const_cmp8, uint64_t, uint64_t)
HAND_ON(trace_switch, uint64_t, void *)
/* of GCC alone: libFuzzer has none */
void __sanitizer_cov_trace_cmpf(float x, float y) { (void)x, (void)y; }
void __sanitizer_cov_trace_cmpd(double x, double y) { (void)x, (void)y; }
"""
HANDED_ON = (*(f"trace_{kind}{size}" for kind in ("cmp", "const_cmp") for size in (1, 2, 4, 8)), "trace_switch")


def main(documents: int, seed: int, memory: Path, kernels: Path | None = None) -> int:
    """Runs until so many documents are done or one is read in two ways, which is printed (exit code 1)."""
    import atheris

    if kernels:
        _count_blocks(kernels, Path(atheris.__file__).parent)
    with atheris.instrument_imports(include=list(TWIN)):
        import engine.decode  # noqa: F401  (before anything else imports it)
    from engine.fast import _decode

    assert kernels is None or kernels in Path(_decode.__file__).parents
    from tests.fuzz.compare import Comparison
    from tests.fuzz.documents import Documents
    from tests.fuzz.tally import write

    def one(document: bytes) -> None:
        wrong = comparison.difference(document, len(document) & 1)
        if wrong is not None:
            print(wrong, flush=True)
            os._exit(1)
        if comparison.documents >= documents:
            write(comparison, memory)
            os._exit(0)

    corpus = memory.parent / "corpus"
    corpus.mkdir()
    few = min(SEEDS_OF_GRAMMAR, documents // 2)
    for number, document in enumerate(d for d in islice(Documents(seed), few) if len(d) <= LONGEST):
        (corpus / str(number)).write_bytes(document)
    words = memory.parent / "words"
    words.write_text(_dictionary())
    options = [f"-seed={seed + 1}", f"-max_len={LONGEST}", f"-dict={words}", f"-artifact_prefix={memory.parent}/"]
    options += ["-timeout=60", "-rss_limit_mb=0"]
    atheris.Setup(["fuzz", *options, str(corpus)], one)
    with memory.open("r+b") as file:
        comparison = Comparison(_decode, file.fileno())
    atheris.Fuzz()
    return 2  # libFuzzer ended before its time


def _count_blocks(kernels: Path, atheris: Path) -> None:
    """Make the kernels built in ``kernels`` those that are imported, and their counters known to libFuzzer."""
    library = kernels / "counters.so"
    command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-o", str(library), "-xc", "-"]
    subprocess.run(command, input=COUNTERS.encode(), check=True)
    ours = ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    libfuzzer = ctypes.CDLL(str(next(atheris.glob("core_with_libfuzzer*.so"))))
    for name in HANDED_ON:
        to = ctypes.cast(getattr(libfuzzer, f"__sanitizer_cov_{name}"), ctypes.c_void_p)
        ctypes.c_void_p.in_dll(ours, f"to_{name}").value = to.value
    counters = (ctypes.c_uint8 * (1 << 16)).in_dll(ours, "counters")
    places = (ctypes.c_size_t * (2 << 16)).in_dll(ours, "places")
    for name, table in (("8bit_counters", counters), ("pcs", places)):
        start = ctypes.addressof(table)
        init = getattr(libfuzzer, f"__sanitizer_cov_{name}_init")
        init(ctypes.c_void_p(start), ctypes.c_void_p(start + ctypes.sizeof(table)))
    import engine.fast

    engine.fast.__path__.insert(0, str(kernels / "engine" / "fast"))


def _dictionary() -> str:
    from tests.fuzz.documents import ESCAPES, KEYS, NO_ESCAPES, NO_NUMBERS, REALS, WORDS
    from tests.property.test_decode_fuzz import TOKENS

    words = [b'"%s"' % word.encode() for word in KEYS + WORDS] + ESCAPES + NO_ESCAPES + NO_NUMBERS + REALS + TOKENS
    return "".join(f'"{"".join(f"{chr(92)}x{c:02x}" for c in word)}"\n' for word in words if len(word) <= 64)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), *map(Path, sys.argv[4:5])))
