"""JSON Lines files, plain, gzip or zstd: one file is one partition, one line is one message.

Lines end with ``\\n`` or ``\\r\\n``; the last one may lack it. A byte order mark at the start of a file is skipped.
An empty line is an empty message, which decode passes over. A line longer than ``MAX_LINE`` is not a message: its
first bytes and a NUL, which no JSON document may hold, stand for it, so that it counts as one ``malformed``.
"""

from __future__ import annotations

import io
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zstandard

from engine.errors import BadInput
from engine.model import I64, NO_TIME, U8, Payloads

MAX_LINE = 64 * 1024 * 1024  # longest line, bytes without its "\n"
CUT = 4096  # bytes kept of a longer one
BOM = b"\xef\xbb\xbf"
# Compressed bytes handed to a decompressor at once: it answers with all that they hold, so this bounds memory.
FEED = 8192

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PARQUET_MAGIC = b"PAR1"
PLAIN, GZIP, ZSTD, PARQUET = "plain", "gzip", "zstd", "parquet"


def sniff(head: bytes) -> str:
    """What a file that starts with ``head`` (4 bytes or more) is: by content, never by its suffix."""
    if head[:4] == PARQUET_MAGIC:
        return PARQUET
    if head[:2] == GZIP_MAGIC:
        return GZIP
    skippable = len(head) >= 4 and 0x50 <= head[0] <= 0x5F and head[1:4] == b"\x2a\x4d\x18"
    return ZSTD if head[:4] == ZSTD_MAGIC or skippable else PLAIN


def open_raw(path: Path) -> io.FileIO:
    """Open a regular file for unbuffered reading. Raises BadInput for anything that is not a readable file."""
    try:
        raw = io.FileIO(path)
    except IsADirectoryError:
        raise BadInput(f"{path}: is a directory, not a file") from None
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be opened ({error.strerror})") from None
    if not raw.seekable():
        raw.close()
        raise BadInput(f"{path}: is not a regular file")
    return raw


