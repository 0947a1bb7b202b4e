# cython: language_level=3, wraparound=False, initializedcheck=False
"""Compiled twin of engine/decode.py: same names, same arguments, same rows."""

from libc.stdint cimport INT32_MAX, int8_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free

from engine.fast._arrow_rows cimport MARK, stream_rows
from engine.fast._arrow_words cimport NO_MEMORY, UNREADABLE, Reader, release
from engine.fast._columns cimport Columns, put
from engine.fast._row cimport Row, blank_row
from engine.fast._scan cimport blank
from engine.fast._scan_ids cimport Slot, Table, slot_of
from engine.fast._scan_key cimport Fields
from engine.fast._scan_message cimport AT_ELEMENT, AT_TAIL, BROKEN, FINISHED, NO_VALUE, Cursor, behind_value, open_message
from engine.fast._scan_record cimport record_end, value_end
from engine.fast._scan_rules cimport judge
from engine.fast._types cimport (
    ARROW, AUTO, BAD_VALUE, BEAM, COUNT, COUNT_MAX, CROSS, FAR_M, FAST_M_S, HEARTBEAT, ID_BYTES, JSON, KIND_NONE, MALFORMED,
    MISSING_FIELD, NO_TIME, OCCUPANCY, POINT, REGISTRY, SET, TICK, TS_MAX, TS_MIN, UNKNOWN_TYPE, is_control,
)

CONSTANTS = {
    "KIND_NONE": KIND_NONE, "CROSS": CROSS, "COUNT": COUNT, "HEARTBEAT": HEARTBEAT, "TICK": TICK, "SET": SET,
    "REGISTRY": REGISTRY, "MALFORMED": MALFORMED, "UNKNOWN_TYPE": UNKNOWN_TYPE, "MISSING_FIELD": MISSING_FIELD,
    "BAD_VALUE": BAD_VALUE, "NO_TIME": NO_TIME, "TS_MIN": TS_MIN, "TS_MAX": TS_MAX, "COUNT_MAX": COUNT_MAX,
    "ID_BYTES": ID_BYTES, "DIRECTION_COUNT": DIRECTION_COUNT, "AUTO": AUTO, "JSON": JSON, "ARROW": ARROW,
    "POINT": POINT, "BEAM": BEAM, "OCCUPANCY": OCCUPANCY, "FAR_M": FAR_M, "FAST_M_S": FAST_M_S,
}  # what the tests hold equal to engine.model


cdef class Ids:
    """Exact-match table of sensor ids (bytes of UTF-8); see engine.decode.Ids. Remembers dictionaries it was asked for."""

    cdef Table table
    cdef Reader reader
    cdef Py_ssize_t size

    def __cinit__(self, list ids):
        cdef Py_ssize_t room = 4
        cdef Py_ssize_t row
        cdef bytes sensor_id
        cdef const uint8_t* start
        cdef Slot* slot
        cdef Slot key
        while room < 2 * len(ids):
            room *= 2
        self.table.slots = <Slot*> calloc(room, sizeof(Slot))
        if self.table.slots == NULL:
            raise MemoryError()
        self.table.mask = room - 1
        self.size = len(ids)
        for row in range(room):
            self.table.slots[row].row = -1
        for row in range(self.size):
            if ids[row] is None:
                continue
            sensor_id = ids[row]
            if len(sensor_id) > ID_BYTES:
                raise ValueError(f"id {row} is longer than {ID_BYTES} bytes")
            start = sensor_id
            slot = slot_of(&self.table, start, len(sensor_id), start + len(sensor_id), &key)
            if slot.row >= 0:
                raise ValueError(f"ids {slot.row} and {row} are the same")
            slot[0] = key
            slot.row = <int32_t> row

    def __dealloc__(self):
        free(self.table.slots)
        release(&self.reader)

    def __len__(self):
        return self.size

    def find(self, bytes id not None):
        """Row of the id, -1 where there is none."""
        cdef const uint8_t* start = id
        cdef Slot key
        if len(id) > ID_BYTES:
            return -1
        return slot_of(&self.table, start, len(id), start + len(id), &key).row


cdef enum:
    DIRECTION_COUNT = 3

cdef extern from *:
    """
    /* Calls a function whose name the compiler cannot see: inlined, it would leave the loop over JSON less room. */
    #define HITO_STREAM(f, ...) __extension__ ({ \\
        __typeof__(&f) hito_at = &f; __asm__("" : "+r"(hito_at)); hito_at(__VA_ARGS__); })
    """
    int64_t stream_apart "HITO_STREAM"(
        int64_t (*f)(
            Reader*, const Table*, const uint8_t*, const uint8_t*, int64_t, const Columns*, int64_t, int32_t
        ) noexcept nogil,
        Reader* reader, const Table* table, const uint8_t* p, const uint8_t* end, int64_t message_ts,
        const Columns* out, int64_t filled, int32_t message,
    ) noexcept nogil

