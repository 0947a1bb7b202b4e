"""The languages that figures of signage tell apart: ISO 639-1, and one name for all others."""

from __future__ import annotations

from pathlib import Path

OTHER = "other"  # every language that ISO 639-1 has no code of


def _read() -> tuple[str, ...]:
    lines = (Path(__file__).parent / "codes" / "iso_639_1.txt").read_text("ascii").splitlines()
    return tuple(code for line in lines if not line.startswith("#") for code in line.split())


# A public domain (PRIVACY.md): it does not depend on what is counted. Sorted, OTHER last.
LANGUAGES = (*sorted(_read()), OTHER)
