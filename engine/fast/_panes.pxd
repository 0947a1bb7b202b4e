# What one partition keeps: its open panes and the keys against duplicates.
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove, memset

from engine.fast._keys cimport (
    KeyList, Reader, Writer, append, get, holds, is_after, minus, plus, put, put_group,
)
from engine.fast._rows cimport Index, KEY_WIDTH, PANE_WIDTH, Rows, mixed, push, rebuild
from engine.fast._types cimport COUNT, CROSS, HEARTBEAT


cdef extern from *:
    void prefetch "__builtin_prefetch" (const void*) noexcept nogil


# The keys of a pane's passages stand in its own list while they come in order: one comparison tells that such a key is
# new. All others are strays, in one table: of events that are no passages, and of passages behind a newer one of their
# pane.
cdef struct Panes:
    Rows panes
    Rows strays
    KeyList* lists  # of each pane
    Py_ssize_t lists_room
    bint unordered  # a stray may come behind the end of a list: look there first (sensors that moved)
    Index by_pane
    Index by_key
    int32_t* last  # sensor -> row + 1 of the pane it used last, 0 = none


cdef inline Py_ssize_t seek(Panes* of, int64_t pane_ms, int32_t s, Py_ssize_t* at) noexcept nogil:
    """The row of an open pane, or -1 and the place in the index where it would go."""
    cdef const int64_t* row
    at[0] = mixed(<uint64_t> pane_ms, <uint64_t> s, 0) & of.by_pane.mask
    while of.by_pane.slot[at[0]] != 0:
        row = of.panes.data + (of.by_pane.slot[at[0]] - 1) * PANE_WIDTH
        if row[0] == pane_ms and row[2] == s:
            return of.by_pane.slot[at[0]] - 1
        at[0] = (at[0] + 1) & of.by_pane.mask
    return -1


cdef inline int room_for_lists(Panes* of) noexcept nogil:
    """A list for each pane there is room for; -1 without memory."""
    cdef KeyList* larger
    if of.lists_room < of.panes.room:
        larger = <KeyList*> realloc(of.lists, of.panes.room * sizeof(KeyList))
        if larger == NULL:
            return -1
        memset(larger + of.lists_room, 0, (of.panes.room - of.lists_room) * sizeof(KeyList))
        of.lists, of.lists_room = larger, of.panes.room
    return 0


cdef inline int64_t* pane_of(Panes* of, int64_t pane_ms, int64_t close, int32_t s) noexcept nogil:
    """The open pane of sensor s, made where it is new, last[s] - 1 its row; NULL without memory."""
    cdef Py_ssize_t at, found
    cdef int64_t* row
    if of.last[s] != 0:
        row = of.panes.data + (of.last[s] - 1) * PANE_WIDTH
        if row[0] == pane_ms:
            return row
    found = seek(of, pane_ms, s, &at)
    if found >= 0:
        of.last[s] = <int32_t> found + 1
        return of.panes.data + found * PANE_WIDTH
    row = push(&of.panes)
    if row == NULL or room_for_lists(of):
        return NULL
    memset(row, 0, PANE_WIDTH * sizeof(int64_t))
    row[0], row[1], row[2] = pane_ms, close, s
    of.lists[of.panes.size - 1] = KeyList(NULL, 0, 0, 0, 0)
    of.last[s] = of.by_pane.slot[at] = <int32_t> of.panes.size
    if 2 * of.panes.size > of.by_pane.mask and rebuild(&of.by_pane, &of.panes, False):
        return NULL
    return row


cdef inline void fetch_pane(const Panes* of, int32_t s) noexcept nogil:
    """Ask for the memory of the pane that sensor s used last, some events before it is needed."""
    cdef Py_ssize_t pane = of.last[s] - 1
    if pane >= 0:
        prefetch(of.panes.data + pane * PANE_WIDTH)
        prefetch(of.lists + pane)


cdef inline void fetch_keys(const Panes* of, int32_t s) noexcept nogil:
    """Ask for the memory in which its next key will go; a little later, for its list must be here by then."""
    cdef Py_ssize_t pane = of.last[s] - 1
    if pane >= 0:
        prefetch(of.lists[pane].data + 2 * of.lists[pane].size)


cdef inline bint known(Panes* of, int32_t s, int8_t k, int64_t ts, int64_t x, Py_ssize_t* at) noexcept nogil:
    """Whether a key is a stray, else the place in the index where it would go."""
    cdef const int64_t* row
    at[0] = mixed(<uint64_t> ts, <uint64_t> x, <uint64_t> (<int64_t> s * 16 + k)) & of.by_key.mask
    while of.by_key.slot[at[0]] != 0:
        row = of.strays.data + (of.by_key.slot[at[0]] - 1) * KEY_WIDTH
        if row[3] == ts and row[4] == x and row[1] == s and row[2] == k:
            return True
        at[0] = (at[0] + 1) & of.by_key.mask
    return False


cdef inline int stray(
    Panes* of, int64_t pane_ms, int64_t close, int32_t s, int8_t k, int64_t ts, int64_t x
) noexcept nogil:
    """1 = new and noted, 0 = known, -1 = no memory."""
    cdef Py_ssize_t at
    cdef int64_t* row
    if known(of, s, k, ts, x, &at):
        return 0
    row = push(&of.strays)
    if row == NULL:
        return -1
    row[0], row[1], row[2], row[3], row[4], row[5] = close, s, k, ts, x, pane_ms
    of.by_key.slot[at] = <int32_t> of.strays.size
    if 2 * of.strays.size > of.by_key.mask and rebuild(&of.by_key, &of.strays, True):
        return -1
    return 1


