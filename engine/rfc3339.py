"""RFC 3339 date-times with offset <-> integer milliseconds since the epoch. The reference the kernels are held to."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_EPOCH = datetime(1970, 1, 1)


def parse_ms(text: str) -> int | None:
    """Milliseconds of ``text``; None where it is not RFC 3339 with an offset.

    Digits below a millisecond are cut. 24:00:00, second 60, a missing offset and an offset beyond ±23:59 are
    refused, as is year 0000. The separator may be T, t or a space (RFC 3339 §5.6).
    """
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    try:
        at = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    ms = (at - _EPOCH) // timedelta(milliseconds=1) + int((match[7] or "0")[:3].ljust(3, "0"))
    if match[8]:
        off_hour, off_minute = int(match[9]), int(match[10])
        if off_hour > 23 or off_minute > 59:
            return None
        ms -= (-1 if match[8] == "-" else 1) * (off_hour * 60 + off_minute) * 60_000
    return ms


def format_ms(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds and Z."""
    at = _EPOCH.replace(tzinfo=UTC) + timedelta(milliseconds=ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"
