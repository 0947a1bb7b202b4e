from collections.abc import Iterable
from typing import final

from engine.decode import ENOUGH
from engine.model import AUTO, I8, I32, I64, U8

@final
class Names:
    def __init__(self, words: Iterable[bytes | None] = ()) -> None: ...
    def __len__(self) -> int: ...
    def find(self, word: bytes) -> int: ...
    def take(self, word: bytes) -> int: ...
    def words(self, first: int = 0) -> list[bytes | None]: ...
    def keep(self, count: int) -> None: ...

def touch(
    data: bytes | memoryview | U8,
    starts: I64,
    ends: I64,
    record_ts: I64,
    devices: Names,
    names: Names,
    languages: int,
    sessions: Names,
    kind: I8,
    reason: U8,
    device: I32,
    ts: I64,
    session: I32,
    screen: I32,
    to: I32,
    lang: I32,
    out_record_ts: I64,
    message: I32,
    first: int,
    wire: int = AUTO,
    enough: int = ENOUGH,
) -> tuple[int, int]: ...
