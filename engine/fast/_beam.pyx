# cython: language_level=3, wraparound=False, initializedcheck=False
"""Compiled twin of engine/beam.py: same names, same arguments, same outcome."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free

from engine.fast._crossing_checks cimport check_rows
from engine.fast._keys cimport Reader, Writer
from engine.fast._pairs cimport (
    BROKEN_A, BROKEN_B, FREE, Pair, Pairs, Start, before, forget, index_pairs, insert, is_known, join, pair_of, place,
    read_pairs, remove, write_pairs,
)
from engine.fast._rows cimport Rows, packed
from engine.fast._tracks cimport PASSAGE_WIDTH
from engine.fast._types cimport NO_TIME


cdef int check(
    const int64_t[::1] rows, const int32_t[::1] sensor, const int64_t[::1] ts, const int64_t[::1] seq,
    const uint8_t[::1] has_seq, const int64_t[:, ::1] n,
) except -1:
    if not (sensor.shape[0] == ts.shape[0] == seq.shape[0] == has_seq.shape[0] == n.shape[0]) or n.shape[1] != 3:
        raise ValueError("columns differ in length")
    return check_rows(rows, sensor)


cdef Start start_of(
    Py_ssize_t i, const int64_t[::1] ts, const int64_t[::1] seq, const uint8_t[::1] has_seq, const int64_t[:, ::1] n
) noexcept nogil:
    """The beam record of one row."""
    cdef int64_t beam = BROKEN_A if n[i, 0] else BROKEN_B if n[i, 1] else FREE
    return Start(ts[i], beam, 1 if has_seq[i] else 0, seq[i] if has_seq[i] else 0)


cdef class Beams:
    """Records of beam pairs of one partition -> passages (see engine/beam.py)."""

    cdef readonly int64_t pair_ms
    cdef Pairs of

    def __cinit__(self, int64_t pair_ms, bytes state=None):
        cdef Reader source
        self.pair_ms = self.of.pair_ms = pair_ms
        if index_pairs(&self.of):
            raise MemoryError()
        if state is not None:
            source = Reader(<const uint8_t*> state, <const uint8_t*> state + len(state), False)
            if read_pairs(&self.of, &source):
                raise MemoryError()
            if source.broken:
                raise ValueError("numbers that end early")

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.of.size):
            free(self.of.pairs[i].ahead.data)
            free(self.of.pairs[i].waiting.data)
        free(self.of.pairs)
        free(self.of.by_sensor.slot)

    def add(
        self,
        const int64_t[::1] rows,     # IN  (m,) rows of the batch
        const int32_t[::1] sensor,   # IN  (batch,)
        const int64_t[::1] ts,       # IN  (batch,) ms
        const int64_t[::1] seq,      # IN  (batch,)
        const uint8_t[::1] has_seq,  # IN  (batch,)
        const int64_t[:, ::1] n,     # IN  (batch, 3) a broken, b broken
        uint8_t[::1] repeat,         # OUT (batch,)
    ):
        """Keep the beam records of a batch until they are final (see engine/beam.py)."""
        cdef Py_ssize_t i, j
        cdef Pair* pair
        cdef Start start
        check(rows, sensor, ts, seq, has_seq, n)
        if repeat.shape[0] != sensor.shape[0]:
            raise ValueError("columns differ in length")
        for j in range(rows.shape[0]):
            i = rows[j]
            start = start_of(i, ts, seq, has_seq, n)
            pair = pair_of(&self.of, sensor[i], True)
            if pair == NULL:
                raise MemoryError()
            repeat[i] = is_known(&pair.ahead, &start)
            if not repeat[i] and insert(&pair.ahead, place(&pair.ahead, &start), &start):
                raise MemoryError()

    def drop(
        self,
        const int64_t[::1] rows,     # IN (m,) rows of the batch
        const int32_t[::1] sensor,   # IN (batch,)
        const int64_t[::1] ts,       # IN (batch,) ms
        const int64_t[::1] seq,      # IN (batch,)
        const uint8_t[::1] has_seq,  # IN (batch,)
        const int64_t[:, ::1] n,     # IN (batch, 3) a broken, b broken
    ):
        """Take out records that were too late after all (see engine/beam.py)."""
        cdef Py_ssize_t i, j, at
        cdef Pair* pair
        cdef Start start
        check(rows, sensor, ts, seq, has_seq, n)
        for j in range(rows.shape[0]):
            i = rows[j]
            start = start_of(i, ts, seq, has_seq, n)
            pair = pair_of(&self.of, sensor[i], False)
            if pair != NULL:
                at = place(&pair.ahead, &start)
                if at < pair.ahead.size and not before(&start, pair.ahead.data + at):
                    remove(&pair.ahead, at, 1)

    def settle(
        self,
        int64_t watermark_ms,               # IN
        const int64_t[::1] sensor_wait_ms,  # IN (S,)
        const int32_t[::1] sensor_gate,     # IN (S,)
    ):
        """Pair the starts with ts + wait < W (see engine/beam.py)."""
        cdef Rows out = Rows(NULL, 0, 0, PASSAGE_WIDTH)
        cdef Py_ssize_t i
        cdef int32_t s
        cdef int failed = 0
        if sensor_gate.shape[0] != sensor_wait_ms.shape[0]:
            raise ValueError("columns differ in length")
        for i in range(self.of.size):
            if self.of.pairs[i].sensor >= sensor_wait_ms.shape[0]:
                raise ValueError("no such sensor row")
        if watermark_ms == NO_TIME:
            return b""
        for i in range(self.of.size):
            s = self.of.pairs[i].sensor
            failed |= join(&self.of, self.of.pairs + i, watermark_ms - sensor_wait_ms[s], sensor_gate[s], &out)
        told = packed(&out)
        free(out.data)
        if failed or forget(&self.of):
            raise MemoryError()
        return told

    def state(self):
        """All that a later Beams(pair_ms, state) needs to go on."""
        cdef Writer out = Writer(NULL, 0)
        write_pairs(&self.of, &out)
        pairs = PyBytes_FromStringAndSize(NULL, out.size)
        out = Writer(<uint8_t*> <char*> pairs, 0)
        write_pairs(&self.of, &out)
        return pairs