class Bytes(Protocol):
    """The uncompressed bytes of a file."""

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` from its start; return the bytes written, fewer than its length only at the end."""
        ...

    def rewind(self) -> None:
        """Start again at the first byte."""
        ...

    def fraction(self) -> float:
        """Share of the stored bytes that has been read, 0 to 1."""
        ...

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        ...


class PlainBytes:
    """The bytes of an uncompressed file. Raises BadInput where reading fails."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._raw = open_raw(path)
        self._size = os.fstat(self._raw.fileno()).st_size
        self._at = 0

    def readinto(self, view: memoryview) -> int:
        """See Bytes."""
        done = 0
        try:
            while done < len(view):
                got = self._raw.readinto(view[done:])
                if not got:
                    break
                done += got
        except OSError as error:
            raise BadInput(f"{self.name}: cannot be read ({error.strerror})") from None
        self._at += done
        return done

    def rewind(self) -> None:
        """See Bytes."""
        self._raw.seek(0)
        self._at = 0

    def fraction(self) -> float:
        """See Bytes."""
        return min(1.0, self._at / self._size) if self._size else 1.0

    def close(self) -> None:
        """See Bytes."""
        self._raw.close()


class PackedBytes:
    """The bytes of a gzip or zstd file of one or more members (frames).

    Raises BadInput naming the file where a member ends too early or is damaged: never a silent end.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.name = str(path)
        self._kind = kind
        self._packed = PlainBytes(path)
        self._zstd = zstandard.ZstdDecompressor()
        self._reset()

    def _reset(self) -> None:
        self._member: Any = None  # decompressor of the member being read
        self._left = b""  # compressed bytes behind the last member
        self._ready = memoryview(b"")  # uncompressed, not handed out

    def readinto(self, view: memoryview) -> int:
        """See Bytes."""
        done = 0
        while done < len(view):
            if not self._ready:
                piece = self._next()
                if piece is None:
                    break
                self._ready = memoryview(piece)
            part = self._ready[: len(view) - done]
            view[done : done + len(part)] = part
            self._ready = self._ready[len(part) :]
            done += len(part)
        return done

    def _next(self) -> bytes | None:
        """Uncompressed bytes of the next compressed ones (perhaps none), or None at the end."""
        packed = self._left or self._feed()
        self._left = b""
        if not packed:
            if self._member is not None:
                raise BadInput(f"{self.name}: the {self._kind} data ends too early (truncated file)")
            return None
        if self._member is None:
            if self._kind == GZIP:
                packed = packed.lstrip(b"\0")  # padding between and behind members, as gzip itself allows
                if not packed:
                    return b""
            self._member = zlib.decompressobj(31) if self._kind == GZIP else self._zstd.decompressobj()
        try:
            piece: bytes = self._member.decompress(packed)
        except (zlib.error, zstandard.ZstdError):
            raise BadInput(f"{self.name}: the {self._kind} data is damaged") from None
        if self._member.eof:
            self._left = self._member.unused_data
            self._member = None
        return piece

    def _feed(self) -> bytes:
        buffer = bytearray(FEED)
        return bytes(buffer[: self._packed.readinto(memoryview(buffer))])

    def rewind(self) -> None:
        """See Bytes."""
        self._packed.rewind()
        self._reset()

    def fraction(self) -> float:
        """See Bytes."""
        return self._packed.fraction()

    def close(self) -> None:
        """See Bytes."""
        self._packed.close()


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines, one behind the other: line i is ``data[bounds[i]:bounds[i + 1]]`` with its line end.

    ``base`` is the byte offset of ``data[0]`` in the uncompressed file.
    """

    data: U8
    bounds: I64
    base: int

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def payloads(self) -> Payloads:
        """The lines as messages without their line ends; record_ts is not known."""
        starts = self.bounds[:-1]
        return messages(self.data, starts, self.bounds[1:], starts + self.base)


def messages(data: U8, starts: I64, stops: I64, offsets: I64) -> Payloads:
    """Payloads of the lines ``data[starts:stops]``, which may end with ``\\n`` or ``\\r\\n``."""
    ends = stops
    for end in (10, 13):
        # An empty line has no byte of its own before its end; index -1 (start of the buffer) is masked with it.
        ends = ends - ((data[ends - 1] == end) & (ends > starts))
    return Payloads(data, starts, ends, np.full(len(starts), NO_TIME, np.int64), offsets)


class LineReader:
    """Blocks of whole lines of one file, in its order. Every block has its own buffer, so it stays valid.

    Which messages there are does not depend on the sizes asked for. Raises BadInput as the bytes do.
    """

    def __init__(self, path: Path, kind: str, *, max_line: int = MAX_LINE) -> None:
        self.name = str(path)
        self._bytes: Bytes = PlainBytes(path) if kind == PLAIN else PackedBytes(path, kind)
        self._max_line = max_line
        self._start()

    def _start(self) -> None:
        self._tail: U8 = np.empty(0, np.uint8)  # start of a line whose end is not read yet
        self._ahead: list[memoryview] = []  # bytes read behind the tail, not looked at
        self._base = 0  # byte offset of the tail
        self._cutting = False  # inside a line longer than max_line

    def rewind(self) -> None:
        """Start again at the first line."""
        self._bytes.rewind()
        self._start()

    def read(self, max_bytes: int) -> Payloads | None:
        """The next lines as messages: see block."""
        block = self.block(max_bytes)
        return None if block is None else block.payloads()

    def block(self, max_bytes: int) -> Block | None:
        """The next whole lines of at most ``max_bytes`` together (more for one longer line); None at the end."""
        if self._cutting and not self._skip():
            return None
        size = min(max(max_bytes, 2 * len(self._tail), 4), self._max_line + 1)
        buffer = np.empty(size, np.uint8)
        fill = len(self._tail)
        buffer[:fill] = self._tail
        while True:
            stop = fill + self._fill(buffer[fill:])
            after = np.flatnonzero(buffer[fill:stop] == 10) + (fill + 1)  # first byte behind each line
            if len(after) or stop < size:
                break
            if size > self._max_line:
                return self._cut(buffer)
            fill, size = stop, min(2 * size, self._max_line + 1)
            buffer = np.concatenate([buffer, np.empty(size - stop, np.uint8)])
        if stop < size and not (len(after) and after[-1] == stop):
            after = np.append(after, stop)  # the end of the file also ends a line
        base = self._base
        first = len(BOM) if base == 0 and buffer[: min(stop, len(BOM))].tobytes() == BOM else 0
        lines = max(1, int(np.searchsorted(after, first + max_bytes, side="right")))
        whole = int(after[lines - 1])
        if whole == first:
            return None
        if lines < len(after):
            self._ahead.insert(0, memoryview(buffer)[whole:stop])  # type: ignore[arg-type]
            stop = whole
        self._tail = buffer[whole:stop].copy()
        self._base += whole
        return Block(buffer[:whole], np.concatenate([np.array([first]), after[:lines]]), base)

    def _cut(self, buffer: U8) -> Block:
        """The one message that stands for the line that fills ``buffer`` and goes on."""
        kept = np.append(buffer[:CUT], np.uint8(0))
        block = Block(kept, np.array([0, len(kept)]), self._base)
        self._base += len(buffer)
        self._tail = np.empty(0, np.uint8)
        self._cutting = True
        return block

    def _fill(self, buffer: U8) -> int:
        """Fill ``buffer``; return the bytes written, fewer than its length only at the end of the file."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        done = 0
        while self._ahead and done < len(view):
            part = self._ahead[0][: len(view) - done]
            view[done : done + len(part)] = part
            done += len(part)
            self._ahead[0] = self._ahead[0][len(part) :]
            if not self._ahead[0]:
                del self._ahead[0]
        return done + self._bytes.readinto(view[done:])

    def _skip(self) -> bool:
        """Pass over the rest of a line; False where the file ends with it."""
        buffer = np.empty(1024 * 1024, np.uint8)
        while got := self._fill(buffer):
            ends = np.flatnonzero(buffer[:got] == 10)
            if len(ends):
                rest = int(ends[0]) + 1
                self._base += rest
                self._ahead.insert(0, memoryview(buffer)[rest:got])  # type: ignore[arg-type]
                self._cutting = False
                return True
            self._base += got
        return False

    def fraction(self) -> float:
        """Share of the file that has been read, 0 to 1."""
        return self._bytes.fraction()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._bytes.close()
