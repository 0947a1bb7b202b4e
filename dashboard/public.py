"""What everybody may see: the page /public and its stream /public/events, without login.

Four words of how full each zone is, ranges of people, and how old that is. Nothing else: no gate, sensor, alert, count
of rejects or run id. It is made from what the operators' page shows at the same moment (feed.py), so the two never
disagree, and never from a workbench run, which is another release of the same people.

A message is ``{"now", "timezone", "zones": [{"id", "name", "word", "people", "age_ms"}]}``; the first one has all zones
(event ``all``), the next ones, once a tick, those that have changed in more than age (event ``some``). ``timezone`` is
the one of the registry, in which the page tells the time; null where there is none. ``word`` is a place in
WORDS; it is null, and ``people`` too, where nothing is known or what is known is older than the zone's rows may be.
``age_ms`` counts from the end of the zone's newest row; null = there is none.
"""

from __future__ import annotations

import resource
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import orjson
from sse_starlette.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dashboard.feed import TooManyStreams
from engine.model import LOS

if TYPE_CHECKING:
    from dashboard.feed import Channel, Feed
    from dashboard.snapshot import View

WORDS = ("ゆとり", "ふつう", "やや混雑", "混雑")
OF_GRADE = {"A": 0, "B": 0, "C": 1, "D": 2, "E": 3, "F": 3}
STEP = 10  # of ranges of people
MOST = 2_000  # streams; and never more than half of the files that the process may open: operators need theirs

Zones = list[dict[str, Any]]


def zones_of(view: View | None, now_ms: int) -> Zones:
    """All zones as everybody may see them, in the layout's order; none of a workbench run, or without a run."""
    if view is None or view.status["kind"] == "workbench":
        return []
    figures = view.zones
    found = []
    for row, zone in enumerate(view.layout["zones"]):
        start = figures["t"][row]
        age = None if start is None else max(0, now_ms - start - zone["length_ms"])
        word = None if age is None or age > zone["limit_ms"] else word_of(figures["los"][row])
        told = None if word is None else people_of(figures["occ_lo"][row], figures["occ_hi"][row], view.layout["k"])
        found.append({"id": zone["id"], "name": zone["name"], "word": word, "people": told, "age_ms": age})
    return found


def timezone_of(view: View | None) -> str | None:
    """The registry's time zone; None of a workbench run, or without a run."""
    return None if view is None or view.status["kind"] == "workbench" else view.layout["run"]["timezone"]


def word_of(los: int | None) -> int | None:
    """The word for a grade (its place in LOS): free A and B, normal C, busy D, crowded E and F; None for unknown."""
    return None if los is None else OF_GRADE.get(LOS[los])


def people_of(low: float | None, high: float | None, k: int) -> list[int] | None:
    """A range of people, both ends inclusive, in steps of STEP; None where it is not known.

    It holds the released range and tells nothing finer. Few people are the released class, [0, k − 1]. A range that
    reaches below 0 begins at 0: no number of people is less, and how far a count is off is for operators.
    """
    if low is None or high is None or high < 0:
        return None
    if low <= 0 and high < k and k > 1:
        return [0, k - 1]
    return [max(0, int(low // STEP) * STEP), int(high // STEP) * STEP + STEP - 1]


class Public:
    """The public streams of one feed: each tick is made once for all of them. Lives on the feed's event loop."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._of: tuple[str, int] | None = None  # epoch and number of the tick that ``_last`` tells
        self._last: Zones = []
        self._frame = b""
        self.streams = 0

    async def listen(self) -> AsyncIterator[bytes]:
        """Frames for one client: all zones, then every tick what has changed. Raises TooManyStreams at the first."""
        channel = self._feed.channel(None, None)
        channel.listeners += 1
        self.streams += 1
        try:
            if not channel.fresh():
                await self._feed.refresh(channel)
            self._follow(channel)
            # a tick that comes during the first message is the next
            at, now_ms = channel.hub.seq, self._now_ms(channel)
            yield b"retry: 1000\n\n" + _frame("all", now_ms, timezone_of(channel.view), zones_of(channel.view, now_ms))
            while not (channel.hub.closed or self._feed.closed):
                if at == channel.hub.seq:
                    await channel.hub.changed()
                    continue
                # one that reads too slowly to be told each change gets all again
                missed, at = channel.hub.seq - at, channel.hub.seq
                self._follow(channel)
                yield (
                    self._frame
                    if missed == 1
                    else _frame("all", self._now_ms(channel), timezone_of(channel.view), self._last)
                )
        finally:
            self.streams -= 1
            channel.listeners -= 1
            channel.used = time.monotonic()

    def _now_ms(self, channel: Channel) -> int:
        return channel.now_ms(self._feed.now_ms())

    def _follow(self, channel: Channel) -> None:
        """Make the frame of the channel's present tick, if it is not made yet."""
        of = channel.hub.epoch, channel.hub.seq
        if of == self._of:
            return
        now_ms = self._now_ms(channel)
        zones, timezone = zones_of(channel.view, now_ms), timezone_of(channel.view)
        same = [zone["id"] for zone in zones] == [zone["id"] for zone in self._last]
        changed = [new for new, old in zip(zones, self._last, strict=False) if not _alike(new, old)]
        self._frame = _frame("some", now_ms, timezone, changed) if same else _frame("all", now_ms, timezone, zones)
        self._of, self._last = of, zones


def _alike(new: dict[str, Any], old: dict[str, Any]) -> bool:
    return all(new[name] == old[name] for name in ("name", "word", "people"))


def _frame(event: str, now_ms: int, timezone: str | None, zones: Zones) -> bytes:
    body = {"now": now_ms, "timezone": timezone, "zones": zones}
    return b"event: %s\ndata: %s\n\n" % (event.encode(), orjson.dumps(body))


async def _events(request: Request) -> Response:
    public: Public = request.app.state.public
    try:
        request.app.state.feed.channel(None, None)
    except TooManyStreams:
        return PlainTextResponse("too many streams", 503)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if public.streams >= (MOST if files == resource.RLIM_INFINITY else min(MOST, files // 2)):
        return PlainTextResponse("too many streams", 503)
    return EventSourceResponse(public.listen(), ping=0)


ROUTES = [Route("/public/events", _events)]
