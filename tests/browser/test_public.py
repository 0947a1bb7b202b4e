"""What everybody may see: four words and ranges, by the grades, and nothing else."""

from __future__ import annotations

import json
import re
import socket
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dashboard.public import people_of, word_of
from engine.model import LOS
from sinks.clickhouse.alerts import Alert
from tests.browser.conftest import Clock, Served
from tests.browser.fake_store import BY_THE_MINUTE, REGISTRY, FakeRun, FakeStore

pytestmark = pytest.mark.browser

INSIDE = {"occupancy": 20, "occupancy_low": 14, "occupancy_high": 26, "density": 0.1}


@pytest.mark.parametrize(("grade", "word"), [*zip("ABCDEF", (0, 0, 1, 2, 3, 3), strict=True), ("unknown", None)])
def test_op_18_a_grade_is_one_of_four_words(grade: str, word: int | None) -> None:
    assert word_of(LOS.index(grade)) == word
    assert word_of(None) is None


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (14.0, 14.0, [10, 19]),  # exact: told as a range all the same
        (12.0, 22.0, [10, 29]),
        (-8.0, 12.0, [0, 19]),
        (0.0, 4.0, [0, 5]),  # few: the class of the release rule
        (-3.0, 0.0, [0, 5]),
        (3.0, 5.0, [0, 9]),
        (-9.0, -2.0, None),  # a contradiction is not nobody
        (None, None, None),
    ],
)
def test_op_18_people_are_told_in_ranges_that_hold_the_released_one(low: Any, high: Any, told: Any) -> None:
    assert people_of(low, high, k=6) == told


def test_without_protection_there_is_no_class_of_few() -> None:
    assert people_of(0.0, 0.0, k=1) == [0, 9]


