"""The audit of stored tables: it passes what the rules make and finds what was tampered with."""

import dataclasses
import random

import pytest

from engine.config import Config
from engine.model import PRODUCTS
from hitonami.audit import audit_store, table_settings_of
from hitonami.audit.store_tables import audit_stored_tables
from hitonami.audit.stored import context
from hitonami.audit.table_pairs import audit_table_pairs
from loadgen.profiles import ProfileLoad
from sinks.clickhouse.store import Store
from tests.services.released import released
from tests.support import profile_run, signage_run
from tests.support.table_store import DAY, HOUR, RULE, T0, TABLE, FakeStore, row

DEVICE = {"device kita2-01": "signage"}  # what the row of a run of signage says of its places


@pytest.fixture
def store():
    return FakeStore()


def audit(store):
    return audit_stored_tables(store, context(store.run), RULE)


def findings(report):
    return "\n".join(report.findings)


def test_what_the_rules_make_passes(store):
    report = audit(store)
    assert report.findings == []
    assert report.summary["table_rows"] == sum(map(len, store.tables.values())) > 300
    assert report.summary["unjudged_moves"] == 0
    kinds = {(product, r["status"]) for product, rows in store.tables.items() for r in rows}
    assert kinds == {(p, s) for p in ("touches", "screens", "profiles") for s in ("released", "range")} | {
        ("trips", "released")
    }
    totals = [r for r in store.tables["touches"] if not r["lang"]]
    assert {r["status"] for r in totals} == {"released", "range"}


def of_config(config, rows, **fields):
    """A store of these rows, released by these settings."""
    store = FakeStore(config=config.as_json(), **fields)
    store.tables = rows
    return store


@pytest.mark.parametrize("privacy", [{}, {"touches": {"k": 3, "guard": 2}, "screens": {"k": 2, "guard": 0}}])
def test_what_the_engine_tells_of_signage_passes(privacy):
    rng, config = random.Random(5), Config(privacy)
    logs = signage_run.random_logs(rng, 2, 1_000)
    run = signage_run.Processes(logs, config, rng).run(finish=True)
    rows = {product: run.rows(product) for product in ("touches", "screens")}
    assert len(rows["touches"]) > 10 and len(rows["screens"]) > 1
    assert audit(of_config(config, rows)).findings == []
    shown, closed = {"kind": "live", "leaves": DEVICE, "state": "running"}, 0
    for advance in run.shown:  # whenever somebody looks, also before all is told
        counters = {name: getattr(advance.progress, name) for name in ("accepted", "rejected", "closed_ms")}
        report = audit(of_config(config, rows, **shown, **counters))
        assert report.findings == [] and report.summary["live_counters"] == 1
        closed += counters["accepted"] > 0
    assert closed > 2


@pytest.mark.parametrize("exact", [False, True])
def test_a_live_run_of_signage_that_counts_exactly_is_caught(exact):
    """The mutant "live counters exact": a flow that counts as [status] exact asks, of a run that does not say so."""
    rng = random.Random(5)
    logs = signage_run.random_logs(rng, 2, 400)
    run = signage_run.Processes(logs, Config({"status": {"exact": exact}}), rng).run(finish=True)
    rows, last = {product: run.rows(product) for product in ("touches", "screens")}, run.shown[-1].progress
    counters = {"accepted": last.accepted, "rejected": last.rejected, "closed_ms": last.closed_ms}
    store = of_config(Config(), rows, kind="live", leaves=DEVICE, **counters)
    found = findings(audit_store(store, ["s1"]))
    assert ("run s1, live counters: accepted is not what the released rows prove" in found) == exact
    assert ("live counters: a reason behind which may stand one person" in found) == exact


