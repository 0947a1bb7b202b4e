# cython: language_level=3, wraparound=False, initializedcheck=False
"""Compiled twin of engine/window.py: same names, same arguments, same outcome."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from engine.fast._rows cimport (
    COVER_WIDTH, Index, KEY_WIDTH, PANE_WIDTH, Rows, load, mixed, packed, push, rebuild, sift,
)
from engine.fast._types cimport (
    BY_HEARTBEAT, CELL_MS, COUNT, CROSS, DUPLICATE, EVERY_SPAN, HEARTBEAT, LATE, NO_TIME, TICK, floor_to,
)


cdef class PaneTable:
    """Open panes, dedupe keys and covered spans of one partition (see engine/window.py)."""

    cdef readonly int64_t bound_ms, watermark, first_watermark
    cdef Rows panes, keys, spans
    cdef Index by_pane, by_key
    cdef int32_t* last  # sensor -> row + 1 of the pane it used last, 0 = none
    cdef Py_ssize_t sensors

    def __cinit__(self, int64_t bound_ms, tuple state=None):
        self.bound_ms = bound_ms
        self.watermark = self.first_watermark = NO_TIME
        self.panes.width, self.keys.width, self.spans.width = PANE_WIDTH, KEY_WIDTH, COVER_WIDTH
        if state is not None:
            self.restore(state[0], state[1], state[2])
        if rebuild(&self.by_pane, &self.panes, False) or rebuild(&self.by_key, &self.keys, True):
            raise MemoryError()

    def __dealloc__(self):
        free(self.panes.data)
        free(self.keys.data)
        free(self.spans.data)
        free(self.by_pane.slot)
        free(self.by_key.slot)
        free(self.last)

    cdef restore(self, bytes marks, bytes panes, bytes keys):
        if len(marks) != 16:
            raise ValueError("state of another length")
        memcpy(&self.watermark, <const char*> marks, 8)
        memcpy(&self.first_watermark, <const char*> marks + 8, 8)
        load(&self.panes, panes)
        load(&self.keys, keys)

    def add(
        self,
        const int8_t[::1] kind,               # IN    (rows,)
        uint8_t[::1] reason,                  # INOUT (rows,)
        const int32_t[::1] sensor,            # IN    (rows,)
        const int64_t[::1] ts,                # IN    (rows,) ms
        const int64_t[::1] span_ms,           # IN    (rows,)
        const int64_t[:, ::1] n,              # IN    (rows, 3) people
        const int64_t[::1] seq,               # IN    (rows,)
        const uint8_t[::1] has_seq,           # IN    (rows,)
        const int64_t[::1] pane_ms,           # IN    (rows,)
        const int64_t[::1] pane_end_ms,       # IN    (rows,)
        const int64_t[::1] mark_ms,           # IN    (rows,)
        const int64_t[::1] sensor_delay_ms,   # IN    (S,)
        const int8_t[::1] sensor_reporting,   # IN    (S,)
        const int64_t[::1] sensor_beat_ms,    # IN    (S,)
        int64_t[::1] told_ms,                 # OUT   (rows,) ms
    ):
        """Take in admitted rows in log order (see engine/window.py)."""
        cdef Py_ssize_t rows = kind.shape[0], i
        cdef int failed
        if not (reason.shape[0] == sensor.shape[0] == ts.shape[0] == span_ms.shape[0] == n.shape[0] == rows
                and seq.shape[0] == has_seq.shape[0] == pane_ms.shape[0] == pane_end_ms.shape[0] == rows
                and mark_ms.shape[0] == told_ms.shape[0] == rows and n.shape[1] == 3
                and sensor_delay_ms.shape[0] == sensor_reporting.shape[0] == sensor_beat_ms.shape[0]):
            raise ValueError("columns differ in length")
        for i in range(rows):
            if sensor[i] >= sensor_delay_ms.shape[0]:
                raise ValueError("no such sensor row")
        if self.sensors != sensor_delay_ms.shape[0]:
            self.sensors = sensor_delay_ms.shape[0]
            free(self.last)
            self.last = <int32_t*> calloc(self.sensors + 1, sizeof(int32_t))
        if self.last == NULL:
            raise MemoryError()
        with nogil:
            failed = self.run(kind, reason, sensor, ts, span_ms, n, seq, has_seq, pane_ms, pane_end_ms, mark_ms,
                              sensor_delay_ms, sensor_reporting, sensor_beat_ms, told_ms)
        if failed:
            raise MemoryError()

    cdef int run(
        self, const int8_t[::1] kind, uint8_t[::1] reason, const int32_t[::1] sensor, const int64_t[::1] ts,
        const int64_t[::1] span_ms, const int64_t[:, ::1] n, const int64_t[::1] seq, const uint8_t[::1] has_seq,
        const int64_t[::1] pane_ms, const int64_t[::1] pane_end_ms, const int64_t[::1] mark_ms,
        const int64_t[::1] sensor_delay_ms, const int8_t[::1] sensor_reporting, const int64_t[::1] sensor_beat_ms,
        int64_t[::1] told_ms,
    ) noexcept nogil:
        cdef Py_ssize_t i
        cdef int d, added
        cdef int32_t s
        cdef int8_t k
        cdef int64_t close, instant, start
        cdef int64_t* row
        for i in range(kind.shape[0]):
            told_ms[i] = NO_TIME
            if reason[i] != 0:
                told_ms[i] = self.watermark
                continue
            k = kind[i]
            if k == TICK:
                self.move(mark_ms[i])
                continue
            if k != CROSS and k != COUNT and k != HEARTBEAT:
                continue
            s = sensor[i]
            close = pane_end_ms[i] + sensor_delay_ms[s]
            if close <= self.watermark:
                reason[i] = LATE
                told_ms[i] = self.watermark
                continue
            if k == COUNT or (k == CROSS and has_seq[i]):
                added = self.new_key(close, s, k, ts[i], span_ms[i] if k == COUNT else seq[i])
                if added < 0:
                    return -1
                if added == 0:
                    reason[i] = DUPLICATE
                    told_ms[i] = self.watermark
                    continue
            if k == HEARTBEAT:
                if sensor_reporting[s] == BY_HEARTBEAT and self.cover(s, ts[i], ts[i] + 2 * sensor_beat_ms[s]):
                    return -1
            else:
                row = self.pane(pane_ms[i], close, s)
                if row == NULL:
                    return -1
                for d in range(3):
                    row[3 + d] += n[i, d]
                    if k == CROSS:
                        row[6 + d] += n[i, d]
                if k == COUNT and sensor_reporting[s] == EVERY_SPAN:
                    # the part before the pane counts only while the pane before is open
                    start = ts[i]
                    if start < pane_ms[i] and pane_ms[i] + sensor_delay_ms[s] <= self.watermark:
                        start = pane_ms[i]
                    if self.cover(s, start, ts[i] + span_ms[i]):
                        return -1
            instant = ts[i] + (span_ms[i] >> 1)
            told_ms[i] = self.watermark if floor_to(instant, CELL_MS) + CELL_MS <= self.watermark else instant
            self.move(mark_ms[i])
        return 0

    cdef inline void move(self, int64_t mark_ms) noexcept nogil:
        if mark_ms - self.bound_ms > self.watermark:
            self.watermark = mark_ms - self.bound_ms
            if self.first_watermark == NO_TIME:
                self.first_watermark = self.watermark

    cdef int cover(self, int32_t s, int64_t start, int64_t end) noexcept nogil:
        cdef int64_t* row = push(&self.spans)
        if row == NULL:
            return -1
        row[0], row[1], row[2] = s, start, end
        return 0

    cdef int64_t* pane(self, int64_t pane_ms, int64_t close, int32_t s) noexcept nogil:
        """The open pane of sensor s, made where it is new; NULL without memory."""
        cdef Py_ssize_t at
        cdef int64_t* row
        if self.last[s] != 0:
            row = self.panes.data + (self.last[s] - 1) * PANE_WIDTH
            if row[0] == pane_ms:
                return row
        at = mixed(<uint64_t> pane_ms, <uint64_t> s, 0) & self.by_pane.mask
        while self.by_pane.slot[at] != 0:
            row = self.panes.data + (self.by_pane.slot[at] - 1) * PANE_WIDTH
            if row[0] == pane_ms and row[2] == s:
                self.last[s] = self.by_pane.slot[at]
                return row
            at = (at + 1) & self.by_pane.mask
        row = push(&self.panes)
        if row == NULL:
            return NULL
        memset(row, 0, PANE_WIDTH * sizeof(int64_t))
        row[0], row[1], row[2] = pane_ms, close, s
        self.last[s] = self.by_pane.slot[at] = <int32_t> self.panes.size
        if 2 * self.panes.size > self.by_pane.mask and rebuild(&self.by_pane, &self.panes, False):
            return NULL
        return row

    cdef int new_key(self, int64_t close, int32_t s, int8_t k, int64_t ts, int64_t x) noexcept nogil:
        """1 = new and noted, 0 = known, -1 = no memory."""
        cdef Py_ssize_t at = mixed(<uint64_t> ts, <uint64_t> x, <uint64_t> (<int64_t> s * 8 + k)) & self.by_key.mask
        cdef int64_t* row
        while self.by_key.slot[at] != 0:
            row = self.keys.data + (self.by_key.slot[at] - 1) * KEY_WIDTH
            if row[3] == ts and row[4] == x and row[1] == s and row[2] == k:
                return 0
            at = (at + 1) & self.by_key.mask
        row = push(&self.keys)
        if row == NULL:
            return -1
        row[0], row[1], row[2], row[3], row[4] = close, s, k, ts, x
        self.by_key.slot[at] = <int32_t> self.keys.size
        if 2 * self.keys.size > self.by_key.mask and rebuild(&self.by_key, &self.keys, True):
            return -1
        return 1

    def take(self, int64_t until_ms):
        """Remove the panes and dedupe keys that close at or before until_ms; return the panes."""
        cdef Rows done
        cdef Py_ssize_t before = self.keys.size
        done.data, done.size, done.room, done.width = NULL, 0, 0, PANE_WIDTH
        if sift(&self.panes, 1, until_ms, &done) or sift(&self.keys, 0, until_ms, NULL):
            free(done.data)
            raise MemoryError()
        out = packed(&done)
        free(done.data)
        if len(out) and self.last != NULL:
            memset(self.last, 0, self.sensors * sizeof(int32_t))
        if (len(out) and rebuild(&self.by_pane, &self.panes, False)) or (
                self.keys.size != before and rebuild(&self.by_key, &self.keys, True)):
            raise MemoryError()
        return out

    def covers(self):
        """Remove and return the covered spans since the last call."""
        out = packed(&self.spans)
        self.spans.size = 0
        return out

    def state(self):
        """All that a later PaneTable(bound_ms, state) needs to go on."""
        cdef int64_t[2] marks = [self.watermark, self.first_watermark]
        return PyBytes_FromStringAndSize(<char*> marks, 16), packed(&self.panes), packed(&self.keys)
