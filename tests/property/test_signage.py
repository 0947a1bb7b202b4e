"""Signage over logs cut, interleaved, spread and killed at will: the rows of one naive reading of the rules."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import signage
from engine.config import Config
from engine.languages import LANGUAGES
from tests.support.signage_run import (
    DEVICES,
    HOUR,
    QUARTER,
    REGISTRY,
    T0,
    Processes,
    log_of,
    naive,
    random_logs,
    states_of,
    tick,
    touch,
)

SEEDS = st.integers(0, 2**32)
LOOSE = {"touches": {"k": 2, "guard": 1}, "screens": {"k": 2, "guard": 0}}
PLAIN = {"touches": {"k": 1, "guard": 0}, "screens": {"k": 1, "guard": 0}}


@given(SEEDS, st.integers(1, 3), st.sampled_from([{}, LOOSE, PLAIN]), st.booleans())
@settings(max_examples=40)
def test_rows_are_those_of_the_rules(seed: int, partitions: int, privacy: dict[str, Any], finish: bool) -> None:
    rng = random.Random(seed)
    config = Config({**privacy, "time": {"bound_ms": rng.choice([0, 5_000])}, "status": {"exact": rng.random() < 0.5}})
    logs = random_logs(rng, partitions)
    wanted, found = naive(logs, config, finish=finish), Processes(logs, config, rng).run(finish=finish)
    for product in ("touches", "screens"):
        key = lambda row: tuple(str(value) for value in row.values())  # noqa: E731
        assert found.rows(product) == sorted(wanted.rows[product], key=key)
    assert found.rejected == wanted.rejected
    assert sum(part.accepted for part in found.parts) == wanted.accepted
    if finish and config["status", "exact"]:
        assert found.shown[-1].progress.accepted == wanted.accepted
    for part in found.parts:
        assert part.read == part.accepted + sum(part.rejected_by_reason().values())


@given(SEEDS, st.integers(1, 3))
@settings(max_examples=20)
def test_what_comes_out_depends_on_the_logs_alone(seed: int, partitions: int) -> None:
    """Rejects and versions too, whose rows the naive reading does not make."""
    rng = random.Random(seed)
    logs, config = random_logs(rng, partitions), Config(LOOSE)
    for log in logs:
        if len(log) > 3 and rng.random() < 0.8:
            document = {**REGISTRY, "version": rng.choice(["v2", "v3"]), "devices": DEVICES[: rng.randint(1, 3)]}
            at = rng.randrange(1, len(log))
            log.insert(at, (json.dumps({"type": "registry", "registry": document}).encode(), log[at][1]))
    plain, other = (Processes(logs, config, random.Random(seed + i), kills).run() for i, kills in enumerate((0.0, 0.4)))
    assert plain.units == other.units
    assert plain.rejected == other.rejected
    assert plain.shown[-1] == other.shown[-1] if plain.shown else not other.shown


def test_these_runs_are_killed_and_tell_of_people() -> None:
    logs = random_logs(random.Random(7), 3, 400)
    run = Processes(logs, Config(LOOSE), random.Random(1)).run()
    assert len(run.lives) > 4 and set(run.lives) == {1, 2, 3}
    assert len(run.rows("touches")) > 20 and len(run.rows("screens")) > 3 and run.rows("rejects")


def test_live_counters_show_what_rows_prove_and_no_more() -> None:
    """Twelve touches of seven sessions; one of them alone in the next quarter, of which nothing may be told."""
    records = [touch(T0 + 1_000 * i, f"s{i % 7}", lang="ja") for i in range(12)]
    records += [touch(T0 + QUARTER + 1_000, "alone", lang="ja"), tick(T0 + 3 * QUARTER)]
    shown = Processes([log_of(records)], Config(), random.Random(0), 0).run().shown[-1]
    assert (shown.progress.accepted, shown.first_ms) == (7, T0 - 10_000)
    exact = Config({"status": {"exact": True}})
    assert Processes([log_of(records)], exact, random.Random(0), 0).run().shown[-1].progress.accepted == 13


def test_refused_touches_of_one_session_are_not_told() -> None:
    """Only what could not be read is: behind nine of each other kind stands one session."""
    at = T0 + QUARTER + 60_000
    odd = [touch(T0, "one"), touch(at, "one", "nobody's"), touch(at, "one", "old"), touch(at + HOUR, "one")]
    odd += [{"type": "touch", "device": "d1", "ts": at, "session": "one"}, {**touch(at, "one"), "ts": "today"}]
    messages = [json.dumps(record).encode() for record in [*odd, {"type": "wave", "device": "d1", "ts": at}]]
    middle = [(message, at) for message in (*messages, b"{") for _ in range(9)]
    log = [*log_of([tick(at)]), *middle, *log_of([tick(at + 2 * HOUR)])]
    run = Processes([log], Config(), random.Random(0), 0).run()
    reasons = ["late", "unknown_sensor", "not_approved", "too_far_in_future", "missing_field", "bad_value"]
    assert run.rejected == dict.fromkeys([*reasons, "malformed", "unknown_type"], 9)
    told = [(row["sensor"], row["reason"], row["n"]) for row in run.rows("rejects")]
    assert sorted(told) == [("", "malformed", 9), ("d1", "unknown_type", 9)]
    assert run.shown[-1].progress.rejected == {"malformed": 9, "unknown_type": 9}
    exact = Processes([log], Config({"status": {"exact": True}}), random.Random(0), 0).run()
    assert exact.shown[-1].progress.rejected == exact.rejected and exact.units == run.units


def test_a_quarter_without_anybody_looks_like_one_with_a_few() -> None:
    """PRIVACY.md: with ticks in the log, nothing that is told differs."""
    told = []
    for few in (0, 4):
        records = [tick(T0), *(touch(T0 + 1_000 * i, f"s{i}", to="map") for i in range(few)), tick(T0 + 2 * HOUR)]
        run = Processes([log_of(records)], Config(), random.Random(0), 0).run()
        told.append((run.units, run.shown[-1]))
    assert told[0] == told[1]


def test_a_version_holds_for_the_records_behind_it() -> None:
    """A new device counts from its version on; the window says which version held when it closed."""
    new = {"id": "d9", "zone": None, "approved": [{"from": "2026-01-01T00:00:00Z", "to": None}]}
    document = {**REGISTRY, "version": "v2", "devices": [new]}
    control = (json.dumps({"type": "registry", "registry": document}).encode(), T0 + 20_000)
    before = [touch(T0 + i, f"s{i}", device) for i in range(6) for device in ("d1", "d9")]
    behind = [touch(T0 + 30_000 + i, f"s{i}", device) for i in range(7) for device in ("d1", "d9")]
    log = [*log_of(before), control, *log_of([*behind, tick(T0 + HOUR)])]
    run = Processes([log], Config(), random.Random(3)).run()
    assert run.rejected == {"unknown_sensor": 6 + 7}
    found = [(row["device"], row["lang"], row["n_low"], row["registry_version"]) for row in run.rows("touches")]
    assert found == [("d1", "", 6, "v2"), ("d1", "other", 6, "v2"), ("d9", "", 7, "v2"), ("d9", "other", 7, "v2")]


def test_names_that_nobody_uses_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    logs = random_logs(rng, 2, 300)
    for log in logs:  # a screen of its own in every message, beside those that sessions share
        odd = [touch(at, "x", screen=f"only-{i}", to=f"next-{i}") for i, (_, at) in enumerate(log)]
        log[:] = [pair for one, more in zip(log, log_of(odd), strict=True) for pair in (one, more)]
    kept = Processes(logs, Config(LOOSE), random.Random(1)).run()
    monkeypatch.setattr(signage, "_SPARE_NAMES", 0)
    few = Processes(logs, Config(LOOSE), random.Random(1)).run()
    assert few.units == kept.units and few.rows("screens")
    sizes = [[len(part._chunks.names.words()) for part in run.parts] for run in (few, kept)]
    assert all(small < large // 2 for small, large in zip(*sizes, strict=True)), sizes


def test_states_hold_no_session_and_the_screens_of_open_windows_alone() -> None:
    """A screen that nobody is told of is forgotten with its quarter, and with the hour of its moves."""
    seldom = [touch(T0 + i, f"canary-{i}", screen="seldom", to="there") for i in range(3)]
    log = log_of([*seldom, *(touch(T0 + 1_000 + i, f"canary-{i}", screen="here") for i in range(9))])
    run = Processes([log], Config(), random.Random(0), 0).run()
    assert all(word in states_of(run)[0] for word in (b"here", b"seldom", b"there"))
    for ended, held in ((T0 + QUARTER, True), (T0 + HOUR, False)):
        log += log_of([touch(ended + 10_000, "canary-9", screen="next")])
        of_log, of_key = states_of(run.run())
        assert (b"seldom" in of_log, b"there" in of_log, b"here" in of_key) == (held, held, held)
        assert b"next" in of_log and not any(word in of_key for word in (b"seldom", b"there", b"next"))
        assert b"canary" not in of_log + of_key
    assert {row["screen"] for row in run.rows("touches")} == {"here"} and not run.rows("screens")
    assert len(run.parts[0]._chunks.names) == len(LANGUAGES) + 4  # in memory they are forgotten when many have gathered

    run.lives.clear()
    run.kills = 1.0  # what goes on from such states numbers screens anew, and tells the same
    log += log_of([touch(T0 + HOUR + 20_000 + i, f"canary-{i}", screen="seldom") for i in range(7)])
    log += log_of([tick(T0 + 2 * HOUR)])
    run.run()
    assert run.lives and [(row["screen"], row["n_low"]) for row in run.rows("touches")[-2:]] == [("seldom", 7)] * 2
