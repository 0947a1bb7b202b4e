"""Documents of the grammar through both readers: ``python -m tests.fuzz.grammar DOCUMENTS SEED MEMORY``."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Any

from tests.fuzz.compare import Comparison
from tests.fuzz.documents import Documents


def fuzz(comparison: Comparison, documents: int, seed: int, made: type[Documents] = Documents) -> str | None:
    """The first difference among so many documents."""
    for number, document in enumerate(islice(made(seed), documents)):
        wrong = comparison.difference(document, number & 1)
        if wrong is not None:
            return wrong
    return None


def main(documents: int, seed: int, memory: Path, compiled: Any = None) -> int:
    """Exit code 1 where there is a difference, which is printed."""
    from tests.fuzz.tally import write

    if compiled is None:
        from engine.fast import _decode as compiled
    with memory.open("r+b") as file:
        comparison = Comparison(compiled, file.fileno())
    wrong = fuzz(comparison, documents, seed)
    if wrong is not None:
        print(wrong)
        return 1
    write(comparison, memory)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