def test_what_the_engine_tells_of_people_who_consented_passes():
    load = ProfileLoad(seed=3, people=400, days=3)
    logs = [[value for _, value in load.events()]]
    settings = {"tables": ["gender*birth_year*lang", "prefecture*municipality", "interests"], "k": 4, "providers": 2}
    config = Config({"profiles": settings, "trips": {"k": 4}})
    told, _ = profile_run.run(load.registry(), logs, config, [profile_run.gate()])
    rows = {name: [r for r in told if r["product"] == name] for name in ("profiles", "trips")}
    for each in told:
        del each["product"]
    assert len(rows["profiles"]) > 10
    assert audit(of_config(config, rows)).findings == []


def test_it_is_a_part_of_the_audit_of_a_store(store):
    assert audit_store(store, ["s1"]).summary["table_rows"] > 300
    store.where("touches", lambda r: r["lang"]).update(n=4, n_low=4, n_high=4)
    assert "run s1, touches: a count below 5" in findings(audit_store(store, ["s1"]))
    assert table_settings_of(store, ["s1"]) == ((5, 1), (10, 1))
    assert table_settings_of(store, ["s2"]) == ((5, 1), (10, 1))


def test_rows_that_may_still_be_on_their_way_are_not_judged(store):
    running = FakeStore(state="running", closed_ms=T0 + HOUR)
    report = audit(running)
    assert report.passed
    assert 0 < report.summary["table_rows"] < 80
    running.tables["touches"] = [r for r in running.tables["touches"] if r["lang"]]
    assert "total is not listed" in findings(audit(running))


@pytest.mark.embedded
def test_the_real_store_passes(store, tmp_path):
    with Store.open(f"chdb:///{tmp_path}/store") as real:
        real.migrate()
        for product, rows in store.tables.items():
            columns = list(PRODUCTS[product][1])
            real.insert(released(product, "u", [[row[name] for name in columns] for row in rows]), "s1")
        assert audit_stored_tables(real, context(store.run), RULE).as_dict() == audit(store).as_dict()


def test_moves_whose_touches_are_no_longer_kept_are_not_judged(store):
    store.tables["touches"] = []
    report = audit(store)
    assert report.passed and report.summary["unjudged_moves"] == len(store.tables["screens"])


# -------------------------------------------------------------------------------------- tampering
def put(product, holds, **cells):
    def change(store):
        found = store.where(product, holds)
        found.update({name: value(found) if callable(value) else value for name, value in cells.items()})

    return change


def drop(product, holds):
    return lambda store: store.tables[product].remove(store.where(product, holds))


def copy(product, holds, **cells):
    return lambda store: store.tables[product].append({**store.where(product, holds), **cells})


def exact(n):
    return {"n": n, "n_low": n, "n_high": n, "status": "released"}


def is_total(r):
    return not r.get("lang", r.get("col")) and not r.get("row")


def cell(r):
    return bool(r.get("lang") or r.get("col"))


def hidden_total(r):
    return is_total(r) and r["status"] == "range"


def middle(r):
    return (r["n_low"] + r["n_high"]) // 2


def ranged(r):
    return r["status"] == "range"


