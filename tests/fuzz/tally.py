"""What a fuzzing process tells the one that started it: how many documents, and how their rows were judged."""

from __future__ import annotations

import json
from pathlib import Path

from engine.model import REASONS
from tests.fuzz.compare import Comparison


def write(comparison: Comparison, memory: Path) -> None:
    """Beside the file the comparison worked in."""
    reasons = {REASONS[code] or "accepted": n for code, n in sorted(comparison.reasons.items())}
    memory.with_suffix(".json").write_text(json.dumps({"documents": comparison.documents, "rows": reasons}))
