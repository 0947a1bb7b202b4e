"""The rules of tables under audit: the engine's own functions, replaceable, so that tests show mutants are caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from engine import kernels, tree_rules
from engine.model import I32, I64

Nested: TypeAlias = "int | tuple[Nested, ...]"  # a total of so many cells, or of totals


@dataclass(frozen=True)
class Shape:
    """One tree of m nodes; its cells are numbered in the order in which they stand."""

    parent: I32  # (m,) as engine.tree takes it: -1 for the root, which stands last
    cells: I64  # (cells,) the nodes that are cells
    holds: I64  # (m, cells) 1 where a cell is, or stands below, a node

    @classmethod
    def of(cls, nested: Nested) -> Shape:
        """``5``: a total of five cells; ``(2, 3)``: a grand total of two totals; and so on."""
        parent: list[int] = []
        cells: list[int] = []
        _grow(nested, parent, cells)
        holds = np.zeros((len(parent), len(cells)), np.int64)
        holds[cells, np.arange(len(cells))] = 1
        for node, above in enumerate(parent):
            if above >= 0:
                holds[above] += holds[node]
        return cls(np.array(parent, np.int32), np.array(cells, np.int64), holds)


def _grow(nested: Nested, parent: list[int], cells: list[int]) -> int:
    """Append the nodes of one total, itself last; returns its place."""
    below = []
    if isinstance(nested, int):
        below = list(range(len(parent), len(parent) + nested))
        cells += below
        parent += [-1] * nested
    else:
        below = [_grow(part, parent, cells) for part in nested]
    parent.append(-1)
    for child in below:
        parent[child] = len(parent) - 1
    return len(parent) - 1


def counted(n: I64, largest: I64, sharing: I64, k: int) -> I64:
    """People (m,) of cells that count in a table of three providers or more."""
    return np.where(tree_rules.enough(n, largest, sharing, 3, k), n, 0)


def _tree() -> Callable[..., None]:
    tree: Callable[..., None] = kernels.active().tree
    return tree


@dataclass(frozen=True)
class TableRule:
    """The functions that decide what is published of tables; the defaults are the ones in use."""

    tree: Callable[..., None] = field(default_factory=_tree)
    counted: Callable[..., Any] = counted
    withheld: Callable[..., Any] = tree_rules.withheld
    capped: Callable[..., Any] = tree_rules.capped

    def publish(self, shape: Shape, worlds: I64, k: int, guard: int) -> tuple[I64, I64]:
        """Ranges (N, m) of all nodes of N worlds, given as people of the cells (N, cells)."""
        sets, nodes = len(worlds), len(shape.parent)
        n = np.zeros((sets, nodes), np.int64)
        n[:, shape.cells] = worlds
        above = shape.parent + np.arange(sets, dtype=np.int32)[:, None] * nodes
        parent = np.where(shape.parent < 0, -1, above).astype(np.int32).reshape(-1)
        low, high = np.empty((2, sets * nodes), np.int64)
        self.tree(parent, n.reshape(-1), np.zeros(sets * nodes, np.int64), k, guard, low, high)
        return low.reshape(sets, nodes), high.reshape(sets, nodes)

    def told(self, shape: Shape, worlds: I64, k: int, guard: int) -> I64:
        """All that is published of N worlds, as one row each (N, columns)."""
        return np.hstack(self.publish(shape, worlds, k, guard))
