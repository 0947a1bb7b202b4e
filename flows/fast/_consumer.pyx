# cython: language_level=3, wraparound=False, initializedcheck=False
"""A Kafka consumer on the librdkafka that a loaded library brings: messages become columns, none becomes an object.

The functions are looked up at run time, in the library that ``load`` is told and in what that one is linked to. Their
types are those of _librdkafka.pxd. Each partition has a queue of its own, so what one partition's reader leaves waits
in librdkafka, whose own limit stops the fetching.
"""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from flows.fast._librdkafka cimport (
    AUTO_OFFSET_RESET, CONSUMER, FATAL, FIRST_VERSION, KEEP_GROUP, NEXT_VERSION, OFFSET_OUT_OF_RANGE, PARTITION_EOF,
    RTLD_NOW, Api, Message, dlopen, dlsym,
)

cdef enum:
    TEXT = 512   # bytes of an error's text
    HELD = 2048  # messages asked for at once
    EVENTS = 16  # of the consumer itself, per take

GONE = (AUTO_OFFSET_RESET, OFFSET_OUT_OF_RANGE)

NAMES = (
    "version", "conf_new", "conf_set", "conf_destroy", "conf_set_log_cb", "new", "poll_set_consumer",
    "queue_get_consumer", "queue_get_partition", "queue_forward", "queue_destroy", "consume_batch_queue",
    "message_timestamp", "message_destroy", "topic_partition_list_new", "topic_partition_list_add",
    "topic_partition_list_set_offset", "topic_partition_list_destroy", "incremental_assign", "error_string",
    "error_destroy", "get_watermark_offsets", "destroy_flags",
)

cdef Api api
cdef bint loaded = False


def load(str path not None):
    """Look the functions up in the library at ``path`` and its dependencies; returns librdkafka's version as int.

    Raises OSError for a library that cannot be loaded or lacks a function, ValueError for a version that is not 2.x.
    """
    global loaded, api
    cdef void* library = dlopen(path.encode(), RTLD_NOW)
    cdef Api found
    cdef void** pointers = <void**> &found
    cdef int at
    cdef bytes name
    if library == NULL:
        raise OSError(f"{path} cannot be loaded")
    for at in range(len(NAMES)):
        name = b"rd_kafka_" + NAMES[at].encode()
        pointers[at] = dlsym(library, name)
        if pointers[at] == NULL:
            raise OSError(f"{path} has no {name.decode()}")
    version = found.version()
    if not FIRST_VERSION <= version < NEXT_VERSION:
        raise ValueError(f"librdkafka {version >> 24}.{version >> 16 & 255}")
    api, loaded = found, True
    return version


cdef class _Part:
    """A partition's queue, and the messages taken from it that had no room in the columns yet."""

    cdef void* queue
    cdef Message* held[HELD]
    cdef Py_ssize_t first
    cdef Py_ssize_t count

cdef struct Columns:
    uint8_t* data
    int64_t* starts
    int64_t* ends
    int64_t* record_ts
    int64_t* offsets
    Py_ssize_t rows   # room in the columns
    Py_ssize_t room   # bytes in data

cdef struct Taken:
    Py_ssize_t rows
    Py_ssize_t used   # bytes
    Py_ssize_t need   # bytes of a message that has no room in empty columns
    int64_t end       # the partition's end, where it was told behind the last message; else -1


cdef int fill(_Part part, const Columns* to, Taken* taken) noexcept nogil:
    """Move messages into the columns while they fit; 0, or the error that stands in the log here."""
    cdef Message* message
    cdef int kind = 0
    cdef int64_t stamp
    cdef int fault
    while True:
        if part.first == part.count:
            part.first = 0
            part.count = api.consume_batch_queue(part.queue, 0, part.held, HELD)
            if part.count <= 0:
                part.count = 0
                return 0
        message = part.held[part.first]
        if message.err != 0:
            fault = message.err
            if fault == PARTITION_EOF:
                taken.end = message.offset
            part.first += 1
            api.message_destroy(message)
            if fault == AUTO_OFFSET_RESET or fault == OFFSET_OUT_OF_RANGE or fault == FATAL:
                return fault
            continue
        if taken.rows == to.rows or taken.used + <Py_ssize_t> message.size > to.room:
            if taken.rows == 0:
                taken.need = <Py_ssize_t> message.size
            return 0
        if message.size:
            memcpy(to.data + taken.used, message.payload, message.size)
        stamp = api.message_timestamp(message, &kind)
        to.starts[taken.rows] = taken.used
        taken.used += <Py_ssize_t> message.size
        to.ends[taken.rows] = taken.used
        to.record_ts[taken.rows] = INT64_MIN if stamp < 0 else stamp
        to.offsets[taken.rows] = message.offset
        taken.rows += 1
        taken.end = -1
        part.first += 1
        api.message_destroy(message)


