from engine.model import I8, I32, I64, U8

class PaneTable:
    bound_ms: int
    watermark: int
    first_watermark: int
    def __init__(self, bound_ms: int, state: tuple[bytes, ...] | None = None) -> None: ...
    def add(
        self,
        kind: I8,
        reason: U8,
        sensor: I32,
        ts: I64,
        span_ms: I64,
        n: I64,
        seq: I64,
        has_seq: U8,
        pane_ms: I64,
        pane_end_ms: I64,
        mark_ms: I64,
        repeat: U8,
        sensor_delay_ms: I64,
        sensor_wait_ms: I64,
        sensor_reporting: I8,
        sensor_beat_ms: I64,
        told_ms: I64,
    ) -> tuple[int, int, int, int, int]: ...
    def take(self, until_ms: int) -> bytes: ...
    def cells(self) -> bytes: ...
    def covers(self) -> bytes: ...
    def state(self) -> tuple[bytes, ...]: ...
