"""The gate before events about people: open while consents are current, and only then; what is told of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.errors import ServiceUnreachable
from engine.model import END, NO_TIME
from flows import consents
from flows.consent_report import Reporter
from flows.consents import LIMIT_MS, Follower, Gate
from flows.health import Health, Held, State, health, merged
from flows.kafka import Cluster
from sinks.clickhouse.consents import ConsentState
from tests.support.consents import Word, document

T = 1_770_450_000_000
GRANTED = Word("granted", T, frozenset({"policy"}), frozenset({"gender"}))


class Clock:
    def __init__(self) -> None:
        self.s = 1_000.0

    def now(self) -> float:
        return self.s

    def wall(self) -> float:
        return T / 1000 + self.s


class Topic:
    """A compacted topic as the gate sees it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.current_s: float | None = None
        self.coming: list[bytes] = []
        self.polls = 0

    def lag_ms(self) -> int:
        return END if self.current_s is None else round((self._clock.s - self.current_s) * 1000)

    def current(self) -> None:
        self.current_s = self._clock.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def topic(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = Topic(clock)

    class Fake:
        def __init__(self, bootstrap: str, settings: object, name: str, take: object, **clocks: object) -> None:
            self._take, self.cluster = take, Cluster(bootstrap, None, name)

        def poll(self) -> None:
            made.polls += 1
            coming, made.coming = made.coming, []
            for value in coming:
                self._take(None, value, NO_TIME)  # type: ignore[operator]

        def lag_ms(self) -> int:
            return made.lag_ms()

        def close(self) -> None:
            """Nothing was opened."""

    monkeypatch.setattr(consents, "Compacted", Fake)
    return made


@pytest.fixture
def gate(clock: Clock, topic: Topic) -> Iterator[Gate]:
    health.begin()
    yield Gate("b:9092", now=clock.now, clock=clock.wall)
    health.begin()


def value(word: Word, subject: str = "u-1", **fields: object) -> bytes:
    return json.dumps(document("acme", subject, word, **fields)).encode()


class Told:
    """A gate, and what is told of it to a store."""

    def __init__(self, gate: Gate, clock: Clock, before: ConsentState | None = None) -> None:
        self.reporter = Reporter(gate, self, "people", now=clock.now, clock=clock.wall)
        self._gate, self._clock, self._before = gate, clock, before
        self.asked: list[str] = []
        self.rows: list[ConsentState] = []
        self.away = False

    def consents_told(self, run_id: str) -> ConsentState | None:
        self.asked.append(run_id)
        if self.away:
            raise ServiceUnreachable("away")
        return self._before

    def put_consents(self, run_id: str, state: ConsentState) -> None:
        if self.away:
            raise ServiceUnreachable("away")
        self.rows.append(state)

    def after(self, seconds: float, *, waits: bool = True) -> bool:
        """As the source does it; ``waits``: until the store has answered."""
        is_open = after(self._clock, self._gate, seconds)
        self.reporter.report()
        if waits:
            written()
        return is_open


def written() -> None:
    """Wait for what is stored beside the source."""
    for thread in threading.enumerate():
        if thread.name == "consents":
            thread.join(10)


def after(clock: Clock, gate: Gate, seconds: float) -> bool:
    clock.s += seconds
    return gate.open()


def test_it_is_shut_until_all_was_read_and_while_it_is_not_current(gate: Gate, topic: Topic, clock: Clock) -> None:
    assert not gate.open()
    assert not after(clock, gate, 10)
    topic.current()
    assert after(clock, gate, 1)
    assert after(clock, gate, LIMIT_MS / 1000 - 1)
    assert not after(clock, gate, 0.01)
    assert not after(clock, gate, 100)
    topic.current()
    assert after(clock, gate, 1)


def test_what_is_held_is_said_once(gate: Gate, topic: Topic, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        after(clock, gate, 10)
    topic.current()
    after(clock, gate, 1)
    assert capsys.readouterr().err == ""  # at a start it is read first
    for _ in range(3):
        after(clock, gate, 60)
    topic.current()
    after(clock, gate, 1)
    assert capsys.readouterr().err.splitlines() == [
        "hitonami: consents are not current: events are held until they are",
        "hitonami: consents are current again, events were held for 121 s",
    ]
    late = Gate("b:9092", now=clock.now, clock=clock.wall)
    topic.current_s = None
    for _ in range(3):
        after(clock, late, 40)
    assert "are not current" in capsys.readouterr().err


def test_what_is_asked_beside_holds_too(topic: Topic, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    class Beside:
        cluster = Cluster("b:9092", None, "contracts")
        lag, polls, closed = END, 0, False

        def lag_ms(self) -> int:
            return self.lag

        def poll(self) -> None:
            self.polls += 1

        def close(self) -> None:
            self.closed = True

    beside = Beside()
    gate = Gate("b:9092", beside=[beside], now=clock.now, clock=clock.wall)  # type: ignore[list-item]
    topic.current()
    assert not after(clock, gate, 1) and beside.polls == 1
    beside.lag = LIMIT_MS
    assert after(clock, gate, 1)
    beside.lag += 1
    assert not after(clock, gate, 1)
    assert State(consents=gate.held()).problem() == "contracts: not current, events are held"
    beside.lag = 0
    assert after(clock, gate, 1)
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "hitonami: contracts are not current: events are held until they are",
        "hitonami: contracts are current again",
    ]
    gate.close()
    assert beside.closed


def test_a_stray_record_holds_events_until_it_is_mended(
    topic: Topic, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    strays = ["contracts"]
    gate = Gate("b:9092", stray=lambda: strays[0], now=clock.now, clock=clock.wall)
    follower = gate.follower()
    assert not after(clock, gate, 1)
    assert State(consents=gate.held()).problem() == "consents: not current, events are held"  # it may be mended already
    for _ in range(2):
        topic.current()
        assert not after(clock, gate, 1) and not follower.current()
    other = Held(5_000, topic="consents")
    for state in (
        State(consents=gate.held()),
        merged([State(consents=replace(other, held=False)), State(consents=gate.held())]),
    ):
        assert state.problem() == "contracts: a record is nobody's, events are held"
        assert State.decode(state.encode()) == state
    strays[0] = ""
    assert after(clock, gate, 1) and follower.current() and not gate.held().held
    strays[0] = "contracts"
    assert not after(clock, gate, 1)
    said = [
        "hitonami: contracts hold a record that cannot be read and is nobody's: events are held until it is mended",
        "hitonami: contracts are current again, events were held for 4 s",
    ]
    assert capsys.readouterr().err.splitlines() == [*said, said[0]]


def test_partitions_ask_one_after_the_other_for_one_poll(gate: Gate, topic: Topic, clock: Clock) -> None:
    for _ in range(8):
        gate.open()
    assert topic.polls == 1
    after(clock, gate, 0.02)
    assert topic.polls == 2


def test_a_follower_knows_whether_it_has_heard_of_all(gate: Gate, topic: Topic, clock: Clock) -> None:
    follower = gate.follower()
    assert not after(clock, gate, 1) and not follower.current()
    topic.current()
    assert after(clock, gate, 1) and follower.current()


def test_every_follower_hears_of_every_withdrawal(gate: Gate, topic: Topic, clock: Clock) -> None:
    def heard(follower: Follower) -> list[str]:
        return [change.subject for change in follower.withdrawn()]

    first, second = gate.follower(), gate.follower()
    topic.coming = [value(GRANTED), value(Word("withdrawn", T + 1))]
    gate.open()
    assert first.allowed("acme", "u-1", "policy", T) is None
    assert heard(first) == ["u-1"] and heard(first) == []
    topic.coming = [value(Word("withdrawn", T + 1), "u-2")]
    after(clock, gate, 30)
    assert heard(first) == ["u-2"]
    after(clock, gate, 300)
    assert heard(gate.follower()) == heard(second) == ["u-1", "u-2"]  # nobody was forgotten for them


def test_who_has_withdrawn_is_forgotten_when_all_have_heard(gate: Gate, topic: Topic, clock: Clock) -> None:
    followers = [gate.follower(), gate.follower()]
    topic.coming = [value(Word("withdrawn", T), "u-1")]
    gate.open()
    for follower in followers:
        follower.withdrawn()
    after(clock, gate, 30)
    assert len(gate.consents.withdrawn(0)[1]) == 1  # a partition that is restored right now has not
    topic.coming = [value(Word("withdrawn", T), "u-2")]
    after(clock, gate, 20)
    after(clock, gate, 11)
    assert [change.subject for change in gate.consents.withdrawn(0)[1]] == ["u-2"]
    after(clock, gate, 100)
    assert [change.subject for change in gate.consents.withdrawn(0)[1]] == ["u-2"]
    for follower in followers:
        assert [change.subject for change in follower.withdrawn()] == ["u-2"]
    after(clock, gate, 1)
    assert gate.consents.withdrawn(0) == (2, [])


def test_supervisors_are_told_once_a_minute(gate: Gate, topic: Topic, clock: Clock) -> None:
    told = Told(gate, clock)
    told.after(1)
    assert told.asked == []  # another process has partition 0
    told.reporter.begin()
    told.after(1)
    assert told.asked == ["people"] and told.rows == []
    told.after(1)
    topic.coming = [value(GRANTED, f"u-{number}") for number in range(17)] + [b"{"]
    topic.current()
    for _ in range(119):
        told.after(1)
    first, second = told.rows
    assert first == ConsentState(T + 1_003_000, None, True)
    assert second == ConsentState(T + 1_063_000, 60_000, False, ("malformed",), {"acme": 10}, {"acme": ["2026-01 ja"]})


def test_a_start_goes_on_from_what_was_told_last(gate: Gate, topic: Topic, clock: Clock) -> None:
    told = Told(gate, clock, ConsentState(T, 5, False, (), {"acme": 10}, {"acme": ["2026-01 ja"]}))
    told.reporter.begin()
    told.after(1)
    assert told.rows == []
    told.after(1)
    withdrawn = [value(Word("withdrawn", T + 1), f"u-{number}") for number in range(10)]
    granted = [value(GRANTED, f"u-{number}") for number in range(9)]
    for coming in (granted + withdrawn[9:], withdrawn[:9], [value(GRANTED, "u-10")]):  # nine of the ten stand at first
        topic.coming = coming
        topic.current()
        told.after(60)
    assert [row.lag_ms is None for row in told.rows] == [True, False, False, False]
    assert [row.subjects for row in told.rows] == [{"acme": 10}] * 3 + [{}]
    assert [row.terms for row in told.rows] == [{"acme": ["2026-01 ja"]}] * 3 + [{}]


def test_a_store_that_is_away_stops_nothing(
    gate: Gate, topic: Topic, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(gate, clock)
    told.reporter.begin()
    for told.away, seconds, asked, rows in (
        (True, 1, 1, 0), (True, 30, 1, 0), (True, 30, 2, 0), (False, 60, 3, 0), (False, 1, 3, 1), (True, 60, 3, 1),
        (False, 60, 3, 2),
    ):  # fmt: skip
        topic.current()
        assert told.after(seconds) and (len(told.asked), len(told.rows)) == (asked, rows)
    assert capsys.readouterr().err == ""  # the next row tells it


def test_while_a_store_hangs_consents_are_read_and_judged(gate: Gate, topic: Topic, clock: Clock) -> None:
    asked: list[ConsentState] = []
    answers = threading.Event()

    class Hangs(Told):
        def put_consents(self, run_id: str, state: ConsentState) -> None:
            asked.append(state)
            answers.wait(10)
            self.rows.append(state)

    told, follower = Hangs(gate, clock), gate.follower()
    told.reporter.begin()
    topic.current()
    assert told.after(0.5) and told.after(0.5, waits=False)
    topic.coming = [value(GRANTED)]
    assert told.after(59, waits=False) and not answers.is_set()
    assert follower.allowed("acme", "u-1", "policy", T) is not None
    assert not told.after(60, waits=False)
    assert [state.held for state in asked] == [False]  # a second thread would only wait behind the first
    answers.set()
    written()
    answers.clear()
    told.after(1, waits=False)
    threading.Timer(0.1, answers.set).start()
    told.reporter.close()  # what was told last is stored
    assert [state.held for state in asked] == [state.held for state in told.rows] == [False, True]


def test_the_health_port_tells_that_events_are_held(gate: Gate, topic: Topic, clock: Clock) -> None:
    assert health.state().consents is None  # the process of a partition holds events, no other
    gate.follower()
    gate.open()
    assert health.state().problem() == "consents: not current, events are held"
    topic.current()
    after(clock, gate, 1)
    state = health.state()
    assert state.consents == Held(1_000, False) and "consents" not in state.problem()
    assert State.decode(state.encode()) == state
    both = merged([state, State(consents=Held(7, True, ("stale",))), State()]).consents
    assert both == Held(1_000, True, ("stale",))
    assert merged([state, State(consents=Held())]).consents == Held(None, True)
    assert merged([State()]).consents is None


def test_who_holds_events_is_not_quiet(clock: Clock) -> None:
    class Source:
        def lags(self) -> dict[int, int]:
            return {0: 0}

        def heard(self) -> dict[int, float]:
            return {0: 1_000.0}

    told = Health(clock.wall, clock.now)
    told.watch(Source(), 1)
    held = Held(70_000, True)
    told.consents(lambda: held)
    clock.s += 100
    assert told.state().quiet == 0
    held = Held(0, False)
    clock.s += 1
    assert told.state().quiet == 0  # it has only begun to read again
    clock.s += 20
    assert told.state().quiet == 1
