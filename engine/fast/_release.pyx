# cython: language_level=3, wraparound=False
"""Compiled twin of engine/release.py: same name, same arguments, same errors."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

from engine.fast._types cimport NO_TIME

cdef int64_t MOST = <int64_t>1 << 60  # people or cross records of one call: sums of two stay inside int64

cdef enum Fault:
    GOOD
    THRESHOLD
    STATE
    CHAIN
    UNSET
    ORDER
    NEGATIVE
    TOO_MANY

_MESSAGES = {
    THRESHOLD: "carry: the threshold must be at least 1",
    STATE: "carry: the state of a chain is outside its bounds",
    CHAIN: "carry: no such chain",
    UNSET: "carry: a chain whose start is not set",
    ORDER: "carry: the panes of a chain are not in time order",
    NEGATIVE: "carry: negative people or crosses",
    TOO_MANY: "carry: too many people or crosses",
}


cdef Fault check(
    const int32_t[::1] chain,         # IN  (m,)
    const int64_t[::1] start_ms,      # IN  (m,) UTC epoch ms
    const int64_t[::1] end_ms,        # IN  (m,)
    const int64_t[::1] people,        # IN  (m,)
    const int64_t[::1] crosses,       # IN  (m,)
    int64_t threshold,                # IN
    const int64_t[::1] rest,          # IN  (C,)
    const int64_t[::1] since,         # IN  (C,)
    const int64_t[::1] rest_crosses,  # IN  (C,)
    int64_t* passed,                  # OUT (C,) scratch: end of the last pane of each chain
) noexcept nogil:
    cdef Py_ssize_t i, chains = rest.shape[0]
    cdef int64_t total = 0, total_crosses = 0
    cdef int32_t c
    if threshold < 1 or threshold > MOST:
        return THRESHOLD
    for i in range(chains):
        if rest[i] < 0 or rest[i] >= threshold or rest_crosses[i] < 0 or rest_crosses[i] > MOST:
            return STATE
        passed[i] = since[i]
    for i in range(chain.shape[0]):
        c = chain[i]
        if c < 0 or c >= chains:
            return CHAIN
        if passed[c] == NO_TIME:
            return UNSET
        if start_ms[i] < passed[c] or end_ms[i] <= start_ms[i]:
            return ORDER
        if people[i] < 0 or crosses[i] < 0:
            return NEGATIVE
        if people[i] > MOST - total or crosses[i] > MOST - total_crosses:
            return TOO_MANY
        passed[c] = end_ms[i]
        total += people[i]
        total_crosses += crosses[i]
    return GOOD


cdef Py_ssize_t fill(
    const int32_t[::1] chain,         # IN    (m,)
    const int64_t[::1] end_ms,        # IN    (m,)
    const int64_t[::1] people,        # IN    (m,)
    const int64_t[::1] crosses,       # IN    (m,)
    int64_t threshold,                # IN
    int64_t[::1] rest,                # INOUT (C,)
    int64_t[::1] since,               # INOUT (C,)
    int64_t[::1] rest_crosses,        # INOUT (C,)
    int32_t[::1] run_chain,           # OUT   (m,)
    int64_t[::1] run_start,           # OUT   (m,)
    int64_t[::1] run_end,             # OUT   (m,)
    int64_t[::1] run_n,               # OUT   (m,)
    int64_t[::1] run_crosses,         # OUT   (m,)
) noexcept nogil:
    cdef Py_ssize_t i, runs = 0
    cdef int32_t c
    for i in range(chain.shape[0]):
        c = chain[i]
        rest[c] += people[i]
        rest_crosses[c] += crosses[i]
        if rest[c] < threshold:
            continue
        run_chain[runs] = c
        run_start[runs] = since[c]
        run_end[runs] = end_ms[i]
        run_n[runs] = rest[c]
        run_crosses[runs] = 0
        rest[c] = 0
        since[c] = end_ms[i]
        if rest_crosses[c] >= threshold:
            run_crosses[runs] = rest_crosses[c]
            rest_crosses[c] = 0
        runs += 1
    return runs


def carry(
    const int32_t[::1] chain not None,
    const int64_t[::1] start_ms not None,
    const int64_t[::1] end_ms not None,
    const int64_t[::1] people not None,
    const int64_t[::1] crosses not None,
    threshold,
    int64_t[::1] rest not None,
    int64_t[::1] since not None,
    int64_t[::1] rest_crosses not None,
    int32_t[::1] run_chain not None,
    int64_t[::1] run_start not None,
    int64_t[::1] run_end not None,
    int64_t[::1] run_n not None,
    int64_t[::1] run_crosses not None,
):
    """Add closed panes to their chains; return how many runs ended. See engine.release.carry for the contract.

    Raises ValueError, before anything is changed, as engine.release.carry does.
    """
    cdef Py_ssize_t m = chain.shape[0], chains = rest.shape[0], runs
    cdef int64_t limit
    cdef int64_t* passed
    cdef Fault fault
    if start_ms.shape[0] != m or end_ms.shape[0] != m or people.shape[0] != m or crosses.shape[0] != m:
        raise ValueError("carry: the columns of the panes differ in length")
    if since.shape[0] != chains or rest_crosses.shape[0] != chains:
        raise ValueError("carry: the columns of the chains differ in length")
    if (run_chain.shape[0] < m or run_start.shape[0] < m or run_end.shape[0] < m or run_n.shape[0] < m
            or run_crosses.shape[0] < m):
        raise ValueError("carry: the columns of the runs are shorter than those of the panes")
    if not 1 <= threshold <= MOST:
        raise ValueError(_MESSAGES[THRESHOLD])
    limit = threshold
    passed = <int64_t*>malloc((chains + 1) * sizeof(int64_t))
    if passed == NULL:
        raise MemoryError
    with nogil:
        fault = check(chain, start_ms, end_ms, people, crosses, limit, rest, since, rest_crosses, passed)
        free(passed)
    if fault != GOOD:
        raise ValueError(_MESSAGES[fault])
    with nogil:
        runs = fill(chain, end_ms, people, crosses, limit, rest, since, rest_crosses,
                    run_chain, run_start, run_end, run_n, run_crosses)
    return runs
