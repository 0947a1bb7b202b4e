"""The ring of numbered frames: who resumes, who needs a snapshot."""

from __future__ import annotations

import asyncio

from dashboard.hub import Broadcast
from tests.browser.apart import run_apart


def number(frame: bytes) -> int:
    return int(frame.split(b"\n", 1)[0].rpartition(b"-")[2])


def filled(keep: int, frames: int) -> Broadcast:
    hub = Broadcast(keep)
    for _ in range(frames):
        hub.publish("delta", b"{}")
    return hub


def test_a_frame_is_one_event_with_the_id_epoch_and_number():
    hub = filled(5, 2)
    assert hub.after(1) == [f"id: {hub.epoch}-2\nevent: delta\ndata: {{}}\n\n".encode()]


def test_an_id_in_the_ring_resumes_with_exactly_what_is_missing():
    hub = filled(5, 8)  # the ring holds 4..8
    for seq in range(3, 9):
        assert hub.since(f"{hub.epoch}-{seq}") == seq
        assert [number(f) for f in hub.after(seq) or []] == list(range(seq + 1, 9))


def test_an_id_the_ring_has_lost_or_never_had_needs_a_snapshot():
    hub = filled(5, 8)
    for bad in (f"{hub.epoch}-2", f"{hub.epoch}-9", "other-5", f"{hub.epoch}-", f"{hub.epoch}-x", "", None, "5",
                f"{hub.epoch}-{'9' * 5000}", f"{hub.epoch}-٣", f"{hub.epoch}--1"):  # fmt: skip
        assert hub.since(bad) is None, bad
    assert hub.after(2) is None


def test_the_ring_holds_no_more_bytes_than_it_may():
    hub = Broadcast(600, 1000)
    for _ in range(50):
        hub.publish("delta", b"x" * 150)
    kept = hub.after(hub.seq - 4)
    assert kept is not None and len(kept) == 4 and sum(map(len, kept)) <= 1000
    assert hub.after(hub.seq - 6) is None and hub.since(f"{hub.epoch}-{hub.seq - 6}") is None
    hub.publish("snapshot", b"y" * 5_000)  # larger than all that it may hold
    assert len(hub.after(hub.seq - 1) or []) == 1 and hub.after(hub.seq - 2) is None
    hub.publish("delta", b"x")
    assert len(hub.after(hub.seq - 1) or []) == 1


def test_epochs_differ():
    assert Broadcast().epoch != Broadcast().epoch


def test_the_ring_holds_at_least_600_ticks():
    hub = filled(0, 0)
    hub = Broadcast()
    for _ in range(700):
        hub.publish("delta", b"{}")
    assert hub.since(f"{hub.epoch}-100") == 100
    assert len(hub.after(100) or []) == 600


def test_all_waiters_wake_on_a_frame_and_on_the_end():
    async def main() -> None:
        hub = Broadcast()
        waiters = [asyncio.create_task(hub.changed()) for _ in range(3)]
        await asyncio.sleep(0)
        waiters[0].cancel()  # one client that leaves must not take the others along
        await asyncio.sleep(0)
        hub.publish("delta", b"{}")
        await asyncio.wait_for(asyncio.gather(*waiters[1:]), 5)
        last = asyncio.create_task(hub.changed())
        await asyncio.sleep(0)
        hub.close()
        await asyncio.wait_for(last, 5)
        await asyncio.wait_for(hub.changed(), 5)

    run_apart(main())
