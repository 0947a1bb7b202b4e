"""The streams: one channel per run and window, read while somebody listens, told at most once a second.

A snapshot is ``{"now", "problem", "closed", "timing", "status", "layout", "flow": columns, "zones": columns,
"headings": columns, "alerts": […], "health": …}``, a delta ``{"now", "problem", "closed", "timing"[, "status"]
[, "flow": {"i": rows, …columns}][, "zones": …][, "headings": …][, "alerts": […]][, "health": …]}`` with the changed
rows only, and all alerts, or all of health, where one has changed. ``now`` is this server's clock: all ages on the page
count from it, so the browser's clock does not matter; one that stands behind what the run has closed is not believed
(``Channel.now_ms``). ``problem`` is null, "no_run", "store", or
that a run said to be running has closed nothing for longer than ticks allow: "behind" while it catches up, "quiet" when
Kafka or the run itself is away. ``timing`` tells where the newest rows of a live run
have spent their time, in ms: ``{"end", "line", "inserted", "read"}``, the end of their window, when the watermark may
pass it, when the store took the last of them, when this server read it first.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import orjson

from dashboard.columns import COLUMNS, Columns
from dashboard.hub import Broadcast
from dashboard.snapshot import View, Views, choose, closed_ms, status_of

if TYPE_CHECKING:
    from sinks.clickhouse.store import Run, Store

TICK_S = 1.0  # least time between two ticks of a channel; the page says it is cut off after 3 s without one
FRESH_S = 2.0  # a channel that has told nothing for this long is read before it serves a new client
LAG = 10  # ticks a client may be behind before it gets the newest state instead
# What has waited for its turn so long is not begun any more: the page has given up asking (static/ask.js), and behind a
# store that has hung all that came meanwhile would stand before what is asked now, acts among it.
PATIENCE_S = 20.0
CHANNELS = 64  # most streams kept; the idle one used longest ago goes first

log = logging.getLogger("hitonami.dashboard")
T = TypeVar("T")


class TooManyStreams(Exception):
    """Every channel is in use."""


class TooLate(Exception):
    """It has waited for too long; nothing was done."""


class Reader:
    """One daemon thread that talks to the store, so that a store that hangs holds up neither the loop nor the exit."""

    def __init__(self, name: str = "dashboard-reader") -> None:
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any, Exception | None], None]] | None]
        self._work = queue.SimpleQueue()
        self._closed = False
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def call(self, function: Callable[[], T]) -> T:
        """Run ``function`` in the thread; its exceptions come out here. Raises RuntimeError once closed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def told(result: Any, error: Exception | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, future, result, error)

        self._put(function, told)
        return await future

    def wait(self, function: Callable[[], T]) -> T:
        """As ``call``, for another thread, which waits."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._put(function, lambda result, error: _settle(future, result, error))
        while True:
            try:
                return future.result(1.0)
            except TimeoutError:
                if future.done():
                    raise  # by ``function``
                if self._closed:
                    raise RuntimeError("the page is being stopped") from None

    def _put(self, function: Callable[[], Any], told: Callable[[Any, Exception | None], None]) -> None:
        if self._closed:
            raise RuntimeError("the page is being stopped")
        self._work.put((function, told))

    def close(self) -> None:
        """Take no more calls; the thread ends behind those it has."""
        self._closed = True
        self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            function, told = item
            result, error = None, None
            try:
                result = function()
            except Exception as caught:  # handed to the one who asked
                error = caught
            told(result, error)


def _settle(future: asyncio.Future[Any] | concurrent.futures.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


def _in_time(function: Callable[[], T]) -> Callable[[], T]:
    """``function``, if it comes to its turn within PATIENCE_S from now; else TooLate."""
    asked = time.monotonic()

    def run() -> T:
        if time.monotonic() - asked > PATIENCE_S:
            raise TooLate
        return function()

    return run


class _Behind:
    """The store as long work sees it from its own thread: each call waits for its turn in the reader's."""

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store, self._reader = store, reader

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._store, name)
        return lambda *given, **named: self._reader.wait(lambda: function(*given, **named))


