from engine.model import I32, I64

def carry(
    chain: I32,
    start_ms: I64,
    end_ms: I64,
    people: I64,
    crosses: I64,
    threshold: int,
    rest: I64,
    since: I64,
    rest_crosses: I64,
    run_chain: I32,
    run_start: I64,
    run_end: I64,
    run_n: I64,
    run_crosses: I64,
) -> int: ...
