"""The same for signage: ``python -m tests.fuzz.touches DOCUMENTS SEED MEMORY``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from engine import touch as reference
from engine.languages import LANGUAGES
from engine.model import JSON
from tests.fuzz.compare import RECORD_TS, Comparison
from tests.fuzz.documents import Documents
from tests.fuzz.grammar import fuzz
from tests.support.touched import DEVICES, Tables, listed, room_for

KEYS = ["device", "ts", "type", "session", "screen", "to", "lang", "record_ts"]
STRANGE_KEYS = ["", "t", "too", 'to"', "TO", "devices", "session\0", "screens", "lan", "langs", "sensor", "x" * 70]
WORDS = ["touch"] * 8 + ["heartbeat", "tick", "set", "registry", "cross", "touches"]
SCREENS = ["top", "map", "ja", "狸小路", "x" * 64, "x" * 65, "狸" * 21, "狸" * 22, "", 'a"b', "\0"]
TAGS = ["ja", "EN", "zh-Hant", "ZH_TW", "other", "jpn", "", "-ja", "ja-" + "x" * 61, "ja-" + "x" * 62, "jа", "j", "É"]
SEEDS = [
    b'{"device":"kita2-01","ts":1770450000300,"type":"touch","session":"x1","screen":"top","to":"map","lang":"ja"}',
    b'[{"device":"kita2-01","ts":"2026-02-07T07:40:00Z","type":"heartbeat"} , {"type":"tick","ts":1}]',
    b'{"lang":"zh-\\u0048ant","screen":"\\u72f8 \xe7\x8b\xb8","session":"a","type":"touch","ts":-1,"device":""}',
]


class TouchDocuments(Documents):
    """Documents of signage."""

    keys, strange_keys, seeds = KEYS, STRANGE_KEYS, SEEDS
    always, kinds = ["type", "device", "ts"], [KEYS[3:5], KEYS[3:6], KEYS[3:7]]

    def _usual(self, name: str) -> bytes:
        rng = self._rng
        if name in ("ts", "record_ts"):
            return super()._usual(name)
        words = {
            "device": [*(device.decode() for device in DEVICES if device is not None), "who"],
            "type": WORDS,
            "lang": [*TAGS * 9, *LANGUAGES],
        }
        return self._string(rng.choice(words.get(name, SCREENS)), rng.random() < 0.2)


class TouchComparison(Comparison):
    """As Comparison; the tables of words, which grow from document to document, must be the same too."""

    def _begin(self) -> None:
        self._tables = Tables.of(self._compiled), Tables.of(reference)

    def difference(self, document: bytes, which: int = 0) -> str | None:
        """See Comparison."""
        self._lay(document)
        found = [self._rows(module, which, at, len(document)) for at, module in enumerate((self._compiled, reference))]
        found = [(rows, self._fresh(tables)) for rows, tables in zip(found, self._tables, strict=True)]
        self.documents += 1
        for _, row in found[1][0]:
            self.reasons[row.reason] += 1
        if found[0] == found[1]:
            return None
        return f"{document!r}\n  record_ts {RECORD_TS[which]}\n  orjson  {found[1]}\n  scanner {found[0]}"

    def _rows(self, module: Any, which: int, at: int, size: int) -> list[Any]:
        tables = self._tables[at]
        given = self._data, self._starts, self._ends, self._stamps[which]
        for room in (16, size + 1):  # more where it has more rows
            columns = room_for(room)
            done, filled = module.touch(
                *given, tables.devices, tables.names, len(LANGUAGES), tables.sessions, *columns, 0, JSON
            )
            if done:
                return listed(columns, filled, tables)
        raise AssertionError("a message has more rows than bytes")

    @staticmethod
    def _fresh(tables: Tables) -> list[bytes | None]:
        """What a document has left in the tables, which are as new then."""
        words = tables.words()
        tables.names.keep(len(LANGUAGES))
        tables.sessions.keep(0)
        return [*words[0], None, *words[1]]


def main(documents: int, seed: int, memory: Path) -> int:
    """Exit code 1 where there is a difference, which is printed."""
    from engine.fast import _touch
    from tests.fuzz.tally import write

    with memory.open("r+b") as file:
        comparison = TouchComparison(_touch, file.fileno())
    wrong = fuzz(comparison, documents, seed, TouchDocuments)
    if wrong is not None:
        print(wrong)
        return 1
    write(comparison, memory)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
