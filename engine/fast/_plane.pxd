# Exact geometry on integer micrometres up to FAR_M: a product of two differences takes 83 bits, with a time 113.
from libc.stdint cimport int64_t

# Cython has no integers of 128 bits: they stay inside these few lines of C.
cdef extern from *:
    """
    #include <math.h>
    #include <stdint.h>
    #define HITO_PATH_MOST_UM 1000000000LL

    static inline __int128 hito_area(int64_t sx, int64_t sy, int64_t ex, int64_t ey, int64_t x, int64_t y) {
        return (__int128)(ex - sx) * (y - sy) - (__int128)(ey - sy) * (x - sx);
    }
    static inline int hito_left(int64_t sx, int64_t sy, int64_t ex, int64_t ey, int64_t x, int64_t y) {
        return hito_area(sx, sy, ex, ey, x, y) > 0;
    }
    /* ms after the start of a move of `ms` from (ax, ay) to (bx, by) at which it passes the line; rounded down */
    static inline int64_t hito_after(int64_t sx, int64_t sy, int64_t ex, int64_t ey,
                                     int64_t ax, int64_t ay, int64_t bx, int64_t by, int64_t ms) {
        __int128 a = hito_area(sx, sy, ex, ey, ax, ay), b = hito_area(sx, sy, ex, ey, bx, by);
        a = a < 0 ? -a : a;
        b = b < 0 ? -b : b;
        return (int64_t)(a * ms / (a + b));
    }
    /* 0 = north (+y), clockwise by 45 degrees; -1 where there is no way (see engine/crossing.py) */
    static inline int hito_sector(int64_t dx, int64_t dy) {
        __int128 ax = dx < 0 ? -dx : dx, ay = dy < 0 ? -dy : dy, most = ax > ay ? ax : ay;
        if (most == 0) return -1;
        if ((ax + ay) * (ax + ay) < 2 * most * most)
            return ay > ax ? (dy > 0 ? 0 : 4) : (dx > 0 ? 2 : 6);
        return dx > 0 ? (dy > 0 ? 1 : 3) : (dy > 0 ? 7 : 5);
    }
    static inline int64_t hito_path(int64_t dx, int64_t dy) {
        int64_t path = HITO_PATH_MOST_UM;
        if (dx > -path && dx < path && dy > -path && dy < path) {
            int64_t straight = (int64_t)sqrt((double)(dx * dx + dy * dy));
            path = straight < path ? straight : path;
        }
        return path;
    }
    """
    bint left "hito_left"(
        int64_t sx, int64_t sy, int64_t ex, int64_t ey, int64_t x, int64_t y
    ) noexcept nogil
    int64_t after "hito_after"(
        int64_t sx, int64_t sy, int64_t ex, int64_t ey, int64_t ax, int64_t ay, int64_t bx, int64_t by, int64_t ms
    ) noexcept nogil
    int sector "hito_sector"(int64_t dx, int64_t dy) noexcept nogil
    int64_t path_um "hito_path"(int64_t dx, int64_t dy) noexcept nogil


cdef struct Point:
    int64_t ts  # ms
    int64_t x   # micrometres
    int64_t y


cdef inline int passes(const Point* a, const Point* b, const int64_t* line, int64_t* at_ms) noexcept nogil:
    """0 where the move from a to b does not pass the line, else 1 for ab or 2 for ba, and when."""
    cdef bint of_a
    cdef const Point* less
    cdef const Point* greater
    # most moves lie wholly to one side of the line's box; on its edge is not decided here
    if ((a.x < line[0] and a.x < line[2] and b.x < line[0] and b.x < line[2])
            or (a.x > line[0] and a.x > line[2] and b.x > line[0] and b.x > line[2])
            or (a.y < line[1] and a.y < line[3] and b.y < line[1] and b.y < line[3])
            or (a.y > line[1] and a.y > line[3] and b.y > line[1] and b.y > line[3])):
        return 0
    of_a = left(line[0], line[1], line[2], line[3], a.x, a.y)
    if of_a == left(line[0], line[1], line[2], line[3], b.x, b.y):
        return 0
    if a.x < b.x or (a.x == b.x and a.y < b.y):
        less, greater = a, b
    else:
        less, greater = b, a
    if (left(less.x, less.y, greater.x, greater.y, line[0], line[1])
            == left(less.x, less.y, greater.x, greater.y, line[2], line[3])):
        return 0
    at_ms[0] = a.ts + after(line[0], line[1], line[2], line[3], a.x, a.y, b.x, b.y, b.ts - a.ts)
    return 1 if of_a else 2


cdef inline bint inside(const Point* at, const int64_t* corner, Py_ssize_t corners) noexcept nogil:
    """Whether a polygon (corners, 2) holds a place: even-odd rule, edges taken from their lower end."""
    cdef bint odd = False
    cdef Py_ssize_t i
    cdef const int64_t* low = corner + 2 * (corners - 1)
    cdef const int64_t* high
    cdef const int64_t* last = low
    for i in range(corners):
        low, high = last, corner + 2 * i
        last = high
        if low[1] > high[1]:
            low, high = high, low
        if low[1] <= at.y < high[1] and left(low[0], low[1], high[0], high[1], at.x, at.y):
            odd = not odd
    return odd
