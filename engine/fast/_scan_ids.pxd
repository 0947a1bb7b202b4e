# cython: language_level=3, wraparound=False, initializedcheck=False
"""Open-addressing table of sensor ids, compared exactly."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

from engine.fast._scan_key cimport head
from engine.fast._types cimport ID_BYTES

cdef enum:
    ID_WORDS = ID_BYTES >> 3

cdef struct Slot:
    uint64_t hash
    int32_t row        # -1 = free
    int32_t size       # bytes
    uint64_t words[ID_WORDS]  # the id, zeros behind it

cdef struct Table:
    Slot* slots
    uint64_t mask      # slots - 1: a power of two, at most half of them taken


cdef inline Slot* slot_of(const Table* table, const uint8_t* p, int64_t size, const uint8_t* end, Slot* key) noexcept nogil:
    """The slot that holds the id of ``size`` <= ID_BYTES bytes at p, or the free one where it would go; fills key."""
    cdef int words = <int> ((size + 7) >> 3)
    cdef int i
    cdef uint64_t at
    cdef uint64_t hash = <uint64_t> size * 0x9E3779B97F4A7C15ULL
    cdef Slot* slot
    for i in range(words):
        key.words[i] = head(p + 8 * i, end)
        if size < 8 * (i + 1):
            key.words[i] &= (1ULL << 8 * (size & 7)) - 1
        hash = (hash ^ key.words[i]) * 0xD6E8FEB86659FD93ULL
        hash ^= hash >> 32
    key.hash = hash
    key.size = <int32_t> size
    at = hash & table.mask
    while True:
        slot = &table.slots[at]
        if slot.row < 0:
            return slot
        if slot.hash == hash and slot.size == key.size and memcmp(slot.words, key.words, 8 * words) == 0:
            return slot
        at = (at + 1) & table.mask
