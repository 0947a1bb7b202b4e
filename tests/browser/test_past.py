"""A stored span is what the live page showed: over a real embedded store, without a browser."""

from __future__ import annotations

import gzip
import http.client
import json
from dataclasses import replace
from typing import Any

import orjson
import pytest

from dashboard.app import create_app
from dashboard.feed import Channel
from dashboard.frames import FRAMES, frames, gather
from dashboard.serve import Server, serve
from dashboard.snapshot import Views
from sinks.clickhouse.alerts import Action
from sinks.clickhouse.store import Run, Store
from tests.browser.fake_store import BY_THE_MINUTE, CONFIG, REGISTRY
from tests.services.released import alert_row, released, zone_row

pytestmark = pytest.mark.embedded

T0 = 1_770_447_600_000  # 2026-02-07T07:00:00Z
STEP = 10_000
BODY = ("layout", "flow", "zones", "headings", "alerts", "health")
DELAYS = {"j1": 0, "j2": 15_000, "old": 15_000}  # j2's own; a gate the registry has lost has the longest


@pytest.fixture(autouse=True)
def no_script_errors() -> None:
    """No browser here."""


def registry() -> dict[str, Any]:
    gates = [{**gate, "delay_s": 15 if gate["id"] == "j2" else 0} for gate in BY_THE_MINUTE["gates"]]
    always = [{"from": "2020-01-01T00:00:00Z", "to": None}]
    ending = [{"from": "2020-01-01T00:00:00Z", "to": "2026-02-07T07:04:00Z"}]
    sensors = [
        {"id": "s1", "kind": "counter", "gate": "j1", "approved": always, "reporting": "heartbeat"},
        {"id": "s2", "kind": "counter", "gate": "j2", "approved": always, "reporting": "heartbeat"},
        {"id": "s3", "kind": "counter", "gate": "j2", "approved": ending, "reporting": "heartbeat"},
    ]
    zones = [{**zone, "area_m2": 100} for zone in REGISTRY["zones"]]
    rules = [
        {"id": "dense", "kind": "density", "limits": [{"limit": 2.0}]},
        {"id": "blind", "kind": "sensor_loss", "by": "health", "limits": [{"limit": 0.8}]},
    ]
    return {**REGISTRY, "gates": gates, "zones": zones, "sensors": sensors, "thresholds": rules}


Row = tuple[int, str, tuple[Any, ...]]  # closed up to (ms) when it comes, product, cells


def story() -> list[Row]:
    """Seven minutes of rows in the order in which a run closes them."""
    told: list[Row] = []
    for n in range(42):
        start, end = T0 + n * STEP, T0 + (n + 1) * STEP
        if 18 <= n < 27:  # a minute and a half without any rows: longer than the page looks back
            continue
        for gate, delay in DELAYS.items():
            if gate == "old" and n >= 10:
                continue
            cells = (None, None, None, "unknown", 0.0) if n % 7 == 3 else (n + 8, n + 6, n + 11, "range", 2 / 3)
            told += [(end + delay, "flow", ("10s", start, gate, way, *cells)) for way in ("ab", "ba")]
        given = {"inflow": n, "inflow_low": n, "inflow_high": n, "density": n / 7, "los": "B", "status": "range"}
        told.append((end + 15_000, "zones", zone_row("10s", start, "c1", n * 1.5, **given)))
        if n % 6 == 5:  # what is told by the minute
            told.append((end + 15_000, "zones", zone_row("1m", end - 60_000, "c2", n * 1.5, **given)))
            cells = (n + 8, n + 6, n + 11, "range", 2 / 3)
            told += [(end, "flow", ("1m", end - 60_000, "j3", way, *cells)) for way in ("ab", "ba")]
        if n % 6 == 5:
            of = ("1m", end - 60_000, "c1")
            ways = [(*of, s, None if s < n % 8 else 9, 0, 9, "range", n / 3, 0.5) for s in range(8)]
            told += [(end + 2_000, "headings", way) for way in ways]
    states = [(0, "s1", "ok"), (0, "s2", "silent"), (1, "s3", "stuck"), (2, "s2", "ok"), (5, "s1", "skewed")]
    for minute, sensor, state in states:
        start = T0 + minute * 60_000
        told.append((start + 60_000, "health", ("1m", start, sensor, state, start)))
    blind = {"rule": "blind", "kind": "sensor_loss", "severity": "critical"}
    told += [
        (T0 + 100_000 + 15_000, "alerts", alert_row("a1", T0 + 100_000)),  # its zone has a gate that is late
        (T0 + 110_000, "alerts", alert_row("a2", T0 + 110_000, **blind)),
        (T0 + 130_000, "alerts", alert_row("a3", T0 + 130_000, gate="j1", kind="flow")),
        (T0 + 200_000, "alerts", alert_row("a2", T0 + 200_000, "resolved", T0 + 110_000, **blind)),
        (T0 + 320_000 + 15_000, "alerts", alert_row("a1", T0 + 320_000, "resolved", T0 + 100_000)),
    ]
    return sorted(told, key=lambda row: row[0])


