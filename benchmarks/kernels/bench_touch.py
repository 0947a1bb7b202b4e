"""touch: JSON of signage -> columns with pseudonyms of sessions, beside a plain orjson loop with a dict of sessions."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from engine import kernels
from engine.languages import LANGUAGES
from engine.model import AUTO, TOUCH, Payloads
from engine.touches import TouchChunks, new_names

START = 1_770_450_000_000
DEVICES = [f"kita2-{number:02d}" for number in range(1, 13)]
SCREENS = ["top", "map", "exits", "events", "trains", "food"]
LANGS = ["ja"] * 14 + ["en", "en", "zh", "zh-TW", "ko", "th"]
TOUCHES = 9  # of a session
KEY = bytes(range(32))


def touched(count: int) -> list[bytes]:
    """Sessions of some touches each, some hundred at a time."""
    rng = random.Random(1)
    messages = []
    for i in range(count):
        session = i // (300 * TOUCHES) * 300 + i % 300
        who = random.Random(session)
        device, lang = who.choice(DEVICES), who.choice(LANGS)
        screen, to = rng.sample(SCREENS, 2)
        told = f',"to":"{to}"' if i % 3 else ""
        message = (
            f'{{"device":"{device}","ts":{START + i},"type":"touch","session":"s{session:07d}","screen":"{screen}"'
        )
        messages.append(f'{message}{told},"lang":"{lang}"}}'.encode())
    return messages


def payloads(messages: list[bytes]) -> Payloads:
    sizes = np.array([len(m) for m in messages], np.int64)
    ends = np.cumsum(sizes + 1, dtype=np.int64) - 1
    stamps = np.full(len(messages), START, np.int64)
    return Payloads(b"\n".join(messages), ends - sizes, ends, stamps, ends)


def chunks_of(given: Payloads) -> tuple[int, int, int]:
    """Rows, sum of their languages' codes, and distinct sessions, chunk by chunk."""
    chunks, first, rows, langs, halves = TouchChunks(new_names(), KEY), 0, 0, 0, []
    devices = kernels.active().Names([device.encode() for device in DEVICES])
    while first < len(given):
        first, found = chunks.decode(given, devices, first, AUTO)
        assert not found.reason.any()
        assert (found.kind == TOUCH).all()
        rows, langs = rows + len(found), langs + int(found.lang.sum())
        halves.append(found.session[:, 0].copy())
    return rows, langs, len(np.unique(np.concatenate(halves)))


def orjson_loop(given: Payloads) -> tuple[int, int, int]:
    """What one writes without a kernel, with no checks."""
    codes, rows, langs = {code: number for number, code in enumerate(LANGUAGES)}, 0, 0
    devices, pseudonyms, view = set(DEVICES), {}, memoryview(given.data)
    for start, end in zip(given.starts.tolist(), given.ends.tolist(), strict=True):
        event = orjson.loads(view[start:end])
        if event["type"] != "touch" or event["device"] not in devices:
            continue
        session = event["session"]
        if session not in pseudonyms:
            pseudonyms[session] = hashlib.blake2b(session.encode(), digest_size=16, key=KEY).digest()
        rows += 1
        langs += codes.get(event["lang"][:2], len(codes) - 1)
    return rows, langs, len(set(pseudonyms.values()))


@pytest.mark.parametrize("way", ["compiled", "orjson"])
def test_touches(benchmark: Any, scale: Callable[[int, int], int], way: str) -> None:
    count = scale(270_000, 5_400)
    given = payloads(touched(count))
    found = benchmark(lambda: (chunks_of if way == "compiled" else orjson_loop)(given))
    assert found == (orjson_loop if way == "compiled" else chunks_of)(given)
    assert found[0] == count
    assert found[2] == count // TOUCHES
    benchmark.extra_info |= {"events": count, "bytes_per_event": round(len(given.data) / count, 1)}
