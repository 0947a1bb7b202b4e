# cython: language_level=3, wraparound=False
"""Compiled twin of engine/tree.py: same name, same arguments, same errors. One pass, children before their parents."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free

cdef int64_t MOST = <int64_t>1 << 60  # people of one call, hidden cells with k - 1 each: sums of a few fit in int64

cdef enum Fault:
    GOOD
    PARENT
    NEGATIVE
    TOO_MANY

_MESSAGES = {
    PARENT: "tree: a parent does not stand behind its child",
    NEGATIVE: "tree: negative people or absent children",
    TOO_MANY: "tree: too many people or absent children",
}

cdef struct Total:
    int64_t shown   # people of the children that are told
    int64_t people  # people of the hidden ones (R)
    int64_t least   # sums of the ends of their ranges (L, H)
    int64_t most
    int64_t widest  # the widest of these ranges (w)
    bint inner      # has children, listed or not


cdef Fault check(
    const int32_t[::1] parent,  # IN  (m,)
    const int64_t[::1] n,       # IN  (m,)
    const int64_t[::1] absent,  # IN  (m,)
    int64_t k,                  # IN
    Total* totals,              # OUT (m,) scratch: which nodes are totals
) noexcept nogil:
    cdef Py_ssize_t i, m = parent.shape[0]
    cdef int64_t size, room = MOST, hidden = k - 1
    for i in range(m):
        if parent[i] == -1:
            continue
        if parent[i] <= i or parent[i] >= m:
            return PARENT
        totals[parent[i]].inner = True
    for i in range(m):
        if absent[i] < 0:
            return NEGATIVE
        if absent[i] > 0:
            totals[i].inner = True
        if totals[i].inner:
            if hidden > 0 and absent[i] > MOST // hidden:
                return TOO_MANY
            size = absent[i] * hidden
        else:
            if n[i] < 0:
                return NEGATIVE
            size = n[i] if n[i] > hidden else hidden
        if size > room:
            return TOO_MANY
        room -= size
    return GOOD


cdef inline void hide(Total* into, int64_t people, int64_t least, int64_t most, int64_t widest) noexcept nogil:
    into.people += people
    into.least += least
    into.most += most
    if widest > into.widest:
        into.widest = widest


cdef void fill(
    const int32_t[::1] parent,  # IN    (m,)
    const int64_t[::1] n,       # IN    (m,)
    const int64_t[::1] absent,  # IN    (m,)
    int64_t k,                  # IN
    int64_t guard,              # IN
    Total* totals,              # INOUT (m,)
    int64_t[::1] low,           # OUT   (m,)
    int64_t[::1] high,          # OUT   (m,)
) noexcept nogil:
    cdef Py_ssize_t i
    cdef int64_t people, first, last, a, b
    cdef Total* of
    for i in range(parent.shape[0]):
        of = &totals[i]
        if of.inner:
            if absent[i] > 0:
                hide(of, 0, 0, absent[i] * (k - 1), k - 1)
            people = of.people
            first = of.least + of.widest + guard
            last = of.most - of.widest - (k - 1)
            a = people
            b = people
            if of.least < of.most:
                if first >= last:
                    a, b = of.least, of.most
                elif people <= first:
                    a, b = of.least, first
                elif people >= last:
                    a, b = last, of.most
            people += of.shown
            a += of.shown
            b += of.shown
        else:
            people = n[i]
            a = people
            b = people
            if people < k:
                a, b = 0, k - 1
        low[i] = a
        high[i] = b
        if parent[i] == -1:
            continue
        if a == b:
            totals[parent[i]].shown += a
        else:
            hide(&totals[parent[i]], people, a, b, b - a)


def tree(
    const int32_t[::1] parent not None,
    const int64_t[::1] n not None,
    const int64_t[::1] absent not None,
    k,
    guard,
    int64_t[::1] low not None,
    int64_t[::1] high not None,
):
    """Write what may be told of every node of tables. See engine.tree.tree for the contract.

    Raises ValueError, before anything is written, as engine.tree.tree does.
    """
    cdef Py_ssize_t m = parent.shape[0]
    cdef int64_t least, known
    cdef Total* totals
    cdef Fault fault
    if n.shape[0] != m or absent.shape[0] != m or low.shape[0] != m or high.shape[0] != m:
        raise ValueError("tree: the columns differ in length")
    if not 1 <= k <= MOST:
        raise ValueError("tree: k must be at least 1")
    if not 0 <= guard <= MOST:
        raise ValueError("tree: guard must be at least 0")
    least, known = k, guard
    totals = <Total*>calloc(m + 1, sizeof(Total))
    if totals == NULL:
        raise MemoryError
    with nogil:
        fault = check(parent, n, absent, least, totals)
        if fault == GOOD:
            fill(parent, n, absent, least, known, totals, low, high)
        free(totals)
    if fault != GOOD:
        raise ValueError(_MESSAGES[fault])
