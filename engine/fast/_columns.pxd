# cython: language_level=3, wraparound=False, initializedcheck=False
"""The event columns that decode fills, as the rows are found."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t

from engine.fast._row cimport Row
from engine.fast._types cimport is_placed

cdef struct Columns:
    int8_t* kind            # (cap,) each, as in engine.model.Events
    uint8_t* reason
    int32_t* sensor
    int64_t* ts
    int64_t* span_ms
    int64_t* n              # (cap, 3)
    int64_t* seq
    uint8_t* has_seq
    double* x
    double* y
    int64_t* record_ts
    int32_t* message
    int64_t cap


cdef inline void put(const Columns* to, int64_t at, const Row* row, int32_t message) noexcept nogil:
    """Write row ``at``, where there is room for it."""
    if at >= to.cap:
        return
    to.kind[at] = row.kind
    to.reason[at] = row.reason
    to.sensor[at] = row.sensor
    to.ts[at] = row.ts
    to.span_ms[at] = row.span_ms
    to.n[3 * at] = row.ab
    to.n[3 * at + 1] = row.ba
    to.n[3 * at + 2] = row.un
    to.seq[at] = row.seq
    to.has_seq[at] = row.has_seq
    if is_placed(row.kind) and row.reason == 0:
        to.x[at] = row.x
        to.y[at] = row.y
    to.record_ts[at] = row.record_ts
    to.message[at] = message