def stream(url: str, events: int) -> bytes:
    """The first bytes of the stream, as many events as asked for."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(b"GET /public/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = b""
        while got.count(b"event: ") < events:
            part = line.recv(65_536)
            assert part, got[-200:]
            got += part
    return got


def told(got: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in got.replace(b"\r", b"").split(b"\n") if line.startswith(b"data: ")]


def canaries(clock: Clock, kind: str = "live") -> FakeStore:
    """A store in which everything that is not for everybody has a name of its own."""
    registry = json.loads(json.dumps(REGISTRY))
    registry["gates"][0] |= {"id": "canary-gate", "name": {"ja": "canary-gate", "en": "canary-gate"}}
    registry["sensors"] = [{"id": "canary-sensor", "kind": "beam_pair", "gate": "canary-gate"}]
    start = clock.last_start()
    run = FakeRun("canary-run", kind, rejected={"late": 771_234}, closed_ms=start + 10_000, started_ms=start)
    store = FakeStore(registry, run)
    store.now_ms = clock.ms
    store.put("canary-gate", "ab", start, (771_234, 771_234), run="canary-run")
    store.put_zone("c1", start, (771_234, 771_234), (0, 5), run="canary-run", los="D", drift_low=771_234, **INSIDE)
    store.put_zone("c2", start, None, None, run="canary-run")
    store.states = [("canary-sensor", "silent", start)]
    words = dict.fromkeys(("rule", "kind", "severity", "gate", "reason", "owner", "note", "shelved_for"), "canary")
    alert = Alert(
        id="canary", zone="c1", of_window="10s", began_ms=start, resolved_ms=None, value=2.5, threshold=2.0,
        registry_version="1", state="new", standing=True, shelved_until_ms=None, **words,
    )  # fmt: skip
    store.standing["canary-run"] = [alert]
    return store


def test_op_18_the_public_stream_holds_zones_words_and_ranges_alone(served: Served, clock: Clock) -> None:
    got = stream(served(canaries(clock)).url, 3)
    assert b"canary" not in got and b"771234" not in got and b"\nid:" not in got
    first, *later = told(got)
    assert set(first) == {"now", "timezone", "zones"} and first["timezone"] == "Asia/Tokyo"
    assert [set(zone) for zone in first["zones"]] == [{"id", "name", "word", "people", "age_ms"}] * 2
    free, unknown = first["zones"]
    assert (free["id"], free["word"], free["people"]) == ("c1", 2, [10, 29]) and free["age_ms"] >= 0
    assert (unknown["id"], unknown["word"], unknown["people"]) == ("c2", None, None)
    assert all(message["zones"] == [] for message in later)  # nothing but ages has changed


def test_op_18_a_workbench_run_is_never_public(served: Served, clock: Clock) -> None:
    got = stream(served(canaries(clock, "workbench"), run_id="canary-run").url, 1)
    assert (told(got)[0]["zones"], told(got)[0]["timezone"]) == ([], None)


def test_a_zone_of_longer_windows_is_told_in_those(served: Served, clock: Clock) -> None:
    start, early = clock.last_start(), clock.last_start(60_000)
    store = FakeStore(BY_THE_MINUTE, FakeRun(closed_ms=start + 10_000, started_ms=start))
    store.put_zone("c1", start, (14, 14), (12, 22), los="F", **INSIDE)
    store.put_zone("c2", early, (14, 14), (12, 22), los="D", window="1m", **INSIDE)
    first = told(stream(served(store).url, 1))[0]
    assert [(zone["id"], zone["word"]) for zone in first["zones"]] == [("c1", 3), ("c2", 2)]
    assert abs(first["now"] - early - 60_000 - first["zones"][1]["age_ms"]) <= 1


def filled(clock: Clock) -> FakeStore:
    start = clock.last_start()
    store = FakeStore(None, FakeRun(closed_ms=start + 10_000, started_ms=start))
    store.now_ms = clock.ms
    store.put_zone("c1", start, (14, 14), (12, 22), los="E", **INSIDE)
    store.put_zone("c2", start, (14, 14), (12, 22), los="A", occupancy_low=0, occupancy_high=4)
    return store


def card(page: Page, number: int) -> Any:
    return page.locator("#public-zones li").nth(number)


def test_op_18_public_words_follow_the_data_and_are_unknown_when_it_stops(
    page: Page, served: Served, clock: Clock
) -> None:
    store = filled(clock)
    page.goto(served(store).url + "/public")
    expect(card(page, 0).locator(".public-word")).to_have_text("混雑")
    expect(card(page, 0).locator(".public-people")).to_have_text("10〜29人")
    expect(card(page, 1).locator(".public-people")).to_have_text("6人未満")
    page.get_by_role("button", name="English").click()
    expect(card(page, 0).locator(".public-word")).to_have_text("Crowded")
    expect(card(page, 1).locator(".public-people")).to_have_text("fewer than 6 people")
    store.put_zone("c2", clock.last_start(), (14, 14), (12, 22), los="C", **INSIDE)
    expect(card(page, 1).locator(".public-word")).to_have_text("Normal")
    store.now_ms = None  # the run closes nothing any more
    clock.ahead_s = 120
    for number in (0, 1):
        expect(card(page, number).locator(".public-word")).to_have_text("unknown")
        expect(card(page, number)).to_have_class("public-zone unknown")
        expect(card(page, number).locator(".public-people")).to_have_text("")
        expect(card(page, number).locator(".public-age")).to_have_text("2 min ago")


def test_the_public_clock_is_that_of_the_place_and_not_of_whoever_looks(
    browser: Browser, served: Served, clock: Clock
) -> None:
    url = served(filled(clock)).url + "/public"
    context = browser.new_context(timezone_id="America/New_York", locale="ja-JP")
    page = context.new_page()
    page.goto(url)
    told = expect(page.locator("#public-clock"))
    now = [datetime.fromtimestamp(clock() + ahead, ZoneInfo("Asia/Tokyo")) for ahead in range(25)]
    told.to_have_text(re.compile("^(" + "|".join(f"{at:%Y/%m/%d %H:%M:%S} JST" for at in now) + ")$"))
    context.close()


def test_op_18_the_public_page_says_that_it_is_cut_off_and_takes_nothing_for_the_present(
    page: Page, served: Served, clock: Clock
) -> None:
    server = served(filled(clock))
    page.clock.install()
    page.goto(server.url + "/public")
    expect(card(page, 0).locator(".public-word")).to_have_text("混雑")
    server.stop()
    page.clock.run_for(5_000)
    expect(page.locator("#public-trouble")).to_contain_text("切断")
    page.clock.run_for(20_000)
    expect(card(page, 0).locator(".public-word")).to_have_text("不明")


def test_op_19_the_public_page_is_accessible_and_fits_a_phone(page: Page, served: Served, clock: Clock) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    store = filled(clock)
    page.goto(served(store).url + "/public")
    seen = []
    for grades in ("FA", "DC", ("unknown", "E")):
        for zone, grade in zip(("c1", "c2"), grades, strict=True):
            store.put_zone(zone, clock.last_start(), (14, 14), (12, 22), los=grade, **INSIDE)
        for number, grade in enumerate(grades):
            word = word_of(LOS.index(grade))
            expect(card(page, number)).to_have_class(f"public-zone {'unknown' if word is None else f'w{word}'}")
        for _ in ("dark", "light"):
            page.locator("#theme").click()
            results = Axe().run(page)
            seen += [v["id"] for v in results.response["violations"] if v["impact"] in ("serious", "critical")]
    assert seen == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
