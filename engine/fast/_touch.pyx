# distutils: define_macros = HITO_TOUCHES=1
# cython: language_level=3, wraparound=False, initializedcheck=False
"""Compiled twin of engine/touch.py: same names, same arguments, same rows."""

from libc.stdint cimport INT32_MAX, int8_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memset

from engine.fast._arrow_rows cimport MARK
from engine.fast._arrow_words cimport NO_MEMORY, UNREADABLE, Reader, release
from engine.fast._names cimport FULL, LEAST_SLOTS, Book, grow, keep_words, number_of_word, open_slots
from engine.fast._scan_ids cimport Slot, slot_of
from engine.fast._touch_columns cimport Touches, arrow_touches, json_touches, put_touch
from engine.fast._touch_row cimport TouchRow, blank_touch
from engine.fast._types cimport ARROW, AUTO, ID_BYTES, JSON, MALFORMED


cdef class Names:
    """Words and their numbers, in the order in which they came; see engine.touch.Names."""

    cdef Book book

    def __cinit__(self, words=()):
        cdef int64_t before
        if not open_slots(&self.book.table, LEAST_SLOTS):
            raise MemoryError()
        for word in words:
            if word is None:
                if not grow(&self.book):
                    raise MemoryError()
                self.book.place[self.book.count] = -1
                self.book.count += 1
                continue
            before = self.book.count
            if self.take(word) < before:
                raise ValueError("a word stands there twice")

    def __dealloc__(self):
        free(self.book.table.slots)
        free(self.book.place)

    def __len__(self):
        return self.book.count

    def find(self, bytes word not None):
        """Number of a word, -1 where it has none."""
        cdef const uint8_t* start = word
        cdef Slot key
        if len(word) > ID_BYTES:
            return -1
        return slot_of(&self.book.table, start, len(word), start + len(word), &key).row

    def take(self, bytes word not None):
        """Number of a word, a new one where it has none."""
        cdef const uint8_t* start = word
        cdef int32_t code
        if len(word) > ID_BYTES:
            raise ValueError(f"a word is longer than {ID_BYTES} bytes")
        code = number_of_word(&self.book, start, len(word), start + len(word))
        if code == FULL:
            raise MemoryError()
        return code

    def words(self, Py_ssize_t first=0):
        """The words from number ``first`` on; None for a number without one."""
        cdef list out = []
        cdef Py_ssize_t i
        cdef const Slot* slot
        if not 0 <= first <= self.book.count:
            raise ValueError("first must be 0 … the number of words")
        for i in range(first, self.book.count):
            if self.book.place[i] < 0:
                out.append(None)
                continue
            slot = &self.book.table.slots[self.book.place[i]]
            out.append((<const char*> slot.words)[:slot.size])
        return out

    def keep(self, Py_ssize_t count):
        """Forget all words but the first ``count``."""
        if not 0 <= count <= self.book.count:
            raise ValueError("count must be 0 … the number of words")
        keep_words(&self.book, count)


def touch(
    const uint8_t[::1] data,        # IN  (bytes,)
    const int64_t[::1] starts,      # IN  (messages,) message i is data[starts[i]:ends[i]]
    const int64_t[::1] ends,        # IN  (messages,)
    const int64_t[::1] record_ts,   # IN  (messages,) ms, NO_TIME = look at the record
    Names devices not None,         # IN  their ids
    Names names not None,           # INOUT languages, then screens
    int32_t languages,              # IN  so many names are languages, the last stands for all others
    Names sessions not None,        # INOUT
    int8_t[::1] kind,               # OUT (cap,)
    uint8_t[::1] reason,            # OUT (cap,)
    int32_t[::1] device,            # OUT (cap,) number among devices, -1 unknown
    int64_t[::1] ts,                # OUT (cap,) ms
    int32_t[::1] session,           # OUT (cap,) number among sessions, -1 none
    int32_t[::1] screen,            # OUT (cap,) number among names, -1 none
    int32_t[::1] to,                # OUT (cap,) likewise
    int32_t[::1] lang,              # OUT (cap,) likewise
    int64_t[::1] out_record_ts,     # OUT (cap,) ms
    int32_t[::1] message,           # OUT (cap,) index of the message
    Py_ssize_t first,               # IN  first message to decode
    int wire=AUTO,                  # IN  AUTO, JSON, ARROW
    Py_ssize_t enough=INT32_MAX,    # IN  rows after which no other message is begun
):
    """Decode messages from ``first`` on; (next message, rows filled). See engine.touch.touch."""
    cdef Py_ssize_t count = starts.shape[0], cap = kind.shape[0], filled = 0, row, i
    cdef const uint8_t* text = &data[0] if data.shape[0] else <const uint8_t*> b""
    cdef const uint8_t* start
    cdef const uint8_t* end
    cdef Touches out
    cdef Reader reader
    cdef TouchRow malformed
    cdef int64_t named, met
    cdef bint outside = False
    if not (ends.shape[0] == record_ts.shape[0] == count <= INT32_MAX):
        raise ValueError("starts, ends and record_ts must be of one length")
    if not (reason.shape[0] == device.shape[0] == ts.shape[0] == session.shape[0] == screen.shape[0] == cap
            and to.shape[0] == lang.shape[0] == out_record_ts.shape[0] == message.shape[0] == cap):
        raise ValueError("the columns must be of one length")
    if not 0 <= first <= count:
        raise ValueError("first must be 0 … the number of messages")
    if not 1 <= languages <= names.book.count:
        raise ValueError("the languages must be the first of the names")
    out.cap, out.languages = cap, languages
    out.devices, out.names, out.sessions = &devices.book.table, &names.book, &sessions.book
    if cap:
        out.kind, out.reason, out.device, out.ts, out.session = &kind[0], &reason[0], &device[0], &ts[0], &session[0]
        out.screen, out.to, out.lang, out.record_ts = &screen[0], &to[0], &lang[0], &out_record_ts[0]
        out.message = &message[0]
    memset(&reader, 0, sizeof(Reader))
    with nogil:
        row, i = 0, first
        while i < count and filled < enough:
            if not 0 <= starts[i] <= ends[i] <= data.shape[0]:
                outside = True
                break
            start, end = text + starts[i], text + ends[i]
            named, met = out.names.count, out.sessions.count
            if wire != JSON and start < end and start[0] == MARK:
                row = arrow_touches(&reader, start, end, record_ts[i], &out, filled, <int32_t> i)
            else:
                row = json_touches(start, end, record_ts[i], &out, filled, <int32_t> i, wire == ARROW)
            if row < 0 or row > cap:  # its words go with it
                keep_words(out.names, named)
                keep_words(out.sessions, met)
            if row == NO_MEMORY:
                break
            if row == UNREADABLE:
                blank_touch(&malformed, MALFORMED, record_ts[i])
                put_touch(&out, filled, &malformed, <int32_t> i)
                row = filled + 1
            if row > cap:  # this message waits for the next call
                break
            filled = row
            i += 1
        release(&reader)
    if row == NO_MEMORY:
        raise MemoryError()
    if outside:
        raise ValueError("a message lies outside data")
    return i, filled
