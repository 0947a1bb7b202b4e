"""Tables as trees: which counts of a table may be told, and in what range (PRIVACY.md, "Tables").

The readable twin of the kernel.

A table is one tree: cells, the totals of their rows, the grand total, as deep as the table has attributes. A cell of k
or more is told; nobody and a few share one marker, the range [0, k - 1]. A total is the sum of the children that are
told and of R, the people in the hidden ones. If R lay beside the ends of what the hidden ranges allow, it would narrow
a range below it. So R is told where it is far from both ends, and cut to one of two ranges elsewhere:

    L                first              last                H     L, H = sums of the hidden children's range ends
    |----[L, first]----|···· R itself ····|---[last, H]-----|     w = the widest of these ranges
    first = L + w + guard                 last = H - w - (k - 1)
    first >= last: [L, H], whatever R is

A total that comes out as a range is itself a hidden child, with that range, in its own parent. Why this holds: every
end depends on published numbers only, so all worlds that differ in hidden people publish the same ends. Where R is
told, L + w < R < H - w: any hidden child may hold any value of its range, for the others can make up the rest. Where R
is cut, the range is at least w wide on the side that counts. ``guard`` and k - 1 more leave that so for somebody who
takes out up to ``guard`` people of the hidden ones, or a whole cell that is known to hold nobody else
(``hitonami/audit/table_enumeration.py`` tries all small tables).
"""

from __future__ import annotations

import numpy as np

from engine.model import I32, I64

MOST = 2**60  # people one call can hold, counting hidden cells with k - 1 each: sums of a few stay inside int64


def tree(parent: I32, n: I64, absent: I64, k: int, guard: int, low: I64, high: I64) -> None:
    """Write what may be told of every node: ``low`` = ``high`` where it is exact, else its range.

    IN     ``parent`` (m,): index of a node's parent, greater than its own (children stand before their parents), or -1
           for a root; several roots are several tables. ``n`` (m,): people of the cells; of other nodes it is ignored.
           ``absent`` (m,): how many more children a node has that nobody lists and nobody is in, each hidden like any
           small cell. A node with children or absent ones is a total, any other one a cell. ``k`` at least 1, ``guard``
           at least 0: people somebody may know.
    OUT    ``low, high`` (m,).

    Raises ValueError, before anything is written, for lengths or dtypes that do not fit, a parent before its child,
    negative or too many people or absent children, k or guard out of bounds.
    """
    columns: tuple[I32 | I64, ...] = (parent, n, absent, low, high)
    for column in columns:
        dtype = np.int32 if column is parent else np.int64
        if column.ndim != 1 or column.dtype != dtype or not column.flags.c_contiguous:
            raise ValueError("tree: needs contiguous columns, int32 for parents and int64 for the rest")
    if any(len(column) != len(parent) for column in columns):
        raise ValueError("tree: the columns differ in length")
    if not 1 <= k <= MOST:
        raise ValueError("tree: k must be at least 1")
    if not 0 <= guard <= MOST:
        raise ValueError("tree: guard must be at least 0")
    children = _children(parent)
    inner = [bool(below) or more > 0 for below, more in zip(children, absent.tolist(), strict=True)]
    _check(n, absent, inner, k)

    people: list[int] = []  # of the table, in each node
    told: list[tuple[int, int]] = []
    for node, below in enumerate(children):
        if not inner[node]:
            people.append(int(n[node]))
            told.append(cell(people[node], k))
            continue
        people.append(sum(people[child] for child in below))
        shown = sum(told[child][0] for child in below if told[child][0] == told[child][1])
        hidden = [told[child] for child in below if told[child][0] < told[child][1]]
        unlisted = int(absent[node]) if k > 1 else 0  # with k = 1 nobody is told, and hides nothing
        least = sum(a for a, _ in hidden)
        most = sum(b for _, b in hidden) + unlisted * (k - 1)
        widest = max([b - a for a, b in hidden] + [k - 1] * (unlisted > 0), default=0)
        a, b = cut(people[node] - shown, least, most, widest, guard, k - 1)
        told.append((shown + a, shown + b))
    for node, (a, b) in enumerate(told):
        low[node], high[node] = a, b


def cell(n: int, k: int) -> tuple[int, int]:
    """What may be told of ``n`` people in one cell: n itself from k on, else the marker [0, k - 1]."""
    return (n, n) if n >= k else (0, k - 1)


def cut(people: int, least: int, most: int, widest: int, below: int, above: int) -> tuple[int, int]:
    """What may be told of the people in the hidden children of a total.

    ``least, most``: sums of the ends of their ranges, ``widest`` the widest of these; equal where none is hidden.
    ``below, above``: how much further from either end the people must be to be told: guard and k - 1.
    """
    first, last = least + widest + below, most - widest - above
    if least == most:
        return people, people
    if first >= last:
        return least, most
    if people <= first:
        return least, first
    if people >= last:
        return last, most
    return people, people


def cells(n: I64, k: int) -> tuple[I64, I64]:
    """What may be told of cells (m,) that share people, so that they have no totals: low and high.

    Screens one session came from and went to, interests of one subject. Raises ValueError for k < 1 or negative n.
    """
    if k < 1:
        raise ValueError("cells: k must be at least 1")
    if np.any(n < 0):
        raise ValueError("cells: negative people")
    shown = n >= k
    return np.where(shown, n, 0), np.where(shown, n, k - 1)


def _children(parent: I32) -> list[list[int]]:
    children: list[list[int]] = [[] for _ in parent]
    for node, above in enumerate(parent.tolist()):
        if above == -1:
            continue
        if not node < above < len(children):
            raise ValueError("tree: a parent does not stand behind its child")
        children[above].append(node)
    return children


def _check(n: I64, absent: I64, inner: list[bool], k: int) -> None:
    room = MOST
    for people, more, total in zip(n.tolist(), absent.tolist(), inner, strict=True):
        if more < 0:
            raise ValueError("tree: negative people or absent children")
        size = more * (k - 1) if total else max(people, k - 1)
        if not total and people < 0:
            raise ValueError("tree: negative people or absent children")
        if size > room:
            raise ValueError("tree: too many people or absent children")
        room -= size
