"""The audit of stored headings: it passes what the engine makes and finds what was tampered with."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from engine import registry
from engine.config import Config
from engine.fast import _release
from engine.model import END
from hitonami.audit import Report, Rule, audit_store, settings_of
from tests.support.stays import CELL, LABELS, Story, tell
from tests.support.stays import Rule as Settings
from tests.unit.test_audit_store import FakeStore, put, shifted, tamper
from tests.unit.test_headings import HOUR, LINE, START, document, tracker

RULE = Rule(carry=_release.carry)
DOCUMENT = document(tracker("t1"), tracker("t2", "c2", reporting="heartbeat"))


@cache
def made(k: int = 6, seed: int = 1, later: bool = True) -> str:
    """Three hours of stays; t2 is silent in the second; and half an hour two days ``later``."""
    rng = np.random.default_rng(seed)
    cells = [*range(START, START + 3 * HOUR, CELL)]
    cells += range(START + 48 * HOUR, START + 48 * HOUR + HOUR // 2, CELL) if later else ()
    story = Story(active=cells)
    for cell in cells:
        busy = 40 if START + HOUR <= cell < START + HOUR + 600_000 else 1
        for sensor, zone in (("t1", "c1"), ("t2", "c2")):
            people = rng.poisson(busy * np.array([0.5, 0.1, 0.02, 0, 0.3, 0.01, 0.05, 1.5]))
            story.stays += [(cell, sensor, zone, sector, n) for sector, n in enumerate(people.tolist()) if n]
        if not START + HOUR <= cell < START + 2 * HOUR:
            story.heard.append((cell, "t2", CELL))
    return json.dumps(tell(DOCUMENT, [story], Settings(k, 2_000)).rows)


class Store(FakeStore):
    """A run with headings alone."""

    def __init__(self, k: int = 5, guard: int = 1, seed: int = 1) -> None:
        super().__init__()
        config = Config({"headings": {"k": k, "guard": guard}})
        version = registry.parse(json.dumps(DOCUMENT).encode())
        self.put(
            config=config.as_json(), config_hash=config.hash(), registry_hash=version.hash, timezone="Asia/Tokyo",
            leaves={"g1": "10s"}, first_ms=START, last_ms=START + 49 * HOUR,
        )  # fmt: skip
        self.registries = {"v1": json.dumps(DOCUMENT)}
        self.tables["r1"] = {"headings": json.loads(made(k + guard, seed))}


def audit(store: FakeStore) -> Report:
    return audit_store(store, ["r1"], False, RULE)


@pytest.mark.parametrize(("k", "guard"), [(5, 1), (1, 0), (2, 0), (10, 2)])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_engine_makes_passes(k: int, guard: int, seed: int) -> None:
    store = Store(k, guard, seed)
    report = audit(store)
    assert report.findings == []
    rows = store.tables["r1"]["headings"]
    assert report.summary["heading_rows"] == len(rows) > 2_000
    assert {r["window"] for r in rows} == set(LABELS)
    told = {"unknown", "released"} | ({"suppressed", "range"} if k > 1 else set())
    assert {r["status"] for r in rows} == told
    assert (k, guard) in settings_of(store, ["r1"])


def without(row: Any, rows: Any) -> None:
    rows.remove(row)


def minute(change: Any, status: str = "range") -> Any:
    return tamper("headings", change, status=status, window="1m", zone="c1")


def longer(window: str, change: Any) -> Any:
    return tamper("headings", change, status="range", window=window)


TAMPERED = {
    "narrowed": (minute(shifted("n_low", 1)), "no runs of K people imply"),
    "wider than runs leave": (minute(shifted("n_high", 7)), "no runs of K people imply"),
    "a small n": (minute(put(n=2, n_low=2, n_high=2, status="released"), "suppressed"), "below K = 6"),
    "a told suppressed n": (minute(put(n=3), "suppressed"), "tells its count"),
    "n off the middle": (longer("1h", shifted("n", 1)), "not what the rows of a minute imply"),
    "an hour of others": (longer("1h", shifted("n_low", 1)), "not what the rows of a minute imply"),
    "unknown with figures": (tamper("headings", put(n_low=0, n_high=5), status="unknown"), "unknown row with figures"),
    "half known": (tamper("headings", put(status="suppressed", n_low=0, n_high=5), status="unknown"), "in some of its"),
    "another way": (minute(shifted("mean_heading", 0.01)), "not what the sectors come to"),
    "another strength": (minute(put(resultant_length=0.5)), "not what the sectors come to"),
    "no way": (minute(put(mean_heading=None)), "not what the sectors come to"),
    "a sector too few": (minute(without), "eight sectors"),
    "a strange sector": (minute(put(sector=8)), "a sector that there is not"),
    "a zone without": (longer("5m", put(zone="c9")), "none of a minute"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found(name: str) -> None:
    store = Store()
    change, words = TAMPERED[name]
    change(store)
    assert words in "\n".join(audit(store).findings)


def test_a_day_of_others_is_found() -> None:
    store = Store()
    store.tables["r1"] = {"headings": json.loads(made(later=False))}
    assert audit(store).findings == []
    longer("1d", shifted("n_high", 5))(store)
    assert "headings 1d: a row is not what the rows of a minute imply" in "\n".join(audit(store).findings)


def test_rows_of_a_mutant_of_the_rule_are_found() -> None:
    """Written with hi(t) one too small, with K - 1, or by plain n < k."""
    for change in (lambda r: r.update(n_high=r["n_high"] - 1), lambda r: r.update(n_low=r["n"], n_high=r["n"])):
        store = Store()
        for row in store.tables["r1"]["headings"]:
            if row["status"] == "range":
                change(row)
        assert "no runs of K people imply" in "\n".join(audit(store).findings)
    store = Store()
    store.tables["r1"] = {"headings": json.loads(made(5))}
    assert not audit(store).passed


def test_headings_of_people_whom_a_gate_counts_are_found() -> None:
    store = Store()
    lined = document(tracker("t1", None), tracker("t2", "c2", reporting="heartbeat"), line=LINE)
    store.registries = {"v1": json.dumps(lined)}
    fresh = registry.parse(json.dumps(lined).encode()).hash
    store.held["r1"] = dataclasses.replace(store.held["r1"], registry_hash=fresh)
    assert "has no headings in the registry" in "\n".join(audit(store).findings)


def test_windows_still_being_written_are_left_alone() -> None:
    store, limit = Store(), START + HOUR
    for row in store.tables["r1"]["headings"]:
        if row["window_start"] >= limit - 60_000:
            row["n_low"] = 99
    assert not audit(store).passed
    store.held["r1"] = dataclasses.replace(store.held["r1"], kind="live", state="running", closed_ms=limit + 30_000)
    report = audit(store)
    assert report.findings == [] and report.summary["heading_rows"] > 0
    store.held["r1"] = dataclasses.replace(store.held["r1"], closed_ms=END)
    assert not audit(store).passed


def test_two_carries_over_the_same_people_are_found() -> None:
    store = Store()
    store.held["r2"] = dataclasses.replace(store.held["r1"], run_id="r2", kind="live")
    store.tables["r2"] = json.loads(json.dumps(store.tables["r1"]))

    def pairs() -> list[str]:
        return [line for line in audit_store(store, [], True, RULE).findings if line.startswith("runs ")]

    assert pairs() == []
    store.tables["r2"] = {"headings": json.loads(made(6, 2))}
    assert pairs() == ["runs r1 and r2: cut the same people of a zone into other runs of headings (2 cases)"]
    for name in ("r1", "r2"):  # without a gate in common
        store.held[name] = dataclasses.replace(store.held[name], leaves={name: "10s"})
    assert len(pairs()) == 1
    store.held["r2"] = dataclasses.replace(store.held["r2"], first_ms=START + 60 * HOUR, last_ms=START + 61 * HOUR)
    assert pairs() == []
