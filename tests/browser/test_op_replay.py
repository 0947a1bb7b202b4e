"""OPERATORS.md 8 on the page: a replay from the store itself that nobody can take for the present."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from sinks.clickhouse.store import Store
from tests.browser.conftest import Clock, Served
from tests.browser.desk import alert, items, serious
from tests.browser.fake_store import FakeStore
from tests.browser.test_past import T0, begin, insert, story
from tests.services.released import alert_row, released

pytestmark = pytest.mark.browser
END = T0 + 420_000


@pytest.fixture
def real(chdb_url: str) -> Iterator[Store]:
    with Store.open(chdb_url) as store:
        store.migrate()
        begin(store, closed_ms=END)
        insert(store, story(), END)
        yield store


def static(page: Page) -> str:
    return str(page.locator("link[rel=stylesheet]").first.get_attribute("href")).rpartition("/")[0]


def test_op_08_replay_cannot_be_mistaken_for_live(page: Page, real: Store, served: Served) -> None:
    page.goto(served(real).url)
    root, live = page.locator("html"), page.locator(".replay-live .num")
    expect(items(page).first.locator("[data-act]").first).to_be_visible()
    expect(root).not_to_have_attribute("data-mode", "replay")
    expect(page.locator("#replay")).to_have_text("")
    # choose run and span, in the run's own time zone
    expect(page.get_by_label("終了")).to_have_value("2026-02-07 16:07")
    page.get_by_label("開始").fill("2026-02-07 16:02:05")
    page.get_by_role("button", name="再生を始める").click()
    expect(root).to_have_attribute("data-mode", "replay")
    banner = page.locator("#replay")
    for words in ("REPLAY 再生", "現在の値ではありません", "— r —", "2026/02/07 16:02:05 JST"):
        expect(banner).to_contain_text(words)
    expect(page.locator("#clock")).to_contain_text("2026/02/07 16:02:05")
    expect(page.locator("#mode")).to_contain_text("▶ 再生")
    border = page.evaluate("getComputedStyle(document.body, '::after').borderTopWidth")
    assert border == "6px"
    assert "gradient" in page.evaluate("getComputedStyle(document.getElementById('replay')).backgroundImage")
    # nothing can be done about what was: the alert of then stands there without buttons
    expect(items(page).locator(".alert-kind").filter(has_text="sensor_loss").or_(items(page)).first).to_be_visible()
    expect(page.locator("#alerts-panel [data-act]")).to_have_count(0)
    expect(page.locator(".alerts-hint")).to_have_text("再生中は操作できません")
    # what a figure rested on then, by the server's own answer
    with page.expect_request(lambda request: f"at={T0 + 125_000}" in request.url and "/api/why" in request.url):
        items(page).first.locator("[data-why]").click()
    expect(page.locator("#why-panel .why")).to_have_attribute("data-state", "known")
    expect(page.locator("#why-panel")).to_contain_text("台帳の版")
    # seek by keyboard, play, pause
    seek = page.get_by_label("再生位置")
    seek.focus()
    page.keyboard.press("End")
    expect(page.locator("#clock")).to_contain_text("16:07:00")
    page.keyboard.press("Home")
    expect(page.locator("#clock")).to_contain_text("16:02:05")
    page.get_by_label("速さ").select_option("10")  # half a minute to the end: time enough to pause
    page.get_by_role("button", name="▶ 再生").click()
    expect(page.locator("#clock")).to_contain_text(re.compile("16:0(2:[1-5]|[3-7]:)"))
    page.get_by_role("button", name="一時停止").click()
    at = int(re.search(r"[?&]at=(\d+)", page.url).group(1))  # type: ignore[union-attr]
    assert T0 + 130_000 <= at < END and "replay=r" in page.url
    expect(seek).to_have_attribute("aria-valuetext", re.compile("2026/02/07 16:0"))
    # what is live goes on in its count, and nothing of it comes onto the page
    count = items(page).count()
    expect(live).to_have_text("現在の警報 ■0 ▲1")
    real.insert(released("alerts", "late", [alert_row("z9", END, severity="critical")]), "r")
    expect(live).to_have_text("現在の警報 ■1 ▲1 新着あり")
    assert items(page).count() == count
    expect(page.locator("[data-alert=z9]")).to_have_count(0)
    # a reload stays in it, and so does the other view
    page.reload()
    expect(banner).to_contain_text("REPLAY 再生")
    expect(page.locator("#replay span")).to_have_text(clock_of(at))
    page.locator("#to-view").click()
    expect(banner).to_contain_text("REPLAY 再生")
    expect(page.locator("#back-to-live")).to_be_visible()
    page.locator("#to-view").click()
    page.locator("#lang").click()
    expect(banner).to_contain_text("this is not the present")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert serious(page) == []
    page.get_by_role("button", name="Back to live").click()
    expect(root).not_to_have_attribute("data-mode", "replay")
    expect(page.locator("[data-alert=z9] [data-act=acknowledge]")).to_be_visible()
    expect(page.locator("#mode")).to_contain_text("LIVE")
    assert "replay" not in page.url


def clock_of(ms: int) -> re.Pattern[str]:
    """The time of day in Tokyo, to the second."""
    s = (ms // 1000 + 9 * 3600) % 86_400
    return re.compile(f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}")


def test_op_08_a_replay_that_cannot_be_read_says_so(page: Page, store: FakeStore, clock: Clock, served: Served) -> None:
    store.standing["live"] = [alert(clock, "a")]
    page.route("**/api/frames?*", lambda route: route.fulfill(status=503, json={"error": "away"}))
    server = served(store)
    page.goto(server.url)
    expect(items(page)).to_have_count(1)
    page.get_by_role("button", name="再生を始める").click()
    expect(page.locator(".replay-state")).to_have_text("再生できません: 保存先が応答しません")
    expect(page.locator("#replay")).to_contain_text("REPLAY 再生")
    expect(items(page)).to_have_count(0)  # nor is what is live shown in its place
    page.locator("#to-view").click()
    expect(page.locator("#gate-table td.figures:not(.unknown)")).to_have_count(0)
    page.locator("#to-view").click()
    page.unroute("**/api/frames?*")
    frame = {"at": T0, "kind": "snapshot", "now": T0, "problem": None, "closed": T0, "flow": {}, "zones": {},
             "headings": {}, "alerts": [], "health": None, "status": None}  # fmt: skip
    page.route("**/api/frames?*", lambda route: route.fulfill(json={"layout": None, "frames": [frame]}))
    page.get_by_role("button", name="再試行").click()
    expect(page.locator(".replay-state")).to_have_text("")
    expect(page.get_by_role("button", name="再試行")).to_be_hidden()
    # back without the server: the present as it was told last, nothing of the replay
    expect(page.locator("html")).to_have_class("empty")
    expect(page.locator(".replay-live .num")).to_have_text("現在の警報 ■1")
    server.stop()
    page.locator("#back-to-live").click()
    expect(page.locator("html")).not_to_have_class("empty")
    expect(items(page)).to_have_attribute("data-alert", "a")


PLAY = """async root => {
  const {Player} = await import(root + '/player.js'), {Failed} = await import(root + '/ask.js');
  const out = {asked: [], fed: []};
  const wait = () => new Promise(r => setTimeout(r));
  const flow = n => ({now: n, problem: null, closed: n, value: n});
  let most = Infinity, broken = false;
  const player = new Player(0, 100_000, 20_000, {
    ask: async (from, to) => {
      out.asked.push([from, to]);
      if (broken) throw new Failed(503, 'ask_store');
      if (to - from > most) throw new Failed(400, 'ask_refused', 'span too long', {longest_ms: most});
      const frames = [{at: from, kind: 'snapshot', ...flow(from), layout: {zones: []}}];
      for (let at = Math.floor(from / 5000) * 5000 + 5000; at <= to; at += 5000) {
        frames.push({at, kind: 'delta', ...flow(at)});
      }
      return {layout: {zones: []}, frames};
    },
    feed: (type, id, m) => out.fed.push([type, m.now, m.layout]),
    changed: () => {},
  });
  const told = () => { const was = out.fed.map(([type, now]) => type[0] + now); out.fed.length = 0; return was; };
  const seen = [];
  player.seek(7_000); await wait(); await wait();
  seen.push(told());                                  // the state of then, from its chunk's begin
  player.speed = 10; player.play();
  player.tick(player.last + 500); await wait();
  seen.push([player.at, ...told()]);                  // 5 s of event time
  player.tick(player.last + 60_000); await wait();
  seen.push([player.at, ...told()]);                  // a tab that slept does not leap
  player.seek(3_000); seen.push(told());              // back: from the snapshot again
  for (let i = 0; i < 30; i++) { player.tick(player.last + 1000); await wait(); }
  seen.push([player.at, player.playing, out.fed.filter(([type]) => type === 'snapshot').map(([, now]) => now)]);
  const layouts = new Set(out.fed.filter(([type]) => type === 'snapshot').map(([,, layout]) => layout));
  told();
  broken = true; player.chunks.clear(); player.chunk = null; player.seek(50_000); await wait(); await wait();
  seen.push([player.trouble.key, player.loading, told().length]);
  broken = false; most = 8_000; player.seek(50_000);
  for (let i = 0; i < 10; i++) await wait();
  seen.push([player.trouble, player.chunkMs, told()]);
  player.stop();
  return {seen, layouts: layouts.size};
}"""


def test_op_07_the_player_feeds_what_the_stream_would(page: Page, store: FakeStore, served: Served) -> None:
    page.goto(served(store).url)
    got: dict[str, Any] = page.evaluate(PLAY, static(page))
    slept = 12_000 + 10_000
    assert got["seen"] == [
        ["s0", "d5000"],
        [12_000, "d10000"],
        [slept, "s20000"],
        ["s0"],
        [100_000, False, [20_000, 40_000, 60_000, 80_000, 100_000]],
        ["ask_store", False, 0],
        [None, 8_000, ["s48000", "d50000"]],
    ]
    assert got["layouts"] == 1  # equal layouts are one object: nothing is built anew


def test_op_08_times_are_those_of_the_runs_zone(page: Page, store: FakeStore, served: Served) -> None:
    page.goto(served(store).url)
    told = page.evaluate(
        """async root => { const {toLocal, fromLocal} = await import(root + '/local-time.js');
        const at = (text, zone) => {
          const ms = fromLocal(text, zone);
          return ms === null ? null : [ms, toLocal(ms, zone)];
        };
        return [at('2026-02-07 16:00:10', 'Asia/Tokyo'), at('2026-10-25 02:30', 'Europe/Berlin'),
          at('2026-03-29 02:30:00', 'Europe/Berlin'), at('2026/2/7T16:00', 'Asia/Tokyo'),
          at(' ２０２６-０２-０７　１６：００', 'Asia/Tokyo'),
          ...['', '7.2.2026 16:00', '2026-02-30 10:00', '2026-02-07', '2026-02-07 24:00', '2026-13-01 00:00']
            .map(text => at(text, 'UTC'))]; }""",
        static(page),
    )
    assert told == [
        [1_770_447_610_000, "2026-02-07 16:00:10"],
        [1_792_888_200_000, "2026-10-25 02:30"],  # the first of the two
        [1_774_747_800_000, "2026-03-29 03:30"],  # there was none: an hour on
        [1_770_447_600_000, "2026-02-07 16:00"],
        [1_770_447_600_000, "2026-02-07 16:00"],
        *[None] * 6,
    ]


def test_times_are_typed_in_one_form_whatever_the_browser_s_language(
    browser: Browser, real: Store, served: Served
) -> None:
    context = browser.new_context(locale="de-DE", timezone_id="America/New_York")
    page = context.new_page()
    page.goto(served(real).url)
    start, end = page.get_by_label("From", exact=True), page.get_by_label("To", exact=True)
    expect(end).to_have_value("2026-02-07 16:07")
    expect(page.locator("#replay-bar")).to_contain_text("GMT+9")
    start.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("07.02.2026 16:03")
    page.keyboard.press("Enter")
    expect(page.locator(".replay-wrong")).to_have_text("Times look like YYYY-MM-DD HH:MM (GMT+9)")
    expect(start).to_have_attribute("aria-invalid", "true")
    start.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("2026/2/7 16:03")
    page.keyboard.press("Tab")
    expect(start).to_have_value("2026-02-07 16:03")
    expect(start).not_to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"since={T0 + 180_000}&until={T0 + 420_000}"))
    context.close()
