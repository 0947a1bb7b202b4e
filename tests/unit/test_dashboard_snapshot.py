"""From the store's rows to what the page is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboard.snapshot import GRACE_MS, Views, choose, closed_ms, status_of
from engine.model import END, NO_TIME
from tests.browser.fake_store import BY_THE_MINUTE, REGISTRY, FakeRun, FakeStore

T = 1_770_450_000_000


@pytest.mark.parametrize(
    ("runs", "asked", "shown"),
    [
        ([("a", "replay", 9), ("b", "live", 1), ("c", "live", 2)], None, "c"),
        ([("a", "replay", 9), ("b", "replay", 10), ("w", "workbench", 99)], None, "b"),
        ([("w", "workbench", 99)], None, None),
        ([("w", "workbench", 99), ("b", "live", 1)], "w", "w"),
        ([("b", "live", 1)], "nope", None),
    ],
)
def test_which_run_is_shown(runs: list[tuple[str, str, int]], asked: str | None, shown: str | None):
    store = FakeStore(None, *(FakeRun(run_id=i, kind=kind, started_ms=at) for i, kind, at in runs))
    run = choose(store, asked)
    assert (run and run.run_id) == shown


def test_status_is_the_runs_row_and_nothing_else():
    run = FakeRun(read=10, accepted=7, rejected={"late": 2, "malformed": 1, "duplicate": 0})
    assert status_of(run) == {
        "read": 10,
        "accepted": 7,
        "rejected": {"malformed": 1, "late": 2},
        "run_id": "live",
        "kind": "live",
        "state": "running",
    }
    assert list(status_of(run)["rejected"]) == ["malformed", "late"]  # the order of the checks


@pytest.mark.parametrize(
    ("kind", "closed", "told"),
    [("live", T, T), ("live", NO_TIME, None), ("live", END, None), ("replay", T, None), ("workbench", T, None)],
)
def test_only_a_live_run_that_has_closed_something_has_a_watermark_age(kind: str, closed: int, told: int | None):
    assert closed_ms(FakeRun(kind=kind, closed_ms=closed)) == told


def view(store: FakeStore, window: str | None = "10s") -> Any:
    return Views(store).read(None, window)


def test_rows_follow_gates_and_directions_and_missing_ones_are_null():
    store = FakeStore()
    store.put("j2", "ba", T, (12, 22))
    store.put("j1", "unknown", T, (0, 5))
    flow = view(store).flow
    assert flow["t"] == [None, None, T, None, T, None, None, None, None]
    assert flow["n"][4] == 17 and flow["lo"][4] == 12 and flow["hi"][4] == 22
    assert flow["s"] == [None, None, 2, None, 3, None, None, None, None]
    assert flow["n"][2] is None


def test_zones_have_their_own_rows():
    store = FakeStore()
    store.put_zone("c2", T, (6, 16), (7, 7))
    zones = view(store).zones
    assert zones["t"] == [None, T]
    assert [zones[name][1] for name in ("in", "in_lo", "in_hi", "out", "out_lo", "out_hi", "s", "c")] == [
        11, 6, 16, 7, 7, 7, 3, 0.95,
    ]  # fmt: skip


def test_zones_tell_who_is_inside():
    store = FakeStore()
    inside = {"occupancy": -2, "occupancy_low": -12, "occupancy_high": 8, "error": 3, "drift_low": -4, "drift_high": 6}
    store.put_zone("c1", T, (6, 16), (7, 7), **inside, density=-0.012345, speed=1.23456, los="B")
    store.put_zone("c2", T, (6, 16), (7, 7))
    zones = view(store).zones
    names = ("occ", "occ_lo", "occ_hi", "err", "drift_lo", "drift_hi", "dens", "pace", "los")
    assert [zones[name] for name in names] == [
        [-2, None], [-12, None], [8, None], [3, None], [-4, None], [6, None], [-0.0123, None], [1.2346, None], [2, 0],
    ]  # fmt: skip


def test_zones_that_have_headings_tell_which_way_people_go():
    store = FakeStore()
    store.put_headings("c2", T, {1: (7, 7), 2: (6, 11)}, (67.123456, 0.987654))
    store.put_headings("c9", T, None, (None, None))
    store.put_headings("c1", T, {}, (None, None), window="5m")
    seen = view(store, "10s")  # shorter windows have none: those of a minute are shown
    assert [zone["id"] for zone in seen.layout["headings"]["zones"]] == ["c2", "c9"]
    assert seen.headings == {"t": [T, T], "s": [3, 0], "way": [67.1235, None], "r": [0.9877, None]}
    frame = {name: seen.layout["headings"][name] for name in ("window", "length_ms", "k")}
    assert frame == {"window": "1m", "length_ms": 60_000, "k": 6}
    assert seen.layout["headings"]["zones"][0]["limit_ms"] == 60_000 + 5_000 + GRACE_MS + 2_000
    assert view(store, "5m").headings == {"t": [T], "s": [2], "way": [None], "r": [None]}


def test_sensors_that_are_not_ok_and_how_many_are_known():
    always = [{"from": "2020-01-01T00:00:00Z", "to": None}]
    past = [{"from": "2020-01-01T00:00:00Z", "to": "2021-01-01T00:00:00+09:00"}]
    beat = {"approved": always, "reporting": "heartbeat"}
    sensors = [
        {"id": "b", "gate": "j1", **beat},
        {"id": "a", "zone": "c1", **beat},
        {"id": "fine", "gate": "j1", **beat},
        {"id": "mute", "gate": "j1", **beat},
        {"id": "counts", "gate": "j1", "approved": always, "reporting": "every_span"},
        {"id": "changes", "gate": "j1", "approved": always},
        {"id": "past", "gate": "j1", "approved": past, "reporting": "heartbeat"},
        {"id": "roams", **beat},
    ]
    store = FakeStore({**REGISTRY, "sensors": sensors}, FakeRun(closed_ms=T))
    states = (
        ("a", "silent"),
        ("b", "skewed"),
        ("fine", "ok"),
        ("past", "silent"),
        ("sold", "stuck"),
        ("roams", "silent"),
    )
    store.states = [(sensor, state, T - 60_000) for sensor, state in states]
    health = view(store).health
    assert (health["ok"], health["unknown"]) == (1, 2)
    assert health["rows"] == [
        {"id": "b", "place": {"ja": "j1", "en": "j1"}, "state": "skewed", "since": T - 60_000},
        {"id": "a", "place": {"ja": "北1条", "en": "Kita 1-jo"}, "state": "silent", "since": T - 60_000},
        {"id": "roams", "place": None, "state": "silent", "since": T - 60_000},
    ]
    assert view(FakeStore()).health == {"ok": 0, "unknown": 0, "rows": []}


def test_layout_names_places_in_both_languages_and_falls_back_to_ids():
    layout = view(FakeStore()).layout
    assert [gate["name"] for gate in layout["gates"]] == [{"ja": i, "en": i} for i in ("j1", "j2", "j3")]
    assert layout["gates"][1]["a"] == {"ja": "北1条", "en": "Kita 1-jo"}
    assert layout["gates"][0]["b"] is None
    assert layout["k"] == 6
    one = {**REGISTRY, "zones": [{"id": "z", "name": {"fr": "Place"}, "kind": "plaza"}, {"id": "y"}]}
    assert [z["name"]["ja"] for z in view(FakeStore(one)).layout["zones"]] == ["Place", "y"]


def test_names_are_those_of_the_newest_version_the_run_met():
    store = FakeStore(None, FakeRun(versions=("h2",)))
    renamed = json.loads(json.dumps(REGISTRY))
    renamed["zones"][0]["name"] = {"ja": "新", "en": "New"}
    store.registries["h2"] = json.dumps(renamed)
    assert view(store).layout["zones"][0]["name"] == {"ja": "新", "en": "New"}


def test_a_registry_the_store_does_not_hold_leaves_the_ids():
    store = FakeStore()
    store.registries = {}
    store.put("new", "ab", T, (9, 9))
    store.put_zone("c9", T, (9, 9), (9, 9))
    layout = view(store).layout
    assert [gate["id"] for gate in layout["gates"]] == ["j1", "j2", "j3", "new"]
    assert [zone["id"] for zone in layout["zones"]] == ["c9"]


def test_limits_are_window_bound_delay_and_grace():
    slow = json.loads(json.dumps(REGISTRY))
    slow["gates"][1]["delay_s"] = 90
    layout = view(FakeStore(slow), "1m").layout
    plain = 60_000 + 5_000 + GRACE_MS
    assert [gate["limit_ms"] for gate in layout["gates"]] == [plain, plain + 90_000, plain]
    assert [zone["limit_ms"] for zone in layout["zones"]] == [plain + 90_000, plain + 90_000]


def test_the_window_defaults_to_the_finest_leaf():
    assert view(FakeStore(), None).layout["window"] == "10s"
    coarse = FakeStore(None, FakeRun(leaves={"j1": "1h", "j2": "5m"}))
    assert view(coarse, None).layout["window"] == "5m"


def test_a_zones_leaf_is_the_coarsest_of_its_gates():
    assert [zone["leaf"] for zone in view(FakeStore(BY_THE_MINUTE)).layout["zones"]] == ["10s", "1m"]


def test_each_place_is_shown_in_its_finest_window_unless_one_is_asked_for():
    store, early = FakeStore(BY_THE_MINUTE), T // 60_000 * 60_000 - 60_000
    store.put_zone("c1", T, (6, 16), (7, 7))
    store.put_zone("c1", early, (60, 60), (7, 7), window="1m")
    store.put_zone("c2", early, (66, 66), (7, 7), window="1m")
    store.put("j3", "ab", early, (31, 31), window="1m")
    seen = view(store, None)
    assert seen.zones["t"] == [T, early] and seen.zones["in"] == [11, 66] and seen.flow["n"][6] == 31
    shown = [(row["window"], row["length_ms"]) for row in seen.layout["zones"]]
    assert shown == [("10s", 10_000), ("1m", 60_000)] and seen.layout["window"] == "10s"
    limits = [row["limit_ms"] - row["length_ms"] for row in seen.layout["zones"]]
    assert limits[0] == limits[1]
    strict = view(store, "10s")
    assert strict.zones["t"] == [T, None] and strict.flow["n"][6] is None
    assert [row["window"] for row in strict.layout["zones"]] == ["10s", "10s"]


def test_of_many_registry_versions_those_in_use_are_kept():
    store = FakeStore()
    store.registries |= {f"v{n}": json.dumps({**REGISTRY, "version": f"{n}"}) for n in range(40)}
    views = Views(store)  # type: ignore[arg-type]
    for n in range(40):
        assert views.version(f"v{n}").version == f"{n}"
        views.version("h1")  # that of the run that is shown
    reads = store.reads
    assert (views.version("h1").version, views.version("v39").version) == ("1", "39") and store.reads == reads
    assert views.version("v0").version == "0" and store.reads == reads + 1  # not kept for ever
