"""The stream profiles beside its engine: what is decided once, when keys go, what a start needs."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine import registry
from engine.book import Book
from engine.config import Config
from engine.errors import BadInput, ServiceUnreachable, UsageError
from engine.facts import START
from engine.model import END, NO_TIME, Progress, Released
from engine.profile import ProfilePartition
from engine.profile_facts import KIND, PROFILE, SEALED, WITHDRAWN
from flows import consents, profiles
from flows.health import health
from flows.keys import KeyFile, MemoryKeys
from flows.profiles import Closed, Followed, _destroyer, _Waiting, begin, opened, places, stamps
from flows.recovery import open_recovery
from flows.runs import Setup
from flows.source import Parts
from flows.store_sink import TICK, Advance
from flows.streams import events_of, stream_of
from tests.support.engine_run import payloads
from tests.support.profile_run import FakeConsents, gate, key_file

DAY = 1_770_390_000_000  # 2026-02-07T00:00+09:00
HOUR = 3_600_000
DAY_MS = 24 * HOUR
BOOK = Book(registry.parse(b'{"version":"1","timezone":"Asia/Tokyo"}'))

# without the guard: it would end the process of the tests
take = _Waiting.on_batch.__wrapped__  # type: ignore[attr-defined]
keep = _Waiting.snapshot.__wrapped__  # type: ignore[attr-defined]


def setup(**config: Any) -> Setup:
    return Setup(None, BOOK.version(BOOK.first), Config(config), "live", "0", events="profiles")  # type: ignore[arg-type]


def phase(key_file: Path) -> dict[str, Any]:
    """Settings of a run that takes providers' data."""
    return {"privacy": {"phase": "self_sustaining"}, "profiles": {"key_file": str(key_file)}}


def home(directory: Path) -> Path:
    """A recovery directory as a start makes it."""
    open_recovery(directory, {})
    return directory


def rows(unit: str) -> Released:
    return Released("profiles", unit, {"n": np.ones(1, np.int64)}, {})


def advance(closed_ms: int) -> Advance:
    return Advance(Progress(closed_ms), None, None, ())


def units(items: Any) -> list[str]:
    return [item.unit for item in items if isinstance(item, Released)]


def test_rows_go_on_when_the_epoch_behind_theirs_has_been_kept() -> None:
    """epoch 1: a decided | epoch 2: b | epoch 3: a goes on | epoch 4: b, and nothing twice"""
    waiting = _Waiting(lambda _ms: None, None)
    given = []
    for decided in (["a"], ["b"], [], [], []):
        out, done = take(waiting, [*map(rows, decided), TICK])
        assert not done and TICK in list(out)
        given.append(units(out) + units(take(waiting, [TICK])[0]))
        keep(waiting)
    assert given == [[], [], ["a"], ["b"], []]


def test_a_process_that_starts_again_gives_what_was_decided_not_what_it_would_decide_now() -> None:
    first = _Waiting(lambda _ms: None, None)
    take(first, [rows("decided"), advance(DAY), TICK])
    keep(first)
    take(first, [TICK])
    kept = keep(first)
    assert units(take(first, [TICK])[0]) == ["decided"]  # stored; then the process is killed
    again = _Waiting(lambda _ms: None, kept)
    assert units(take(again, [TICK])[0]) == ["decided"]  # the same rows: the store drops them
    keep(again)
    assert units(take(again, [TICK])[0]) == []


def test_keys_go_when_the_end_of_their_day_is_committed(tmp_path: Path) -> None:
    config = Config(phase(tmp_path / "keys"))
    keys = key_file(tmp_path / "keys")
    for day in range(2):
        keys.key("trips", DAY + day * DAY_MS)
    clock = BOOK.tables(BOOK.start).zone_clock
    waiting = _Waiting(_destroyer(config, "live", clock), None)

    def left() -> list[bool]:
        return [keys.find("trips", DAY + day * DAY_MS) is not None for day in range(2)]

    for closed_ms, after in ((NO_TIME, [True, True]), (DAY + DAY_MS - 1, [True, True]), (DAY + DAY_MS, [False, True])):
        before = left()
        take(waiting, [advance(closed_ms)])
        keep(waiting)
        take(waiting, [TICK])
        assert left() == before
        keep(waiting)
        take(waiting, [TICK])
        assert left() == after


