"""The audit of a store: it passes what the engine makes and finds what was tampered with."""

import dataclasses
import json
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from engine import registry
from engine.config import Config
from engine.errors import UsageError
from engine.fast import _release
from engine.model import END, NO_TIME, WINDOWS
from hitonami.audit import Rule, audit_store, settings_of
from sinks.clickhouse.reader import schema_of
from sinks.clickhouse.store import Run, Store
from tests.services.released import released
from tests.support import engine_run

RULE = Rule(carry=_release.carry)


def findings(report):
    return "\n".join(report.findings)


HOUR_MS = 3_600_000
T0 = 1_770_447_600_000  # 2026-02-07T16:00:00+09:00
APPROVED = [{"from": "2026-01-01T00:00:00Z", "to": None}]


def gate(name, a, b, leaf, delay_s=0):
    return {"id": name, "a": a, "b": b, "leaf": leaf, "delay_s": delay_s}


def sensor(name, of, reporting="on_change"):
    return {
        "id": name, "kind": "counter", "gate": of, "approved": APPROVED, "reporting": reporting, "beat_s": 60,
    }  # fmt: skip


DOCUMENT = {
    "version": "v1",
    "timezone": "Asia/Kolkata",  # hours begin at half past, UTC
    "zones": [{"id": "plaza", "kind": "plaza"}, {"id": "hall", "kind": "walkway"}],
    "gates": [gate("g1", "plaza", None, "10s"), gate("g2", "plaza", "hall", "1m", 30), gate("g3", "hall", None, "1h")],
    "sensors": [sensor("s1", "g1"), sensor("s2", "g2", "heartbeat"), sensor("s3", "g3")],
}
LEAVES = {g["id"]: g["leaf"] for g in DOCUMENT["gates"]}


