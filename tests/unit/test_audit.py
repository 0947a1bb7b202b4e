"""The audit of the rule: it passes the rule in use and catches every mutant of it."""

import re
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from engine import release
from engine.fast import _release
from hitonami.audit import Published, Rule, audit_rule
from hitonami.audit.enumeration import SAMPLE, SIZES, Size, enumerate_size, sample, size_of
from hitonami.audit.rerun import rerun_days, split
from hitonami.audit.rules import windows
from hitonami.audit.world import PANES, day

RULE = Rule(carry=_release.carry)
SMALL = (Size(2, 0, 5, 3), Size(2, 1, 5, 4), Size(3, 1, 4, 5))


def findings(report):
    return "\n".join(report.findings)


# ---------------------------------------------------------------------------------------- the rule
def test_the_rule_in_use_passes():
    report = audit_rule(RULE)
    assert report.findings == []
    assert report.summary["data_sets"] > 150_000
    assert report.summary["simulated_runs"] > 5_000
    assert report.summary["moved_people"] > 100_000


def test_the_readable_twin_passes():
    assert audit_rule(Rule(carry=release.carry), sizes=SMALL).passed


def test_the_rule_is_the_one_in_use(kernels):
    assert Rule().carry is kernels.carry


@pytest.mark.parametrize("size", [s for s in SIZES if s.panes <= 6], ids=str)
def test_ranges_are_exactly_what_the_transcript_implies(size):
    """No wider either: a row tells the least and the greatest count that any data set with this transcript has."""
    panes = np.indices((size.most + 1,) * size.panes).reshape(size.panes, -1).T.astype(np.int64)
    told = RULE.publish(panes, size.k + size.guard)
    _, group = np.unique(told.transcript, axis=0, return_inverse=True)
    group = group.reshape(-1)
    edges = np.concatenate((np.zeros((len(panes), 1), np.int64), panes.cumsum(axis=1)), axis=1)
    a, b = windows(size.panes)
    sums = edges[:, b] - edges[:, a]
    least = np.full((group.max() + 1, len(a)), 10**6)
    most = np.zeros((group.max() + 1, len(a)), np.int64)
    np.minimum.at(least, group, sums)
    np.maximum.at(most, group, sums)
    assert told.whole.any()
    assert np.array_equal(told.low[told.whole], least[group][told.whole])
    assert np.array_equal(told.high[told.whole], most[group][told.whole])


def test_own_settings_are_enumerated_too():
    assert size_of(4, 2) == Size(4, 2, 5, 8)
    assert size_of(1, 0) is None
    assert size_of(400, 1) is None
    report = audit_rule(RULE, sizes=(), settings=[(4, 2), (4, 2)], readings=(3, 3))
    assert report.passed
    assert report.summary["data_sets"] == 9**5
    assert report.checked == [
        "k=4 guard=2: all 59,049 data sets of 5 panes, 0 to 8 people each",
        "k=4 guard=2: 3 simulated days, 8 other splits each, seed 1",
        "readings k=3: all 81 pairs of panes, 0 to 8 people each",
    ]


def test_the_default_settings_are_enumerated_once():
    report = audit_rule(RULE, sizes=[size_of(5, 1)])
    assert report.summary["data_sets"] == 9**5
    assert [line for line in report.checked if "data sets" in line] == [
        "k=5 guard=1: all 59,049 data sets of 5 panes, 0 to 8 people each"
    ]


def test_exact_counts_are_said_plainly():
    report = audit_rule(RULE, sizes=(), settings=[(1, 0)])
    assert report.passed
    assert report.checked[0] == "k=1 guard=0: exact counts, nothing to hide; only the arithmetic is checked"
    assert "data_sets" not in report.summary


def test_a_k_of_1_with_a_guard_is_judged_as_a_k_of_its_own():
    assert size_of(1, 2) == size_of(3, 0)
    report = audit_rule(RULE, sizes=(), settings=[(1, 2)])
    assert report.passed
    assert report.checked[0] == "k=1 guard=2: promises an insider nothing; judged as k=3 guard=0"
    assert report.checked[1].startswith("k=3 guard=0: all ")


def test_the_work_of_any_settings_is_bounded_and_small_ones_are_enumerated():
    for k in (1, 2, 3, 5, 8, 10, 30, 100, 300, 10_000):
        for guard in (0, 1, 2, 5, 100):
            size = size_of(k, guard)
            if size is None:
                assert k + guard == 1 or k + guard > 100
            else:
                assert size.work <= 40_000_000 and size.data_sets <= 60_000
                assert size.most > size.k + size.guard == k + guard
                assert size.panes >= (4 if k + guard <= 12 and guard <= 2 else 2)


def test_a_large_k_is_sampled_and_that_is_said():
    report = audit_rule(RULE, sizes=(), settings=[(400, 1)])
    assert report.passed
    assert report.summary["sampled_data_sets"] == SAMPLE
    assert report.checked[0] == "k=400 guard=1: too much to enumerate; 20,000 data sets of 5 panes, seed 1"


