# Beam pairs of one partition: records ahead, and starts of one beam that wait for the other.
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memmove, memset

from engine.fast._keys cimport Reader, Writer, get, minus, plus, put
from engine.fast._rows cimport Index, Rows, clear, mixed, push, room_for_one, seat

cdef enum:
    AB = 0
    BA = 1
    UNKNOWN = 2

cdef enum:
    FREE = 0
    BROKEN_A = 1
    BROKEN_B = 2


cdef struct Start:
    int64_t ts
    int64_t beam  # FREE, BROKEN_A, BROKEN_B
    int64_t has_seq
    int64_t seq


cdef struct Starts:
    Start* data
    Py_ssize_t size, room


cdef struct Pair:
    int32_t sensor
    Starts waiting, ahead


cdef struct Pairs:
    Pair* pairs
    Py_ssize_t size, room
    Index by_sensor
    int64_t pair_ms


cdef inline int index_pairs(Pairs* of) noexcept nogil:
    cdef Py_ssize_t i
    if clear(&of.by_sensor, of.size):
        return -1
    for i in range(of.size):
        seat(&of.by_sensor, mixed(<uint64_t> of.pairs[i].sensor, 0, 0), i)
    return 0


cdef inline Pair* pair_of(Pairs* of, int32_t sensor, bint make) noexcept nogil:
    """The pair of a sensor, made where it is new and asked for; NULL where there is none, or no memory."""
    cdef Py_ssize_t at = mixed(<uint64_t> sensor, 0, 0) & of.by_sensor.mask
    cdef Pair* pair
    while of.by_sensor.slot[at] != 0:
        pair = of.pairs + (of.by_sensor.slot[at] - 1)
        if pair.sensor == sensor:
            return pair
        at = (at + 1) & of.by_sensor.mask
    if not make:
        return NULL
    pair = <Pair*> room_for_one(of.pairs, of.size, &of.room, 16, sizeof(Pair))
    if pair == NULL:
        return NULL
    of.pairs = pair
    pair = of.pairs + of.size
    memset(pair, 0, sizeof(Pair))
    pair.sensor = sensor
    of.size += 1
    if 2 * of.size > of.by_sensor.mask:
        if index_pairs(of):
            of.size -= 1
            return NULL
    else:
        seat(&of.by_sensor, mixed(<uint64_t> sensor, 0, 0), of.size - 1)
    return pair


cdef inline bint before(const Start* a, const Start* b) noexcept nogil:
    """The order of records: ts, beam, has_seq, seq."""
    if a.ts != b.ts:
        return a.ts < b.ts
    if a.beam != b.beam:
        return a.beam < b.beam
    return a.seq < b.seq if a.has_seq == b.has_seq else a.has_seq < b.has_seq


cdef inline Py_ssize_t place(const Starts* of, const Start* start) noexcept nogil:
    """The first record that does not come before ``start``."""
    cdef Py_ssize_t low = 0, high = of.size, middle
    while low < high:
        middle = (low + high) >> 1
        if before(of.data + middle, start):
            low = middle + 1
        else:
            high = middle
    return low


cdef inline bint is_known(const Starts* of, const Start* start) noexcept nogil:
    """Whether a record of this ts and seq stands here."""
    cdef Start first = Start(start.ts, 0, 0, 0)
    cdef Py_ssize_t i
    if not start.has_seq:
        return False
    for i in range(place(of, &first), of.size):
        if of.data[i].ts != start.ts:
            return False
        if of.data[i].has_seq and of.data[i].seq == start.seq:
            return True
    return False


cdef inline int insert(Starts* of, Py_ssize_t at, const Start* start) noexcept nogil:
    cdef void* data = room_for_one(of.data, of.size, &of.room, 8, sizeof(Start))
    if data == NULL:
        return -1
    of.data = <Start*> data
    memmove(of.data + at + 1, of.data + at, (of.size - at) * sizeof(Start))
    of.data[at] = start[0]
    of.size += 1
    return 0


