"""--order ts: a sorted file streams, another is sorted stably by the key the watermark uses, in bounded memory."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import kernels
from engine.errors import BadInput, HitonamiError
from engine.model import NO_TIME, Payloads
from flows import external_sort
from flows.external_sort import (
    SortedLines,
    Spill,
    Stamps,
    gather,
    is_sorted,
    line_keys,
    people_stamps,
    sort_lines,
    stable_order,
)
from flows.files import PLAIN, LineReader
from flows.logs import open_logs

from .test_files import read_all

T0 = 1_770_450_000_000
Line = tuple[bytes, int | None]  # text, and the key it must have (None: that of the line before)


def ids() -> Stamps:
    return people_stamps(kernels.active().Ids([b"s1", b"s2"]))


def ignore(share: float) -> None:
    assert 0.0 <= share <= 1.0


def cross(ms: int, sensor: str = "s1", **more: object) -> dict[str, object]:
    return {"sensor": sensor, "ts": ms, "type": "cross", **more}


def text(record: object) -> bytes:
    return json.dumps(record).encode()


@st.composite
def a_line(draw: st.DrawFn) -> Line:
    ms = T0 + draw(st.integers(0, 12))
    kind = draw(st.integers(0, 11))
    unreadable: dict[str, object] = {"sensor": "s1", "type": "cross"}
    lines: list[Line] = [
        (text(cross(ms)), ms),
        (text({"sensor": "s2", "ts": ms, "type": "count", "span_ms": 7, "ab": 1}), ms + 7),
        (text(cross(T0 - 500, record_ts=ms)), ms),
        (text(cross(0) | {"ts": f"2026-02-07T07:40:00.{ms - T0:03d}Z"}), 1_770_450_000_000 + ms - T0),
        (text(cross(ms, sensor="nobody")), ms),
        (text({"ts": ms, "type": "tick"}), ms),
        (b"{" + b"x" * draw(st.integers(0, 40)), None),
        (b" " * draw(st.integers(0, 3)), None),
        (text(unreadable), None),
        (b"[]", None),
        (text([unreadable, cross(ms), cross(T0 - 9)]), ms),
        (text({"type": "registry", "registry": {}}), None),
    ]
    return lines[kind]


def in_order(lines: list[Line]) -> list[tuple[int, bytes]]:
    """(offset, text) by Python's stable sort."""
    keyed = []
    key, at = NO_TIME, 0
    for line, own in lines:
        key = key if own is None else own
        keyed.append((key, at, line))
        at += len(line) + 1
    keyed.sort(key=lambda entry: entry[0])
    return [(at, line) for _, at, line in keyed]


