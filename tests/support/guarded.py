"""Messages that end where a page begins that may not be read: a decoder that reads on takes its process with it.

    python -m tests.support.guarded MODULE [beyond]

decodes what ``MODULE.guarded()`` gives, the ids of its sensors and messages of ``ROOM`` bytes at most; ``beyond`` reads
a byte behind them, to show that the guard guards.
"""

from __future__ import annotations

import ctypes
import importlib
import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np

from engine.fast import _decode
from tests.support.decoded import room_for

ROOM = 8 * mmap.PAGESIZE
_ROOT = Path(__file__).parents[2]


def assert_nothing_is_read_behind(module: str) -> None:
    """Decode the messages of a test module in a process of its own."""
    command = [sys.executable, "-m", "tests.support.guarded", module]
    subprocess.run(command, cwd=_ROOT, check=True)
    died = subprocess.run([*command, "beyond"], cwd=_ROOT, capture_output=True, check=False)
    assert died.returncode != 0, "the guard does not guard"
    assert died.stdout == b""


def main() -> None:
    """Decode, and read on where asked."""
    pages = mmap.mmap(-1, ROOM + mmap.PAGESIZE)
    guard = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(pages)) + ROOM)
    assert ctypes.CDLL(None, use_errno=True).mprotect(guard, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    data = np.frombuffer(pages, np.uint8)
    sensors, messages = importlib.import_module(sys.argv[1]).guarded()
    ids, ends = _decode.Ids(sensors), np.array([ROOM], np.int64)
    out = room_for(200)
    for message in messages:
        starts = ends - len(message)
        data[starts[0] : ROOM] = np.frombuffer(message, np.uint8)
        _decode.decode(data, starts, ends, ends, ids, *out, 0)
    if "beyond" in sys.argv:
        print(data[ROOM])


if __name__ == "__main__":
    main()
