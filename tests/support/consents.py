"""Records of consents, and what they allow by a model that looks at all records anew for each question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

ENDS = ("withdrawn", "faulty", "deleted")


class Word(NamedTuple):
    """What was said of one key, in the order in which it came. ``state``: granted or one of ENDS."""

    state: str
    ts: int
    purposes: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()


def document(provider: str, subject: str, word: Word, **fields: Any) -> dict[str, Any]:
    """A record of the topic; ``fields`` replace its own."""
    return {
        "subject": subject,
        "provider": provider,
        "purposes": sorted(word.purposes),
        "attributes": sorted(word.attributes),
        "terms": {"version": "2026-01", "lang": "ja"},
        "given": "use",
        "state": word.state,
        "ts": word.ts,
        **fields,
    }


def value(provider: str, subject: str, word: Word) -> bytes | None:
    """The value of the message."""
    if word.state == "deleted":
        return None
    if word.state == "faulty":
        return b'{"provider": 7}'
    return json.dumps(document(provider, subject, word)).encode()


def standing(words: Sequence[Word]) -> list[tuple[int, Word]]:
    """Place and grant: those that count after all that was said."""
    last = max((place for place, word in enumerate(words) if word.state in ENDS), default=-1)
    barrier = max((word.ts for word in words[: last + 1]), default=-1)
    return [(place, word) for place, word in enumerate(words) if place > last and word.ts > barrier]


def allowed(words: Sequence[Word], purpose: str, ts: int) -> frozenset[str] | None:
    """What an event of ``ts`` may bring for ``purpose``; None: no consent."""
    grants = standing(words)
    since = max(((word.ts, place) for place, word in grants if word.ts <= ts), default=None)
    if since is None:
        return None
    later = [word for place, word in grants if place >= since[1] or word.ts > since[0]]
    if not all(purpose in word.purposes for word in later):
        return None
    return frozenset.intersection(*(word.attributes for word in later))
