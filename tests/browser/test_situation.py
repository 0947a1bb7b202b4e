"""The operator's page: what it shows of zones, named after the lines of OPERATORS.md."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dashboard.roles import Who
from tests.browser.conftest import Clock, Served
from tests.browser.fake_store import REGISTRY as PLAIN
from tests.browser.fake_store import FakeStore
from tests.browser.situation import (
    REGISTRY,
    drawn,
    grade,
    hatched,
    lightness,
    luminance,
    open_situation,
    order,
    pixels,
    ranked,
    sideways,
    walkway,
    zone,
)
from tests.browser.test_alerts import ONE

pytestmark = pytest.mark.browser


def test_op_02_data_past_their_limit_are_hatched_and_never_green_or_zero(page: Page, served: Served, clock: Clock):
    at = {"mid_ms": clock.ms() + 1_800_000, "low_ms": None, "high_ms": clock.ms() + 1_200_000}
    soon = {"t": [at["mid_ms"]], "mid": [1.0], "low": [1.0], "high": [1.0]}
    ahead = {"c1": {**soon, "to_limit": {"limit": 1.0, "rule": "dense", **at}}}
    told = {"window": "1m", "length_ms": 60_000, "zones": {}, "normal": {}, "forecast": ahead}
    page.route("**/api/history?*", lambda route: route.fulfill(json=told))
    open_situation(page, served(walkway(clock)).url)
    zones = ("c1", "c2", "c3", "p")
    for where in zones:
        assert not hatched(drawn(page, where)) and not hatched(ranked(page, where).locator(".grade"))
        expect(ranked(page, where).locator("td.age")).to_have_text(re.compile(r"^\d+ 秒$"))
    expect(ranked(page, "c1").locator("td.toLimit")).to_have_text("30 分（20–）")
    page.evaluate(
        """() => {
          window.seen = new Set();
          const figures = '#map .zone .letter, #map .zone .dens, #ranked .grade, #ranked .dens, #ranked .flowIn';
          const note = () => { for (const e of document.querySelectorAll(figures)) window.seen.add(e.textContent); };
          note();
          const all = {subtree: true, childList: true, characterData: true};
          new MutationObserver(note).observe(document.querySelector('main'), all);
        }"""
    )
    clock.ahead_s = 60  # limit: 10 s window + 5 s bound + 10 s grace
    for where in zones:
        expect(drawn(page, where).locator(".letter")).to_have_text("?")
        expect(ranked(page, where).locator(".grade")).to_have_text("?")
        expect(ranked(page, where).locator(".dens")).to_have_text("不明")
        assert hatched(drawn(page, where)) and hatched(ranked(page, where).locator(".grade"))
        expect(ranked(page, where).locator("td.toLimit")).to_have_text("—")
    expect(page.locator("#coverage")).to_have_text("0 %")
    told = {text for text in page.evaluate("[...window.seen]") if not re.fullmatch(r"不明( \d+ .+)?|死角.*", text)}
    assert told <= {*"ABCD?", "0.20", "0.40", "0.60", "0.90", "流入・流出（10s）", "14 · 12–22"}


def test_op_03_a_full_corridor_that_stopped_is_never_graded_a(page: Page, served: Served, clock: Clock):
    store = walkway(clock)
    nobody = {"inflow": (0, 0), "outflow": (0, 0)}
    grade(store, clock, "c1", "A", **nobody, density=0.0)
    grade(store, clock, "c2", "F", **nobody, density=3.1, speed=0.02)
    open_situation(page, served(store).url)
    expect(drawn(page, "c2").locator(".letter")).to_have_text("F")
    expect(drawn(page, "c1").locator(".letter")).to_have_text("A")
    expect(ranked(page, "c2").locator("td.pace")).to_have_text("0.0")
    expect(ranked(page, "c2").locator(".dens")).to_have_attribute("title", "2.33–2.87 人/m²")
    assert ranked(page, "c2").locator("td.flowIn").inner_text() == ranked(page, "c1").locator("td.flowIn").inner_text()
    assert order(page)[0] == "c2"


def test_op_12_arrows_tell_size_and_agreement_and_are_hidden_below_it(page: Page, served: Served, clock: Clock):
    store, start = walkway(clock), clock.last_start(60_000)
    for where, way in (("c1", (180.0, 0.95)), ("c2", (0.0, 0.3)), ("c3", (180.0, 0.299))):
        store.put_headings(where, start, {0: (9, 40)}, way)
    open_situation(page, served(store).url)
    expect(drawn(page, "c1").locator(".r")).to_have_text("R 0.9")
    expect(drawn(page, "c2").locator(".r")).to_have_text("R 0.3")
    expect(drawn(page, "c3").locator(".r")).to_have_text("")
    boxes = [drawn(page, where).locator(".arrow").bounding_box() for where in ("c1", "c2", "c3")]
    assert boxes[2] is None or boxes[2]["width"] == 0
    assert boxes[0] and boxes[1] and boxes[0]["width"] > boxes[1]["width"] + 10
    # south lies to the right: the head of the way south does too
    heads = [
        [
            float(x)
            for x in re.findall(r"([\d.]+) [\d.]+", drawn(page, where).locator(".arrow").get_attribute("d") or "")
        ]
        for where in ("c1", "c2")
    ]
    assert heads[0][3] == max(heads[0]) and heads[1][3] == min(heads[1])


def test_op_13_sensors_that_are_not_ok_are_marked_and_named(page: Page, served: Served, clock: Clock):
    store = walkway(clock)
    store.states = [("n-1", "silent", clock.ms() - 60_000), ("m-1", "ok", 0)]
    open_situation(page, served(store).url)
    expect(page.locator("#map g.gate[data-gate=n] .bad")).to_have_text("✕")
    expect(page.locator("#map g.gate[data-gate=m] .bad")).to_have_text("")
    for foot, text in (("silent", "1"), ("stuck", "0"), ("footOk", "1"), ("footUnknown", "3"), ("late", "0")):
        expect(page.locator(f"#foot [data-foot={foot}]")).to_have_text(text)
    expect(page.locator("#foot [data-foot=alarmRate]")).to_have_text("0.0 件/10 分")
    store.standing["live"] = [replace(ONE, id=f"a{i}", zone="c1", began_ms=clock.ms() - 600_000) for i in range(7)]
    expect(page.locator("#foot [data-foot=alarmRate]")).to_have_text("1.2 件/10 分 多すぎます")
    expect(drawn(page, "dark")).to_have_class(re.compile(r"\bblind\b"))
    assert drawn(page, "dark").locator(".pattern").get_attribute("fill") == "url(#hatch-blind)"
    drawn(page, "c1").click()
    sensor = page.locator(".sensors-of li", has_text="n-1")
    expect(sensor).to_contain_text("無応答")
    expect(page.locator(".gates-of li").first).to_have_text("n31 · 7–12")
    sensor.get_by_role("button").click()
    expect(page.locator(".facts")).to_contain_text("無応答")
    expect(page.locator(".facts")).to_contain_text("承認済み")
    expect(page.locator(".facts")).to_contain_text("外 ⇄ 区間c1")


def test_op_08_the_situation_tells_a_replay_from_live(page: Page, served: Served, clock: Clock):
    store = walkway(clock)
    store.by_id = {"live": replace(store.by_id["live"], kind="replay", state="finished")}
    store.standing["live"] = [ONE]
    open_situation(page, served(store).url)
    expect(page.locator("#replay")).to_contain_text("再生です。現在の値ではありません — live")
    expect(page.locator("#mode")).to_have_text("▶ 再生 完了")
    assert page.evaluate("getComputedStyle(document.body, '::after').borderTopWidth") == "6px"
    expect(page.locator("#alerts-panel .alert").first).to_be_visible()
    expect(page.locator("#alerts-panel [data-act]")).to_have_count(0)  # nothing can be done about what was
    end = store.zone_rows["live", "10s", "c1"]["window_start"] + 10_000
    clock.ahead_s = 3_600
    expect(page.locator("#data-age")).to_have_text("—")
    shown = page.evaluate(
        "ms => new Intl.DateTimeFormat('ja-JP', {timeStyle: 'medium', timeZone: 'Asia/Tokyo'}).format(ms)", end
    )
    expect(page.locator("#clock")).to_contain_text(shown)


def test_four_levels_one_click_each_and_back_restores_scroll_and_focus(page: Page, served: Served, clock: Clock):
    crumbs = page.locator("#crumbs li")
    open_situation(page, served(walkway(clock)).url, "")
    expect(crumbs).to_have_text(["全域"])
    expect(ranked(page, "hall").get_by_role("button")).to_have_text("区間hall — 駅")
    expect(page.locator(".places button")).to_have_text(["D 歩行空間", "A 駅"])
    box = page.locator("#map canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)  # the first of two places
    expect(crumbs).to_have_text(["全域", "歩行空間"])
    expect(drawn(page, "c1")).to_be_visible()
    page.set_viewport_size({"width": 960, "height": 540})  # so that there is something to scroll
    name = ranked(page, "c2").get_by_role("button")
    name.focus()
    name.scroll_into_view_if_needed()
    scrolled = page.evaluate("scrollY")
    assert scrolled > 100
    page.keyboard.press("Enter")
    expect(crumbs).to_have_text(["全域", "歩行空間", "区間c2"])
    expect(ranked(page, "c2")).to_have_attribute("aria-current", "true")
    expect(drawn(page, "c2")).to_have_attribute("aria-pressed", "true")
    page.locator(".sensors-of button").first.click()
    expect(crumbs).to_have_count(4)
    page.go_back()
    expect(crumbs).to_have_count(3)
    expect(page.locator(".sensors-of button").first).to_be_focused()
    page.go_back()
    expect(crumbs).to_have_text(["全域", "歩行空間"])
    expect(name).to_be_focused()
    page.wait_for_function("y => scrollY === y", arg=scrolled)
    page.locator("#crumbs button").click()
    expect(crumbs).to_have_text(["全域"])
    page.reload()
    expect(crumbs).to_have_text(["全域"])


def test_the_table_is_the_way_in_by_keyboard_and_does_not_jump_under_it(page: Page, served: Served, clock: Clock):
    store = walkway(clock)
    open_situation(page, served(store).url)
    assert order(page) == ["c3", "dark", "c2", "p", "c1"]  # unknown is no good news: it lies between C and D
    ranked(page, "c3").get_by_role("button").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(ranked(page, "c2").get_by_role("button")).to_be_focused()
    grade(store, clock, "c1", "F")
    expect(ranked(page, "c1").locator(".grade")).to_have_text("F")
    assert order(page) == ["c3", "dark", "c2", "p", "c1"]
    expect(page.locator(".ranked-head")).to_contain_text("順序を止めています")
    page.locator("#lang").focus()
    expect(page.locator("#ranked tbody tr").first).to_have_attribute("data-zone", "c1")
    store.standing["live"] = [replace(ONE, zone="p", severity="warning")]
    expect(page.locator("#ranked tbody tr").first).to_have_attribute("data-zone", "p")
    expect(ranked(page, "p").locator(".mark")).to_have_text("▲")
    expect(drawn(page, "p").locator(".mark")).to_have_text("▲")
    expect(page.locator("#alert-counts")).to_have_text("■ 0 ▲ 1 ● 0 ")


def test_zones_without_shapes_stand_in_a_row_and_say_from_which_window_on_they_are_known(
    page: Page, served: Served, clock: Clock
):
    minutes = {"id": "j4", "a": "c2", "b": None, "leaf": "1m"}  # counts whole minutes only
    store = FakeStore({**PLAIN, "gates": [*PLAIN["gates"], minutes]})
    grade(store, clock, "c1", "A")
    open_situation(page, served(store).url, "?window=10s")
    one, two = (drawn(page, where).locator(".ground").bounding_box() for where in ("c1", "c2"))
    assert one and two and one["width"] == two["width"] > 100
    assert one["x"] + one["width"] <= two["x"] or one["y"] + one["height"] <= two["y"]
    expect(drawn(page, "c2").locator(".dens")).to_have_text("1m から")
    expect(ranked(page, "c2").locator(".dens")).to_have_text("1m から")
    assert hatched(drawn(page, "c2"))
    drawn(page, "c1").focus()
    page.keyboard.press("ArrowRight")
    expect(drawn(page, "c2")).to_be_focused()
    page.keyboard.press("Enter")
    expect(ranked(page, "c2")).to_have_attribute("aria-current", "true")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_op_19_grades_are_told_apart_in_grey_and_can_be_read(page: Page, served: Served, clock: Clock, theme: str):
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    open_situation(page, served(walkway(clock)).url)
    colours = page.evaluate(
        """() => [...'abcdef'].map(g => {
          const e = document.createElement('b');
          e.className = `grade grade-${g}`;
          document.body.append(e);
          const {backgroundColor, color} = getComputedStyle(e);
          e.remove();
          return [backgroundColor, color].map(c => c.match(/\\d+/g).slice(0, 3).map(Number));
        })"""
    )
    steps = [lightness(ground) for ground, _ in colours]
    sign = 1 if theme == "dark" else -1
    assert all((b - a) * sign >= 5 for a, b in itertools.pairwise(steps)), steps
    for ground, ink in colours:
        low, high = sorted((luminance(ground), luminance(ink)))
        assert (high + 0.05) / (low + 0.05) >= 4.5
    page.context.new_cdp_session(page).send("Emulation.setEmulatedVisionDeficiency", {"type": "achromatopsia"})
    scale = pixels(ranked(page, "c1").locator(".scale").screenshot())
    bottom = scale[-3]
    greys = [bottom[int((i + 0.5) * len(bottom) / 6)] for i in range(6)]
    assert all(max(grey) - min(grey) <= 3 for grey in greys)
    assert [grey[0] for grey in greys] == sorted((grey[0] for grey in greys), reverse=theme == "light")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_op_19_axe_finds_nothing_serious_at_any_level(page: Page, served: Served, clock: Clock, theme: str):
    store = walkway(clock)
    store.states = [("n-1", "silent", clock.ms())]
    grade(store, clock, "c1", "F")
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    url = served(store).url
    levels = ["?level=city", "?place=w", "?zone=c1", "?zone=c1&sensor=n-1"]
    for query in levels:
        open_situation(page, url, query)
        found = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
    page.locator("#lang").click()
    open_situation(page, url, "?zone=c1")
    expect(page.locator("#mode")).to_have_text("● LIVE running")
    assert not re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", page.locator("main").inner_text())


def test_op_19_phone_and_magnified_pages_do_not_scroll_sideways(page: Page, served: Served, clock: Clock):
    url = served(walkway(clock)).url
    for width, height in ((960, 540), (390, 844)):  # 1920×1080 at 200 %, and a phone
        page.set_viewport_size({"width": width, "height": height})
        for query in ("?level=city", "?zone=c1", "?zone=c1&sensor=n-1"):
            page.goto(f"{url}/{query}")
            expect(page.locator("html")).not_to_have_class(re.compile("empty"))
            page.wait_for_function("document.querySelector('#mode-word').textContent")
            assert not sideways(page), (width, query)
    open_situation(page, url)
    alerts, plan, first, last = (
        page.locator(what).bounding_box()
        for what in ("#alerts-panel", "#map", "#map g[data-zone=c1] .ground", "#map g[data-zone=c3] .ground")
    )
    assert alerts and plan and first and last
    assert alerts["y"] < plan["y"] and first["y"] + first["height"] < last["y"]  # alerts first; north above south
    expect(page.locator("#ranked")).to_be_visible()
    page.get_by_role("button", name="経過").click()
    expect(page.locator("#strips .strip").first).to_be_visible()
    expect(page.locator("#map")).not_to_be_visible()
    # a pattern within a part that is not in sight would be drawn nowhere: unknown would look like empty
    assert page.locator("#hatch").count() == 1
    assert page.locator("#hatch").evaluate("e => e.closest('svg').checkVisibility()")
    page.get_by_role("button", name="その他").click()
    expect(page.locator("#lang")).to_be_visible()
    page.get_by_role("button", name="状況").click()
    drawn(page, "c1").locator(".letter").click(force=True)
    expect(page.locator(".detail")).to_be_in_viewport()
    for tall in page.locator("#strips button:visible, #tabs button").all():
        size = tall.bounding_box()
        assert size and size["height"] >= 44


CUT = """() => [...document.querySelectorAll('button, th, dt, label > span, summary, a.button, .alerts-hint, #foot dd')]
  .filter(e => e.checkVisibility() && e.clientWidth && getComputedStyle(e).clipPath === 'none' && e.textContent.trim())
  .filter(e => {
    if (e.scrollWidth > e.clientWidth + 1) return true;
    const {bottom, right} = e.getBoundingClientRect();
    const room = e.closest('section, header, #bar').getBoundingClientRect();
    return !e.closest('.alerts-list, .ranked-scroll, .scroll') && (bottom > room.bottom + 1 || right > room.right + 1);
  }).map(e => e.textContent)"""


@pytest.mark.parametrize("width", [1366, 1920])
def test_op_19_no_word_of_the_frame_is_cut(page: Page, served: Served, clock: Clock, width: int):
    store = walkway(clock)
    store.standing["live"] = [replace(ONE, zone="c1"), replace(ONE, id="b", state="acknowledged", zone="c2")]
    page.set_viewport_size({"width": width, "height": 768})
    url = served(store, local=Who("demo", "supervisor")).url
    for language in ("en", "ja"):
        for query in ("?place=w", "?view=tables"):
            page.goto(f"{url}/{query}")
            expect(page.locator("html")).not_to_have_class(re.compile("empty"))
            expect(page.locator("#views summary")).to_be_visible()
            if page.locator("html").get_attribute("lang") != language:
                page.locator("#lang").click()
            expect(page.locator("html")).to_have_attribute("lang", language)
            assert page.evaluate(CUT) == [], (language, query)


def test_nothing_shifts_on_the_situation(page: Page, served: Served, clock: Clock):
    page.add_init_script(
        """window.shifts = [];
        new PerformanceObserver(list => { for (const e of list.getEntries()) window.shifts.push(e.value,
            e.sources.map(s => s.node?.id || s.node?.className || s.node?.nodeName)); })
          .observe({type: 'layout-shift', buffered: true});"""
    )
    store = walkway(clock)
    open_situation(page, served(store).url)
    for letter in ("F", "unknown", "B"):
        for where in ("c1", "c2", "p"):
            grade(store, clock, where, letter)
        store.standing["live"] = [replace(ONE, zone="c1")] if letter == "F" else []
        store.states = [("n-1", "silent", clock.ms())] if letter == "F" else []
        expect(ranked(page, "c1").locator(".grade")).to_have_text(letter if letter != "unknown" else "?")
    shifts = page.evaluate("window.shifts")
    assert shifts == [], shifts


def test_op_15_many_zones_on_one_canvas_without_webgl(page: Page, served: Served, clock: Clock):
    page.add_init_script(
        """const held = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          if (/webgl|webgpu/.test(kind)) throw new Error('no WebGL here');
          return held.call(this, kind, ...rest);
        };"""
    )
    many = [{**zone(f"z{i}", []), "polygon_m": None} for i in range(320)]
    store = walkway(clock, {**REGISTRY, "zones": many, "gates": [], "sensors": [], "places": REGISTRY["places"][:1]})
    store.zone_rows.clear()
    for i in range(320):
        grade(store, clock, f"z{i}", "ABCDEF"[i % 6] if i else "unknown")
    open_situation(page, served(store).url, "")
    expect(page.locator("#map canvas")).to_be_visible()
    expect(page.locator("#ranked tbody tr")).to_have_count(100)
    page.locator("#ranked > div > button").click()
    expect(page.locator("#ranked tbody tr")).to_have_count(200)
    colours = page.evaluate(
        """() => {
          const c = document.querySelector('#map canvas');
          const {data} = c.getContext('2d').getImageData(0, 0, c.width, c.height);
          const seen = new Set();
          for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255) seen.add(data.slice(i, i + 3).join());
          return [...seen];
        }"""
    )
    assert {"227,229,231", "207,211,214", "183,189,194", "203,160,28", "207,111,34", "155,16,21"} <= set(colours)
    box = page.locator("#map canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 30, box["y"] + 50)
    expect(page.locator("#crumbs li")).to_have_count(3)