def test_a_run_that_goes_on_waits_for_the_word_of_each_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "flow_of", lambda _name, _source, _sink, make, *_then: make)
    none: Any = None
    for bulk in (True, False):
        sink: Any = SimpleNamespace(bulk=bulk, row=SimpleNamespace(run=SimpleNamespace(run_id="live")))
        make: Any = profiles.dataflow(none, sink, Parts(BOOK, 5_000, 1, None, "profiles"), 2, Config())
        begun = make(None)
        assert begun._unheard == set() and make(begun.snapshot())._unheard == {0, 1}


def test_in_city_only_there_are_no_keys_to_destroy_and_nothing_to_follow(tmp_path: Path) -> None:
    clock = BOOK.tables(BOOK.start).zone_clock
    assert _destroyer(Config(), "live", clock)(DAY) is None
    begin(setup(), tmp_path / "recovery")
    made = opened(setup(), None, None)
    assert isinstance(made, Closed) and not made.holds()
    part = made.make(0, BOOK, 5_000, 1, None, NO_TIME, 0)
    event = json.dumps({"provider": "acme", "subject": "u", "ts": DAY}).encode()
    part.feed(payloads([event]))
    assert part.rejected_by_reason() == {"no_contract": 1}
    made.close()


def test_a_run_that_has_lost_a_key_is_refused_before_its_processes_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, recovery = setup(**phase(tmp_path / "keys")), home(tmp_path / "recovery")
    kept: dict[str, dict[str, bytes]] = {"profiles.logs": {}}
    monkeypatch.setattr(profiles, "states", lambda _directory, step: kept[step])
    begin(of, recovery)
    part = ProfilePartition(0, BOOK, 5_000, gate(keys=KeyFile(tmp_path / "keys", "live")))
    part.feed(payloads([json.dumps({"provider": "acme", "subject": "u", "ts": DAY}).encode()]))
    kept["profiles.logs"]["00000"] = pickle.dumps((1, part.snapshot()))
    begin(of, recovery)
    (tmp_path / "keys").unlink()
    with pytest.raises(BadInput, match="the key of an open day is lost"):
        begin(of, recovery)


def test_a_run_that_begins_anew_tells_withdrawals_for_days_that_an_earlier_one_had_closed(tmp_path: Path) -> None:
    """Its recovery directory is lost, and the log read again under the same id: no day of it has closed."""
    begin(setup(**phase(tmp_path / "keys")), home(tmp_path / "lost"))
    lost = KeyFile(tmp_path / "keys", "live")
    lost.key("profiles", DAY)
    lost.destroy(DAY + DAY_MS)
    begin(setup(**phase(tmp_path / "keys")), tmp_path / "lost")
    recovery = home(tmp_path / "recovery")
    with pytest.raises(UsageError, match="it is another run's of this id; take another file"):
        begin(setup(**phase(tmp_path / "keys")), recovery)
    begin(setup(**phase(tmp_path / "others")), recovery)
    people = FakeConsents(default=True)
    part = ProfilePartition(0, BOOK, 5_000, gate(people, keys=KeyFile(tmp_path / "others", "live")))
    days = (DAY, DAY + DAY_MS + HOUR)
    part.feed(payloads([json.dumps({"provider": "acme", "subject": "u", "ts": ts}).encode() for ts in days], days))
    (told,) = part.partials()
    assert told.rows[:, KIND].tolist() == [PROFILE, SEALED]
    people.withdraw("acme", "u", DAY + DAY_MS + HOUR)
    (told,) = part.partials()
    assert told.rows[:, KIND].tolist() == [WITHDRAWN] and told.rows[0, START] == DAY


