"""The carry and its figures, case by case, on both implementations."""

import numpy as np
import pytest

from engine import release
from engine.fast import _release
from engine.model import NO_TIME, NULL_INT, RANGE_STATUS, RELEASED_STATUS, SUPPRESSED_STATUS, UNKNOWN_STATUS

S = 1000  # one pane, ms


@pytest.fixture(params=[release.carry, _release.carry], ids=["reference", "compiled"])
def carry(request):
    return request.param


class Chains:
    """State of some chains and a buffer for their runs; ``feed`` gives panes of one second in time order."""

    def __init__(self, carry, threshold, chains=1, start=0):
        self.carry, self.threshold, self.at = carry, threshold, np.full(chains, start, np.int64)
        self.rest, self.since = np.zeros(chains, np.int64), np.full(chains, start, np.int64)
        self.rest_crosses = np.zeros(chains, np.int64)

    def feed(self, *people, chain=0, crosses=None):
        m = len(people)
        starts = self.at[chain] + S * np.arange(m, dtype=np.int64)
        self.at[chain] += S * m
        crosses = np.array(people if crosses is None else crosses, np.int64)
        out = [np.full(m, -7, np.int32), *(np.full(m, -7, np.int64) for _ in range(4))]
        count = self.carry(
            np.full(m, chain, np.int32),
            starts,
            starts + S,
            np.array(people, np.int64),
            crosses,
            self.threshold,
            self.rest,
            self.since,
            self.rest_crosses,
            *out,
        )
        assert all((column[count:] == -7).all() for column in out), "rows past the runs stay untouched"
        return list(zip(*(column[:count].tolist() for column in out), strict=True))


def test_quiet_panes_wait_until_k_people_have_passed(carry):
    chains = Chains(carry, 6)
    assert chains.feed(2, 0, 3, 1, 7, 4) == [(0, 0, 4 * S, 6, 6), (0, 4 * S, 5 * S, 7, 7)]
    assert (chains.rest[0], chains.since[0], chains.rest_crosses[0]) == (4, 5 * S, 4)


def test_a_pane_with_fewer_than_k_people_carried_on_top_is_one_run(carry):
    assert Chains(carry, 6).feed(5, 100) == [(0, 0, 2 * S, 105, 105)]


def test_the_state_joins_calls(carry):
    chains = Chains(carry, 6)
    assert chains.feed(2, 3) == []
    assert chains.feed() == []
    assert chains.feed(0, 1) == [(0, 0, 4 * S, 6, 6)]


def test_chains_do_not_meet(carry):
    chains = Chains(carry, 3, chains=2, start=-5 * S)
    assert chains.feed(2, chain=0) == []
    assert chains.feed(2, chain=1) == []
    assert chains.feed(1, chain=1) == [(1, -5 * S, -3 * S, 3, 3)]
    assert chains.rest.tolist() == [2, 0]


def test_with_a_threshold_of_one_every_pane_with_people_is_a_run(carry):
    assert Chains(carry, 1).feed(0, 1, 0, 0, 5, 0) == [(0, 0, 2 * S, 1, 1), (0, 2 * S, 5 * S, 5, 5)]


def test_cross_records_wait_for_k_of_their_own(carry):
    chains = Chains(carry, 6)
    # runs of count records: their people are no cross records
    assert chains.feed(9, 3, 6, crosses=[0, 3, 2]) == [(0, 0, S, 9, 0), (0, S, 3 * S, 9, 0)]
    assert chains.feed(2, 4, crosses=[1, 0]) == [(0, 3 * S, 5 * S, 6, 6)]
    assert chains.rest_crosses[0] == 0


def test_a_pane_without_people_ends_no_run_but_keeps_its_cross_records(carry):
    chains = Chains(carry, 6)
    assert chains.feed(0, crosses=[50]) == []
    assert chains.feed(6, crosses=[0]) == [(0, 0, 2 * S, 6, 50)]


def good(m=2, chains=2):
    out = [np.zeros(m, np.int32), *(np.zeros(m, np.int64) for _ in range(4))]
    names = ("run_chain", "run_start", "run_end", "run_n", "run_crosses")
    return {
        "chain": np.zeros(m, np.int32),
        "start_ms": S * np.arange(m, dtype=np.int64),
        "end_ms": S * np.arange(1, m + 1, dtype=np.int64),
        "people": np.full(m, 3, np.int64),
        "crosses": np.full(m, 3, np.int64),
        "threshold": 6,
        "rest": np.zeros(chains, np.int64),
        "since": np.zeros(chains, np.int64),
        "rest_crosses": np.zeros(chains, np.int64),
    } | dict(zip(names, out, strict=True))


def column(*values, dtype=np.int64):
    return np.array(values, dtype)