def test_work_counts_the_insiders_that_are_enumerated():
    for size in SMALL:
        insiders = enumerate_size(RULE, size).summary["insiders"]
        assert size.work == size.data_sets * (1 + insiders) * size.panes * (size.panes + 1) // 2


def test_simulated_days_are_seeded_and_of_every_kind():
    people = day(3)
    assert people.tobytes() == day(3).tobytes()
    assert people.shape == (8, PANES)
    assert people.max() >= 12  # panes published in their own window
    assert ((people > 0) & (people < 6)).sum() > 5_000  # and many that must wait
    assert 0 < people[-1].sum() < 300


# ------------------------------------------------------------------------------------- its mutants
def carry_with(change: Callable[[int], int]):
    """The carry with another threshold than it was told."""

    def carry(chain, start, end, people, crosses, threshold, *rest):
        return _release.carry(chain, start, end, people, crosses, change(threshold), *rest)

    return carry


def hi_too_small(run_end, run_n, times, threshold, start_ms):
    lo, hi = release.bounds(run_end, run_n, times, threshold, start_ms)
    return lo, np.maximum(lo, hi - 1)


def lo_too_large(run_end, run_n, times, threshold, start_ms):
    lo, hi = release.bounds(run_end, run_n, times, threshold, start_ms)
    return np.minimum(lo + 1, hi), hi


def rows_with_small_sums(lo_a, hi_a, lo_b, hi_b, threshold, coverage):
    """Rows that forget the class below K: half-open ranges narrowed by one."""
    n, low, high, status = release.window_rows(lo_a, hi_a, lo_b, hi_b, threshold, coverage)
    return n, low, np.where(low < high, high - 1, high), status


def carry_from_the_first_person(chain, start, end, people, crosses, threshold, rest, since, *more):
    """A run begins with the first pane that has anybody: so the stretch before it is known to be empty."""
    count, previous = 0, {}
    run_chain, run_start, run_end, run_n, run_crosses = more[1:]
    for c, s, e, n in zip(chain.tolist(), start.tolist(), end.tolist(), people.tolist(), strict=True):
        if rest[c] == 0 and n:
            previous[c] = s
        rest[c] += n
        if rest[c] >= threshold:
            run_chain[count], run_start[count], run_end[count] = c, previous[c], e
            run_n[count] = run_crosses[count] = rest[c]
            rest[c], since[c] = 0, e
            count += 1
    return count


def carry_that_cuts_before_a_crowd(chain, start, end, people, crosses, threshold, rest, since, *more):
    """A pane with K people or more is always published alone, what was carried with the pane before it."""
    run_chain, run_start, run_end, run_n, run_crosses = more[1:]
    count, before = 0, {}

    def out(c, e):
        nonlocal count
        run_chain[count], run_start[count], run_end[count] = c, since[c], e
        run_n[count] = run_crosses[count] = rest[c]
        rest[c], since[c] = 0, e
        count += 1

    for c, s, e, n in zip(chain.tolist(), start.tolist(), end.tolist(), people.tolist(), strict=True):
        if n >= threshold and rest[c]:
            out(c, s)
        rest[c] += n
        before[c] = e
        if rest[c] >= threshold:
            out(c, e)
    return count


class PlainSuppression(Rule):
    """n < k is hidden, every pane for itself; all longer windows are exact sums."""

    def publish(self, panes, threshold):
        a, b = windows(panes.shape[1])
        edges = np.concatenate((np.zeros((len(panes), 1), np.int64), panes.cumsum(axis=1)), axis=1)
        sums = edges[:, b] - edges[:, a]
        hidden = ((b - a) == 1) & (sums < threshold)
        low, high = np.where(hidden, 0, sums), np.where(hidden, threshold - 1, sums)
        return Published(np.hstack([low, high]), low, high, np.ones(len(panes), bool))


class SmallWindowsHidden(PlainSuppression):
    """n < k is hidden in windows of every length, each for itself."""

    def publish(self, panes, threshold):
        told = super().publish(panes, threshold)
        a, b = windows(panes.shape[1])
        edges = np.concatenate((np.zeros((len(panes), 1), np.int64), panes.cumsum(axis=1)), axis=1)
        sums = edges[:, b] - edges[:, a]
        low, high = np.where(sums < threshold, 0, sums), np.where(sums < threshold, threshold - 1, sums)
        return told._replace(transcript=np.hstack([low, high]), low=low, high=high)


class Beside(Rule):
    """The rule, and something more about the same people beside it."""

    def more(self, panes, threshold):
        raise AssertionError

    def publish(self, panes, threshold):
        told = super().publish(panes, threshold)
        return told._replace(transcript=np.hstack([told.transcript, self.more(panes, threshold)]))


class SecondCarry(Beside):
    """A second carry over the same people that began one pane later: a replay of a part of the log."""

    def more(self, panes, threshold):
        later = panes.copy()
        later[:, 0] = 0
        return self.runs_of(later, threshold)


class OtherThreshold(Beside):
    """A second release with another k: a replay under other settings."""

    def more(self, panes, threshold):
        return self.runs_of(panes, threshold + 1)


