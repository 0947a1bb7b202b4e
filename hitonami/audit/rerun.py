"""Part 2: move people where the rule says that nothing changes, release again, compare byte for byte.

Within a run the panes before its last may hold any K - 1 people or fewer, and the last one the others; behind the last
run any K - 1 or fewer may stand anywhere. Enumeration proves this for small sizes; this shows it at full size.
"""

from __future__ import annotations

import numpy as np

from engine.model import I32, I64, LENGTH_MS, RELEASED_STATUS, SUPPRESSED_STATUS
from hitonami.audit.report import Report
from hitonami.audit.rules import Rule, Runs
from hitonami.audit.world import PANE_MS, PANES, day

DAYS = 3
MOVES = 8  # other worlds tried per day
_PILES = 256  # most places of one run at which its people are put: no array grows with K
_START_MS = 1_770_390_000_000  # 2026-02-07T00:00:00+09:00


def rerun_days(rule: Rule, k: int, guard: int, seed: int = 1) -> Report:
    """Judge the rule on simulated days: re-runs, and every window's range against the truth."""
    report = Report()
    for number in range(DAYS):
        place = f"simulated day {number + 1}, k={k} guard={guard}"
        people = day(seed + number)
        report.add(_one_day(rule, people, k, guard, place, np.random.default_rng(seed + 1000 + number)))
    report.checked.append(f"k={k} guard={guard}: {DAYS} simulated days, {MOVES} other splits each, seed {seed}")
    return report


def _one_day(rule: Rule, people: I64, k: int, guard: int, place: str, rng: np.random.Generator) -> Report:
    report, threshold = Report(), k + guard
    runs = _carry(rule, people, threshold)
    report.count(simulated_people=int(people.sum()), simulated_runs=len(runs.n))
    report.found(int((runs.n < k + guard).sum()), place, "a run of fewer than K people")
    changed = 0
    for _ in range(MOVES):
        moved = move(rng, runs, people.shape, threshold)
        report.count(moved_people=int(np.abs(moved - people).sum()) // 2)
        changed += not _carry(rule, moved, threshold).same(runs)
    report.found(changed, place, "another split of the same runs is published differently")
    _truth(rule, report, place, people, runs, k, threshold)
    if not changed:  # the same rows must hold what stood elsewhere
        _truth(rule, report, place, moved, runs, k, threshold)
    return report


def _carry(rule: Rule, people: I64, threshold: int) -> Runs:
    """Runs of whole days (chains, panes), fed pane by pane over all chains as the engine does."""
    chains, panes = people.shape
    chain = np.tile(np.arange(chains, dtype=np.int32), panes)
    start = _START_MS + PANE_MS * np.repeat(np.arange(panes, dtype=np.int64), chains)
    since = np.full(chains, _START_MS, np.int64)
    runs = rule.runs(chain, start, start + PANE_MS, people.T.reshape(-1), threshold, since)
    return runs.picked(np.argsort(runs.chain, kind="stable"))


def split(rng: np.random.Generator, n: I64, inner: I64, threshold: int) -> tuple[I64, I64, I64]:
    """Other splits of runs: (run, inner pane, people) of what stands before each run's last pane.

    ``n`` (r,) people and ``inner`` (r,) panes before the last; each run gets 0..K-1 people there, one in four as many
    as can be, spread out or all in one pane.
    """
    early = np.where(rng.random(len(n)) < 0.25, threshold - 1, rng.integers(0, threshold, len(n)))
    early = np.where(inner > 0, early, 0)
    piles = np.minimum(early, _PILES)
    run = np.repeat(np.arange(len(n)), piles)
    within = np.arange(len(run)) - np.repeat(np.cumsum(piles) - piles, piles)
    people = early[run] // piles[run] + (within < early[run] % piles[run])
    together = rng.random(len(n)) < 0.5
    place = np.where(together[run], rng.random(len(n))[run], rng.random(len(run)))
    pane = (place * inner[run]).astype(np.int64)
    return run, pane, people.astype(np.int64)


def sums(run: I64, people: I64, runs: int) -> I64:
    """People per run (runs,) of rows of ``split``."""
    out = np.zeros(runs, np.int64)
    np.add.at(out, run, people)
    return out


def move(rng: np.random.Generator, runs: Runs, shape: tuple[int, ...], threshold: int) -> I64:
    """Another day (chains, panes) that must publish the same: these runs, otherwise filled, and another open rest."""
    out = np.zeros(shape, np.int64)
    first = (runs.start_ms - _START_MS) // PANE_MS
    last = (runs.end_ms - _START_MS) // PANE_MS - 1
    run, pane, people = split(rng, runs.n, last - first, threshold)
    np.add.at(out, (runs.chain[run], first[run] + pane), people)
    out[runs.chain, last] += runs.n - sums(run, people, len(runs.n))
    for chain in range(shape[0]):
        open_from = int(last[runs.chain == chain].max(initial=-1)) + 1
        if open_from < shape[1]:
            rest, panes = threshold - 1 if chain % 2 else int(rng.integers(0, threshold)), shape[1] - open_from
            out[chain, open_from:] = rng.multinomial(rest, np.full(panes, 1 / panes))
    return out


def _truth(rule: Rule, report: Report, place: str, people: I64, runs: Runs, k: int, threshold: int) -> None:
    """Every row of every chain and window length: holds the truth, shows nothing below K, hides among k values."""
    outside = small = narrow = 0
    for chain in range(people.shape[0]):
        mine = runs.chain == chain
        total = np.concatenate(([0], np.cumsum(people[chain])))
        for start, end in _windows():
            begin, until = (_START_MS + PANE_MS * edge for edge in (start, end))
            coverage = np.full(len(start), np.nan)
            n, low, high, status = rule.rows(
                runs.end_ms[mine], runs.n[mine], begin, until, threshold, _START_MS, coverage
            )
            truth = total[end] - total[start]
            outside += int(((truth < low) | (truth > high)).sum())
            shown, hidden = row_faults(n, low, high, status, k, threshold)
            small, narrow = small + shown, narrow + hidden
            report.count(simulated_rows=len(start))
    report.found(outside, place, "a row's range does not hold the true count")
    report.found(small, place, "a released row of fewer than K people")
    report.found(narrow, place, "a hidden row with fewer than k possible values")


def row_faults(n: I64, low: I64, high: I64, status: I32, k: int, threshold: int) -> tuple[int, int]:
    """How many released rows are below K or not exact, and how many hidden rows hold fewer than k values."""
    released = status == RELEASED_STATUS
    wrong = released & ((low != high) | (n != low) | ((n < threshold) & (threshold > 1)))
    hidden = (status > RELEASED_STATUS) & (high - low + 1 < k)
    told = (status == SUPPRESSED_STATUS) & (n >= 0)
    return int(wrong.sum()), int((hidden | told).sum())


def _windows() -> list[tuple[I64, I64]]:
    """Windows as (first pane, end): every product length side by side, and one-minute windows that slide."""
    out = []
    for length in (ms // PANE_MS for ms in LENGTH_MS):
        start = np.arange(0, PANES, length, dtype=np.int64)
        out.append((start, start + length))
    slide = np.arange(0, PANES - 6, dtype=np.int64)
    return [*out, (slide, slide + 6)]