class Channel:
    """The stream of one run (None: whichever is newest) and window (None: the run's finest)."""

    def __init__(self, run_id: str | None, window: str | None) -> None:
        self.run_id, self.window = run_id, window
        self.hub = Broadcast()
        self.listeners = 0
        self.used = time.monotonic()
        self.lock = asyncio.Lock()
        self._view: View | None = None
        self._problem: str | None = "no_run"
        self._told = float("-inf")
        self._timing: Mapping[str, int] | None = None
        self._seen: dict[str, int] = {}
        self._met: tuple[str, int] | None = None  # run and how far it had closed, and when that was met first
        self._met_at = 0.0

    @property
    def view(self) -> View | None:
        """What it told last."""
        return self._view

    def fresh(self) -> bool:
        """Whether what it told last is good enough for a new client."""
        return time.monotonic() - self._told < FRESH_S

    def now_ms(self, clock_ms: int) -> int:
        """The clock's time, but no less than what its live run has closed and the time since that was met.

        A clock that was set back would show figures as new until it has caught up, also when no more come.
        """
        if self._met is None:
            return clock_ms
        return max(clock_ms, self._met[1] + round((time.monotonic() - self._met_at) * 1000))

    def met(self, view: View) -> None:
        """Note how far the run of ``view`` has closed."""
        told = None if view.closed_ms is None else (str(view.status["run_id"]), view.closed_ms)
        if told != self._met:
            self._met, self._met_at = told, time.monotonic()

    def saw(self, view: View, now_ms: int) -> None:
        """Note when the newest rows of ``view`` were read first: it may be read again before it is told."""
        if view.timing is not None and {**view.timing, "read": self._seen.get("read", 0)} != self._seen:
            self._seen = {**view.timing, "read": now_ms}

    def hurry(self) -> None:
        """Let the next tick be told at once."""
        self._told = min(self._told, time.monotonic() - TICK_S)

    def tell(self, view: View | None, problem: str | None, now_ms: int) -> None:
        """Publish what has changed, be it nothing but the time; does nothing within a second of the last tick.

        With a problem of the store ``view`` does not count and the last figures stay, their ages growing.
        """
        if time.monotonic() - self._told < TICK_S:
            return
        old = self._view
        if problem == "store":
            view = old
        else:
            self._timing = None if view is None or view.timing is None else self._seen
        self._view, self._problem, self._told = view, problem, time.monotonic()
        head = self._head(now_ms)
        if view is None or old is None or view.layout != old.layout:
            self.hub.publish("snapshot", orjson.dumps({**head, **self._body()}))
            return
        if view.status != old.status:
            head["status"] = view.status
        if view.alerts != old.alerts:
            head["alerts"] = view.alerts
        if view.health != old.health:
            head["health"] = view.health
        for name, columns in COLUMNS.items():
            changed = _changed(getattr(old, name), getattr(view, name), columns)
            if changed is not None:
                head[name] = changed
        self.hub.publish("delta", orjson.dumps(head))

    def snapshot(self, now_ms: int) -> bytes:
        """The newest state as a frame under the present number."""
        return self.hub.frame("snapshot", orjson.dumps({**self._head(now_ms), **self._body()}))

    def _head(self, now_ms: int) -> dict[str, Any]:
        return {
            "now": now_ms,
            "problem": self._problem,
            "closed": None if self._view is None else self._view.closed_ms,
            "timing": self._timing,
        }

    def _body(self) -> dict[str, Any]:
        view = self._view
        if view is None:
            return {"status": status_of(None), "layout": None, **dict.fromkeys(COLUMNS), "alerts": [], "health": None}
        figures = {name: getattr(view, name) for name in COLUMNS}
        lists = {"alerts": view.alerts, "health": view.health}
        return {"status": view.status, "layout": view.layout, **figures, **lists}


def _changed(old: Columns, new: Columns, names: tuple[str, ...]) -> Columns | None:
    rows = [
        row
        for row, (before, after) in enumerate(
            zip(zip(*(old[n] for n in names), strict=True), zip(*(new[n] for n in names), strict=True), strict=True)
        )
        if before != after
    ]
    return {"i": rows, **{name: [new[name][row] for row in rows] for name in names}} if rows else None


