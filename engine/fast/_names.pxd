# cython: language_level=3, wraparound=False, initializedcheck=False
"""Words and their numbers, in the order in which they came; compared byte by byte."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc

from engine.fast._scan_ids cimport Slot, Table, slot_of

cdef enum:
    LEAST_SLOTS = 64
    FULL = -1    # no memory for one more

cdef struct Book:
    Table table
    int64_t* place    # (count,) slot of each word; -1: a number without a word
    int64_t count
    int64_t room      # of place


cdef inline bint open_slots(Table* table, uint64_t slots) noexcept nogil:
    """An empty table of so many slots, a power of two; False where there is no memory."""
    cdef uint64_t i
    table.slots = <Slot*> malloc(slots * sizeof(Slot))
    if table.slots == NULL:
        return False
    table.mask = slots - 1
    for i in range(slots):
        table.slots[i].row = -1
    return True


cdef inline bint grow(Book* book) noexcept nogil:
    """Room for one more word; False where there is no memory."""
    cdef Table larger
    cdef Slot* slot
    cdef int64_t i
    cdef uint64_t at
    cdef void* place
    if book.count == book.room:
        place = realloc(book.place, (2 * book.room + LEAST_SLOTS) * sizeof(int64_t))
        if place == NULL:
            return False
        book.place = <int64_t*> place
        book.room = 2 * book.room + LEAST_SLOTS
    if book.table.slots != NULL and 2 * (<uint64_t> book.count + 1) <= book.table.mask:
        return True
    if not open_slots(&larger, LEAST_SLOTS if book.table.slots == NULL else 2 * (book.table.mask + 1)):
        return False
    for i in range(book.count):  # in their order: the last ones can be taken out again
        if book.place[i] >= 0:
            slot = &book.table.slots[book.place[i]]
            at = slot.hash & larger.mask
            while larger.slots[at].row >= 0:
                at = (at + 1) & larger.mask
            larger.slots[at] = slot[0]
            book.place[i] = <int64_t> at
    free(book.table.slots)
    book.table = larger
    return True


cdef inline int32_t number_of_word(Book* book, const uint8_t* p, int64_t size, const uint8_t* end) noexcept nogil:
    """The number of a word of at most ID_BYTES bytes, a new one where it has none; FULL without memory."""
    cdef Slot key
    cdef Slot* slot = slot_of(&book.table, p, size, end, &key)
    if slot.row >= 0:
        return slot.row
    if not grow(book):
        return FULL
    slot = slot_of(&book.table, p, size, end, &key)
    slot[0] = key
    slot.row = <int32_t> book.count
    book.place[book.count] = slot - book.table.slots
    book.count += 1
    return slot.row


cdef inline void keep_words(Book* book, int64_t count) noexcept nogil:
    """Take out all words from number ``count`` on, the last ones first: no search for those before goes past them."""
    while book.count > count:
        book.count -= 1
        if book.place[book.count] >= 0:
            book.table.slots[book.place[book.count]].row = -1
