"""The demo's scenes: where they begin, so that they turn in a minute."""

from __future__ import annotations

from itertools import takewhile

import pytest

from loadgen.stage import SCENES, staged

NOW = 1_795_870_003_000


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_turns_a_minute_from_now_with_all_kinds_of_sensors(scene: str) -> None:
    made = staged(scene, NOW)
    assert {sensor["kind"] for sensor in made.registry["sensors"]} >= {"beam_pair", "counter", "occupancy", "tracker"}
    past_s = (NOW - made.start_ms) / 1000
    turn_s = made.clock_of_day_s + past_s + 60
    clock = {"weekday": (8, 20, 20), "snow-festival": (17, 21, 0), "smoke": (18, 3, 0), "blackout": (3, 7, 0)}[scene]
    assert turn_s == pytest.approx(clock[0] * 3600 + clock[1] * 60 + clock[2], abs=10)
    assert 30 * 60 < past_s <= 60 * 60 + 10
    first = staged(scene, NOW, lead_s=0)
    assert first.clock_of_day_s - made.clock_of_day_s + (made.start_ms - first.start_ms) / 1000 == 60


def test_people_are_the_same_in_every_demo() -> None:
    def passages(now_ms: int) -> list[tuple[int, ...]]:
        made = staged("smoke", now_ms)
        made.passages = []
        for _ in takewhile(lambda m: m.arrival_ms < made.start_ms + 60_000, made.events()):
            pass
        return [(passed.at_ms - made.start_ms, *passed[1:]) for passed in made.passages]

    assert passages(NOW) == passages(NOW + 34_567) != []
