"""Scenarios for a demo, live: each with its past, and so far along that it turns within a minute.

``python -m loadgen.stage ADDRESS TOPIC SCENE NOW_MS LEAD_S`` sends one to Kafka; it prints ``present`` when its past
is there, and goes on until it is told to end.
"""

from __future__ import annotations

import signal
import sys
import threading

from loadgen.kafka import produce
from loadgen.scenario import Scenario
from loadgen.scenes import TURN_S, blackout, smoke, snow_festival
from loadgen.sensors import ALL
from loadgen.weekday import weekday

LEAD_S = 60.0  # from now to the turn
PARTITIONS = 4
_ALIGN_MS = 10_000  # people are drawn 10 s at a time: with such a begin they are the same in every demo
_WEEKDAY_TURN_S, _WEEKDAY_PAST_S = 8.25 * 3600 + 320, 3_600  # a camera has told the same for so long that it shows
_SCENES = {"snow-festival": snow_festival, "smoke": smoke, "blackout": blackout}
SCENES = ("weekday", *_SCENES)


def staged(scene: str, now_ms: int, lead_s: float = LEAD_S) -> Scenario:
    """A scene with all kinds of sensors that began a while before ``now_ms`` and turns ``lead_s`` after it.

    The weekday has an hour's past and no end, the others what they are: 30 to 45 minutes, and as long as they last.
    Raises KeyError for a scene that is not one of SCENES.
    """
    past_s = float(_WEEKDAY_PAST_S) if scene == "weekday" else TURN_S[scene] - lead_s
    start_ms = (now_ms - round(past_s * 1000)) // _ALIGN_MS * _ALIGN_MS
    if scene == "weekday":
        clock_s = _WEEKDAY_TURN_S - lead_s - _WEEKDAY_PAST_S
        return weekday(seconds=None, start_ms=start_ms, clock_of_day_s=clock_s, equipment=ALL, empty=True)
    return _SCENES[scene](start_ms=start_ms)


def main() -> None:
    """Send a scene until told to end. Raises ConnectionError where the broker is gone."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    address, topic, scene, now_ms, lead_s = sys.argv[1:]
    produce(
        staged(scene, int(now_ms), float(lead_s)),
        address,
        topic,
        partitions=PARTITIONS,
        stop=stop.is_set,
        stamped=True,
        on_present=lambda: print("present", flush=True),
    )


if __name__ == "__main__":
    main()
