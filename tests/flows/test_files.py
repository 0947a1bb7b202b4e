"""JSON Lines files: the same messages whatever the packing and however they are read."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import kernels
from engine.batch import decode_events
from engine.errors import BadInput, UsageError
from engine.model import MALFORMED, NO_TIME
from flows.external_sort import people_stamps
from flows.files import CUT, GZIP, PLAIN, ZSTD, LineReader, sniff
from flows.logs import Log, open_logs

TEXT = b'{"a":1}\n{"b":2}\r\n\n{"c":3}'
MESSAGES = [(0, b'{"a":1}'), (8, b'{"b":2}'), (17, b""), (18, b'{"c":3}')]


def read_all(log: Log | LineReader, max_bytes: int = 1 << 20) -> list[tuple[int, bytes]]:
    """(offset, message) of the whole log, checking what every batch promises."""
    found: list[tuple[int, bytes]] = []
    batches = []
    while (lines := log.read(max_bytes)) is not None:
        assert len(lines) > 0
        assert len(lines) == len(lines.ends) == len(lines.record_ts) == len(lines.offsets)
        assert len(lines) == 1 or lines.ends[-1] - lines.starts[0] <= max_bytes
        batches.append(lines)
    for lines in batches:  # after the last read: earlier batches must still be valid
        data = bytes(lines.data)
        assert (lines.record_ts == NO_TIME).all()
        found += [
            (int(at), data[start:end]) for at, start, end in zip(lines.offsets, lines.starts, lines.ends, strict=True)
        ]
    return found


def expected(text: bytes) -> list[tuple[int, bytes]]:
    """The same by str methods alone."""
    at = 3 if text.startswith(b"\xef\xbb\xbf") else 0
    found = []
    for line in text[at:].splitlines(keepends=True) if b"\r" not in text else _split(text[at:]):
        found.append((at, line.removesuffix(b"\n").removesuffix(b"\r")))
        at += len(line)
    return found


def _split(text: bytes) -> list[bytes]:
    parts = text.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


@pytest.fixture
def ids() -> object:
    return kernels.active().Ids([b"s1"])


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "events.jsonl"
    path.write_bytes(TEXT)
    yield path


def pack(kind: str, *members: bytes) -> bytes:
    if kind == GZIP:
        return b"".join(gzip.compress(member) for member in members)
    if kind == ZSTD:
        compressor = zstandard.ZstdCompressor(write_checksum=True)  # as the zstd command does
        return b"".join(compressor.compress(member) for member in members)
    return b"".join(members)


def test_lines_and_offsets(plain: Path) -> None:
    assert read_all(LineReader(plain, PLAIN)) == MESSAGES


@pytest.mark.parametrize("kind", [PLAIN, GZIP, ZSTD])
def test_packing_changes_nothing(tmp_path: Path, kind: str) -> None:
    text = b"\xef\xbb\xbf" + b"".join(b'{"i":%d}\n' % i for i in range(40_000))
    path = tmp_path / "named.like.nothing"
    path.write_bytes(pack(kind, text[:100_001], b"", text[100_001:]))
    assert sniff(path.read_bytes()[:4]) == kind
    reader = LineReader(path, kind)
    assert read_all(reader, 4096) == expected(text)
    assert reader.fraction() == 1.0
    reader.rewind()
    assert read_all(reader, 1 << 22) == expected(text)


def test_zstd_skippable_frame_and_gzip_padding(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + pack(ZSTD, TEXT))
    assert sniff(path.read_bytes()[:4]) == ZSTD
    assert read_all(LineReader(path, ZSTD)) == MESSAGES
    path.write_bytes(pack(GZIP, TEXT[:11]) + bytes(9000) + pack(GZIP, TEXT[11:]) + bytes(512))
    assert read_all(LineReader(path, GZIP)) == MESSAGES


@pytest.mark.parametrize("kind", [GZIP, ZSTD])
def test_every_truncation_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cut"
    first, whole = pack(kind, TEXT), pack(kind, TEXT, TEXT)
    for size in range(4, len(whole)):
        path.write_bytes(whole[:size])
        reader = LineReader(path, kind)
        if size == len(first):
            assert read_all(reader) == MESSAGES  # a whole member is a whole file
        else:
            with pytest.raises(BadInput, match=r"cut: the .* data ends too early"):
                read_all(reader)
        reader.close()


@pytest.mark.parametrize("kind", [GZIP, ZSTD])
def test_damage_is_told_without_quoting_it(tmp_path: Path, kind: str) -> None:
    packed = bytearray(pack(kind, TEXT * 50))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "bad"
    for damaged in (bytes(packed), pack(kind, TEXT) + b"SECRET-VALUE"):
        path.write_bytes(damaged)
        with pytest.raises(BadInput) as caught:
            read_all(LineReader(path, kind))
        assert str(caught.value) == f"{path}: the {kind} data is damaged"


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=12),
    end=st.sampled_from([b"\n", b"\r\n"]),
    bom=st.booleans(),
    last=st.booleans(),
    kind=st.sampled_from([PLAIN, GZIP, ZSTD]),
)
def test_any_chunk_size_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes, bom: bool, last: bool, kind: str
) -> None:
    text = (b"\xef\xbb\xbf" if bom else b"") + end.join(lines) + (end if last else b"")
    path = tmp_path_factory.getbasetemp() / "chunks"
    path.write_bytes(pack(kind, text))
    reader = LineReader(path, kind)
    want = expected(text)
    for max_bytes in range(1, len(text) + 2):
        reader.rewind()
        assert read_all(reader, max_bytes) == want
    reader.close()


@pytest.mark.parametrize("text", [b"", b"\xef\xbb\xbf"])
def test_nothing_in_it(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "empty"
    path.write_bytes(text)
    assert LineReader(path, PLAIN).read(100) is None


def test_an_empty_first_line_and_a_lone_carriage_return_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "cr"
    path.write_bytes(b"\nx\r")
    assert read_all(LineReader(path, PLAIN)) == [(0, b""), (1, b"x")]


def test_a_second_bom_is_part_of_the_message(tmp_path: Path) -> None:
    path = tmp_path / "boms"
    path.write_bytes(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")
    assert read_all(LineReader(path, PLAIN)) == [(3, b"a"), (5, b"\xef\xbb\xbfb")]


def test_a_line_longer_than_the_chunk(tmp_path: Path) -> None:
    long = b'{"x":"' + b"y" * 3_000_000 + b'"}'
    path = tmp_path / "long"
    path.write_bytes(b"a\n" + long + b"\nb")
    assert read_all(LineReader(path, PLAIN), 1000) == [(0, b"a"), (2, long), (3 + len(long), b"b")]


@pytest.mark.parametrize("max_bytes", [1, 7, 64, 100, 101, 5000, 1 << 22])
@pytest.mark.parametrize("over", [99, 100, 101, 102, 100_000, 2_500_000])
@pytest.mark.parametrize("rest", [b"", b"\n", b"\nb\nccc\n"])
@pytest.mark.parametrize("before", [b"", b"a\n"])
def test_a_line_longer_than_any_may_be(tmp_path: Path, max_bytes: int, over: int, rest: bytes, before: bytes) -> None:
    long = b" " * over  # spaces alone would be no message at all
    text = before + long + rest
    path = tmp_path / "over"
    path.write_bytes(text)
    want = expected(text)
    if over > 100:
        want[len(before) // 2] = (len(before), long[: min(CUT, 101)] + b"\0")
    assert read_all(LineReader(path, PLAIN, max_line=100), max_bytes) == want


def test_what_stands_for_a_too_long_line_is_one_malformed(tmp_path: Path, ids: object) -> None:
    path = tmp_path / "over"
    path.write_bytes(b'{"sensor":"s1"}'.ljust(300) + b"\n")
    lines = LineReader(path, PLAIN, max_line=100).read(1 << 20)
    assert lines is not None
    assert decode_events(lines, ids).reason.tolist() == [MALFORMED]


def test_files_that_cannot_be_used(tmp_path: Path, plain: Path, ids: object) -> None:
    with pytest.raises(BadInput, match=r"none\.jsonl: no such file$"):
        open_logs([plain, tmp_path / "none.jsonl"], None, people_stamps(ids), tmp_path, None)
    with pytest.raises(BadInput, match=r"is a directory, not a file$"):
        open_logs([tmp_path], None, people_stamps(ids), tmp_path, None)
    with pytest.raises(UsageError, match=r"events\.jsonl: is given twice$"):
        open_logs([plain, tmp_path / "." / "events.jsonl"], None, people_stamps(ids), tmp_path, None)
    with pytest.raises(UsageError, match=r"--order must be one of ts, log$"):
        open_logs([plain], "time", people_stamps(ids), tmp_path, None)


def test_each_file_is_one_partition(tmp_path: Path, plain: Path, ids: object) -> None:
    packed = tmp_path / "second"
    packed.write_bytes(pack(ZSTD, TEXT))
    seen: list[tuple[str, float]] = []
    stamps = people_stamps(ids)
    logs = open_logs([packed, plain], "log", stamps, tmp_path, lambda what, share: seen.append((what, share)))
    assert [(log.name, log.partition, log.source_partition, log.topic) for log in logs] == [
        (str(packed), 0, 0, "people"),
        (str(plain), 1, 0, "people"),
    ]
    assert [read_all(log) for log in logs] == [MESSAGES, MESSAGES]
    assert seen == []  # "log" reads nothing ahead
    for log in logs:
        log.close()
        log.close()


def test_buffers_take_no_copy_of_the_lines(plain: Path) -> None:
    lines = LineReader(plain, PLAIN).read(1 << 20)
    assert lines is not None
    assert isinstance(lines.data, np.ndarray)
    assert lines.data.dtype == np.uint8
