"""What people may write as a name or a reason into records that stay."""

from __future__ import annotations


def is_text(text: str, most: int) -> bool:
    """Whether it is at most ``most`` bytes of UTF-8 without control characters. The empty text is text.

    The wide space of Japanese names is no control character, though ``str.isprintable`` says so.
    """
    return text.replace("\u3000", " ").isprintable() and len(text.encode("utf-8", "replace")) <= most
