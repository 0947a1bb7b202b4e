"""Which alerts are posted while a run catches up: timelines of the wall clock, W and what is read.

``NOW`` is the wall clock at the beginning. A change is "name at seconds before NOW"; W is told as what it lies behind
the wall clock.
"""

from __future__ import annotations

import pytest

from sinks.catch_up import FRESH_MS, PACE_S, CatchUp
from sinks.webhook import Change

NOW = 1_770_447_600  # s
HOUR = 3_600.0


class Line:
    """A run as the catch-up sees it; ``posts`` tells what was posted, ``+`` new and ``-`` resolved."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.posts: list[str] = []
        self.catch_up = CatchUp(self._post, lambda: NOW + self.passed, lambda: 1e6 + self.passed)

    def _post(self, changes: object) -> None:
        self.posts += [f"{'+' if c.firing else '-'}{c.id}" for c in changes]  # type: ignore[attr-defined]

    def batch(self, after: float, behind: float, *words: str) -> list[str]:
        """``after`` seconds the run is ``behind`` the clock by so many, with changes "+a 7200": that long ago."""
        self.passed += after
        seen = len(self.posts)
        self.catch_up.come(round((NOW + self.passed - behind) * 1000))
        self.catch_up.take([self.change(*word.split()) for word in words])
        self.catch_up.settle()
        return self.posts[seen:]

    def change(self, name: str, ago: str) -> Change:
        at = round((NOW + self.passed - float(ago)) * 1000)
        return Change(name[1:], name[0] == "+", "r", "density", "warning", "c1", "", "v1", 2.0, at, at)


def test_a_run_that_is_up_to_date_posts_at_once() -> None:
    line = Line()
    assert line.batch(0, 15) == []
    assert line.batch(10, 15, "+a 15") == ["+a"]
    assert line.batch(10, 15, "-a 15", "+b 15") == ["-a", "+b"]


def test_what_came_and_went_in_the_past_is_not_posted_and_what_stands_once_the_run_has_caught_up() -> None:
    line = Line()
    assert line.batch(0, 3 * HOUR) == []
    assert line.batch(1, 2.5 * HOUR, "+a 9900", "+b 9500") == []
    assert line.batch(1, 2.0 * HOUR, "-a 8000", "+c 7500") == []
    assert line.batch(1, 0.5 * HOUR, "-c 3000", "+c2 2000") == []
    assert line.batch(1, 15, "+d 30") == ["+d", "+b", "+c2"]
    assert line.batch(10, 15, "-b 15") == ["-b"]


def test_a_jump_to_the_present_in_one_step_posts_what_stands_at_its_end() -> None:
    line = Line()
    assert line.batch(0, 10, "+a 10000", "-a 9000", "+b 8000") == ["+b"]


def test_a_run_that_was_cut_off_and_reads_on_catches_up_too() -> None:
    line = Line()
    for _ in range(5):
        assert line.batch(10, 15) == []
    assert line.batch(HOUR, HOUR - 100, "+a 3400") == []  # the first it reads after an hour
    assert line.batch(1, HOUR / 2, "+b 2000", "-a 1900") == []
    assert line.batch(1, 15, "-b 1000", "+c 800") == ["+c"]


def test_a_run_whose_events_always_come_late_posts_when_it_gains_no_more() -> None:
    """Late by 20 minutes: it begins with what it has, and is never up to date."""
    line = Line()
    assert line.batch(0, 1200, "+a 1250") == []
    assert line.batch(10, 1200, "+b 1205") == []
    assert line.batch(10, 1200, "+c 1205") == ["+c", "+a", "+b"]  # for PACE_S
    assert line.batch(10, 1195, "-a 1205", "+d 1200") == ["-a", "+d"]
    assert line.batch(10, 1205, "-b 1205") == ["-b"]


def test_a_run_that_gains_twice_the_time_that_passes_catches_up() -> None:
    for gain, posted in ((1.9, True), (2.1, False)):
        line, behind = Line(), 20_000.0
        for _ in range(4):
            line.batch(10, behind)
            behind -= 10 * (gain - 1)
        assert (line.batch(10, behind, f"+a {behind + 5}") == ["+a"]) == posted


def test_a_gate_whose_windows_close_late_posts_at_once() -> None:
    line = Line()
    for _ in range(4):
        line.batch(10, 15)
    assert line.batch(10, 15, "+a 1800", "-b 1800") == ["+a", "-b"]


def test_a_run_with_a_tick_a_minute_is_up_to_date() -> None:
    line = Line()
    for _ in range(4):
        line.batch(60, 6)
    assert line.batch(60, 6, "+a 7", "+b 65") == ["+a", "+b"]


@pytest.mark.parametrize("ago", [FRESH_MS / 1000, FRESH_MS / 1000 + 1])
def test_what_has_just_begun_is_posted_though_the_run_catches_up(ago: float) -> None:
    line = Line()
    line.batch(0, 2 * HOUR)
    assert line.batch(1, HOUR, f"+a {ago}") == (["+a"] if ago <= 60 else [])


def test_while_nothing_moves_nothing_is_posted() -> None:
    """The store or Kafka is away: nobody knows what stands now."""
    line = Line()
    line.batch(0, 2 * HOUR, "+a 7300")
    line.passed += 10 * PACE_S
    line.catch_up.settle()
    assert line.posts == []


def test_a_process_that_begins_posts_again_what_stands() -> None:
    line = Line()
    line.catch_up.resume([line.change("+a", "4000"), line.change("+b", "3000")], {"a", "b", "c"})
    assert line.batch(0, HOUR) == []
    # b ends, and c comes once more, for the epoch before was not committed: the receiver knows of both
    assert line.batch(1, HOUR / 2, "-b 2000", "+c 2500", "-c 2300", "+d 2200", "-d 2100") == ["-b", "-c"]
    assert line.batch(1, 15, "+a 4000") == ["+a"]
    assert line.batch(10, 15) == []


def test_a_row_that_comes_again_when_its_alert_was_posted_is_not_posted_twice() -> None:
    """It stood in the store, was posted at the first W of now, and its epoch was not committed."""
    line = Line()
    line.catch_up.resume([line.change("+a", "100")], {"a"})
    assert line.batch(0, 15) == ["+a"]
    assert line.batch(1, 12, "+a 101") == []
    assert line.batch(1, 12, "-a 12") == ["-a"]
    assert line.batch(1, 12, "+a 12") == ["+a"]
