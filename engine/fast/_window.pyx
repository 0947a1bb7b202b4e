# cython: language_level=3, wraparound=False, initializedcheck=False
"""Compiled twin of engine/window.py: same names, same arguments, same outcome."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from engine.fast._keys cimport Reader, Writer
from engine.fast._panes cimport (
    Panes, close_panes, fetch_keys, fetch_pane, new_key, pane_of, read_keys, release, room_for_lists, write_keys,
)
from engine.fast._rows cimport COVER_WIDTH, KEY_WIDTH, PANE_WIDTH, Rows, drop, load, packed, push, rebuild
from engine.fast._types cimport (
    BEAM, BY_HEARTBEAT, CELL_MS, COUNT, CROSS, DUPLICATE, END, EVERY_SPAN, HEARTBEAT, KIND_NONE, LATE, NO_TIME, POINT, TICK,
    floor_to, is_control,
)

cdef enum:
    AHEAD = 8  # events whose panes are asked for before they are needed

cdef struct Tally:  # of the accepted rows of one add()
    int64_t accepted, persons, counts
    int64_t first, last  # instants


cdef class PaneTable:
    """Open panes, dedupe keys and covered spans of one partition (see engine/window.py)."""

    cdef readonly int64_t bound_ms, watermark, first_watermark
    cdef Panes of
    cdef Rows spans, told_cells
    cdef Py_ssize_t sensors

    def __cinit__(self, int64_t bound_ms, tuple state=None):
        self.bound_ms = bound_ms
        self.watermark = self.first_watermark = NO_TIME
        self.of.panes.width, self.of.strays.width, self.spans.width = PANE_WIDTH, KEY_WIDTH, COVER_WIDTH
        self.told_cells.width = 1
        if state is not None:
            self.restore(state[0], state[1])
        if rebuild(&self.of.by_pane, &self.of.panes, False) or rebuild(&self.of.by_key, &self.of.strays, True):
            raise MemoryError()
        if state is not None:
            self.restore_keys(state[2])

    def __dealloc__(self):
        release(&self.of)
        free(self.spans.data)
        free(self.told_cells.data)

    cdef restore(self, bytes marks, bytes panes):
        if len(marks) != 16:
            raise ValueError("state of another length")
        memcpy(&self.watermark, <const char*> marks, 8)
        memcpy(&self.first_watermark, <const char*> marks + 8, 8)
        load(&self.of.panes, panes)
        if room_for_lists(&self.of):
            raise MemoryError()

    cdef restore_keys(self, bytes packed_keys):
        cdef const uint8_t* start = packed_keys
        cdef Reader source = Reader(start, start + len(packed_keys), False)
        if read_keys(&self.of, &source):
            raise MemoryError()
        if source.broken:
            raise ValueError("keys that end early")

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
        const uint8_t[::1] repeat,            # IN    (rows,)
        const int64_t[::1] sensor_delay_ms,   # IN    (S,)
        const int64_t[::1] sensor_wait_ms,    # IN    (S,)
        const int8_t[::1] sensor_reporting,   # IN    (S,)
        const int64_t[::1] sensor_beat_ms,    # IN    (S,)
        int64_t[::1] told_ms,                 # OUT   (rows,) ms
    ):
        """Take in admitted rows in log order (see engine/window.py)."""
        cdef Py_ssize_t rows = kind.shape[0], i
        cdef int failed
        cdef Tally tally = Tally(0, 0, 0, END, NO_TIME)
        if not (reason.shape[0] == sensor.shape[0] == ts.shape[0] == span_ms.shape[0] == n.shape[0] == rows
                and seq.shape[0] == has_seq.shape[0] == pane_ms.shape[0] == pane_end_ms.shape[0] == rows
                and mark_ms.shape[0] == repeat.shape[0] == told_ms.shape[0] == rows and n.shape[1] == 3
                and (sensor_delay_ms.shape[0] == sensor_wait_ms.shape[0] == sensor_reporting.shape[0]
                     == sensor_beat_ms.shape[0])):
            raise ValueError("columns differ in length")
        for i in range(rows):
            if sensor[i] >= sensor_delay_ms.shape[0]:
                raise ValueError("no such sensor row")
        if self.of.last == NULL or self.sensors != sensor_delay_ms.shape[0]:  # NULL at first, also without sensors
            self.sensors = sensor_delay_ms.shape[0]
            free(self.of.last)
            self.of.last = <int32_t*> calloc(self.sensors + 1, sizeof(int32_t))
        with nogil:
            failed = self.of.last == NULL or self.run(
                kind, reason, sensor, ts, span_ms, n, seq, has_seq, pane_ms, pane_end_ms, mark_ms,
                repeat, sensor_delay_ms, sensor_wait_ms, sensor_reporting, sensor_beat_ms, told_ms, &tally)
        if failed:
            raise MemoryError()
        return tally.accepted, tally.persons, tally.counts, tally.first, tally.last

    cdef int run(
        self, const int8_t[::1] kind, uint8_t[::1] reason, const int32_t[::1] sensor, const int64_t[::1] ts,
        const int64_t[::1] span_ms, const int64_t[:, ::1] n, const int64_t[::1] seq, const uint8_t[::1] has_seq,
        const int64_t[::1] pane_ms, const int64_t[::1] pane_end_ms, const int64_t[::1] mark_ms,
        const uint8_t[::1] repeat, const int64_t[::1] sensor_delay_ms, const int64_t[::1] sensor_wait_ms,
        const int8_t[::1] sensor_reporting, const int64_t[::1] sensor_beat_ms,
        int64_t[::1] told_ms, Tally* tally,
    ) noexcept nogil:
        cdef Py_ssize_t i
        cdef int d, added, alone
        cdef int32_t s
        cdef int8_t k
        cdef int64_t close, instant, start
        cdef int64_t* row
        for i in range(kind.shape[0]):
            if i + 2 * AHEAD < kind.shape[0]:
                if sensor[i + 2 * AHEAD] >= 0:
                    fetch_pane(&self.of, sensor[i + 2 * AHEAD])
                if sensor[i + AHEAD] >= 0:
                    fetch_keys(&self.of, sensor[i + AHEAD])
            told_ms[i] = self.watermark
            if reason[i] != 0:
                continue
            k = kind[i]
            if k == KIND_NONE or is_control(k):
                told_ms[i] = NO_TIME
                if k == TICK:
                    self.move(mark_ms[i])
                continue
            s = sensor[i]
            alone = k == POINT or k == BEAM
            close = pane_end_ms[i] + sensor_delay_ms[s]
            if pane_end_ms[i] + sensor_wait_ms[s] <= self.watermark:
                reason[i] = LATE
                continue
            # points and beams that repeat one are known already (fast/_crossing.pyx, _beam.pyx)
            added = repeat[i] == 0 if alone else new_key(
                &self.of, pane_ms[i], close, s, k, ts[i], span_ms[i], has_seq[i], seq[i])
            if added < 0:
                return -1
            if added == 0:
                reason[i] = DUPLICATE
                continue
            if k == HEARTBEAT:
                if sensor_reporting[s] == BY_HEARTBEAT and self.cover(s, ts[i], ts[i] + 2 * sensor_beat_ms[s]):
                    return -1
            elif k == CROSS or k == COUNT:
                row = pane_of(&self.of, pane_ms[i], close, s)
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
            if self.tell(told_ms[i]):
                return -1
            tally.accepted += 1
            tally.persons += 1 if k == CROSS else alone
            tally.counts += k == COUNT
            tally.first = min(tally.first, instant)
            tally.last = max(tally.last, instant)
            self.move(mark_ms[i])
        return 0

    cdef inline int tell(self, int64_t told_ms) noexcept nogil:
        """Note the cell of an accepted event; neighbours mostly share one."""
        cdef int64_t cell
        cdef int64_t* row
        if self.told_cells.size:  # else there is no last one to point at
            row = self.told_cells.data + self.told_cells.size - 1
            if row[0] <= told_ms < row[0] + CELL_MS:
                return 0
        cell, row = floor_to(told_ms, CELL_MS), push(&self.told_cells)
        if row == NULL:
            return -1
        row[0] = cell
        return 0

    cdef inline void move(self, int64_t mark_ms) noexcept nogil:
        if mark_ms > self.watermark + self.bound_ms:  # in this order no sum leaves int64, whatever a record time is
            self.watermark = mark_ms - self.bound_ms
            if self.first_watermark == NO_TIME:
                self.first_watermark = self.watermark

    cdef int cover(self, int32_t s, int64_t start, int64_t end) noexcept nogil:
        cdef int64_t* row = push(&self.spans)
        if row == NULL:
            return -1
        row[0], row[1], row[2] = s, start, end
        return 0

    def take(self, int64_t until_ms):
        """Remove the panes and dedupe keys that close at or before until_ms; return the panes."""
        cdef Rows done = Rows(NULL, 0, 0, PANE_WIDTH)
        cdef Py_ssize_t before = self.of.strays.size
        cdef int failed = close_panes(&self.of, until_ms, &done)
        drop(&self.of.strays, until_ms)
        self.of.unordered = self.of.unordered and self.of.strays.size > 0
        out = packed(&done)
        free(done.data)
        if len(out) and self.of.last != NULL:
            memset(self.of.last, 0, self.sensors * sizeof(int32_t))
        if failed or (len(out) and rebuild(&self.of.by_pane, &self.of.panes, False)) or (
                self.of.strays.size != before and rebuild(&self.of.by_key, &self.of.strays, True)):
            raise MemoryError()
        return out

    def cells(self):
        """Remove and return the 10 s cells told of accepted events since the last call, with repeats."""
        out = packed(&self.told_cells)
        self.told_cells.size = 0
        return out

    def covers(self):
        """Remove and return the covered spans since the last call."""
        out = packed(&self.spans)
        self.spans.size = 0
        return out

    def state(self):
        """All that a later PaneTable(bound_ms, state) needs to go on."""
        cdef int64_t[2] marks = [self.watermark, self.first_watermark]
        cdef Writer out = Writer(NULL, 0)
        write_keys(&self.of, &out)
        keys = PyBytes_FromStringAndSize(NULL, out.size)
        out = Writer(<uint8_t*> <char*> keys, 0)
        write_keys(&self.of, &out)
        return PyBytes_FromStringAndSize(<char*> marks, 16), packed(&self.of.panes), keys
