# cython: language_level=3, wraparound=False, initializedcheck=False
"""Compiled twin of engine/crossing.py: same names, same arguments, same outcome."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport rint
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free

from engine.fast._crossing_checks cimport boxes, check_plan, check_rows
from engine.fast._keys cimport Reader, Writer
from engine.fast._moves cimport forget, read_tracks, work_off, write_tracks
from engine.fast._rows cimport Rows, load, packed, push
from engine.fast._tracks cimport (
    Followed, HEADING_WIDTH, PASSAGE_WIDTH, Plan, Track, ZONE_WIDTH, index_tracks, index_zones, insert, place, remove, seek, track_of,
)
from engine.fast._types cimport FAR_M, NO_TIME, UM


cdef class Tracks:
    """Points of one partition -> passages of gates, time and path in zones (see engine/crossing.py)."""

    cdef readonly int64_t track_ms
    cdef Followed of

    def __cinit__(self, int64_t track_ms, tuple state=None):
        self.track_ms = self.of.track_ms = track_ms
        self.of.zones.width, self.of.headings.width = ZONE_WIDTH, HEADING_WIDTH
        if state is not None:
            load(&self.of.zones, state[1])
        if index_tracks(&self.of) or index_zones(&self.of):
            raise MemoryError()
        if state is not None:
            self.restore(state[0])

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.of.size):
            free(self.of.tracks[i].ahead)
            free(self.of.tracks[i].stays)
        free(self.of.tracks)
        free(self.of.by_key.slot)
        free(self.of.zones.data)
        free(self.of.headings.data)
        free(self.of.by_zone.slot)

    cdef restore(self, bytes packed_tracks):
        cdef const uint8_t* start = packed_tracks
        cdef Reader source = Reader(start, start + len(packed_tracks), False)
        if read_tracks(&self.of, &source):
            raise MemoryError()
        if source.broken:
            raise ValueError("numbers that end early")

    def add(
        self,
        const int64_t[::1] rows,    # IN  (m,) rows of the batch
        const int32_t[::1] sensor,  # IN  (batch,)
        const int64_t[::1] ts,      # IN  (batch,) ms
        const int64_t[::1] track,   # IN  (batch,)
        const double[::1] x,        # IN  (batch,) m
        const double[::1] y,        # IN  (batch,) m
        uint8_t[::1] repeat,        # OUT (batch,)
    ):
        """Keep the points of a batch until they are final (see engine/crossing.py)."""
        cdef Py_ssize_t j
        cdef int failed
        if not (sensor.shape[0] == ts.shape[0] == track.shape[0] == x.shape[0] == y.shape[0] == repeat.shape[0]):
            raise ValueError("columns differ in length")
        check_rows(rows, sensor)
        for j in range(rows.shape[0]):
            if not (-FAR_M <= x[rows[j]] <= FAR_M and -FAR_M <= y[rows[j]] <= FAR_M):
                raise ValueError("a point too far off")
        with nogil:
            failed = self.keep(rows, sensor, ts, track, x, y, repeat)
        if failed:
            raise MemoryError()

    cdef int keep(
        self, const int64_t[::1] rows, const int32_t[::1] sensor, const int64_t[::1] ts, const int64_t[::1] track,
        const double[::1] x, const double[::1] y, uint8_t[::1] repeat,
    ) noexcept nogil:
        cdef Py_ssize_t i, j, at
        cdef Track* found
        for j in range(rows.shape[0]):
            i = rows[j]
            found = track_of(&self.of, sensor[i], track[i])
            if found == NULL:
                return -1
            at = place(found, ts[i])
            repeat[i] = at < found.size and found.ahead[at].ts == ts[i]
            if not repeat[i] and insert(found, at, ts[i], <int64_t> rint(x[i] * UM), <int64_t> rint(y[i] * UM)):
                return -1
        return 0

    def drop(
        self,
        const int64_t[::1] rows,    # IN (m,) rows of the batch
        const int32_t[::1] sensor,  # IN (batch,)
        const int64_t[::1] ts,      # IN (batch,) ms
        const int64_t[::1] track,   # IN (batch,)
    ):
        """Take out points that were too late after all (see engine/crossing.py)."""
        cdef Py_ssize_t i, j, at
        cdef Track* found
        if not (sensor.shape[0] == ts.shape[0] == track.shape[0]):
            raise ValueError("columns differ in length")
        check_rows(rows, sensor)
        for j in range(rows.shape[0]):
            i = rows[j]
            found = seek(&self.of, sensor[i], track[i])
            if found != NULL:
                at = place(found, ts[i])
                if at < found.size and found.ahead[at].ts == ts[i]:
                    remove(found, at, 1)

    def settle(
        self,
        int64_t watermark_ms,              # IN
        const int64_t[::1] sensor_wait_ms, # IN (S,)
        const int32_t[::1] sensor_gate,    # IN (S,)
        const int32_t[::1] sensor_zone,    # IN (S,)
        const int64_t[:, ::1] line_um,     # IN (G, 4)
        const int32_t[::1] corner_at,      # IN (Z + 1,)
        const int64_t[:, ::1] corner_um,   # IN (C, 2)
    ):
        """Work off the points with ts + wait < W (see engine/crossing.py)."""
        cdef Rows out = Rows(NULL, 0, 0, PASSAGE_WIDTH)
        cdef Plan plan
        cdef int failed
        cdef int64_t* box
        check_plan(sensor_wait_ms, sensor_gate, sensor_zone, line_um, corner_at, corner_um)
        cdef Py_ssize_t i
        for i in range(self.of.size):
            if self.of.tracks[i].sensor >= sensor_wait_ms.shape[0]:
                raise ValueError("no such sensor row")
        if watermark_ms == NO_TIME or self.of.size == 0:
            return b""
        plan.gates, plan.zones = line_um.shape[0], corner_at.shape[0] - 1
        plan.wait_ms, plan.gate, plan.zone = &sensor_wait_ms[0], &sensor_gate[0], &sensor_zone[0]
        plan.line = &line_um[0, 0] if plan.gates else NULL
        plan.corner_at = &corner_at[0]
        plan.corner = &corner_um[0, 0] if corner_um.shape[0] else NULL
        plan.box = box = boxes(corner_at, corner_um)
        if box == NULL:
            raise MemoryError()
        with nogil:
            failed = work_off(&self.of, watermark_ms, &plan, &out) or forget(&self.of)
        free(box)
        told = packed(&out)
        free(out.data)
        if failed:
            raise MemoryError()
        return told

    def take(self, int64_t until_ms):
        """Remove what was counted in zones in panes that close at or before until_ms; return it."""
        cdef Rows done = Rows(NULL, 0, 0, ZONE_WIDTH)
        cdef Py_ssize_t i, kept = 0, j
        cdef int64_t* row
        cdef int64_t* to
        for i in range(self.of.zones.size):
            row = self.of.zones.data + i * ZONE_WIDTH
            if row[1] <= until_ms:
                to = push(&done)
                if to == NULL:
                    free(done.data)
                    raise MemoryError()
            else:
                to = self.of.zones.data + kept * ZONE_WIDTH
                kept += 1
            for j in range(ZONE_WIDTH):
                to[j] = row[j]
        self.of.zones.size = kept
        told = packed(&done)
        free(done.data)
        if len(told) and index_zones(&self.of):
            raise MemoryError()
        return told

    def headings(self):
        """Remove and return the headings since the last call (see engine/crossing.py)."""
        out = packed(&self.of.headings)
        self.of.headings.size = 0
        return out

    def state(self):
        """All that a later Tracks(track_ms, state) needs to go on."""
        cdef Writer out = Writer(NULL, 0)
        write_tracks(&self.of, &out)
        tracks = PyBytes_FromStringAndSize(NULL, out.size)
        out = Writer(<uint8_t*> <char*> tracks, 0)
        write_tracks(&self.of, &out)
        return tracks, packed(&self.of.zones)
