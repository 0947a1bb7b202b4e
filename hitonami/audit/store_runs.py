"""Part 3a: the runs that a store holds: at least K people each, without gaps, and the same when released again."""

from __future__ import annotations

import numpy as np

from engine.model import I32, I64, LEAVES
from hitonami.audit.report import Report
from hitonami.audit.rerun import split, sums
from hitonami.audit.rules import Rule, Runs
from hitonami.audit.stored import Chains, Context, pane_edges

MOVES = 2  # other splits tried per run


def audit_runs(what: Context, chains: Chains, rule: Rule, rng: np.random.Generator) -> Report:
    """Judge the runs of one run."""
    report, place = Report(), f"{what.place}, runs_of_flow"
    runs = chains.runs
    report.count(stored_runs=len(runs.n))
    report.found(int((runs.n < what.threshold).sum()), place, f"a run of fewer than K = {what.threshold} people")
    order = [int((runs.end_ms <= runs.start_ms).sum())]
    inside = runs.chain[1:] == runs.chain[:-1]
    gaps = int((inside & (runs.start_ms[1:] != runs.end_ms[:-1])).sum())
    report.found(order[0], place, "a run that ends before it begins")
    report.found(gaps, place, "a run does not begin where the run before it in its chain ended")
    off_grid = 0
    for leaf, rows in _by_leaf(what, chains):
        for edge in (runs.start_ms[rows], runs.end_ms[rows]):
            off_grid += int((pane_edges(edge, what.clock, leaf)[0] != edge).sum())
    report.found(off_grid, place, "a run begins or ends inside a pane of its gate")
    strangers = sum(gate not in what.run.leaves for gate, _ in chains.names)
    report.found(strangers, place, "a chain of a gate that the run does not have")
    if report.passed:  # otherwise no panes can be laid under the runs
        changed = 0
        for _ in range(MOVES):
            changed += sum(_moved_differs(what, runs, leaf, rows, rule, rng) for leaf, rows in _by_leaf(what, chains))
        report.found(changed, place, "another split of the same runs is published differently")
    return report


def _by_leaf(what: Context, chains: Chains) -> list[tuple[int, I64]]:
    """Rows of runs by the leaf of their gate; chains of unknown gates are left out."""
    leaf = np.array([LEAVES.index(what.run.leaves[g]) if g in what.run.leaves else -1 for g, _ in chains.names])
    of_run = leaf[chains.runs.chain] if len(leaf) else np.empty(0, np.int64)
    return [(code, np.flatnonzero(of_run == code)) for code in range(len(LEAVES)) if (of_run == code).any()]


def _moved_differs(what: Context, runs: Runs, leaf: int, rows: I64, rule: Rule, rng: np.random.Generator) -> bool:
    """Fill these runs with other people in other panes, carry them, and tell whether anything changed."""
    mine = runs.picked(rows)
    used, place = np.unique(mine.chain, return_inverse=True)
    chain: I32 = place.reshape(-1).astype(np.int32)
    final_start, final_end = pane_edges(mine.end_ms - 1, what.clock, leaf)
    # people before a run's last pane stand at any time there; ms of that stretch stand in for its panes
    run, at, people = split(rng, mine.n, final_start - mine.start_ms, what.threshold)
    start, end = pane_edges(mine.start_ms[run] + at, what.clock, leaf)
    last = mine.n - sums(run, people, len(mine.n))
    run = np.concatenate((run, np.arange(len(mine.n))))
    start, end = np.concatenate((start, final_start)), np.concatenate((end, final_end))
    people = np.concatenate((people, last))
    order = np.lexsort((start, run))
    run, start, end, people = run[order], start[order], end[order], people[order]
    first = np.flatnonzero(np.concatenate(([True], (run[1:] != run[:-1]) | (start[1:] != start[:-1]))))
    since = mine.start_ms[np.searchsorted(chain, np.arange(len(used)))]
    poured = np.add.reduceat(people, first)
    again = rule.runs(chain[run[first]], start[first], end[first], poured, what.threshold, since)
    return not mine._replace(chain=chain).same(again._replace(crosses=mine.crosses))