def insert(store: Store, rows: list[Row], at: int) -> list[Row]:
    """Insert what has come when a run has closed up to ``at``; returns the rest."""
    for product in dict.fromkeys(product for _, product, _ in rows):
        cells = [row for closed, of, row in rows if of == product and closed <= at]
        if cells:
            store.insert(released(product, f"{product}{at}", cells), "r")
    return [row for row in rows if row[0] > at]


def begin(store: Store, **of_run: Any) -> Run:
    store.put_registry("1", "h1", json.dumps(registry()))
    leaves = {"j1": "10s", "j2": "10s", "j3": "1m"}
    base = Run("r", "live", CONFIG, "c", "1", "h1", "0", "Asia/Tokyo", leaves, 15_000, started_ms=T0, updated_ms=1)
    run = replace(base, **of_run)
    store.start_run(run)
    return run


def live(views: Views, now: int) -> dict[str, Any]:
    """What a client of the stream is told when it comes now."""
    view, channel = views.read("r", "10s"), Channel("r", "10s")
    assert view is not None
    channel.saw(view, now)
    channel.tell(view, None, now)
    return dict(json.loads(channel.snapshot(now).split(b"data: ", 1)[1]))


def folded(told: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """The state after each frame, as the page's store keeps it (static/store.js)."""
    state: dict[str, Any] = {}
    out = {}
    for frame in told:
        if frame["kind"] == "snapshot":
            state = {name: frame[name] for name in BODY}
        else:
            state = dict(state)
            state |= {name: frame[name] for name in ("alerts", "health") if name in frame}
            for product in ("flow", "zones", "headings"):
                changed = frame.get(product, {"i": []})
                held = {name: list(values) for name, values in state[product].items()}
                for name, values in held.items():
                    for place, row in enumerate(changed["i"]):
                        values[row] = changed[name][place]
                state[product] = held
        out[frame["at"]] = state
    return out


def test_op_07_frames_of_the_past_are_the_bytes_the_live_page_was_told(real: Store):
    run, views, waiting = begin(real), Views(real), story()
    shown: dict[int, Any] = {}
    acted: Action | None = Action("r", "a3", "acknowledge", "anna", T0 + 170_000)
    for at in range(T0 + 60_000, T0 + 421_000, 40_000):
        waiting = insert(real, waiting, at)
        if acted is not None and at >= acted.at_ms:
            real.act(acted)
            acted = None
        run = replace(run, closed_ms=at, updated_ms=at)
        real.update_run(run)
        told = live(views, at + 5_500)
        assert told["closed"] == at
        shown[at] = {name: told[name] for name in BODY}
    # what could differ does
    assert len({orjson.dumps(state["health"]) for state in shown.values()}) == 5
    assert len({orjson.dumps(state["alerts"]) for state in shown.values()}) >= 5
    with_old = [at for at, of in shown.items() if any(gate["id"] == "old" for gate in of["layout"]["gates"])]
    assert with_old[-1] == T0 + 100_000  # then it is too far behind the others

    def past(start: int, end: int) -> dict[int, dict[str, Any]]:
        found = gather(real, Views(real), "r", "10s", start, end)
        return folded(json.loads(orjson.dumps(list(frames(found)))))

    for at in (T0 + 100_000, T0 + 180_000, T0 + 220_000, T0 + 300_000):
        (state,) = past(at, at).values()
        assert orjson.dumps(state) == orjson.dumps(shown[at]), at - T0
    # as deltas behind a frame that begins somewhere; the layout is that of the span, with every gate seen in it
    for start in (T0 + 60_000, T0 + 143_000):
        states = past(start, T0 + 420_000)
        for at in [at for at in shown if at >= start]:
            lists = [orjson.dumps([state["alerts"], state["health"]]) for state in (states[at], shown[at])]
            assert lists[0] == lists[1], (start - T0, at - T0)
            assert figures(states[at]) == figures(shown[at]), (start - T0, at - T0)


def test_frames_are_refused_where_nothing_can_be_shown(real: Store):
    begin(real, closed_ms=T0 + 200_000)
    insert(real, story(), T0 + 200_000)
    server = serve(create_app(real))
    try:
        for query, status, word in (
            ("", 400, "from"),
            (f"from={T0 + 9}&to={T0}", 400, "from"),
            ("from=x&to=1", 400, "from"),
            (f"from={T0}&to=99999999999999999", 400, "to"),
            (f"from={T0}&to={T0}&window=7s", 400, "window"),
            (f"from={T0}&to={T0}&run=nobody", 404, "run"),
            (f"from={T0}&to={T0}&run={'r' * 201}", 400, "run"),
            (f"from={T0 + 200_001}&to={T0 + 300_000}", 400, "not closed yet"),
        ):
            assert get(server, f"/api/frames?{query}") == (status, {"error": word}, {}), query
        most = FRAMES * 10_000
        status, told, _ = get(server, f"/api/frames?from={T0 - most}&to={T0 + 1}")
        assert (status, told) == (400, {"error": "span too long", "longest_ms": most})
        asked = f"/api/frames?run=r&window=10s&from={T0 + 65_000}&to={T0 + 900_000}"
        status, told, _ = get(server, asked)
        assert status == 200
        ats = [frame["at"] for frame in told["frames"]]
        assert ats == [T0 + 65_000, *range(T0 + 70_000, T0 + 200_001, 10_000)]  # up to where the run has closed
        head = {"now": T0 + 70_000, "problem": None, "closed": T0 + 70_000, "timing": None}
        assert head.items() <= told["frames"][1].items() and told["frames"][1]["kind"] == "delta"
        assert told["layout"] == told["frames"][0]["layout"] and told["frames"][0]["status"] is None
        assert "health" not in told["frames"][1]  # as before
        status, packed, headers = get(server, asked, **{"Accept-Encoding": "gzip"})
        assert headers["content-encoding"] == "gzip" and packed == told
    finally:
        server.stop()


def get(server: Server, path: str, **headers: str) -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
    connection.request("GET", path, headers={"Accept-Encoding": "identity", **headers})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    packed = answer.headers.get("content-encoding") == "gzip"
    kept = {"content-encoding": "gzip"} if packed else {}
    return answer.status, json.loads(gzip.decompress(raw) if packed else raw), kept


def figures(state: dict[str, Any]) -> bytes:
    """Figures by the id they belong to: layouts of two spans may have seen different gates."""
    out: dict[str, Any] = {}
    for product, each in (("flow", 3), ("zones", 1), ("headings", 1)):
        layout = state["layout"]
        ids = [row["id"] for row in {"flow": layout["gates"], "zones": layout["zones"]}.get(product, ())]
        ids = ids or [row["id"] for row in layout["headings"]["zones"]]
        for name, values in state[product].items():
            for place, value in enumerate(values):
                if value is not None:
                    out[f"{product} {ids[place // each]} {place % each} {name}"] = value
    return orjson.dumps(out, option=orjson.OPT_SORT_KEYS)
