# Moves of tracks from point to point: passages of gates, time and path in zones; and tracks as bytes.
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free

from engine.fast._keys cimport Reader, Writer, get, minus, plus, put
from engine.fast._plane cimport Point, inside, passes, path_um, sector
from engine.fast._rows cimport Rows, push
from engine.fast._tracks cimport (
    Followed, PASSAGE_WIDTH, Plan, Stay, Track, ZONE_WIDTH, index_tracks, insert, place, remove, stay_of, track_of,
    zone_row,
)
from engine.fast._types cimport CELL_MS, EVERY, NO_TIME, floor_to


cdef inline int stay(
    Followed* of, Track* track, const Point* to, int64_t zone, int64_t wait_ms, int64_t path
) noexcept nogil:
    """Count the move from the track's last point in a zone, pane by pane; -1 without memory."""
    cdef int64_t first = track.last.ts, start = first, whole = to.ts - first, pane, end
    cdef int64_t* row
    cdef Stay* known = stay_of(track, zone)
    if known == NULL:
        return -1
    while start < to.ts:
        pane = floor_to(start, CELL_MS)
        end = min(to.ts, pane + CELL_MS)
        row = zone_row(of, pane, pane + CELL_MS + wait_ms + of.track_ms, track.sensor, zone)
        if row == NULL:
            return -1
        row[4] += end - start
        if end - start == whole:
            row[5] += path
        else:
            row[5] += path * (end - first) // whole - path * (start - first) // whole
        row[6] += known.pane != pane
        known.pane = pane
        start = end
    known.until = to.ts
    return 0


cdef inline int leave(Followed* of, Track* track, int64_t until) noexcept nogil:
    """Tell the headings of first stays that the move until this time does not go on with; -1 without memory."""
    cdef Py_ssize_t i
    cdef Stay* known
    cdef int64_t* row
    cdef int way
    for i in range(track.stay_size):
        known = track.stays + i
        if not known.goes_on or known.until == until:
            continue
        known.goes_on = False
        way = sector(track.last.x - known.x, track.last.y - known.y)
        if way >= 0:
            row = push(&of.headings)
            if row == NULL:
                return -1
            row[0], row[1], row[2], row[3] = track.last.ts, track.sensor, known.zone, way
    return 0


cdef inline Py_ssize_t until(int32_t served, Py_ssize_t count) noexcept nogil:
    """The end of the rows that are served: of one, of EVERY or of NOTHING."""
    return served + 1 if served >= 0 else count if served == EVERY else 0


cdef inline int move(Followed* of, Track* track, const Point* to, const Plan* plan, Rows* out) noexcept nogil:
    """One move from the track's last point; -1 without memory."""
    cdef int32_t s = track.sensor
    cdef Py_ssize_t i
    cdef int way
    cdef int64_t at_ms = 0, path = -1
    cdef int64_t* row
    cdef const int64_t* box
    cdef const Point* at = &track.last
    for i in range(0 if plan.gate[s] < 0 else plan.gate[s], until(plan.gate[s], plan.gates)):
        way = passes(at, to, plan.line + 4 * i, &at_ms)
        if way:
            row = push(out)
            if row == NULL:
                return -1
            row[0], row[1], row[2], row[3] = at_ms, s, i, way - 1
    for i in range(0 if plan.zone[s] < 0 else plan.zone[s], until(plan.zone[s], plan.zones)):
        box = plan.box + 4 * i
        if not (box[0] <= at.x <= box[2] and box[1] <= at.y <= box[3]):
            continue
        if not inside(at, plan.corner + 2 * plan.corner_at[i], plan.corner_at[i + 1] - plan.corner_at[i]):
            continue
        if path < 0:
            path = path_um(to.x - at.x, to.y - at.y)
        if stay(of, track, to, i, plan.wait_ms[s], path):
            return -1
    return leave(of, track, to.ts)


cdef inline int work_off(Followed* of, int64_t watermark_ms, const Plan* plan, Rows* out) noexcept nogil:
    """All points that are final; -1 without memory."""
    cdef Py_ssize_t i, j, done
    cdef Track* track
    cdef int64_t final_ms
    for i in range(of.size):
        track = of.tracks + i
        final_ms = watermark_ms - plan.wait_ms[track.sensor]
        done = place(track, final_ms)
        for j in range(done):
            if track.followed and track.ahead[j].ts - track.last.ts <= of.track_ms:
                if move(of, track, track.ahead + j, plan, out):
                    return -1
            else:
                if leave(of, track, NO_TIME):
                    return -1
                track.stay_size = 0
            track.last = track.ahead[j]
            track.followed = True
        if done:
            remove(track, 0, done)
        if track.followed and track.last.ts + of.track_ms < final_ms:  # nothing can follow on it
            if leave(of, track, NO_TIME):
                return -1
            track.stay_size = 0
            track.followed = False
    return 0


cdef inline int forget(Followed* of) noexcept nogil:
    """Leave out the tracks of which nothing is kept; -1 without memory."""
    cdef Py_ssize_t i, kept = 0
    cdef Track* track
    for i in range(of.size):
        track = of.tracks + i
        if track.size == 0 and not track.followed:
            free(track.ahead)
            free(track.stays)
            continue
        if kept != i:
            of.tracks[kept] = track[0]
        kept += 1
    if kept == of.size:
        return 0
    of.size = kept
    return index_tracks(of)


cdef inline void write_tracks(const Followed* of, Writer* out) noexcept nogil:
    """As engine.tracks.pack."""
    cdef Py_ssize_t i, j
    cdef const Track* track
    cdef Point before, point
    for i in range(of.size):
        track = of.tracks + i
        put(out, track.sensor)
        put(out, track.id)
        put(out, track.followed)
        before = Point(0, 0, 0)
        if track.followed:
            before = track.last
            put(out, before.ts)
            put(out, before.x)
            put(out, before.y)
        put(out, track.stay_size)
        for j in range(track.stay_size):
            put(out, track.stays[j].zone)
            put(out, track.stays[j].pane)
            put(out, track.stays[j].goes_on)
            if track.stays[j].goes_on:
                put(out, track.stays[j].x)
                put(out, track.stays[j].y)
        put(out, track.size)
        for j in range(track.size):
            point = track.ahead[j]
            put(out, minus(point.ts, before.ts))
            put(out, minus(point.x, before.x))
            put(out, minus(point.y, before.y))
            before = point


cdef inline int read_tracks(Followed* of, Reader* source) noexcept nogil:
    """As engine.tracks.unpack; -1 without memory."""
    cdef Track* track
    cdef Stay* known
    cdef Point at
    cdef int32_t sensor
    cdef int64_t id, left, zone
    while source.at < source.end and not source.broken:
        sensor = <int32_t> get(source)
        id = get(source)
        track = track_of(of, sensor, id)
        if track == NULL:
            return -1
        at = Point(0, 0, 0)
        if get(source):
            at.ts = get(source)
            at.x = get(source)
            at.y = get(source)
            track.last, track.followed = at, True
        left = get(source)
        while left > 0 and not source.broken:
            zone = get(source)
            known = stay_of(track, zone)
            if known == NULL:
                return -1
            known.pane = get(source)
            known.goes_on = get(source) != 0
            if known.goes_on:
                known.x = get(source)
                known.y = get(source)
            left -= 1
        left = get(source)
        while left > 0 and not source.broken:
            at.ts = plus(at.ts, get(source))
            at.x = plus(at.x, get(source))
            at.y = plus(at.y, get(source))
            if not source.broken and insert(track, track.size, at.ts, at.x, at.y):
                return -1
            left -= 1
    return 0
