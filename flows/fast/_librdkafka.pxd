# cython: language_level=3
"""What is called of librdkafka, with its public types (rdkafka.h), the same in every 1.x and 2.x."""

from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "<dlfcn.h>" nogil:
    void* dlopen(const char* path, int mode)
    void* dlsym(void* library, const char* name)
    int RTLD_NOW

cdef enum:
    CONSUMER = 1               # rd_kafka_type_t
    KEEP_GROUP = 8             # RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE: there is no group to leave
    OFFSET_OUT_OF_RANGE = 1
    FATAL = -150
    AUTO_OFFSET_RESET = -140   # an offset out of range, with auto.offset.reset = error
    PARTITION_EOF = -191
    FIRST_VERSION = 0x02000000
    NEXT_VERSION = 0x03000000

cdef struct Message:  # rd_kafka_message_t
    int err
    void* topic
    int32_t partition
    uint8_t* payload
    size_t size
    void* key
    size_t key_size
    int64_t offset
    void* private_

# Pointers into librdkafka, in the order of NAMES (_consumer.pyx).
cdef struct Api:
    int (*version)() noexcept nogil
    void* (*conf_new)() noexcept nogil
    int (*conf_set)(void*, const char*, const char*, char*, size_t) noexcept nogil
    void (*conf_destroy)(void*) noexcept nogil
    void (*conf_set_log_cb)(void*, void*) noexcept nogil
    void* (*make)(int, void*, char*, size_t) noexcept nogil
    int (*poll_set_consumer)(void*) noexcept nogil
    void* (*queue_get_consumer)(void*) noexcept nogil
    void* (*queue_get_partition)(void*, const char*, int32_t) noexcept nogil
    void (*queue_forward)(void*, void*) noexcept nogil
    void (*queue_destroy)(void*) noexcept nogil
    Py_ssize_t (*consume_batch_queue)(void*, int, Message**, size_t) noexcept nogil
    int64_t (*message_timestamp)(const Message*, int*) noexcept nogil
    void (*message_destroy)(Message*) noexcept nogil
    void* (*list_new)(int) noexcept nogil
    void* (*list_add)(void*, const char*, int32_t) noexcept nogil
    int (*list_set_offset)(void*, const char*, int32_t, int64_t) noexcept nogil
    void (*list_destroy)(void*) noexcept nogil
    void* (*incremental_assign)(void*, const void*) noexcept nogil
    const char* (*error_string)(const void*) noexcept nogil
    void (*error_destroy)(void*) noexcept nogil
    int (*get_watermark_offsets)(void*, const char*, int32_t, int64_t*, int64_t*) noexcept nogil
    void (*destroy_flags)(void*, int) noexcept nogil