cdef inline int passage(Panes* of, int64_t pane_ms, int64_t close, int32_t s, int64_t ts, int64_t seq) noexcept nogil:
    """1 = a new passage, noted; 0 = a known one, -1 = no memory."""
    cdef KeyList* keys
    cdef Py_ssize_t at
    if of.unordered and known(of, s, CROSS, ts, seq, &at):
        return 0
    if pane_of(of, pane_ms, close, s) == NULL:
        return -1
    keys = &of.lists[of.last[s] - 1]
    if is_after(keys, ts, seq):
        return append(keys, ts, seq)
    return 0 if holds(keys, ts, seq) else stray(of, pane_ms, close, s, CROSS, ts, seq)


cdef inline bint same_group(const int64_t* a, const int64_t* b) noexcept nogil:
    return a[0] == b[0] and a[1] == b[1] and a[2] == b[2] and a[5] == b[5]


cdef inline int new_key(
    Panes* of, int64_t pane_ms, int64_t close, int32_t s, int8_t k, int64_t ts, int64_t span_ms, bint has_seq, int64_t seq
) noexcept nogil:
    """1 = an event that was not there yet, its key noted where it has one; 0 = a duplicate, -1 = no memory."""
    if k == CROSS:
        return passage(of, pane_ms, close, s, ts, seq) if has_seq else 1
    if k == COUNT:
        return stray(of, pane_ms, close, s, k, ts, span_ms)
    return stray(of, pane_ms, close, s, k, ts, seq) if has_seq and k != HEARTBEAT else 1


cdef inline void write_keys(Panes* of, Writer* out) noexcept nogil:
    cdef Py_ssize_t i, j, size, end
    cdef int64_t ts, x
    cdef const int64_t* row
    cdef const int64_t* key
    for i in range(of.panes.size):
        row, size = of.panes.data + i * PANE_WIDTH, of.lists[i].size
        if size:
            put_group(out, row[0], row[1], row[2], CROSS, size)
        ts, x = row[0], 0
        for j in range(size):
            key = of.lists[i].data + 2 * j
            put(out, minus(key[0], ts))
            put(out, minus(key[1], x))
            ts, x = key[0], key[1]
    i = 0
    while i < of.strays.size:  # neighbours of one pane, sensor and kind are a group: a frame of points
        row, end = of.strays.data + i * KEY_WIDTH, i + 1
        while end < of.strays.size and same_group(row, row + (end - i) * KEY_WIDTH):
            end += 1
        put_group(out, row[5], row[0], row[1], row[2], end - i)
        ts, x = row[5], 0
        while i < end:
            put(out, minus(row[3], ts))
            put(out, minus(row[4], x))
            ts, x = row[3], row[4]
            row, i = row + KEY_WIDTH, i + 1


cdef inline int read_keys(Panes* of, Reader* source) noexcept nogil:
    """Note the keys of a state, its panes being there; -1 without memory. ``source.broken`` where it ends early."""
    cdef int64_t pane_ms, close, s, k, ts, x, i, count
    cdef Py_ssize_t at, pane
    cdef KeyList* keys
    while source.at < source.end and not source.broken:
        pane_ms, close, s = get(source), get(source), get(source)
        k, count = get(source), get(source)
        pane = seek(of, pane_ms, <int32_t> s, &at)
        keys = NULL
        if k == CROSS and pane >= 0 and of.panes.data[pane * PANE_WIDTH + 1] == close:
            keys = &of.lists[pane]
        ts, x, i = pane_ms, 0, 0
        while i < count and not source.broken:
            ts, x, i = plus(ts, get(source)), plus(x, get(source)), i + 1
            if keys != NULL and is_after(keys, ts, x):
                if append(keys, ts, x) < 0:
                    return -1
            elif stray(of, pane_ms, close, <int32_t> s, <int8_t> k, ts, x) < 0:
                return -1
            elif keys == NULL and k == CROSS:
                of.unordered = True
    return 0


cdef inline int close_panes(Panes* of, int64_t until_ms, Rows* done) noexcept nogil:
    """Move the panes that close at or before until_ms to done, and forget their lists; -1 without memory."""
    cdef Py_ssize_t i, kept = 0
    cdef int failed = 0
    cdef int64_t* row
    cdef int64_t* to
    for i in range(of.panes.size):
        row, to = of.panes.data + i * PANE_WIDTH, NULL
        if row[1] <= until_ms:
            to = push(done)
            if to == NULL:
                failed = -1  # it stays where it is
        if to != NULL:
            memcpy(to, row, PANE_WIDTH * sizeof(int64_t))
            free(of.lists[i].data)
        else:
            memmove(of.panes.data + kept * PANE_WIDTH, row, PANE_WIDTH * sizeof(int64_t))
            of.lists[kept] = of.lists[i]
            kept += 1
    of.panes.size = kept
    return failed


cdef inline void release(Panes* of) noexcept nogil:
    """Free all of it."""
    cdef Py_ssize_t i
    for i in range(of.panes.size if of.lists != NULL else 0):
        free(of.lists[i].data)
    free(of.lists)
    free(of.panes.data)
    free(of.strays.data)
    free(of.by_pane.slot)
    free(of.by_key.slot)
    free(of.last)
