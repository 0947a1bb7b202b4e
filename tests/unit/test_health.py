"""What the health port tells: states in words, figures as text, nothing finer than may be shown."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard import metrics
from dashboard.serve import Server, serve
from engine.rfc3339 import format_ms
from flows.health import LAG_STEP, Health, State, forget, gathered, merged
from hitonami.health import create_app, families, served
from sinks.clickhouse.runs import Run

NOW = 1_770_450_020_000
RUN = Run(
    "live", "live", "{}", "c", "v1", "abcdef0123456789", "1", "Asia/Tokyo",
    first_ms=NOW - 3_600_000, last_ms=NOW - 777, closed_ms=NOW - 4_000,
    read=10, accepted=7, rejected={"late": 2, "malformed": 1, "duplicate": 0}, updated_ms=5,
)  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def wall(self) -> float:
        return NOW / 1000 + self.now

    def monotonic(self) -> float:
        return self.now


class Source:
    """A consumer as health sees it."""

    def __init__(self) -> None:
        self.behind: dict[int, int] = {}
        self.at: dict[int, float] = {}

    def lags(self) -> dict[int, int]:
        return self.behind

    def heard(self) -> dict[int, float]:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def health(clock: Clock, source: Source) -> Health:
    made = Health(clock.wall, clock.monotonic)
    made.begin()
    made.watch(source, 2)
    return made


def test_ready_begins_when_every_partition_has_been_heard(health: Health, source: Source, clock: Clock) -> None:
    assert health.state().problem() == "kafka: no partition is assigned yet"
    source.behind = {0: 0, 1: 0}
    source.at = {0: clock.now}
    assert health.state().problem() == "kafka: no partition is assigned yet"
    source.at = {0: clock.now, 1: clock.now}
    assert health.state().problem() == ""


def test_a_partition_without_even_ticks_is_quiet(health: Health, source: Source, clock: Clock) -> None:
    source.behind, source.at = {0: 0, 1: 0}, {0: clock.now, 1: clock.now}
    clock.now += 9
    assert health.state().problem() == ""
    source.at[0] = clock.now
    clock.now += 2
    assert health.state().problem() == "kafka: nothing comes from 1 of 2 partitions"
    source.at[1] = clock.now
    assert health.state().problem() == ""


def test_slow_ticks_are_waited_for(health: Health, source: Source, clock: Clock) -> None:
    health.begin(tick_ms=20_000)
    health.watch(source, 2)
    source.behind, source.at = {0: 0}, {0: clock.now}
    clock.now += 59
    assert health.state().quiet == 0
    clock.now += 2
    assert health.state().quiet == 1


def test_the_store_s_state_lasts_until_all_work_is_done(
    health: Health, source: Source, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    source.behind, source.at = {0: 0}, {0: clock.now}
    begun = round(clock.wall() * 1000)
    health.store_failed("store x does not answer", again=False)
    clock.now += 30
    health.store_failed("store x cannot now", again=True)
    health.store_failed("store x cannot now", again=False)  # another insert
    state = health.state()
    assert (state.store_since_ms, state.retries) == (begun, 3)
    assert state.problem() == f"store: retrying since {format_ms(begun)}: store x cannot now"
    health.store_answered()
    assert health.state().store_since_ms == begun
    health.store_answered()
    assert health.state().store_since_ms is None
    assert health.state().problem() == ""  # nobody read meanwhile: the partitions are given time
    clock.now += 11
    assert health.state().quiet == 1
    lines = capfd.readouterr().err.splitlines()
    assert lines == [
        "hitonami: store x does not answer; trying again",
        "hitonami: the store answers again, after 30 s",
    ]


def test_a_store_that_comes_and_goes_is_told_of_every_five_seconds(
    health: Health, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(30):  # each fails once and is done a fifth of a second later
        health.store_failed("store x does not answer", again=False)
        clock.now += 0.2
        health.store_answered()
        clock.now += 0.2
    assert health.state().retries == 30
    told = ["hitonami: store x does not answer; trying again", "hitonami: the store answers again, after 0 s"]
    assert capfd.readouterr().err.splitlines() == 3 * told
    health.store_failed("store x does not answer", again=False)  # and one that stays away is told of in any case
    for _ in range(4):
        clock.now += 2
        health.store_failed("store x does not answer", again=True)
    health.store_answered()
    assert capfd.readouterr().err.splitlines() == [told[0], "hitonami: the store answers again, after 8 s"]


def test_lag_is_told_in_thousands(health: Health, source: Source) -> None:
    source.behind = {1: LAG_STEP - 1, 0: 2 * LAG_STEP + 345}
    assert dict(health.state().lags) == {0: 2 * LAG_STEP, 1: 0}
    health.begin(exact=True)
    health.watch(source, 2)
    assert dict(health.state().lags) == {0: 2345, 1: 999}


def test_processes_add_up() -> None:
    one = State(True, {0: 1000}, 1, None, "", 2, 10, 100, replace(RUN, updated_ms=7))
    two = State(True, {1: 0}, 0, 50, "away", 3, 20, 200, RUN)
    both = merged([one, two])
    assert (both.assigned, both.lags, both.quiet, both.store_since_ms) == (True, {0: 1000, 1: 0}, 1, 50)
    assert (both.store_why, both.retries, both.inserted, both.memory) == ("away", 5, 30, 300)
    assert both.run is not None and both.run.updated_ms == 7
    assert not merged([one, State()]).assigned
    none = State(partitions=2)  # a third process, for which no partition is left
    assert merged([one, two, none]).assigned and not merged([one, none]).assigned and not merged([none]).assigned
    assert not merged([]).assigned


def test_processes_tell_in_files(health: Health, source: Source, clock: Clock, tmp_path: Path) -> None:
    source.behind, source.at = {0: 1234}, {0: clock.now}
    health.stored(RUN)
    health.inserted(3)
    assert gathered(tmp_path, 1).problem() == "run: 1 of its processes do not tell how they are"
    with health.told_in(tmp_path, 0), health.told_in(tmp_path, 1):
        until = time.monotonic() + 30
        while gathered(tmp_path, 2).silent and time.monotonic() < until:
            time.sleep(0.02)
        told = gathered(tmp_path, 2)
        assert told.problem() == "" and told.lags == {0: 1000} and told.inserted == 6
        assert told.run is not None and (told.run.read, dict(told.run.rejected)) == (10, RUN.rejected)
        assert gathered(tmp_path, 3).silent == 1
    assert gathered(tmp_path, 2, lambda: time.time() + 10).silent == 2  # both have ended since
    ended = (tmp_path / "health-0.json").stat().st_mtime
    assert gathered(tmp_path, 2, lambda: ended).silent == 0
    (tmp_path / "health-1.json").write_text('{"lags": 7}')
    assert gathered(tmp_path, 2, lambda: ended).silent == 1
    forget(tmp_path)  # the next start begins
    assert gathered(tmp_path, 2, lambda: ended).silent == 2


def test_a_state_says_nothing_of_when_people_came() -> None:
    told = State(True, {0: 0}, run=replace(RUN, leaves={"gate-canary": "10s"})).encode()
    assert b"canary" not in told and str(RUN.last_ms).encode() not in told and str(RUN.first_ms).encode() not in told


def text_of(state: State) -> str:
    return metrics.text(families(state, NOW)).decode()


def test_the_figures_are_those_of_the_run_s_row() -> None:
    told = text_of(State(True, {0: 0, 1: 3000}, 0, NOW - 2000, "away", 4, 12, 1 << 20, RUN))
    for line in (
        "hitonami_ready 0.0",
        'hitonami_kafka_lag_records{partition="1"} 3000.0',
        "hitonami_kafka_quiet_partitions 0.0",
        "hitonami_store_retrying 1.0",
        "hitonami_store_retrying_seconds 2.0",
        "hitonami_store_retries_total 4.0",
        "hitonami_rows_inserted_total 12.0",
        "hitonami_events_read_total 10.0",
        "hitonami_events_accepted_total 7.0",
        'hitonami_events_rejected_total{reason="late"} 2.0',
        "hitonami_watermark_age_seconds 4.0",
        "hitonami_resident_memory_bytes 1.048576e+06",
        "hitonami_alerts_sent_total 0.0",
    ):
        assert line in told.splitlines(), line
    assert 'state="running"' in told
    assert "hitonami_ready 1.0" in text_of(State(True, {0: 0}, 0, run=RUN))


def test_no_figure_names_a_sensor_a_gate_or_when_people_were_seen() -> None:
    run = replace(RUN, leaves={"gate-canary": "10s"}, config='{"x":"canary"}')
    told = text_of(State(True, {0: 0}, run=run))
    assert "canary" not in told
    labels = {
        part.split("=")[0].split("{")[-1] for line in told.splitlines() for part in line.split(",") if "=" in part
    }
    assert labels <= {"version", "python", "partition", "run_id", "kind", "state", "registry_hash", "reason"}
    assert str(RUN.last_ms)[:-3] not in told and str(RUN.first_ms)[:-3] not in told


def test_alerts_that_the_webhook_took_or_lost_are_told(health: Health) -> None:
    class Posts:
        sent, lost = 5, 2

    assert (health.state().alerts_sent, health.state().alerts_lost) == (0, 0)
    health.posts(Posts())
    state = State.decode(health.state().encode())
    both = merged([state, state])
    assert (both.alerts_sent, both.alerts_lost) == (10, 4)
    assert "hitonami_alerts_lost_total 4.0" in text_of(both).splitlines()


@pytest.fixture
def told() -> list[State]:
    return [State()]


@pytest.fixture
def server(told: list[State]) -> Iterator[Server]:
    made = serve(create_app(lambda: told[0], lambda: NOW / 1000))
    yield made
    made.stop()


def get(url: str, path: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.headers["content-type"], answer.read().decode()
    connection.close()
    return found


def test_the_port_answers(server: Server, told: list[State]) -> None:
    assert get(server.url, "/healthz")[::2] == (200, "ok\n")
    assert get(server.url, "/readyz")[::2] == (503, "kafka: no partition is assigned yet\n")
    told[0] = State(True, {0: 0}, run=RUN)
    assert get(server.url, "/readyz")[::2] == (200, "ok\n")
    status, kind, body = get(server.url, "/metrics")
    assert status == 200 and kind.startswith("text/plain; version=0.0.4")
    assert "hitonami_ready 1.0\n" in body
    assert get(server.url, "/")[0] == 404


def test_no_port_is_served_unasked() -> None:
    with served("127.0.0.1", None, State) as url:
        assert url is None
    with served("0.0.0.0", 0, State) as url:
        assert url is not None
        assert get(url.replace("0.0.0.0", "127.0.0.1"), "/healthz")[0] == 200