cdef inline void remove(Starts* of, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    of.size -= count
    memmove(of.data + first, of.data + first + count, (of.size - first) * sizeof(Start))


cdef inline int tell(Rows* out, int64_t ms, int32_t sensor, int32_t gate, int direction) noexcept nogil:
    cdef int64_t* row
    if gate < 0:
        return 0
    row = push(out)
    if row == NULL:
        return -1
    row[0], row[1], row[2], row[3] = ms, sensor, gate, direction
    return 0


cdef inline int alone(Pairs* of, Pair* pair, int64_t at_ms, int32_t gate, Rows* out) noexcept nogil:
    """Passages of the starts that nothing at at_ms or later can join."""
    cdef Py_ssize_t i = 0
    while i < pair.waiting.size and pair.waiting.data[i].ts + of.pair_ms < at_ms:
        if tell(out, pair.waiting.data[i].ts, pair.sensor, gate, UNKNOWN):
            return -1
        i += 1
    if i:
        remove(&pair.waiting, 0, i)
    return 0


cdef inline int join(Pairs* of, Pair* pair, int64_t final_ms, int32_t gate, Rows* out) noexcept nogil:
    """Pair the records before final_ms; -1 without memory."""
    cdef Py_ssize_t i = 0
    cdef Start* start
    cdef Start first
    cdef int way
    while i < pair.ahead.size and pair.ahead.data[i].ts < final_ms:
        start = pair.ahead.data + i
        i += 1
        if start.beam == FREE:
            continue
        if alone(of, pair, start.ts, gate, out):
            return -1
        if pair.waiting.size == 0 or pair.waiting.data[0].beam == start.beam:
            if insert(&pair.waiting, pair.waiting.size, start):
                return -1
            continue
        first = pair.waiting.data[0]
        remove(&pair.waiting, 0, 1)
        way = UNKNOWN if first.ts == start.ts else AB if first.beam == BROKEN_A else BA
        if tell(out, (first.ts + start.ts) >> 1, pair.sensor, gate, way):
            return -1
    if i:
        remove(&pair.ahead, 0, i)
    return alone(of, pair, final_ms, gate, out)


cdef inline int forget(Pairs* of) noexcept nogil:
    """Leave out the pairs of which nothing is kept; -1 without memory."""
    cdef Py_ssize_t i, kept = 0
    for i in range(of.size):
        if of.pairs[i].ahead.size == 0 and of.pairs[i].waiting.size == 0:
            free(of.pairs[i].ahead.data)
            free(of.pairs[i].waiting.data)
            continue
        if kept != i:
            of.pairs[kept] = of.pairs[i]
        kept += 1
    if kept == of.size:
        return 0
    of.size = kept
    return index_pairs(of)


cdef inline void write_pairs(const Pairs* of, Writer* out) noexcept nogil:
    """As engine.pairs.pack."""
    cdef Py_ssize_t i, j
    cdef int part
    cdef const Starts* starts
    cdef int64_t ts
    for i in range(of.size):
        put(out, of.pairs[i].sensor)
        ts = 0
        for part in range(2):
            starts = &of.pairs[i].ahead if part else &of.pairs[i].waiting
            put(out, starts.size)
            for j in range(starts.size):
                put(out, minus(starts.data[j].ts, ts))
                put(out, starts.data[j].beam)
                put(out, starts.data[j].has_seq)
                put(out, starts.data[j].seq)
                ts = starts.data[j].ts


cdef inline int read_pairs(Pairs* of, Reader* source) noexcept nogil:
    """As engine.pairs.unpack; -1 without memory."""
    cdef Pair* pair
    cdef Starts* starts
    cdef Start start
    cdef int part
    cdef int64_t left, ts
    while source.at < source.end and not source.broken:
        pair = pair_of(of, <int32_t> get(source), True)
        if pair == NULL:
            return -1
        ts = 0
        for part in range(2):
            starts = &pair.ahead if part else &pair.waiting
            left = get(source)
            while left > 0 and not source.broken:
                ts = plus(ts, get(source))
                start.ts = ts
                start.beam = get(source)
                start.has_seq = get(source)
                start.seq = get(source)
                if not source.broken and insert(starts, starts.size, &start):
                    return -1
                left -= 1
    return 0
