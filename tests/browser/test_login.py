"""The login page, and the end of a session, in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dashboard.door import PER_NAME
from dashboard.users import Users
from tests.browser.conftest import Clock, Served
from tests.browser.fake_store import FakeStore
from tests.browser.test_alerts import ONE
from tests.support.desk import CHEAP, PASSWORD

pytestmark = pytest.mark.browser
NAME = "佐藤 <b>花子</b>"


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    users = Users(tmp_path / "users", make=True, cost=CHEAP)
    users.add(NAME, "operator", PASSWORD)
    yield users
    users.close()


def typed(page: Page, password: str) -> None:
    """By keyboard alone: the name has the focus, Enter sends."""
    page.keyboard.press("Control+A")
    page.keyboard.type(NAME)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def test_op_18_login_by_keyboard_leads_to_the_page_asked_for(
    page: Page, store: FakeStore, served: Served, users: Users
):
    url = served(store, users=users).url
    page.goto(f"{url}/?view=tables&window=1m")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    expect(page.locator("#name")).to_be_focused()
    typed(page, "wrong wrong wrong")
    expect(page.locator("#problem")).to_have_text("利用者名かパスワードが違います")
    expect(page.locator("#password")).to_be_focused()
    expect(page.locator("#password")).to_have_value("")
    page.keyboard.press("Shift+Tab")
    typed(page, PASSWORD)
    expect(page).to_have_url(f"{url}/?view=tables&window=1m")
    expect(page.locator("#role summary")).to_have_text(f"{NAME} · 運用")
    expect(page.locator("#role b")).to_have_count(0)
    expect(page.locator("#gate-table tbody tr").first).to_be_visible()  # the stream knows who asks, too
    assert page.evaluate("document.cookie") == ""
    page.goto(f"{url}/login?next=https://evil.example/")  # whoever is logged in goes on, but to nobody else's page
    expect(page).to_have_url(f"{url}/")
    expect(page.locator("#role summary")).to_be_visible()
    page.locator("#role summary").press("Enter")
    page.get_by_role("button", name="ログアウト").press("Enter")
    expect(page).to_have_url(f"{url}/login")
    assert page.context.cookies() == []
    page.goto(f"{url}/")
    expect(page).to_have_url(re.compile(r"/login\?next="))


def test_a_session_that_ends_leads_to_the_login(page: Page, store: FakeStore, served: Served, users: Users):
    page.goto(served(store, users=users).url)
    typed(page, PASSWORD)
    expect(page.locator("#role summary")).to_be_visible()
    users.set_role(NAME, "viewer")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    typed(page, PASSWORD)
    expect(page.locator("#role summary")).to_have_text(f"{NAME} · 閲覧")


def test_op_06_with_eight_tabs_open_an_acknowledgement_works_and_another_operator_sees_it(
    page: Page, browser: Browser, store: FakeStore, served: Served, users: Users, clock: Clock
):
    store.standing["live"] = [replace(ONE, began_ms=clock.ms())]
    url = served(store, users=users).url
    page.goto(f"{url}/?view=tables")
    typed(page, PASSWORD)
    for _ in range(7):  # HTTP/1.1 has six connections to a host; the streams must not have them all
        last = page.context.new_page()
        last.goto(f"{url}/?view=tables")
        expect(last.locator("#alert-table tbody td").nth(4)).to_have_text("新規")
    other = browser.new_context(locale="ja-JP")
    second = other.new_page()
    second.goto(f"{url}/?view=tables")
    typed(second, PASSWORD)
    expect(second.locator("#alert-table tbody td").nth(4)).to_have_text("新規")
    status = last.evaluate(
        """async ([url, body]) => (await fetch(url, {method: 'POST', headers: {'content-type': 'application/json'},
          body: JSON.stringify(body)})).status""",
        [f"/api/alerts/{ONE.id}", {"run": "live", "action": "acknowledge"}],
    )
    assert status == 200
    for shown in (second, page):
        expect(shown.locator("#alert-table tbody td").nth(4)).to_have_text("確認済み")
    assert [action.by for action in store.acted] == [NAME]
    other.close()


def test_op_19_the_login_page_is_for_everyone(page: Page, store: FakeStore, served: Served, users: Users):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(served(store, users=users).url)
    page.locator("#lang").click()
    expect(page.locator("label").first).to_have_text("Name")
    assert not re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", page.locator("form").inner_text())
    page.locator("#name").focus()
    for _ in range(PER_NAME[0] + 1):
        with page.expect_response("**/api/login"):
            typed(page, "wrong wrong wrong")
        expect(page.locator("#go")).to_be_enabled()
        page.keyboard.press("Shift+Tab")
    expect(page.locator("#problem")).to_have_text(re.compile(r"Too many tries: again in \d+ s"))
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_op_18_on_the_phone_role_and_logout_are_reached_from_every_view(
    page: Page, store: FakeStore, served: Served, users: Users
):
    page.set_viewport_size({"width": 390, "height": 844})
    url = served(store, users=users).url
    page.goto(url)
    typed(page, PASSWORD)
    who, out = page.locator("#role summary"), page.get_by_role("button", name="ログアウト")
    for view in ("状況", "警報", "経過", "その他", "表"):
        if view == "表":
            page.goto(f"{url}/?view=tables")
        else:
            page.locator("#tabs").get_by_role("button", name=view).click()
        who.click()
        expect(page.locator("#role p")).to_have_text(f"{NAME} · 運用")
        for tall in (who, out):
            size = tall.bounding_box()
            assert size and size["height"] >= 44 and size["width"] >= 44 and size["x"] + size["width"] <= 390, view
        out.click(trial=True)  # nothing lies over it
        who.click()
        expect(out).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    who.click()
    out.click()
    expect(page).to_have_url(f"{url}/login")
    page.goto(served(store).url)  # without users it is told too
    page.locator("#role summary").click()
    expect(page.locator("#role p")).to_have_text("local · 運用")
    expect(page.get_by_role("button", name="ログアウト")).to_have_count(0)