cdef class Consumer:
    """A consumer that is assigned partitions one after the other. ``settings``: librdkafka's, as text.

    Raises ValueError, with librdkafka's words, for settings it refuses. ``close`` must be called.
    """

    cdef void* client
    cdef void* queue   # the consumer's own: its events that belong to no partition
    cdef dict parts
    cdef bytes topic

    def __cinit__(self, dict settings not None, str topic not None):
        cdef char text[TEXT]
        cdef void* conf
        cdef bytes name
        cdef bytes value
        if not loaded:
            raise ValueError("load() comes first")
        self.parts = {}
        self.topic = topic.encode()
        conf = api.conf_new()
        for key, word in settings.items():
            name, value = key.encode(), word.encode()
            if api.conf_set(conf, name, value, text, TEXT) != 0:
                api.conf_destroy(conf)
                raise ValueError((<bytes> text).decode("utf-8", "replace"))
        api.conf_set_log_cb(conf, NULL)
        self.client = api.make(CONSUMER, conf, text, TEXT)
        if self.client == NULL:
            api.conf_destroy(conf)
            raise ValueError((<bytes> text).decode("utf-8", "replace"))
        self.queue = api.queue_get_consumer(self.client)
        if self.queue == NULL:
            api.destroy_flags(self.client, KEEP_GROUP)
            raise ValueError("group.id is not set")  # not even a consumer that joins no group goes without
        api.poll_set_consumer(self.client)

    def assign(self, dict offsets not None):
        """Read each partition from its offset on, partition → offset. Raises ValueError where librdkafka refuses."""
        cdef void* places = api.list_new(<int> len(offsets))
        cdef void* error
        cdef _Part part
        cdef int32_t number
        for number, offset in offsets.items():
            api.list_add(places, self.topic, number)
            api.list_set_offset(places, self.topic, number, offset)
            part = _Part()
            part.queue = api.queue_get_partition(self.client, self.topic, number)
            api.queue_forward(part.queue, NULL)
            self.parts[number] = part
        error = api.incremental_assign(self.client, places)
        api.list_destroy(places)
        if error != NULL:
            said = (<bytes> api.error_string(error)).decode("utf-8", "replace")
            api.error_destroy(error)
            raise ValueError(said)

    def take(
        self,
        int partition,
        uint8_t[::1] data not None,
        int64_t[::1] starts not None,
        int64_t[::1] ends not None,
        int64_t[::1] record_ts not None,
        int64_t[::1] offsets not None,
    ):
        """Move the partition's next messages into the columns, as far as they are there and fit; never waits.

        Returns (messages, bytes, need, end, error): ``need`` bytes that the next message takes where it did not fit
        into empty columns, else 0; ``end`` the partition's end where librdkafka told it behind the last message, else -1
        (it tells it once); ``error`` librdkafka's code of a failure that another try does not mend, else 0. Raises ValueError for columns of
        different lengths, KeyError for a partition that is not assigned.
        """
        cdef _Part part = self.parts[partition]
        cdef Columns to = Columns(NULL, NULL, NULL, NULL, NULL, starts.shape[0], data.shape[0])
        cdef Taken taken = Taken(0, 0, 0, -1)
        cdef int error
        if not starts.shape[0] == ends.shape[0] == record_ts.shape[0] == offsets.shape[0]:
            raise ValueError("columns of different lengths")
        if to.rows > 0:
            to.starts, to.ends, to.record_ts, to.offsets = &starts[0], &ends[0], &record_ts[0], &offsets[0]
        if to.room > 0:
            to.data = &data[0]
        with nogil:
            error = self._events()
            if error == 0:
                error = fill(part, &to, &taken)
        return taken.rows, taken.used, taken.need, taken.end, error

    cdef int _events(self) noexcept nogil:
        """Serve what belongs to no partition; 0, or FATAL."""
        cdef Message* events[EVENTS]
        cdef Py_ssize_t i, count = api.consume_batch_queue(self.queue, 0, events, EVENTS)
        cdef int fault = 0
        for i in range(count):
            if events[i].err == FATAL:
                fault = FATAL
            api.message_destroy(events[i])
        return fault

    def watermarks(self, int partition):
        """First offset and end of a partition as librdkafka last heard of them; None where it has not."""
        cdef int64_t low = 0, high = 0
        if self.client == NULL or api.get_watermark_offsets(self.client, self.topic, partition, &low, &high) != 0:
            return None
        return None if high < 0 else (low, high)

    def close(self):
        """Leave the broker; messages not taken are dropped. Safe to repeat."""
        cdef _Part part
        cdef void* client = self.client
        if client == NULL:
            return
        self.client = NULL  # for watermarks() of another thread
        for part in self.parts.values():
            while part.first < part.count:
                api.message_destroy(part.held[part.first])
                part.first += 1
            api.queue_destroy(part.queue)
        self.parts = {}
        api.queue_destroy(self.queue)
        with nogil:
            api.destroy_flags(client, KEEP_GROUP)
