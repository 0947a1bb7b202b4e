# Tracks of one partition: their points ahead, the last one worked off, and what was counted in zones.
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memmove, memset

from engine.fast._plane cimport Point
from engine.fast._rows cimport Index, Rows, clear, mixed, push, room_for_one, seat

cdef enum:
    ZONE_WIDTH = 7  # pane, close, sensor, zone, people_ms, path_um, tracks
    PASSAGE_WIDTH = 4  # ms, sensor, gate, direction
    HEADING_WIDTH = 4  # ms, sensor, zone, sector


cdef struct Stay:
    int64_t zone
    int64_t pane   # the last one that counted the track in this zone
    bint goes_on   # the first stay here
    int64_t x, y   # where it began
    int64_t until  # end of the last move that belongs to it; while it goes on, the last point of the track


cdef struct Track:
    int64_t id
    int32_t sensor
    bint followed  # whether there is a last point
    Point last
    Point* ahead
    Py_ssize_t size, room
    Stay* stays
    Py_ssize_t stay_size, stay_room


cdef struct Plan:  # what the sensors serve, and where it lies
    const int64_t* wait_ms     # (S,)
    const int32_t* gate        # (S,)
    const int32_t* zone        # (S,)
    const int64_t* line        # (G, 4)
    const int32_t* corner_at   # (Z + 1,)
    const int64_t* corner      # (C, 2)
    const int64_t* box         # (Z, 4) least x, y, greatest x, y
    Py_ssize_t gates, zones


cdef struct Followed:
    Track* tracks
    Py_ssize_t size, room
    Index by_key
    Rows zones
    Index by_zone
    Rows headings
    int64_t track_ms


cdef inline int index_tracks(Followed* of) noexcept nogil:
    cdef Py_ssize_t i
    if clear(&of.by_key, of.size):
        return -1
    for i in range(of.size):
        seat(&of.by_key, mixed(<uint64_t> of.tracks[i].id, <uint64_t> of.tracks[i].sensor, 0), i)
    return 0


cdef inline int index_zones(Followed* of) noexcept nogil:
    cdef Py_ssize_t i
    cdef const int64_t* row
    if clear(&of.by_zone, of.zones.size):
        return -1
    for i in range(of.zones.size):
        row = of.zones.data + i * ZONE_WIDTH
        seat(&of.by_zone, mixed(<uint64_t> row[0], <uint64_t> row[2], <uint64_t> row[3]), i)
    return 0


cdef inline Track* seek(Followed* of, int32_t sensor, int64_t id) noexcept nogil:
    cdef Py_ssize_t at = mixed(<uint64_t> id, <uint64_t> sensor, 0) & of.by_key.mask
    cdef Track* track
    while of.by_key.slot[at] != 0:
        track = of.tracks + (of.by_key.slot[at] - 1)
        if track.id == id and track.sensor == sensor:
            return track
        at = (at + 1) & of.by_key.mask
    return NULL


cdef inline Track* track_of(Followed* of, int32_t sensor, int64_t id) noexcept nogil:
    """The track, made where it is new; NULL without memory."""
    cdef Track* track = seek(of, sensor, id)
    if track != NULL:
        return track
    track = <Track*> room_for_one(of.tracks, of.size, &of.room, 32, sizeof(Track))
    if track == NULL:
        return NULL
    of.tracks = track
    track = of.tracks + of.size
    memset(track, 0, sizeof(Track))
    track.sensor, track.id = sensor, id
    of.size += 1
    if 2 * of.size > of.by_key.mask:
        if index_tracks(of):
            of.size -= 1
            return NULL
    else:
        seat(&of.by_key, mixed(<uint64_t> id, <uint64_t> sensor, 0), of.size - 1)
    return track


cdef inline Py_ssize_t place(const Track* track, int64_t ts) noexcept nogil:
    """Where a point of this time stands or would stand; mostly it is the last one."""
    cdef Py_ssize_t low = 0, high = track.size, middle
    if high == 0 or track.ahead[high - 1].ts < ts:
        return high
    while low < high:
        middle = (low + high) >> 1
        if track.ahead[middle].ts < ts:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline int insert(Track* track, Py_ssize_t at, int64_t ts, int64_t x, int64_t y) noexcept nogil:
    cdef void* ahead = room_for_one(track.ahead, track.size, &track.room, 16, sizeof(Point))
    if ahead == NULL:
        return -1
    track.ahead = <Point*> ahead
    memmove(track.ahead + at + 1, track.ahead + at, (track.size - at) * sizeof(Point))
    track.ahead[at] = Point(ts, x, y)
    track.size += 1
    return 0


cdef inline void remove(Track* track, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    track.size -= count
    memmove(track.ahead + first, track.ahead + first + count, (track.size - first) * sizeof(Point))


cdef inline Stay* stay_of(Track* track, int64_t zone) noexcept nogil:
    """The track's stay in a zone, made where it is new, from its last point on, in no pane yet; NULL without memory."""
    cdef Py_ssize_t i
    cdef void* stays
    for i in range(track.stay_size):
        if track.stays[i].zone == zone:
            return track.stays + i
    stays = room_for_one(track.stays, track.stay_size, &track.stay_room, 4, sizeof(Stay))
    if stays == NULL:
        return NULL
    track.stays = <Stay*> stays
    track.stays[track.stay_size] = Stay(zone, 1, True, track.last.x, track.last.y, track.last.ts)  # 1: no pane's start
    track.stay_size += 1
    return track.stays + track.stay_size - 1


cdef inline int64_t* zone_row(Followed* of, int64_t pane, int64_t close, int32_t sensor, int64_t zone) noexcept nogil:
    cdef uint64_t h = mixed(<uint64_t> pane, <uint64_t> sensor, <uint64_t> zone)
    cdef Py_ssize_t at = h & of.by_zone.mask
    cdef int64_t* row
    while of.by_zone.slot[at] != 0:
        row = of.zones.data + (of.by_zone.slot[at] - 1) * ZONE_WIDTH
        if row[0] == pane and row[2] == sensor and row[3] == zone:
            return row
        at = (at + 1) & of.by_zone.mask
    row = push(&of.zones)
    if row == NULL:
        return NULL
    memset(row, 0, ZONE_WIDTH * sizeof(int64_t))
    row[0], row[1], row[2], row[3] = pane, close, sensor, zone
    if 2 * of.zones.size > of.by_zone.mask:
        return NULL if index_zones(of) else row
    seat(&of.by_zone, h, of.zones.size - 1)
    return row