@cache
def events(seed, first=0, last=3 * HOUR_MS):
    """Three hours of crossings; the sensor of g2 is silent in the second."""
    rng = np.random.default_rng(seed)
    log = []
    for name, mean_ms in (("s1", 4_000), ("s2", 20_000), ("s3", 60_000)):
        at = 0
        while (at := at + int(rng.exponential(mean_ms)) + 1) < 3 * HOUR_MS:
            way = ("ab", "ba", None)[int(rng.integers(0, 20)) // 9]
            if name != "s2" or not HOUR_MS <= at < 2 * HOUR_MS:
                log.append((at, {"sensor": name, "type": "cross", "dir": way}))
    beats = [t for t in range(0, 3 * HOUR_MS, 60_000) if not HOUR_MS <= t < 2 * HOUR_MS]
    log += [(t, {"sensor": "s2", "type": "heartbeat"}) for t in beats]
    log.sort(key=lambda item: item[0])
    return [(json.dumps(r | {"ts": T0 + t}).encode(), None) for t, r in log if first <= t < last]


@cache
def made(seed=1, first=0, last=3 * HOUR_MS, k=5):
    result = engine_run.run(DOCUMENT, [events(seed, first, last)], Config({"flow": {"k": k}}))
    return json.dumps(result.rows)


class FakeStore:
    """Runs and their rows in memory, in the types in which the store gives them; rows can be tampered with."""

    def __init__(self):
        self.held, self.tables, self.registries = {}, {}, {"v1": json.dumps(DOCUMENT)}

    def put(self, run_id="r1", seed=1, first=0, last=3 * HOUR_MS, k=5, **fields):
        self.tables[run_id] = json.loads(made(seed, first, last, k))
        config = Config({"flow": {"k": k}})
        base = {
            "run_id": run_id, "kind": "replay", "config": config.as_json(), "config_hash": config.hash(),
            "registry_version": "v1", "registry_hash": registry.parse(json.dumps(DOCUMENT).encode()).hash,
            "code_version": "0", "timezone": DOCUMENT["timezone"], "leaves": LEAVES, "gate_delay_ms": 30_000,
            "first_ms": T0 + first, "last_ms": T0 + last, "closed_ms": END, "state": "finished",
        }  # fmt: skip
        self.held[run_id] = Run(**(base | fields))
        return self

    def runs(self):
        return list(self.held.values())

    def registry(self, version):
        return self.registries.get(version)

    def rows(self, product, run_id, *, window=None, start_ms=None, end_ms=None):
        rows = self.tables[run_id].get(product, [])
        if window is not None:
            low, high = -END if start_ms is None else start_ms, END if end_ms is None else end_ms
            rows = [r for r in rows if r["window"] == window and low <= r["window_start"] < high]
        more = {"run_id": run_id, "registry_version": "v1", "revision": 0}
        return pa.Table.from_pylist([more | r for r in rows], schema=schema_of(product))

    def one(self, product, run_id="r1", **cells):
        """The first row with these cells."""
        rows = self.tables[run_id][product]
        return next(r for r in rows if all(r[name] == value for name, value in cells.items()))


@pytest.fixture
def store():
    return FakeStore().put()


def audit(store, run_ids=("r1",), all_runs=False):
    return audit_store(store, run_ids, all_runs, RULE)


def test_what_the_engine_stores_passes(store):
    report = audit(store)
    assert report.findings == []
    rows = store.tables["r1"]
    assert report.summary["stored_runs"] == len(rows["runs_of_flow"]) > 300
    assert report.summary["flow_rows"] == len(rows["flow"]) > 3_000
    assert report.summary["zone_rows"] == len(rows["zones"]) > 100
    assert {r["status"] for r in rows["flow"]} == {"unknown", "released", "suppressed", "range"}
    assert {r["window"] for r in rows["flow"]} == set(WINDOWS)
    assert report.as_dict()["passed"] is True


@pytest.mark.embedded
def test_the_real_store_passes(store, tmp_path):
    """The same rows through the embedded ClickHouse: types, time zones and selections are as the audit reads them."""
    with Store.open(f"chdb:///{tmp_path}/store") as real:
        real.migrate()
        real.start_run(store.held["r1"])
        real.put_registry("v1", store.held["r1"].registry_hash, store.registries["v1"])
        for product, rows in store.tables["r1"].items():
            columns = list(schema_of(product).names)[:-3]
            real.insert(released(product, "u", [[row[name] for name in columns] for row in rows]), "r1")
        assert audit(real, all_runs=True).as_dict() == audit(store, all_runs=True).as_dict()


def test_the_settings_of_the_runs_are_told_each_once(store):
    store.put("r2", k=10).put("r3", k=5)
    broken = dataclasses.replace(store.held["r2"], run_id="r4", config="{}")
    store.held["r4"] = broken
    assert settings_of(store, ["r1", "r2", "r3", "r4"]) == ((5, 1), (10, 1))
    assert settings_of(store, ["r2"]) == ((5, 1), (10, 1))  # of headings, of flow
    assert settings_of(store, ["r4"]) == settings_of(FakeStore(), []) == ((5, 1),)


def test_exact_counts_pass_where_they_were_asked_for():
    config = Config({"flow": {"k": 1, "guard": 0}})
    store = FakeStore().put(config=config.as_json(), config_hash=config.hash())
    store.tables["r1"] = engine_run.run(DOCUMENT, [events(1)], config).rows
    assert audit(store).findings == []


def test_a_run_without_any_rows_passes(store):
    store.tables["r1"] = {}
    assert audit(store).findings == []


def tamper(product, change, **cells):
    def apply(store):
        change(store.one(product, **cells), store.tables["r1"][product])

    return apply


def put(**cells):
    return lambda row, rows: row.update(cells)


def more(**cells):
    return lambda row, rows: rows.append(row | cells)


def shifted(column, by):
    return lambda row, rows: row.update({column: row[column] + by})


def widened(row, rows):
    row.update(n_low=row["n_low"] - 1, n_high=row["n_high"] + 1)


def without_the_next(row, rows):
    rows.remove(next(r for r in rows if r["run_start"] == row["run_end"] and r["direction"] == row["direction"]))


RUN, FLOW, ZONE = "runs_of_flow", "flow", "zones"
TAMPERED = {
    "a small run": (tamper(RUN, put(n=5), gate="g1"), "a run of fewer than K = 6"),
    "another run": (tamper(RUN, shifted("n", 1), gate="g1"), "not what the runs imply"),
    "a gap": (tamper(RUN, without_the_next, gate="g1"), "does not begin where"),
    "an overlap": (tamper(RUN, shifted("run_end", 10_000), gate="g1"), "does not begin where"),
    "a run backwards": (tamper(RUN, lambda row, rows: row.update(run_end=row["run_start"])), "ends before it begins"),
    "an edge in a pane": (tamper(RUN, shifted("run_start", 1_000), gate="g1", run_start=T0), "inside a pane"),
    "an edge in a minute": (tamper(RUN, shifted("run_end", -10_000), gate="g2"), "inside a pane"),
    "a strange gate": (tamper(RUN, more(gate="g9")), "a gate that the run does not have"),
    "narrowed": (tamper(FLOW, shifted("n_low", 1), status="range"), "first g"),
    "widened": (tamper(FLOW, widened, status="range"), "not what the runs imply"),
    "n off the middle": (tamper(FLOW, shifted("n", 1), status="range"), "not what the runs imply"),
    "a told suppressed n": (tamper(FLOW, put(n=3), status="suppressed"), "a hidden row tells its count"),
    "a told zero": (tamper(FLOW, put(n=0, n_high=0, status="released"), status="suppressed"), "below K = 6"),
    "a small range": (tamper(FLOW, put(n_low=1, n_high=4), status="suppressed"), "fewer than 5 possible"),
    "a small n": (tamper(FLOW, put(n=2, n_low=2, n_high=2), status="released"), "below K = 6"),
    "an inexact n": (tamper(FLOW, shifted("n_low", -1), status="released"), "not exact"),
    "unknown with figures": (tamper(FLOW, put(n_low=0, n_high=5), status="unknown"), "unknown row with figures"),
    "known without coverage": (tamper(FLOW, put(coverage=0.0), status="range"), "not what the runs imply"),
    "a row twice": (tamper(FLOW, more()), "the same row twice"),
    "below the leaf": (tamper(FLOW, more(window="10s"), gate="g2", window="1m"), "rows of gate g2"),
    "a zone's sum": (tamper(ZONE, shifted("inflow_low", 1), status="range"), "sum of its gates"),
    "a zone's n": (tamper(ZONE, shifted("outflow", 1), status="range", window="1h"), "sum of its gates"),
    "a zone's status": (tamper(ZONE, put(status="released"), status="range"), "sum of its gates"),
    "half a sum": (tamper(ZONE, put(inflow_low=0, inflow_high=5), status="unknown"), "sum of its gates"),
    "a strange zone": (tamper(ZONE, more(zone="attic")), "a zone without gates"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found(store, name):
    change, words = TAMPERED[name]
    change(store)
    assert words in findings(audit(store))


def test_findings_name_places_and_no_values(store):
    store.one(FLOW, status="range").update(n=777_777)
    report = audit(store)
    assert report.findings
    assert "777" not in findings(report)
    assert all("\n" not in line for line in report.findings)


def test_a_range_as_in_a_mutant_of_the_rule_is_found(store):
    """The rows of a store that was written with hi(t) one too small."""
    for row in store.tables["r1"]["flow"]:
        if row["status"] in ("range", "suppressed"):
            row["n_high"] -= 1
    assert "not what the runs imply" in findings(audit(store))


def test_windows_still_being_written_are_left_alone(store):
    """A live run: what ends later than its known watermark may come in parts."""
    limit = T0 + HOUR_MS
    late = [r for r in store.tables["r1"]["flow"] if r["window"] == "10s" and r["window_start"] > limit]
    for row in late:
        row["n_low"] = 99
    for row in store.tables["r1"]["zones"]:
        if row["window_start"] > limit:
            row["inflow_low"] = 99
    assert not audit(store).passed
    store.held["r1"] = dataclasses.replace(store.held["r1"], kind="live", state="running", closed_ms=limit)
    report = audit(store)
    assert report.findings == []
    assert 0 < report.summary["flow_rows"] < len(store.tables["r1"]["flow"])
    store.held["r1"] = dataclasses.replace(store.held["r1"], closed_ms=NO_TIME)
    assert audit(store).summary["flow_rows"] == 0


def test_a_registry_that_is_missing_or_replaced_is_told(store):
    store.registries = {"v1": json.dumps(DOCUMENT | {"gates": DOCUMENT["gates"][:1]})}
    assert "zones were not checked" in findings(audit(store))
    store.registries = {}
    assert "zones were not checked" in findings(audit(store))


def test_settings_that_cannot_be_read_are_told(store):
    store.held["r1"] = dataclasses.replace(store.held["r1"], config="{}")
    assert audit(store).findings == ["run r1: its settings cannot be read"]


def test_an_unknown_run_is_a_usage_error(store):
    with pytest.raises(UsageError, match="no run nosuch"):
        audit(store, ["nosuch"])


def test_all_runs_looks_at_each(store):
    store.put("r2", kind="live").one(FLOW, "r2", status="range").update(n=0)
    assert "run r2, flow" in findings(audit(store, all_runs=True))
    assert audit(store).passed


# ------------------------------------------------------------------------------- a second release
def pairs(store):
    return [line for line in audit(store, all_runs=True).findings if line.startswith("runs ")]


def test_the_same_log_under_the_same_settings_is_no_second_release(store):
    store.put("r2", kind="live")
    report = audit(store, all_runs=True)
    assert report.findings == []
    assert report.summary["run_pairs"] == 1


def test_a_shorter_replay_from_the_same_start_is_none(store):
    rows = store.put("r2", last=5 * HOUR_MS // 2).tables["r2"]
    assert 100 < len(rows["runs_of_flow"]) < len(store.tables["r1"]["runs_of_flow"])
    assert pairs(store) == []


def test_other_settings_over_the_same_people_are(store):
    store.put("r2", k=7)
    assert "under other settings" in findings(audit(store, all_runs=True))
    store.put("r2", k=7, kind="workbench")
    assert pairs(store) == []


def test_another_registry_over_the_same_people_is(store):
    store.put("r2", registry_hash="0" * 64)
    assert any("under other settings" in line for line in pairs(store))


def test_a_replay_that_begins_later_carries_the_same_people_twice(store):
    store.put("r2", first=HOUR_MS // 2)
    found = pairs(store)
    assert len(found) == 1
    assert "into other runs" in found[0]


def test_runs_that_share_no_time_or_no_gate_are_apart(store):
    store.put("r2", k=7, first_ms=T0 + 4 * HOUR_MS, last_ms=T0 + 5 * HOUR_MS)
    store.put("r3", k=7, leaves={"other": "10s"})
    store.put("r4", k=7, first_ms=None, last_ms=None)
    assert [line for line in pairs(store) if "r1" in line] == []


def test_the_world_of_the_store_tests_has_what_they_need():
    """Runs of one pane and of many, of every leaf, so that a re-run moves people."""
    rows = json.loads(made())["runs_of_flow"]
    for name, length in (("g1", 10_000), ("g2", 60_000), ("g3", HOUR_MS)):
        spans = [r["run_end"] - r["run_start"] for r in rows if r["gate"] == name]
        assert spans and all(span % length == 0 for span in spans)
        assert name == "g3" or max(spans) > length
    starts = sorted(r["run_start"] for r in rows if (r["gate"], r["direction"]) == ("g1", "ab"))
    assert all(a < b for a, b in pairwise(starts))