TAMPERED = {
    "a small cell": (put("touches", cell, **exact(4)), "a count below 5"),
    "a small attribute": (put("profiles", cell, **exact(9)), "a count below 10"),
    "a told zero": (put("trips", bool, **exact(0)), "a count below 10"),
    "a row twice": (copy("profiles", cell), "the same row twice"),
    "another status": (put("touches", cell, status="range"), "a status that does not fit"),
    "an unknown row": (put("trips", bool, status="unknown"), "a status that does not fit"),
    "not exact": (put("touches", cell, n=lambda r: r["n"] + 1), "not exact"),
    "off the middle": (put("touches", hidden_total, n=lambda r: r["n_low"]), "a hidden row tells"),
    "backwards": (put("profiles", cell, n_low=lambda r: r["n_high"] + 3), "ends before it begins"),
    "a small range": (
        put("screens", ranged, n_low=lambda r: r["n_high"] - 2, n=lambda r: r["n_high"] - 1),
        "fewer than 5 possible",
    ),
    "a marker told": (
        copy("touches", cell, lang="zz", n=2, n_low=0, n_high=4, status="suppressed"), "a hidden row tells"
    ),
    "a total beside hidden rows": (
        put("touches", hidden_total, n=middle, n_low=middle, n_high=middle, status="released"), "cut does not give",
    ),
    "a total of the shown": (
        put("touches", hidden_total, n=lambda r: r["n_low"], n_high=lambda r: r["n_low"], status="released"),
        "cut does not give",
    ),
    "a total too low": (put("touches", is_total, **exact(5)), "cannot hold what stands below"),
    "a total moved": (
        put("touches", hidden_total, n_low=lambda r: r["n_low"] + 1, n_high=lambda r: r["n_high"] + 1,
            n=lambda r: middle(r)), "cut does not give",
    ),
    "no total": (drop("touches", is_total), "a row whose total is not listed"),
    "no total of a row": (drop("profiles", lambda r: r["table"] == TABLE and not r["row"]), "total is not listed"),
    "a total of moves": (copy("screens", bool, to=""), "a total of cells that share people"),
    "a total of trips": (copy("trips", bool, **{"from": ""}), "a total of cells that share people"),
    "a total of interests": (
        copy("profiles", lambda r: r["table"] == "interests", row=""), "a total of cells that share people"
    ),
    "moves beside touches": (
        put("screens", ranged, n=lambda r: r["n_high"], n_low=lambda r: r["n_high"], status="released"),
        "moves that narrow the touches",
    ),
    "moves of another bound": (
        put("screens", ranged, n_low=lambda r: r["n_low"] - 1, n=middle), "moves that narrow the touches"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found(store, name):
    change, words = TAMPERED[name]
    change(store)
    assert words in findings(audit(store))


def proven(store, product):
    """What the totals of a product prove, told anew."""
    least = [r["n_low"] for r in store.tables[product] if is_total(r) and r.get("table") != "interests"]
    return sum(least)


LIVE = {"touches": DEVICE, "profiles": {"profiles": "profiles"}}


@pytest.mark.parametrize("product", LIVE)
def test_a_live_counter_is_what_the_rows_prove(product):
    told = proven(FakeStore(), product)
    live = {"kind": "live", "leaves": LIVE[product], "rejected": {"malformed": 7, "unknown_type": 6}}
    words = "run s1, live counters: accepted is not what the released rows prove"
    assert told > 100 and audit(FakeStore(**live, accepted=told)).findings == []
    for accepted in (told + 1, told - 1, 0):
        assert findings(audit(FakeStore(**live, accepted=accepted))) == words
    late = {**live, "rejected": {"late": 6, "malformed": 6}}
    assert findings(audit(FakeStore(**late, accepted=told))).endswith("a reason behind which may stand one person")
    # a window that has not closed for the counter, though its rows are there
    early = FakeStore(**live, accepted=told, closed_ms=T0 + DAY - 1)
    assert findings(audit(early)) == ("" if product == "touches" else words)


def test_counters_that_are_not_judged():
    live = {"kind": "live", "leaves": DEVICE, "accepted": 3, "rejected": {"late": 2}}
    exact = audit(FakeStore(**live, config=Config({"status": {"exact": True}}).as_json()))
    assert exact.passed and exact.checked == [
        "run s1, live counters: exact, for [status] exact asks for it; not judged"
    ]
    for kept in ({"keep_days": 30}, {"keep_days_of": {"touches": 30}}):
        report = audit(FakeStore(**{**live, "rejected": {}}, config=Config({"store": kept}).as_json()))
        assert report.passed and report.summary["unjudged_counters"] == 1
    assert not audit(FakeStore(**live, config=Config({"store": {"keep_days_of": {"flow": 3}}}).as_json())).passed
    for other in ({"leaves": {"g1": "1m"}}, {"kind": "replay"}):
        assert "live_counters" not in audit(FakeStore(**{**live, **other})).summary


def hand_made(*rows_of):
    day = {"window": "1d", "window_start": T0 + 2 * DAY, "table": TABLE}
    return [row({**day, "row": name, "col": col}, low, high, 10) for name, col, low, high in rows_of]


def test_totals_of_attributes_beside_hidden_rows(store):
    below = ("f/1930", "", 80, 90), ("f/1930", "o1", 60, 60), ("f/1930", "o2", 20, 20)
    store.tables["profiles"] = hand_made(("", "", 80, 101), ("f", "", 80, 91), *below)
    assert audit(store).findings == []
    store.tables["profiles"] = hand_made(("", "", 83, 93), ("f", "", 83, 83), *below)
    assert "narrows what stands below it" in findings(audit(store))
    store.tables["profiles"] = hand_made(("", "", 80, 101), ("f", "", 80, 89), *below)
    assert "narrower than a row below it" in findings(audit(store))


def test_a_total_that_says_that_nobody_is_in_hidden_rows_is_found(store):
    day = {"window": "1d", "window_start": T0 + 2 * DAY, "table": "gender"}
    store.tables["profiles"] = [
        row({**day, "row": of, "col": ""}, n, n, 10) for of, n in (("", 70), ("f", 40), ("m", 30))
    ]
    assert "that nobody is in them" in findings(audit(store))
    store.tables["profiles"][0] = row({**day, "row": "", "col": ""}, 70, 80, 10)
    assert audit(store).passed


def test_a_breakdown_of_one_kind_is_found(store):
    store.tables["profiles"] = hand_made(
        ("", "", 24, 51), ("f", "", 24, 42), ("f/1930", "", 24, 33), ("f/1930", "o1", 24, 24)
    )
    assert "a group that may be of one kind (2 cases)" in findings(audit(store))
    store.tables["profiles"] = hand_made(("", "", 24, 51), ("f", "", 24, 42))
    assert audit(store).passed


def test_a_trip_beside_a_range_of_the_day_is_found(store):
    store.tables["profiles"] = [
        row({"window": "1d", "window_start": T0, "table": "gender", "row": "", "col": ""}, 30, 48, 10)
    ]
    assert "a trip that narrows the day's total" in findings(audit(store))
    store.tables["trips"][1].update(exact(30))
    assert audit(store).passed


# ------------------------------------------------------------------------- a second table
class Two(FakeStore):
    """Two runs of the same."""

    def __init__(self, **fields):
        super().__init__()
        self.second, self.other = dataclasses.replace(self.run, run_id="s2", **fields), FakeStore().tables

    def runs(self):
        return [self.run, self.second]

    def rows(self, product, run_id, **asked):
        held, self.tables = self.tables, self.other if run_id == "s2" else self.tables
        try:
            return super().rows(product, run_id, **asked)
        finally:
            self.tables = held


def pairs(store):
    return audit_table_pairs(store, [context(run) for run in store.runs()])


def test_the_same_tables_twice_are_no_second_release():
    report = pairs(Two(kind="live"))
    assert report.findings == [] and report.summary["table_pairs"] == 4


def test_other_settings_over_the_same_people_are():
    assert "under other settings" in findings(pairs(Two(config_hash="0")))
    assert "under other settings" in findings(audit_store(Two(config_hash="0"), all_runs=True))
    assert pairs(Two(config_hash="0", kind="workbench")).findings == []


@pytest.mark.parametrize("product", ["touches", "screens", "profiles", "trips"])
def test_other_figures_of_the_same_people_are(product):
    store = Two()
    store.other[product].remove(store.other[product][len(store.other[product]) // 2])
    assert findings(pairs(store)) == f"runs s1 and s2, {product}: tell other figures of the same people"


def test_other_devices_and_other_days_are_other_people():
    store = Two(config_hash="0")
    for product in ("touches", "screens"):
        for each in store.other[product]:
            each["device"] += "-b"
    for product in ("profiles", "trips"):
        for each in store.other[product]:
            each["window_start"] += 10 * DAY
    assert pairs(store).findings == []
