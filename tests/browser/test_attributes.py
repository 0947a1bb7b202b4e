"""Signage and attributes on the page, from a real embedded store: ranges as ranges, hidden as "<k", names as text."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from dashboard.roles import Who
from sinks.clickhouse.store import Store
from tests.browser.conftest import Clock, Served
from tests.browser.desk import CANARY, serious
from tests.services.released import T0, released, run

pytestmark = pytest.mark.browser
ANALYST = Who("ana", "analyst")
DEVICE, DAY = "kita2-01", T0 - 16 * 3_600_000  # 2026-02-07T00:00 in Tokyo
REGISTRY = {
    "version": "v1",
    "timezone": "Asia/Tokyo",
    "zones": [{"id": "c1", "name": {"ja": "北2条", "en": CANARY}}, {"id": "c2", "name": {"ja": "大通", "en": "Odori"}}],
    "devices": [{"id": DEVICE, "zone": "c1"}, {"id": CANARY, "zone": "c2"}],
}
CONFIG = '{"touches":{"k":5},"screens":{"k":7},"trips":{"k":12}}'


def row(*key: Any, n: int | tuple[int, int] | None = None, k: int = 5) -> tuple[Any, ...]:
    """A row of a table: exact, a range, or hidden."""
    if n is None:
        return (*key, None, 0, k - 1, "suppressed")
    low, high = (n, n) if isinstance(n, int) else n
    return (*key, (low + high) // 2, low, high, "released" if low == high else "range")


def fill(store: Store) -> None:
    """A live run of signage, and one of profiles that began later."""
    store.put_registry("v1", "h", json.dumps(REGISTRY))
    store.start_run(run("sig", {DEVICE: "signage"}, kind="live", config=CONFIG, started_ms=T0 + 1))
    store.start_run(run("pro", {"acme": "profiles"}, kind="replay", config=CONFIG, started_ms=T0 + 2))
    old = T0 - 900_000
    touches = [
        row("15m", T0, DEVICE, "top", "", n=57), row("15m", T0, DEVICE, "top", "en", n=(10, 14)),
        row("15m", T0, DEVICE, "top", "ja", n=40), row("15m", T0, DEVICE, CANARY, "", n=None),
        row("15m", old, DEVICE, "map", "", n=6), row("15m", T0, CANARY, "canary", "", n=8),
    ]  # fmt: skip
    store.insert(released("touches", "t", touches), "sig")
    screens = [row("1h", T0, DEVICE, "top", "map", n=9), row("1h", T0, DEVICE, "top", CANARY, n=(0, 37))]
    store.insert(released("screens", "s", screens), "sig")
    table = "gender*birth_year"
    profiles = [
        row("1d", DAY, table, "", "", n=120), row("1d", DAY, table, "f", "", n=(60, 69)),
        row("1d", DAY, table, "f", "1980-1984", n=31), row("1d", DAY, table, "f", "none", n=None, k=10),
        row("1d", DAY, table, "f", "-1939", n=12),
        row("1d", DAY, "interests", CANARY, "", n=44),
        row("1d", DAY - 86_400_000, table, "", "", n=77),
    ]  # fmt: skip
    store.insert(released("profiles", "p", profiles), "pro")
    store.insert(
        released("trips", "r", [row("1d", DAY, "c1", "c2", n=(0, 20)), row("1d", DAY, "c2", "c1", n=13)]), "pro"
    )


def asked(url: str, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url + path, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def lines(table: Locator) -> list[list[str]]:
    """The texts of its body, row by row, without the bars."""
    rows = table.locator("tbody tr").all()
    return [[" ".join(cell.split()) for cell in each.locator("th, td").all_inner_texts()[:-1]] for each in rows]


def test_tables_are_told_as_they_were_released(real: Store, served: Served) -> None:
    fill(real)
    url = served(real, local=ANALYST).url
    _, told = asked(url, "/api/signage")
    assert told["run"] == {"id": "sig", "kind": "live", "timezone": "Asia/Tokyo"}
    assert told["k"] == {"touches": 5, "screens": 7} and told["device"] == DEVICE
    assert (told["from"], told["to"]) == (T0 + 3_600_000 - 86_400_000, T0 + 3_600_000)
    assert told["devices"] == [
        {"id": DEVICE, "zone": {"ja": "北2条", "en": CANARY}}, {"id": CANARY, "zone": {"ja": "大通", "en": "Odori"}},
    ]  # fmt: skip
    assert told["touches"] == {
        "t": [T0 - 900_000, T0, T0, T0, T0], "device": [DEVICE] * 5, "screen": ["map", CANARY, "top", "top", "top"],
        "lang": ["", "", "", "en", "ja"], "n": [6, None, 57, 12, 40], "low": [6, 0, 57, 10, 40],
        "high": [6, 4, 57, 14, 40], "s": [1, 2, 1, 3, 1], "more": False,
    }  # fmt: skip
    span = f"&from={T0 - 900_000}&to={T0}"
    assert asked(url, f"/api/signage?device={DEVICE}{span}")[1]["touches"]["screen"] == ["map"]
    assert asked(url, "/api/signage?device=nobody")[1]["touches"]["t"] == []
    _, told = asked(url, "/api/profiles")
    assert (told["run"]["id"], told["day"], told["days"]) == ("pro", "2026-02-07", ["2026-02-07", "2026-02-06"])
    assert told["k"] == {"profiles": 10} and told["rows"]["row"] == ["", "f", "f", "f", "f", CANARY]
    assert told["names"]["gender"]["f"] == {"ja": "女性", "en": "Female"}
    assert asked(url, "/api/profiles?day=2026-02-06")[1]["rows"]["n"] == [77]
    assert asked(url, "/api/profiles?day=2026-02-05")[1]["rows"] is None
    _, told = asked(url, "/api/trips?run=pro")
    assert (told["rows"]["from"], told["rows"]["low"], told["rows"]["high"]) == (["c1", "c2"], [0, 13], [20, 13])
    assert told["names"]["c2"] == {"ja": "大通", "en": "Odori"}
    for path, status, word in (
        ("/api/signage?run=nobody", 404, "run"), ("/api/signage?from=2&to=2", 400, "from"),
        (f"/api/signage?from={T0}&to={T0 + 9 * 86_400_000}", 400, "span too long"),
        ("/api/profiles?day=2026-02-30", 400, "day"), ("/api/trips?day=7", 400, "day"),
    ):  # fmt: skip
        code, body = asked(url, path)
        assert (code, body["error"]) == (status, word), path
    assert asked(served(real, local=Who("o", "operator")).url, "/api/profiles") == (403, {"error": "no such right"})


def test_runs_of_other_streams_are_not_shown_as_runs_of_people(real: Store, served: Served) -> None:
    fill(real)
    url = served(real, local=ANALYST).url
    assert asked(url, "/api/status")[1]["run_id"] is None
    real.start_run(run("people", kind="live", started_ms=T0))
    assert asked(url, "/api/status")[1]["run_id"] == "people"  # though that of signage is newer
    assert [listed["run_id"] for listed in asked(url, "/api/runs")[1]] == ["people"]


def test_signage_is_told_with_ranges_as_ranges_and_hidden_as_hidden(page: Page, real: Store, served: Served) -> None:
    fill(real)
    url = served(real, local=ANALYST).url
    page.goto(url)
    menu = page.locator("#views summary")
    menu.press("Enter")
    item = page.locator("#views a", has_text="サイネージ")
    expect(item).to_be_visible()
    item.press("Enter")
    expect(page).to_have_url(f"{url}/?view=signage")
    part = page.locator("#signage")
    touches, moves = page.locator("#signage .ds-table").nth(0), page.locator("#signage .ds-table").nth(1)
    expect(touches.locator("h2")).to_have_text("触れたセッション 16:00:00–16:15:00")
    assert lines(touches) == [
        [CANARY, "すべての言語", "<5 少数"], [CANARY, "ほかはそれぞれ", "<5 少数"],
        ["top", "すべての言語", "57 確定"], ["top", "日本語", "40 確定"], ["top", "英語", "10–14 約 12"],
        ["top", "ほかはそれぞれ", "<5 少数"],
    ]  # fmt: skip
    assert lines(moves) == [
        ["top", "map", "9 確定"], ["top", CANARY, "0–37 約 18"], ["top", "ほかはそれぞれ", "<7 少数"],
    ]  # fmt: skip
    bars = touches.locator("tbody tr:nth-child(5) .bar span")  # 10 to 14 of 57
    assert bars.evaluate_all("all => all.map(e => [e.className, e.style.left, e.style.width])") == [
        ["sure", "", "17.54%"], ["maybe", "17.54%", "7.02%"],
    ]  # fmt: skip
    hidden = touches.locator("tbody tr:nth-child(1) .bar span")
    assert hidden.evaluate_all("all => all.map(e => e.style.width)") == ["0%", "7.02%"]
    window = part.get_by_label("15 分間")
    window.select_option(label="2026/02/07 15:45:00 JST")
    assert lines(touches) == [["map", "すべての言語", "6 確定"], ["map", "ほかはそれぞれ", "<5 少数"]]
    expect(moves.locator("tbody tr")).to_have_count(0)
    part.get_by_label("端末").select_option(CANARY)
    expect(touches.locator("tbody th").first).to_have_text("すべての言語")
    expect(touches.locator("tbody td").first).to_have_text("canary")
    part.get_by_label("開始").fill("2026-02-07 16:00")
    part.get_by_label("終了").fill("7.2.2026")
    page.keyboard.press("Enter")
    expect(page.locator("#signage .ds-state")).to_contain_text("YYYY-MM-DD HH:MM（JST）")
    page.locator("#lang").click()
    expect(page.locator("#signage .ds-state")).to_contain_text("Times look like YYYY-MM-DD HH:MM")
    expect(touches.locator("h2")).to_have_text("Sessions that touched 16:00:00–16:15:00")
    expect(part.get_by_label("Device").locator("option").first).to_have_text(f"{DEVICE} — {CANARY}")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert serious(page) == []
    assert page.locator("#signage img").count() == 0 and page.evaluate("window.hit") is None


def test_attributes_are_told_day_by_day_in_both_languages(page: Page, real: Store, served: Served) -> None:
    fill(real)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(served(real, local=ANALYST).url + "/?view=attributes")
    part = page.locator("#attributes")
    profiles, trips = page.locator("#attributes .ds-table").nth(0), page.locator("#attributes .ds-table").nth(1)
    expect(profiles.locator("h2")).to_have_text("同意した人の属性: 性別 × 生まれた年 2026-02-07")
    assert [texts[0] for texts in lines(profiles)] == ["全体", *["女性"] * 5, "ほかはそれぞれ"]
    assert [texts[1:] for texts in lines(profiles)] == [
        ["全体", "120 確定"], ["全体", "60–69 約 64"], ["1939 年まで", "12 確定"], ["1980-1984", "31 確定"],
        ["回答なし", "<10 少数"], ["ほかはそれぞれ", "<10 少数"], ["ほかはそれぞれ", "<10 少数"],
    ]  # fmt: skip
    assert lines(trips) == [
        ["大通", "北2条", "13 確定"], ["北2条", "大通", "0–20 約 10"], ["", "ほかはそれぞれ", "<12 少数"],
    ]  # fmt: skip
    profiles.get_by_label("絞り込み").fill("１９８０")
    assert [texts[1] for texts in lines(profiles)] == ["1980-1984"]
    part.get_by_label("集計表").select_option("interests")
    profiles.get_by_label("絞り込み").fill("")
    assert lines(profiles) == [[CANARY, "44 確定"], ["ほかはそれぞれ", "<10 少数"]]
    part.get_by_label("日").first.select_option("2026-02-06")
    expect(profiles.locator("h2")).to_have_text("同意した人の属性: 性別 × 生まれた年 2026-02-06")
    page.locator("#lang").click()
    expect(profiles.locator("h2")).to_have_text("People who consented: Gender × Year of birth 2026-02-06")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert serious(page) == []
    assert page.locator("#attributes img").count() == 0 and page.evaluate("window.hit") is None


def test_views_are_offered_to_those_who_may_and_say_what_is_missing(
    page: Page, real: Store, served: Served, clock: Clock
) -> None:
    url = served(real, local=Who("o", "operator")).url
    page.goto(f"{url}/?view=attributes")
    expect(page.locator("#attributes .ds-state").first).to_have_text("読めません: この役割では許可されていません")
    expect(page.locator("#views")).to_be_hidden()
    page.goto(served(real, local=Who("s", "supervisor")).url + "/?view=signage")
    expect(page.locator("#signage .ds-state")).to_have_text("まだデータがありません")
    expect(page.locator("#trouble")).to_have_text("")  # that there is no run of people is no trouble here
    page.locator("#views summary").click()
    expect(page.locator("#views a[aria-current]")).to_have_text("サイネージ")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.locator("#views ul")).to_be_hidden()
    expect(page.locator("#views summary")).to_be_focused()
