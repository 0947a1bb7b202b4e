"""The demo's switch of scenes on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from dashboard.roles import Who
from tests.browser.conftest import Clock, Served, fill, open_page
from tests.browser.fake_store import FakeRun, FakeStore

pytestmark = pytest.mark.browser


class Stage:
    """Scenes that are noted; a test lets their runs begin."""

    names = ("weekday", "snow-festival", "smoke", "blackout")

    def __init__(self) -> None:
        self.at = ("weekday", "weekday-1")

    def playing(self) -> tuple[str, str]:
        return self.at

    def play(self, scene: str) -> None:
        self.at = (scene, f"{scene}-1")


@pytest.fixture
def store(clock: Clock) -> FakeStore:
    start = clock.last_start()
    store = FakeStore(None, FakeRun("weekday-1", closed_ms=start + 10_000, started_ms=start))
    store.now_ms = clock.ms
    fill(store, start, run="weekday-1")
    return store


def test_a_scene_is_chosen_on_the_page_which_follows_its_run(
    page: Page, store: FakeStore, served: Served, clock: Clock
) -> None:
    open_page(page, served(store, scenes=Stage(), local=Who("demo", "supervisor")).url)
    scenes = page.get_by_role("group", name="場面")
    expect(scenes.get_by_role("button")).to_have_text(["平日", "雪まつり", "煙", "停電"])
    expect(scenes.get_by_role("button", pressed=True)).to_have_text("平日")
    scenes.get_by_role("button", name="煙").click()
    expect(scenes.get_by_role("status")).to_have_text("「煙」を準備しています")
    expect(scenes.get_by_role("button", pressed=True)).to_have_text("煙")
    # its past comes in: behind, but not quiet
    behind = FakeRun("smoke-1", closed_ms=clock.ms() - 600_000, started_ms=clock.ms(), updated_ms=clock.ms())
    store.now_ms = None  # it closes no further by itself
    store.by_id["smoke-1"] = behind
    fill(store, clock.last_start() - 600_000, run="smoke-1")
    expect(page.locator("#trouble")).to_have_text("過去の分を取り込み中です。現在まであと 10 分")
    expect(scenes.get_by_role("status")).to_have_text("")
    store.by_id["smoke-1"] = replace(behind, closed_ms=clock.ms())
    expect(page.locator("#trouble")).to_have_text("")


def test_there_is_no_switch_but_in_the_demo_and_none_for_who_may_not(
    page: Page, store: FakeStore, served: Served
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_response("**/api/session"):
        open_page(page, served(store).url)
    page.wait_for_timeout(300)
    expect(page.locator("#scenes")).to_be_empty()
    assert not [url for url in asked if url.endswith("/api/demo")]  # what is not there is not asked for
    open_page(page, served(store, scenes=Stage(), local=Who("sato", "viewer")).url)
    buttons = page.locator("#scenes button")
    expect(buttons).to_have_count(4)
    expect(page.locator("#scenes button:disabled")).to_have_count(4)


def test_when_a_run_has_caught_up_its_last_hour_is_asked_for_again(
    page: Page, store: FakeStore, served: Served, clock: Clock
) -> None:
    store.now_ms = None
    behind = replace(store.by_id["weekday-1"], closed_ms=clock.ms() - 600_000, updated_ms=clock.ms())
    store.by_id["weekday-1"] = behind
    with page.expect_request(lambda request: "/api/history" in request.url):
        page.goto(served(store).url)
    expect(page.locator("#trouble")).to_have_text("過去の分を取り込み中です。現在まであと 10 分")
    with (
        page.expect_request(lambda request: "/api/history" in request.url, timeout=20_000),
        page.expect_request(lambda request: request.url.endswith("/api/runs"), timeout=20_000),
    ):
        store.by_id["weekday-1"] = replace(behind, closed_ms=clock.ms())
