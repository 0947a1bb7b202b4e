# Keys against duplicates: those of a pane's passages in order, and the bytes of a snapshot (engine/keys.py).
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport realloc


cdef struct KeyList:  # (ts, seq) of the passages of a pane, ascending by seq, then ts
    int64_t* data
    int32_t size  # pairs
    int32_t room
    int64_t last_ts, last_x  # the last pair once more, where it is at hand: data is mostly in no cache


cdef inline bint is_after(const KeyList* keys, int64_t ts, int64_t x) noexcept nogil:
    """Whether a key comes behind all of the list."""
    return keys.size == 0 or x > keys.last_x or (x == keys.last_x and ts > keys.last_ts)


cdef inline bint holds(const KeyList* keys, int64_t ts, int64_t x) noexcept nogil:
    cdef Py_ssize_t low = 0, high = keys.size, middle
    cdef const int64_t* key
    while low < high:
        middle = (low + high) >> 1
        key = keys.data + 2 * middle
        if key[1] < x or (key[1] == x and key[0] < ts):
            low = middle + 1
        else:
            high = middle
    return low < keys.size and keys.data[2 * low] == ts and keys.data[2 * low + 1] == x


cdef inline int append(KeyList* keys, int64_t ts, int64_t x) noexcept nogil:
    """1, or -1 without memory."""
    cdef int64_t* larger
    if keys.size == keys.room:
        larger = <int64_t*> realloc(keys.data, (4 * keys.room + 8) * sizeof(int64_t))
        if larger == NULL:
            return -1
        keys.data = larger
        keys.room = 2 * keys.room + 4
    keys.data[2 * keys.size] = ts
    keys.data[2 * keys.size + 1] = x
    keys.last_ts, keys.last_x = ts, x
    keys.size += 1
    return 1


cdef struct Writer:
    uint8_t* at       # NULL: count only
    Py_ssize_t size   # bytes so far


cdef inline void put(Writer* out, int64_t value) noexcept nogil:
    cdef uint64_t left = (<uint64_t> value << 1) ^ (0 - (<uint64_t> value >> 63))
    while left >= 0x80:
        if out.at != NULL:
            out.at[out.size] = <uint8_t> (left & 0x7F | 0x80)
        out.size += 1
        left >>= 7
    if out.at != NULL:
        out.at[out.size] = <uint8_t> left
    out.size += 1


cdef inline void put_group(
    Writer* out, int64_t pane_ms, int64_t close, int64_t sensor, int64_t kind, int64_t size
) noexcept nogil:
    put(out, pane_ms)
    put(out, close)
    put(out, sensor)
    put(out, kind)
    put(out, size)


cdef inline int64_t minus(int64_t a, int64_t b) noexcept nogil:
    """Modulo 2^64: any two seqs may follow each other."""
    return <int64_t> (<uint64_t> a - <uint64_t> b)


cdef struct Reader:
    const uint8_t* at
    const uint8_t* end
    bint broken


cdef inline int64_t get(Reader* source) noexcept nogil:
    """The next number; ``broken`` where there is none."""
    cdef uint64_t value = 0
    cdef int shift = 0
    cdef uint8_t byte
    while source.at < source.end and shift < 64:
        byte = source.at[0]
        source.at += 1
        value |= <uint64_t> (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return <int64_t> ((value >> 1) ^ (0 - (value & 1)))
    source.broken = True
    return 0


cdef inline int64_t plus(int64_t a, int64_t b) noexcept nogil:
    return <int64_t> (<uint64_t> a + <uint64_t> b)