@settings(max_examples=200, deadline=None)
@given(
    lines=st.lists(a_line(), min_size=1, max_size=40),
    last=st.booleans(),
    run_bytes=st.sampled_from([1, 100, 400, 1 << 20]),
    run_lines=st.sampled_from([1, 3, 1000]),
    piece_bytes=st.sampled_from([1, 150, 1 << 20]),
    block_lines=st.sampled_from([1, 2, 5, None]),
    max_bytes=st.sampled_from([1, 100, 1 << 20]),
    decode_bytes=st.sampled_from([1, 60, 1 << 20]),
)
def test_equals_a_stable_sort(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[Line],
    last: bool,
    run_bytes: int,
    run_lines: int,
    piece_bytes: int,
    block_lines: int | None,
    max_bytes: int,
    decode_bytes: int,
) -> None:
    base = tmp_path_factory.getbasetemp()
    path = base / "events"
    path.write_bytes(b"\n".join(line for line, _ in lines) + (b"\n" if last else b""))
    if not last and lines[-1][0] == b"":
        lines = lines[:-1]
    reader = LineReader(path, PLAIN)
    want = in_order(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(external_sort, "DECODE_BYTES", decode_bytes)
        assert is_sorted(reader, ids(), ignore) == (want == sorted(want))
        reader.rewind()
        merged = sort_lines(
            reader,
            ids(),
            base,
            ignore,
            run_bytes=run_bytes,
            run_lines=run_lines,
            piece_bytes=piece_bytes,
            block_lines=block_lines,
        )
    assert read_all(merged, max_bytes) == want  # type: ignore[arg-type]
    assert merged.fraction() == 1.0
    merged.close()
    reader.close()


@pytest.mark.parametrize("order", [None, "ts"])
def test_newest_first_reads_like_sorted(tmp_path: Path, order: str | None) -> None:
    rows = [text(cross(T0 + 10 * i, seq=i)) for i in range(30_000)]
    forward, back = tmp_path / "forward", tmp_path / "back.gz"
    forward.write_bytes(b"\r\n".join(rows) + b"\r\n")
    back.write_bytes(gzip.compress(b"\n".join(reversed(rows))))
    seen: list[str] = []
    logs = open_logs([forward, back], order, ids(), tmp_path / "work", lambda what, share: seen.append(what))
    first, second = ([line for _, line in read_all(log, 50_000)] for log in logs)
    assert first == second == rows
    assert set(seen) == {"checking the order of forward", "sorting back.gz"}
    assert [log.fraction() for log in logs] == [1.0, 1.0]
    for log in logs:
        log.close()
    assert sorted(os.listdir(tmp_path)) == ["back.gz", "forward", "work"]
    assert os.listdir(tmp_path / "work") == []
    assert (tmp_path / "work").stat().st_mode & 0o777 == 0o700


def test_log_order_is_kept_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "events"
    rows = [text(cross(T0 - i)) for i in range(10)]
    path.write_bytes(b"\n".join(rows))
    (log,) = open_logs([path], "log", ids(), tmp_path, None)
    assert [line for _, line in read_all(log)] == rows


def test_stops_at_the_first_disorder(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"\n".join(text(cross(T0 + (0 if i == 5 else i + 1))) for i in range(100_000)))
    reader = LineReader(path, PLAIN)
    assert not is_sorted(reader, ids(), ignore)
    assert reader.fraction() < 0.5


def test_a_key_carries_over_chunk_and_run(tmp_path: Path) -> None:
    before = T0 + 5
    data = b"x\n\n" + text(cross(T0)) + b"\ny\n"
    bounds = np.array([0, 2, 3, len(data) - 2, len(data)])
    lines = Payloads(data, bounds[:-1], bounds[1:] - 1, np.full(4, NO_TIME), bounds[:-1])
    assert line_keys(lines, ids(), before).tolist() == [before, before, T0, T0]
    assert line_keys(lines, ids(), NO_TIME).tolist() == [NO_TIME, NO_TIME, T0, T0]


@given(st.lists(st.sampled_from([NO_TIME, -5, 0, 1, 2, T0, T0 + 1, 2**62])))
def test_stable_order(keys: list[int]) -> None:
    array = np.array(keys, np.int64)
    assert stable_order(array).tolist() == sorted(range(len(keys)), key=keys.__getitem__)
    small = array % 3  # the vectorised way
    assert stable_order(small).tolist() == sorted(range(len(keys)), key=small.__getitem__)


def test_gather() -> None:
    data = np.frombuffer(b"abbccc", np.uint8)
    out, bounds = gather(data, np.array([0, 1, 3, 3, 6]), np.array([3, 2, 0, 1]))
    assert bytes(out) == b"cccabb"
    assert bounds.tolist() == [0, 3, 3, 4, 6]


def test_many_equal_keys_over_many_runs(tmp_path: Path) -> None:
    """Every run holds one key more often than a block of it is long."""
    path = tmp_path / "events"
    rng = random.Random(7)
    lines: list[Line] = [(text(cross(ms, seq=i)), ms) for i in range(3000) for ms in [T0 + rng.choice([0, 0, 0, 1])]]
    path.write_bytes(b"\n".join(line for line, _ in lines))
    merged = sort_lines(LineReader(path, PLAIN), ids(), tmp_path, ignore, run_bytes=5000, block_lines=2)
    assert read_all(merged) == in_order(lines)  # type: ignore[arg-type]
    merged.close()


def test_held_at_once_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Lines placed and bytes gathered at once stay within what was asked, however many runs there are."""
    path = tmp_path / "events"
    rng = random.Random(3)
    path.write_bytes(b"\n".join(text(cross(T0 + rng.randrange(10**9))) for i in range(20_000)))
    merged = sort_lines(
        LineReader(path, PLAIN), ids(), tmp_path, ignore, run_bytes=20_000, piece_bytes=10_000, block_lines=20
    )
    while merged.read(1000) is not None:
        held = sum(len(cursor.keys) for cursor in merged._cursors)
        placed, piece = merged._placed, merged._piece
        assert placed is not None
        assert piece is not None
        assert held + len(placed.order) <= 3 * 20 * len(merged._cursors)
        assert len(piece.data) <= 10_000
    merged.close()


def test_truncated_input_leaves_nothing_open(tmp_path: Path) -> None:
    """The file ends too early behind the disorder: found out while sorting."""
    rng = random.Random(1)
    rows = [text(cross(T0 - 7 * i, seq=rng.randrange(2**60))) for i in range(60_000)]
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"\n".join(rows))[:-20])
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BadInput, match=r"cut\.gz: the gzip data ends too early") as caught:
        open_logs([path], None, ids(), tmp_path / "work", None)
    # The exception still holds the frames, so nothing was closed by losing its last reference.
    assert caught.value.__traceback__ is not None
    assert len(os.listdir("/proc/self/fd")) == before
    assert os.listdir(tmp_path / "work") == []


def test_no_space_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file where the directory should be")
    path = tmp_path / "events"
    path.write_bytes(text(cross(T0 + 1)) + b"\n" + text(cross(T0)))
    with pytest.raises(HitonamiError, match=r"cannot sort .*events in .*work: File exists$"):
        open_logs([path], None, ids(), tmp_path / "work", None)


def test_an_empty_merge() -> None:
    class Nothing:
        def close(self) -> None: ...

    merged = SortedLines(Nothing(), [], piece_bytes=1, block_lines=1)  # type: ignore[arg-type]
    assert merged.read(10) is None
    assert merged.fraction() == 1.0


def test_the_temporary_file_has_no_name(tmp_path: Path) -> None:
    spill = Spill("events", tmp_path / "work")
    run = spill.write(np.frombuffer(b"ab\n", np.uint8), np.array([T0]), np.array([9]), np.array([3], np.int32))
    assert os.listdir(tmp_path / "work") == []
    assert [column.tolist() for column in spill.index(run, 0, 1)] == [[T0], [9], [3]]
    spill.close()
    spill.close()
