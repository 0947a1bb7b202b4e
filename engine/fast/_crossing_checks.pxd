# What the entry points of crossing and beam check of their columns, and the boxes around polygons.
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport malloc

from engine.fast._types cimport FAR_M, UM


cdef inline int check_rows(const int64_t[::1] rows, const int32_t[::1] sensor) except -1:
    cdef Py_ssize_t j
    for j in range(rows.shape[0]):
        if not 0 <= rows[j] < sensor.shape[0]:
            raise ValueError("no such row")
        if sensor[rows[j]] < 0:
            raise ValueError("a row without sensor")
    return 0


cdef inline int check_plan(
    const int64_t[::1] sensor_wait_ms, const int32_t[::1] sensor_gate, const int32_t[::1] sensor_zone,
    const int64_t[:, ::1] line_um, const int32_t[::1] corner_at, const int64_t[:, ::1] corner_um,
) except -1:
    cdef Py_ssize_t i, j, gates = line_um.shape[0], zones = corner_at.shape[0] - 1
    cdef int64_t far = <int64_t> FAR_M * UM
    if not (sensor_gate.shape[0] == sensor_zone.shape[0] == sensor_wait_ms.shape[0]):
        raise ValueError("columns differ in length")
    if line_um.shape[1] != 4 or corner_um.shape[1] != 2 or zones < 0:
        raise ValueError("columns differ in length")
    if corner_at[0] != 0 or corner_at[zones] != corner_um.shape[0]:
        raise ValueError("columns differ in length")
    for i in range(zones):
        if corner_at[i] > corner_at[i + 1]:
            raise ValueError("columns differ in length")
    for i in range(sensor_gate.shape[0]):
        if sensor_gate[i] >= gates or sensor_zone[i] >= zones:
            raise ValueError("no such gate or zone row")
    for i in range(gates):
        for j in range(4):
            if not -far <= line_um[i, j] <= far:
                raise ValueError("a line or corner too far off")
    for i in range(corner_um.shape[0]):
        if not (-far <= corner_um[i, 0] <= far and -far <= corner_um[i, 1] <= far):
            raise ValueError("a line or corner too far off")
    return 0


cdef inline int64_t* boxes(const int32_t[::1] corner_at, const int64_t[:, ::1] corner_um) noexcept nogil:
    """Least x and y, greatest x and y of each polygon (Z, 4), to be freed; NULL without memory.

    The box of a zone without polygon holds nothing.
    """
    cdef Py_ssize_t zones = corner_at.shape[0] - 1, i, j
    cdef int64_t* out = <int64_t*> malloc((4 * zones + 1) * sizeof(int64_t))
    cdef int64_t* box
    if out == NULL:
        return NULL
    for i in range(zones):
        box = out + 4 * i
        box[0], box[1], box[2], box[3] = 1, 1, 0, 0
        for j in range(corner_at[i], corner_at[i + 1]):
            if j == corner_at[i]:
                box[0], box[1], box[2], box[3] = corner_um[j, 0], corner_um[j, 1], corner_um[j, 0], corner_um[j, 1]
            box[0], box[1] = min(box[0], corner_um[j, 0]), min(box[1], corner_um[j, 1])
            box[2], box[3] = max(box[2], corner_um[j, 0]), max(box[3], corner_um[j, 1])
    return out