class ExactCounter(Beside):
    """An exact live counter, or the occupancy of a place without exit."""

    def more(self, panes, threshold):
        return panes.cumsum(axis=1)


class Activity(Beside):
    """A last-seen time: whether anybody passed."""

    def more(self, panes, threshold):
        return (panes > 0).astype(np.int64)


KEEPS = {"carry": _release.carry}
MUTANTS = {
    "K - 1": (Rule(carry_with(lambda k: k - 1)), "exactly and is below|fewer than"),
    "k without guard": (Rule(carry_with(lambda k: max(2, k - 1))), "insider"),
    "hi one too small": (Rule(bounds=hi_too_small, **KEEPS), "does not hold the true count"),
    "lo one too large": (Rule(bounds=lo_too_large, **KEEPS), "does not hold the true count"),
    "rows narrowed": (Rule(window_rows=rows_with_small_sums, **KEEPS), "does not hold the true count"),
    "plain n < k with sums": (PlainSuppression(**KEEPS), "a row shows a count below"),
    "n < k in every window": (SmallWindowsHidden(**KEEPS), "exactly and is below"),
    "a second carry": (SecondCarry(**KEEPS), "exactly and is below"),
    "another k beside": (OtherThreshold(**KEEPS), "exactly and is below"),
    "an exact counter": (ExactCounter(**KEEPS), "exactly and is below"),
    "last seen": (Activity(**KEEPS), "exactly and is below"),
    "runs from the first person": (Rule(carry_from_the_first_person), "exactly and is below"),
    "a crowd cut off": (Rule(carry_that_cuts_before_a_crowd), "exactly and is below"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_caught_by_enumeration(name):
    rule, words = MUTANTS[name]
    found = "\n".join(findings(enumerate_size(rule, size)) for size in SMALL)
    assert re.search(words, found), found


NAMED = ("K - 1", "hi one too small", "plain n < k with sums")
SETTINGS = ((1, 1), (2, 0), (3, 2), (5, 0), (5, 1), (10, 2))


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(("k", "guard"), [*SETTINGS, (40, 1), (200, 2)])
def test_the_three_named_mutants_are_caught_by_enumeration_for_all_settings(name, k, guard):
    rule, words = MUTANTS[name]
    found = findings(enumerate_size(rule, size_of(k, guard)))
    assert re.search(f"{words}|insider", found), found


@pytest.mark.parametrize(("k", "guard"), SETTINGS)
def test_the_rule_in_use_passes_for_all_settings(k, guard):
    report = audit_rule(RULE, sizes=(), settings=[(k, guard)])
    assert report.findings == []
    assert report.summary["data_sets"] >= 3_000


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(("k", "guard"), [(5, 1), (400, 1), (2_000, 0)])
def test_the_three_named_mutants_fail_the_whole_audit(name, k, guard):
    rule, _ = MUTANTS[name]
    assert not audit_rule(rule, sizes=(), settings=[(k, guard)]).passed


@pytest.mark.parametrize("name", ["hi one too small", "plain n < k with sums", "lo one too large", "rows narrowed"])
def test_mutants_of_the_rows_are_caught_by_the_sample(name):
    rule, words = MUTANTS[name]
    assert sample(RULE, 400, 1).passed
    assert re.search(words, findings(sample(rule, 400, 1)))


@pytest.mark.parametrize("name", ["K - 1", "hi one too small", "lo one too large", "rows narrowed"])
def test_simulated_days_reach_the_bounds_of_a_large_k(name):
    rule, _ = MUTANTS[name]
    assert not rerun_days(rule, 400, 1).passed


def test_without_the_guard_only_the_insider_finds_it():
    found = findings(enumerate_size(Rule(carry_with(lambda k: k - 1)), Size(3, 1, 5, 5)))
    assert "insider" in found
    assert "exactly and is below" not in found.replace("an insider knows a count of others exactly that is below", "")


@pytest.mark.parametrize("name", ["a crowd cut off", "hi one too small", "lo one too large", "rows narrowed", "K - 1"])
def test_mutants_are_caught_on_simulated_days(name):
    rule, _ = MUTANTS[name]
    assert not rerun_days(rule, 5, 1).passed


def test_simulated_days_pass_for_other_settings():
    assert rerun_days(RULE, 1, 0).passed
    assert rerun_days(RULE, 12, 3).passed


def test_no_array_grows_with_k():
    tracemalloc.start()
    most = 1_000_000_000  # of k and of guard, by the configuration
    assert rerun_days(RULE, most, most).passed
    run, pane, people = split(np.random.default_rng(1), np.full(9, most), np.full(9, 50), most)
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()
    assert len(run) < 9 * 1_000 and pane.min() >= 0 and pane.max() < 50 and people.min() > 0
    early = np.bincount(run, people, minlength=9)
    assert early.max() == most - 1 and len(set(early)) > 2
    run, _, people = split(np.random.default_rng(1), np.full(1000, 300), np.full(1000, 50), 300)
    assert set(np.bincount(run, people, minlength=1000)) > {0, 299} and (people <= 2).all()
