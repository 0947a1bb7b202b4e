"""RFC 3339 with offset to milliseconds and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import TS_MAX, TS_MIN
from engine.rfc3339 import format_ms, parse_ms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

GOOD = [
    ("1970-01-01T00:00:00Z", 0),
    ("1970-01-01T00:00:00.001Z", 1),
    ("1969-12-31T23:59:59.999Z", -1),
    ("2026-02-07T07:40:00Z", 1_770_450_000_000),
    ("2026-02-07T16:40:00+09:00", 1_770_450_000_000),
    ("2026-02-07T02:10:00-05:30", 1_770_450_000_000),
    ("2026-02-07t07:40:00z", 1_770_450_000_000),
    ("2026-02-07 07:40:00Z", 1_770_450_000_000),
    ("2026-02-07T07:40:00-00:00", 1_770_450_000_000),
    ("2026-02-07T07:40:00.1Z", 1_770_450_000_100),
    ("2026-02-07T07:40:00.12Z", 1_770_450_000_120),
    ("2026-02-07T07:40:00.1239999Z", 1_770_450_000_123),  # cut, not rounded
    ("2026-02-07T07:40:00.00099999999999999999Z", 1_770_450_000_000),
    ("2024-02-29T00:00:00Z", 1_709_164_800_000),
    ("2000-02-29T23:59:59+23:59", 951_782_459_000),
    ("1900-01-01T00:00:00Z", TS_MIN),
    ("2200-01-01T00:00:00Z", TS_MAX),
    ("0001-01-01T00:00:00Z", -62_135_596_800_000),
]

BAD = [
    "",
    "2026-02-07",
    "2026-02-07T07:40:00",  # naive
    "2026-02-07T07:40Z",  # no seconds
    "2026-02-07T24:00:00Z",
    "2026-02-07T23:60:00Z",
    "2016-12-31T23:59:60Z",  # a leap second
    "2026-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2026-00-07T07:40:00Z",
    "2026-13-07T07:40:00Z",
    "2026-02-00T07:40:00Z",
    "0000-01-01T00:00:00Z",
    "2026-02-07T07:40:00+24:00",
    "2026-02-07T07:40:00+09:60",
    "2026-02-07T07:40:00+0900",
    "2026-02-07T07:40:00+09",
    "2026-02-07T07:40:00.Z",
    "2026-02-07T07:40:00,5Z",
    "2026-02-07T07:40:00 Z",
    "2026-02-07T07:40:00Z ",
    "2026-02-07T07:40:00Z\n",
    " 2026-02-07T07:40:00Z",
    "2026-2-7T07:40:00Z",
    "26-02-07T07:40:00Z",
    "12026-02-07T07:40:00Z",
    "+2026-02-07T07:40:00Z",
    "2026-02-07_07:40:00Z",
    "2026-W06-6T07:40:00Z",
    "20260207T074000Z",
    "２０２６-02-07T07:40:00Z",  # digits of another script
    "2026-02-07T07:40:00−09:00",  # a minus sign is not a hyphen
    "1770450000000",
]


@pytest.mark.parametrize(("text", "ms"), GOOD)
def test_reads(text: str, ms: int) -> None:
    assert parse_ms(text) == ms


@pytest.mark.parametrize("text", BAD)
def test_refuses(text: str) -> None:
    assert parse_ms(text) is None


@given(st.integers(TS_MIN, TS_MAX - 1))
def test_what_is_written_reads_back(ms: int) -> None:
    text = format_ms(ms)
    assert len(text) == len("2026-02-07T07:40:00.000Z") and text.endswith("Z")
    assert parse_ms(text) == ms


@given(st.integers(TS_MIN, TS_MAX - 1), st.integers(-23 * 60 - 59, 23 * 60 + 59), st.sampled_from("Tt "))
def test_any_offset_tells_the_same_instant(ms: int, offset_min: int, separator: str) -> None:
    local = EPOCH + timedelta(milliseconds=ms, minutes=offset_min)
    sign = "-" if offset_min < 0 else "+"
    offset = f"{sign}{abs(offset_min) // 60:02d}:{abs(offset_min) % 60:02d}"
    text = local.strftime(f"%Y-%m-%d{separator}%H:%M:%S") + f".{ms % 1000:03d}{offset}"
    assert parse_ms(text) == ms


@given(st.text(alphabet="0123456789-:.TZ+ tz", max_size=30))
def test_agrees_with_the_standard_library_on_what_both_read(text: str) -> None:
    ms = parse_ms(text)
    if ms is not None:
        at = datetime.fromisoformat(text.upper())
        assert at.utcoffset() is not None
        assert (at - EPOCH) // timedelta(milliseconds=1) == ms