@pytest.mark.parametrize(
    "changed, words",
    [
        *(({name: column(1)}, "panes differ in length") for name in ("start_ms", "end_ms", "people", "crosses")),
        *(({name: column(0)}, "chains differ in length") for name in ("since", "rest_crosses")),
        *(({name: column(0)}, "runs are shorter") for name in ("run_start", "run_end", "run_n", "run_crosses")),
        ({"run_chain": column(0, dtype=np.int32)}, "runs are shorter"),
        ({"chain": column(0, 2, dtype=np.int32)}, "no such chain"),
        ({"chain": column(-1, 0, dtype=np.int32)}, "no such chain"),
        ({"since": column(NO_TIME, 0)}, "start is not set"),
        ({"since": column(1, 0)}, "time order"),
        ({"start_ms": column(0, S - 1)}, "time order"),
        ({"end_ms": column(S, S)}, "time order"),
        ({"people": column(6, -1)}, "negative"),
        ({"crosses": column(-1, 6)}, "negative"),
        ({"people": column(2**60, 1)}, "too many"),
        ({"crosses": column(1, 2**60)}, "too many"),
        ({"threshold": 0}, "threshold"),
        ({"threshold": -3}, "threshold"),
        ({"threshold": 2**63}, "threshold"),
        ({"rest": column(6, 0)}, "state"),
        ({"rest": column(0, -1)}, "state"),
        ({"rest_crosses": column(0, -1)}, "state"),
        ({"chain": column(0, 0)}, None),
        ({"people": column(3, 3, dtype=np.int32)}, None),
        ({"people": column(3, 0, 3, 0)[::2]}, None),
        ({"people": column(3, 3).reshape(1, 2)}, None),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_changed(carry, changed, words):
    arguments = good() | changed
    before = {name: np.copy(value) for name, value in arguments.items()}
    with pytest.raises(ValueError, match=words):
        carry(**arguments)
    for name, value in before.items():
        assert np.array_equal(arguments[name], value), name


def test_the_good_arguments_are_good(carry):
    assert carry(**good()) == 1


def test_read_only_panes_are_taken(carry):
    arguments = good()
    for name in ("chain", "start_ms", "end_ms", "people", "crosses"):
        arguments[name].flags.writeable = False
    assert carry(**arguments) == 1


# ------------------------------------------------------------------------------------------- figures
#   time      0     10    20    30    40    50
#   runs      [--- 6 ----)[ 9 )[-- open --
RUN_END, RUN_N = np.array([20, 30], np.int64), np.array([6, 9], np.int64)


def test_bounds_are_exact_where_a_run_ends_and_before_counting_began():
    times = np.array([-10, 0, 10, 20, 30, 40, 50], np.int64)
    lo, hi = release.bounds(RUN_END, RUN_N, times, 6, 0)
    assert lo.tolist() == [0, 0, 0, 6, 15, 15, 15]
    assert hi.tolist() == [0, 0, 5, 6, 15, 20, 20]


def test_bounds_of_a_chain_without_runs():
    none = np.array([], np.int64)
    lo, hi = release.bounds(none, none, np.array([0, 10], np.int64), 6, 0)
    assert (lo.tolist(), hi.tolist()) == ([0, 0], [0, 5])


@pytest.mark.parametrize(
    "run_end, run_n, threshold",
    [([20, 30], [6], 6), ([20, 20], [6, 6], 6), ([30, 20], [6, 6], 6), ([20], [6], 0)],
)
def test_bounds_refuse_what_is_no_chain_of_runs(run_end, run_n, threshold):
    with pytest.raises(ValueError, match="bounds"):
        release.bounds(np.array(run_end, np.int64), np.array(run_n, np.int64), RUN_END, threshold, 0)


NAN = float("nan")
ROWS = [
    # lo_a hi_a lo_b hi_b K coverage  ->  n, n_low, n_high, status
    ((0, 0, 6, 6, 6, 1.0), (6, 6, 6, RELEASED_STATUS)),  # [0, 20): one whole run
    ((0, 0, 15, 15, 6, NAN), (15, 15, 15, RELEASED_STATUS)),  # two whole runs; coverage not known
    ((0, 5, 6, 6, 6, 0.5), (3, 1, 6, RANGE_STATUS)),  # [10, 20): the open part of a run
    ((0, 5, 15, 20, 6, 1.0), (15, 10, 20, RANGE_STATUS)),  # both ends inside runs
    ((0, 0, 0, 5, 6, 1.0), (NULL_INT, 0, 5, SUPPRESSED_STATUS)),
    ((15, 20, 15, 20, 6, 1.0), (NULL_INT, 0, 5, SUPPRESSED_STATUS)),  # within one run
    ((0, 0, 6, 6, 6, 0.0), (NULL_INT, NULL_INT, NULL_INT, UNKNOWN_STATUS)),  # unknown comes first
    ((0, 0, 0, 0, 6, 1.0), (NULL_INT, 0, 5, SUPPRESSED_STATUS)),  # before counting began: no released zero
    ((0, 0, 4, 4, 6, 1.0), (NULL_INT, 0, 5, SUPPRESSED_STATUS)),  # no rule makes it; nothing below K shows
    ((0, 0, 2, 3, 6, 1.0), (NULL_INT, 0, 5, SUPPRESSED_STATUS)),
    ((3, 3, 3, 3, 1, 1.0), (0, 0, 0, RELEASED_STATUS)),  # K = 1: exact, zero too
    ((0, 0, 6, 11, 6, 1.0), (8, 6, 11, RANGE_STATUS)),  # n is the floor of the middle
]


@pytest.mark.parametrize("bounds, row", ROWS)
def test_window_row(bounds, row):
    assert release.window_row(*bounds) == row


def test_window_rows_are_window_row_for_arrays():
    for threshold in (1, 6):
        given = [b for b, _ in ROWS if b[4] == threshold]
        lo_a, hi_a, lo_b, hi_b = (np.array([b[i] for b in given], np.int64) for i in range(4))
        columns = release.window_rows(lo_a, hi_a, lo_b, hi_b, threshold, np.array([b[5] for b in given]))
        assert [c.dtype for c in columns] == [np.int64, np.int64, np.int64, np.int32]
        assert list(zip(*(c.tolist() for c in columns), strict=True)) == [release.window_row(*b) for b in given]
