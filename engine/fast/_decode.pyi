from collections.abc import Mapping
from typing import final

from engine.decode import ENOUGH
from engine.model import AUTO, F64, I8, I32, I64, U8

CONSTANTS: Mapping[str, int]

@final
class Ids:
    def __init__(self, ids: list[bytes] | list[bytes | None]) -> None: ...
    def __len__(self) -> int: ...
    def find(self, id: bytes) -> int: ...

def decode(
    data: bytes | memoryview | U8,
    starts: I64,
    ends: I64,
    record_ts: I64,
    ids: Ids,
    kind: I8,
    reason: U8,
    sensor: I32,
    ts: I64,
    span_ms: I64,
    n: I64,
    seq: I64,
    has_seq: U8,
    x: F64,
    y: F64,
    out_record_ts: I64,
    message: I32,
    first: int,
    wire: int = AUTO,
    enough: int = ENOUGH,
) -> tuple[int, int]: ...