def test_a_live_run_needs_a_key_file_and_a_replay_of_files_the_consents(tmp_path: Path) -> None:
    recovery = home(tmp_path / "recovery")
    with pytest.raises(UsageError, match="key_file"):
        begin(setup(privacy={"phase": "self_sustaining"}), recovery)
    with pytest.raises(UsageError, match="recovery directory"):
        begin(setup(**phase(recovery / "keys")), recovery)
    begin(setup(**phase(tmp_path / "keys")), recovery)
    with pytest.raises(UsageError, match="--consents"):
        opened(setup(privacy={"phase": "self_sustaining"}), None, None)


class Topic:
    """A compacted topic that lags as it is told to."""

    def __init__(self) -> None:
        self.lag, self.polled, self.closed = END, 0, False
        self.cluster = SimpleNamespace(topic="consents")

    def poll(self) -> None:
        self.polled += 1

    def lag_ms(self) -> int:
        return self.lag

    def close(self) -> None:
        self.closed = True


def test_sources_wait_while_consents_or_contracts_are_not_current(monkeypatch: pytest.MonkeyPatch) -> None:
    consented, contracted = Topic(), Topic()
    monkeypatch.setattr(consents, "_POLL_S", 0)
    monkeypatch.setattr(consents, "Compacted", lambda *_where, **_how: consented)
    monkeypatch.setattr("flows.profiles.reading", lambda *_where: contracted)
    asked: list[str] = []
    store: Any = SimpleNamespace(consents_told=asked.append, put_consents=print)
    cluster: Any = SimpleNamespace(bootstrap="", settings={})
    followed = Followed(replace(setup(), store=store), cluster, cluster, MemoryKeys())
    for consents_ms, contracts_ms, holds in (
        (END, END, True), (0, END, True), (END, 0, True), (0, 0, False), (60_000, 60_000, False), (60_001, 0, True),
        (0, 60_001, True), (0, 0, False),
    ):  # fmt: skip
        consented.lag, contracted.lag = consents_ms, contracts_ms
        assert followed.holds() == holds
    assert followed._contracts.take(None, "typo") and not followed.holds()
    assert not followed._contracts.take(b"{", "typo") and followed.holds()
    monkeypatch.setattr(profiles, "_PATIENCE_S", 0.0)
    with pytest.raises(BadInput, match="is nobody's: mend it first"):
        followed.wait()
    consented.lag = 60_001
    with pytest.raises(ServiceUnreachable, match="not current"):
        followed.wait()
    assert followed._contracts.take(None, "typo")
    consented.lag = 0
    followed.wait()
    for number, runs in ((1, []), (0, ["live"])):  # the process that has partition 0 tells supervisors
        followed.make(number, BOOK, 5_000, 1, None, NO_TIME, 0)
        followed.holds()
        followed._reporter.close()
        assert asked == runs
    followed.close()
    health.begin()
    assert consented.polled and contracted.polled and consented.closed and contracted.closed


def test_the_stream_is_told_by_its_topic() -> None:
    assert events_of("profiles") == "profiles" and stream_of("profiles").logs == "profiles.logs"
    assert places(BOOK.tables(BOOK.start))["leaves"] == {"profiles": "profiles"}


def test_lines_of_a_file_are_sorted_by_their_record_times() -> None:
    lines = [
        json.dumps([{"provider": "a", "subject": "u", "ts": DAY}, 3]).encode(),
        b"{",
        json.dumps({"provider": "a", "subject": "u", "ts": DAY, "record_ts": DAY + 5}).encode(),
    ]
    message, times = stamps(BOOK.tables(BOOK.start))(payloads(lines))
    assert message.tolist() == [0, 0, 1, 2] and times.tolist() == [DAY, NO_TIME, NO_TIME, DAY + 5]
