"""The clocks around the stages: each ns belongs to one stage, whatever calls what."""

from __future__ import annotations

import threading
import time

import pytest

from benchmarks.clocked import STAGES, Clocks, librdkafka_ns


def test_a_stage_does_not_take_what_the_stages_inside_it_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0

    def spend(ns: int) -> None:
        nonlocal now
        now += ns

    monkeypatch.setattr(time, "thread_time_ns", lambda: now)
    monkeypatch.setattr(time, "process_time_ns", lambda: now)
    clocks = Clocks()
    window = clocks.around("window", lambda: spend(5))

    def fail() -> None:
        window()
        spend(3)
        raise KeyError

    decode = clocks.around("decode", fail)

    def work() -> None:
        window()
        spend(100)
        with pytest.raises(KeyError):
            decode()
        window()

    feed = clocks.around("counts", work)
    feed()  # before the beginning: forgotten
    clocks.begin()
    feed()
    spend(1_000)
    feed()
    told = clocks.told()
    assert {stage: ns for stage, ns in told.items() if ns} == {
        "window": 30,
        "counts": 200,
        "decode": 6,
        "rest": 1_000,
    }
    assert tuple(told) == STAGES


def test_threads_have_stages_of_their_own() -> None:
    clocks = Clocks()
    clocks.begin()
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(10)

    thread = threading.Thread(target=clocks.around("store", wait))
    thread.start()
    assert inside.wait(10)
    clocks.around("decode", lambda: sum(range(5_000_000)))()  # while the other thread is inside its stage
    go_on.set()
    thread.join()
    told = clocks.told()
    assert 0 < told["store"] < told["decode"]


def test_threads_are_known_by_librdkafkas_name_for_them() -> None:
    assert librdkafka_ns() == 0
    stop = threading.Event()

    def named() -> None:
        with open("/proc/thread-self/comm", "w") as comm:
            comm.write("rdk:broker1")
        sum(range(100_000))
        stop.wait(10)

    thread = threading.Thread(target=named)
    thread.start()
    for _ in range(1_000):
        if librdkafka_ns() > 0:
            break
        time.sleep(0.01)
    assert librdkafka_ns() > 0
    stop.set()
    thread.join()