class Feed:
    """All channels over one store, and the task that keeps them going. Lives on one event loop.

    ``run_id``: the run shown where the browser asks for none.
    ``views``: for the reader's thread alone (``call``). ``downloads``: files that go out now (downloads.py).
    """

    def __init__(self, store: Store, run_id: str | None, clock: Callable[[], float], poll_s: float) -> None:
        self._store, self.run_id, self._clock, self._poll_s = store, run_id, clock, poll_s
        self._hurried = asyncio.Event()
        self.views = Views(store)
        self.downloads = 0
        self._reader = Reader()
        self._worker = Reader("dashboard-worker")
        self._behind = cast("Store", _Behind(store, self._reader))
        self._views_behind = Views(self._behind)
        self._channels: dict[tuple[str | None, str | None], Channel] = {}
        self._broken = False
        self.closed = False

    def now_ms(self) -> int:
        """The server's clock in ms."""
        return round(self._clock() * 1000)

    async def call(self, read: Callable[[Store], T]) -> T:
        """Run ``read`` on the store in the reader's thread. Raises what the store raises, TooLate where it hung."""
        return await self._reader.call(_in_time(lambda: read(self._store)))

    async def beside(self, work: Callable[[Store, Views], T]) -> T:
        """Run long ``work`` beside the streams, one after the other; they read on between its reads of the store.

        Raises what ``work`` raises, TooLate where too much stood before it.
        """
        return await self._worker.call(_in_time(lambda: work(self._behind, self._views_behind)))

    async def run_shown(self) -> Run | None:
        """The run that is shown where the browser asks for none, read now. Raises what the store raises."""
        return await self._reader.call(lambda: choose(self._store, self.run_id))

    async def status(self) -> dict[str, Any]:
        """The body of /api/status, read now. Raises what the store raises."""
        run = await self.run_shown()
        closed = closed_ms(run)
        return {**status_of(run), "watermark_age_ms": None if closed is None else max(0, self.now_ms() - closed)}

    async def runs(self) -> list[dict[str, Any]]:
        """The body of /api/runs, newest first."""
        return await self.call(lambda _: self.views.runs())

    def channel(self, run_id: str | None, window: str | None) -> Channel:
        """The channel of a run and window, made where it is missing. Raises TooManyStreams."""
        key = (run_id if run_id is not None else self.run_id, window)
        if key not in self._channels:
            if len(self._channels) >= CHANNELS:
                idle = [k for k, c in self._channels.items() if not c.listeners]
                if not idle:
                    raise TooManyStreams
                del self._channels[min(idle, key=lambda k: self._channels[k].used)]
            self._channels[key] = Channel(*key)
        return self._channels[key]

    async def listen(self, channel: Channel, last_id: str | None) -> AsyncGenerator[bytes, None]:
        """Frames for one client: what it misses, or a snapshot, then every tick until the end."""
        channel.listeners += 1
        try:
            if not channel.fresh():
                await self.refresh(channel)
            hub = channel.hub
            at = hub.since(last_id)
            yield b"retry: 1000\n\n"
            while not (hub.closed or self.closed):
                frames = None if at is None else hub.after(at)
                # what a client asked for when it came back is sent whole; one that reads too slowly gets the newest
                if frames is None or (last_id is None and len(frames) > LAG):
                    frames = [channel.snapshot(channel.now_ms(self.now_ms()))]
                at, last_id = hub.seq, None
                if frames:
                    yield b"".join(frames)
                if at == hub.seq:
                    await hub.changed()
        finally:
            channel.listeners -= 1
            channel.used = time.monotonic()

    async def refresh(self, channel: Channel) -> None:
        """Read the store and tell the channel; a store that fails is a state of the page, not an end of it."""
        async with channel.lock:
            try:
                view = await self._reader.call(lambda: self.views.read(channel.run_id, channel.window))
                if view is not None:
                    channel.met(view)
                    channel.saw(view, channel.now_ms(self.now_ms()))
                problem = "no_run" if view is None else view.problem(channel.now_ms(self.now_ms()))
            except Exception as error:  # whatever it is, the page has to say that it knows nothing newer
                if not self._broken:
                    log.warning("the store does not answer (%s); the page shows ages growing", type(error).__name__)
                view, problem = None, "store"
            self._broken = problem == "store"
            channel.tell(view, problem, channel.now_ms(self.now_ms()))

    def hurry(self, run_id: str) -> None:
        """Somebody has changed something of a run: whoever looks at it shall see it with the next look, made now."""
        for (of, _), channel in self._channels.items():
            if of in (run_id, None):
                channel.hurry()
        self._hurried.set()

    async def run(self) -> None:
        """Keep every channel that has listeners up to date, until cancelled."""
        while True:
            began = time.monotonic()
            for channel in [c for c in self._channels.values() if c.listeners]:
                await self.refresh(channel)
            with contextlib.suppress(TimeoutError):
                pause = max(0.05, self._poll_s - (time.monotonic() - began))
                await asyncio.wait_for(self._hurried.wait(), pause)
            self._hurried.clear()

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        for channel in self._channels.values():
            channel.hub.close()
        self._worker.close()
        self._reader.close()
