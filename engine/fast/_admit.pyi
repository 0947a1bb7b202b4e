from engine.model import I8, I32, I64, U8

def admit(
    kind: I8,
    reason: U8,
    sensor: I32,
    ts: I64,
    span_ms: I64,
    record_ts: I64,
    sensor_gate: I32,
    sensor_leaf: I8,
    approved_at: I32,
    approved_from: I64,
    approved_to: I64,
    changes: I64,
    offsets: I64,
    pane_ms: I64,
    pane_end_ms: I64,
    mark_ms: I64,
) -> None: ...
