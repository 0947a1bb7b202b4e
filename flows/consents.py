"""The gate before events about people: nothing passes unless their consents are known up to now (PRIVACY.md R3).

While the topic ``consents`` lags by more than a minute the gate is shut: the source reads nothing, so events stay in
Kafka in front of the offset, W stands still, no window closes; ticks are not written either, for the partition is not
read to its end. When the topic is back the source goes on where it was. Before the topic was read to its end for the
first time the gate is shut too; and while a record of a topic beside is a ``stray``, which may be a bar of anybody:
what is refused is gone, and what waits is not.

Each process has a gate and reads the topic for itself. It is polled by the source, at every poll of its own::

    gate.open()           takes what has come of consents; whether events may be read now
    follower.withdrawn()  what ended since the last call: it leaves the open windows before the next event is judged
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

from engine.consent import FAULTS, Change, Consents
from engine.model import END
from flows.compacted import Compacted
from flows.guard import tell
from flows.health import Held, health

TOPIC = "consents"
LIMIT_MS = 60_000
LIMIT_VARIABLE = "HITONAMI_CONSENT_LAG_MS"  # for tests: what holds at 60 s must hold at any length
_POLL_S = 0.005  # the partitions of a process ask one after the other: the topic is polled for all of them
_KEEP_S = 60.0  # that a withdrawal is kept at least, for a partition that is only being restored


class Follower:
    """What a partition of the source asks of consents; it hears of every withdrawal."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.serial = 0

    def allowed(self, provider: str, subject: str, purpose: str, ts_ms: int) -> frozenset[str] | None:
        """See Consents."""
        return self._gate.consents.allowed(provider, subject, purpose, ts_ms)

    def withdrawn(self) -> list[Change]:
        """What has ended since the last call, in order; at the first, all that ended before."""
        self.serial, changes = self._gate.consents.withdrawn(self.serial)
        return changes

    def current(self) -> bool:
        """Whether events may pass. At a start, no withdrawal is known before the topics were read to their end."""
        return not self._gate.held().held


class Gate:
    """The consents of one process, and whether they are current.

    ``bootstrap``, ``settings``: the cluster of the topic. ``beside``: other topics without which events may not pass
    either; they are polled, judged and closed with it. ``stray`` names the one of them that holds a record of which
    nobody knows whose it is, "" for none; it is asked by who polls. Raises BadInput for settings librdkafka refuses.
    """

    def __init__(
        self,
        bootstrap: str,
        settings: Mapping[str, str] | None = None,
        topic: str = TOPIC,
        *,
        beside: Sequence[Compacted] = (),
        stray: Callable[[], str] = lambda: "",
        now: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.consents = Consents(secrets.token_bytes(32))
        self._topics = [Compacted(bootstrap, settings, topic, self._take, now=now, clock=clock), *beside]
        self._limit_ms = int(os.environ.get(LIMIT_VARIABLE, LIMIT_MS))
        self._strays, self._now = stray, now
        self._followers: list[Follower] = []
        self._serials: list[tuple[float, int]] = []  # second, and the newest serial then
        self._is_open = False
        self._shut_s, self._told = now(), ("", False)  # since when it is shut, and what was told: topic, is it a stray?
        self._stray = ""  # the topic, all being current, whose record events wait for
        self._polled_s = float("-inf")

    def follower(self) -> Follower:
        """Consents for a partition of the source. Who has none reads nothing and holds nothing."""
        health.consents(self.held)
        made = Follower(self)
        self._followers.append(made)
        return made

    def open(self) -> bool:
        """Take what has come; whether events may be read now. Never waits. Raises as Compacted.poll does."""
        now_s = self._now()
        if now_s - self._polled_s >= _POLL_S:
            self._polled_s = now_s
            for topic in self._topics:
                topic.poll()
            self._judge(now_s)
            self._forget(now_s)
        return self._is_open

    def held(self) -> Held:
        """How it stands, for the health port. Of any thread."""
        lag_ms, name = self._slowest()
        met = tuple(reason for reason in FAULTS if self.consents.faults.get(reason))
        stray = self._stray
        return Held(None if lag_ms == END else lag_ms, not self._is_open, met, stray or name, stray != "")

    def close(self) -> None:
        """Leave the broker."""
        for topic in self._topics:
            topic.close()

    def _slowest(self) -> tuple[int, str]:
        """The lag (ms) of the topic that is known least, and its name."""
        return max((topic.lag_ms(), topic.cluster.topic) for topic in self._topics)

    def _take(self, key: bytes | None, value: bytes | None, record_ts: int) -> None:
        self.consents.take(value, record_ts, key)

    def _judge(self, now_s: float) -> None:
        lag_ms, name = self._slowest()
        current = lag_ms <= self._limit_ms
        self._stray = stray = self._strays() if current else ""
        was_open, self._is_open = self._is_open, current and not stray
        if self._is_open:
            if self._told[0]:
                tell(f"{self._told[0]} are current again, events were held for {now_s - self._shut_s:.0f} s")
            self._told = "", False
            return
        if was_open:
            self._shut_s = now_s
        if stray and self._told != (stray, True):
            self._told = stray, True
            tell(f"{stray} hold a record that cannot be read and is nobody's: events are held until it is mended")
        late = was_open or (now_s - self._shut_s) * 1000 > self._limit_ms  # at a start they are read first
        if late and not self._told[0]:
            self._told = name, False
            tell(f"{name} are not current: events are held until they are")

    def _forget(self, now_s: float) -> None:
        """Let go of withdrawals that every follower has heard of for a while: they name their subjects."""
        newest = self.consents.serial
        if not self._serials or self._serials[-1][1] != newest:
            self._serials.append((now_s, newest))
        heard = min((follower.serial for follower in self._followers), default=0)
        while self._serials and now_s - self._serials[0][0] >= _KEEP_S and self._serials[0][1] <= heard:
            self.consents.forget(self._serials.pop(0)[1])