cdef inline int next_row(Cursor* cursor, const Table* table, int64_t message_ts, Row* row) noexcept nogil:
    cdef Fields fields
    cdef const uint8_t* end = cursor.end
    cdef const uint8_t* p = cursor.p
    cdef bint is_element = cursor.state == AT_ELEMENT
    if cursor.state == NO_VALUE:
        return BROKEN
    if cursor.state == AT_TAIL:
        return FINISHED if blank(p, end) == end else BROKEN
    if p < end and p[0] == c"{":
        p = record_end(p + 1, end, 1 + is_element, &fields)
        if p == NULL:
            return BROKEN
        judge(&fields, table, end, message_ts, row)
    else:
        p = value_end(p, end, 1)
        if p == NULL:
            return BROKEN
        blank_row(row, MALFORMED, message_ts)
    return behind_value(cursor, p, is_element)


cdef inline Py_ssize_t json_rows(
    const uint8_t* p, const uint8_t* end, const Table* table, int64_t message_ts, const Columns* out,
    Py_ssize_t filled, int32_t message, bint control,
) noexcept nogil:
    """Rows in the columns behind the message's, also where there is no room for them; UNREADABLE where malformed.

    ``control``: only messages of control records are taken.
    """
    cdef Cursor cursor
    cdef Row found
    cdef int state
    open_message(&cursor, p, end)
    while True:
        state = next_row(&cursor, table, message_ts, &found)
        if state == FINISHED:
            return filled
        if state == BROKEN or (control and not is_control(found.kind)):
            return UNREADABLE
        put(out, filled, &found, message)
        filled += 1


def decode(
    const uint8_t[::1] data,        # IN  (bytes,)
    const int64_t[::1] starts,      # IN  (messages,) message i is data[starts[i]:ends[i]]
    const int64_t[::1] ends,        # IN  (messages,)
    const int64_t[::1] record_ts,   # IN  (messages,) ms, NO_TIME = look at the record
    Ids ids not None,               # IN
    int8_t[::1] kind,               # OUT (cap,)
    uint8_t[::1] reason,            # OUT (cap,)
    int32_t[::1] sensor,            # OUT (cap,) row of ids, -1 unknown
    int64_t[::1] ts,                # OUT (cap,) ms
    int64_t[::1] span_ms,           # OUT (cap,)
    int64_t[:, ::1] n,              # OUT (cap, 3) ab, ba, unknown
    int64_t[::1] seq,               # OUT (cap,)
    uint8_t[::1] has_seq,           # OUT (cap,)
    double[::1] x,                  # OUT (cap,) of accepted points and readings of occupancy alone
    double[::1] y,                  # OUT (cap,) likewise
    int64_t[::1] out_record_ts,     # OUT (cap,) ms
    int32_t[::1] message,           # OUT (cap,) index of the message
    Py_ssize_t first,               # IN  first message to decode
    int wire=AUTO,                  # IN  AUTO, JSON, ARROW
    Py_ssize_t enough=INT32_MAX,    # IN  rows after which no other message is begun
):
    """Decode messages from ``first`` on; (next message, rows filled). See engine.decode.decode."""
    cdef Py_ssize_t count = starts.shape[0], cap = kind.shape[0], filled = 0, row, i
    cdef const uint8_t* text = &data[0] if data.shape[0] else <const uint8_t*> b""
    cdef const uint8_t* start
    cdef const uint8_t* end
    cdef Columns out
    cdef Row malformed
    cdef bint outside = False
    if not (ends.shape[0] == record_ts.shape[0] == count <= INT32_MAX):
        raise ValueError("starts, ends and record_ts must be of one length")
    if not (reason.shape[0] == sensor.shape[0] == ts.shape[0] == span_ms.shape[0] == n.shape[0] == cap
            and seq.shape[0] == has_seq.shape[0] == x.shape[0] == y.shape[0] == out_record_ts.shape[0] == cap
            and message.shape[0] == cap and n.shape[1] == DIRECTION_COUNT):
        raise ValueError("the columns must be of one length, n of shape (length, 3)")
    if not 0 <= first <= count:
        raise ValueError("first must be 0 … the number of messages")
    out.cap = cap
    if cap:
        out.kind, out.reason, out.sensor, out.ts, out.span_ms = &kind[0], &reason[0], &sensor[0], &ts[0], &span_ms[0]
        out.n, out.seq, out.has_seq, out.x, out.y = &n[0, 0], &seq[0], &has_seq[0], &x[0], &y[0]
        out.record_ts, out.message = &out_record_ts[0], &message[0]
    with nogil:
        row, i = 0, first
        while i < count and filled < enough:
            if not 0 <= starts[i] <= ends[i] <= data.shape[0]:
                outside = True
                break
            start, end = text + starts[i], text + ends[i]
            if wire != JSON and start < end and start[0] == MARK:
                row = stream_apart(
                    stream_rows, &ids.reader, &ids.table, start, end, record_ts[i], &out, filled, <int32_t> i
                )
            else:
                row = json_rows(start, end, &ids.table, record_ts[i], &out, filled, <int32_t> i, wire == ARROW)
            if row == NO_MEMORY:
                break
            if row == UNREADABLE:
                blank_row(&malformed, MALFORMED, record_ts[i])
                put(&out, filled, &malformed, <int32_t> i)
                row = filled + 1
            if row > cap:  # this message waits for the next call
                break
            filled = row
            i += 1
    if row == NO_MEMORY:
        raise MemoryError()
    if outside:
        raise ValueError("a message lies outside data")
    return i, filled
