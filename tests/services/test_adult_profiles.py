"""The census as people who consented: {sex, age} as a table of its own, through the real Kafka and the command line."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks import adult
from engine.contract import Contract, Step
from flows import contracts
from flows.compacted import Writer, create
from flows.consents import TOPIC as CONSENTS
from flows.kafka import Cluster
from hitonami.audit.report import Report
from hitonami.audit.store_tables import audit_stored_tables
from hitonami.audit.stored import context
from hitonami.audit.table_rules import TableRule
from sinks.clickhouse.store import Store
from tests.realservices.kafka import Kafka
from tests.support.command import command
from tests.support.consents import Word, value

T0 = 1_770_390_000_000  # 2026-02-07T00:00:00+09:00
EVERY = 3  # person of the census: what all of them consent to, other tests would read too
TABLE, K, LEAST = "gender*birth_year", 10, 3
COMPANIES = tuple(f"census-{number}" for number in range(len(adult.SHARES)))
GRANT = frozenset({"gender", "birth_year"})
Cell = tuple[str, str]


class World:
    """Who told what by which company, who allowed it, and this test's own counts of those who did.

    One person in ten is known to two companies; one in twenty allows nothing, another one to tell their gender alone.
    Men of the oldest bands are known to the first two companies alone.
    """

    def __init__(self, people: list[dict[str, str]]) -> None:
        rng = np.random.default_rng(8)
        first = rng.choice(len(COMPANIES), len(people), p=adult.SHARES).tolist()
        also, says = rng.random(len(people)) < 0.1, rng.random(len(people))
        self.events: list[bytes] = []
        self.consents: list[tuple[bytes, bytes]] = []
        self.refused = 0
        known: defaultdict[Cell, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for number, person in enumerate(people):
            subject, born = f"census-{number}", 2026 - int(person["age"])
            sex, band = person["sex"][0].lower(), f"{born - born % 5}-{born - born % 5 + 4}"
            grant = frozenset[str]() if says[number] < 0.05 else GRANT - {"birth_year"} if says[number] < 0.1 else GRANT
            of = 2 if sex == "m" and born < 1960 else len(COMPANIES)
            for company in {first[number] % of, (first[number] + int(also[number])) % of}:
                told = {"provider": COMPANIES[company], "subject": subject, "ts": T0 + 2 * number, "zone": "odori"}
                self.events.append(json.dumps({**told, "gender": sex, "birth_year": born}).encode())
                if grant:
                    word = value(COMPANIES[company], subject, Word("granted", T0 - 1, frozenset({"policy"}), grant))
                    assert word is not None
                    self.consents.append((f"{COMPANIES[company]}/{subject}".encode(), word))
                    known[sex, band if grant == GRANT else "none"][COMPANIES[company]].add(subject)
                else:
                    self.refused += 1
        self.people = {cell: len(set().union(*of.values())) for cell, of in known.items()}
        few = {cell for cell, of in known.items() if len(of) < LEAST}
        others = {cell: n - max(map(len, known[cell].values())) for cell, n in self.people.items()}
        self.counted = {cell: n for cell, n in self.people.items() if cell not in few and others[cell] >= K}
        assert any(others[cell] >= K for cell in few)
        assert any(n >= K > others[cell] for cell, n in self.people.items() if cell not in few)

    def truth(self, row: str, col: str) -> int:
        """People who count in a cell, a total (no ``col``), or all of the table (neither)."""
        return sum(n for (sex, band), n in self.counted.items() if row in ("", sex) and col in ("", band))


def allow(kafka: Kafka, world: World) -> None:
    """Contracts of all companies, and the consents."""
    since, until = "2020-01-01T00:00:00+09:00", "2032-01-01T00:00:00+09:00"
    for company in COMPANIES:
        steps = (Step("add", 1_577_800_000_000),)
        made = Contract(company, company, ("policy",), ("profiles",), since, until, 60, "months", steps)
        contracts.publish(kafka.bootstrap, None, made.id, made.text)
    at = Cluster(kafka.bootstrap, None, CONSENTS)
    create(at)
    Writer(at).write(world.consents)


@pytest.mark.kafka
@pytest.mark.embedded
def test_sex_and_age_of_the_census_as_a_table_of_its_own(shared_data: Path, kafka: Kafka, tmp_path: Path) -> None:
    world = World(adult.records(shared_data / "arx_adult")[::EVERY])
    allow(kafka, world)
    (tmp_path / "day.jsonl").write_bytes(b"\n".join(world.events))
    zones = [{"id": "odori", "kind": "plaza"}]
    (tmp_path / "registry.json").write_text(json.dumps({"version": "1", "timezone": "Asia/Tokyo", "zones": zones}))
    (tmp_path / "config.toml").write_text(
        f'[privacy]\nphase = "self_sustaining"\n[profiles]\nk = {K}\nproviders = {LEAST}\ntables = ["{TABLE}"]\n'
    )
    store = f"chdb://{tmp_path}/store"
    settings = ("--registry", tmp_path / "registry.json", "--config", tmp_path / "config.toml")
    how = ("--events", "profiles", "--consents", kafka.bootstrap, "--run-id", "census")
    done = command("replay", tmp_path / "day.jsonl", "--store", store, *settings, *how)
    assert done.returncode == 0, done.stderr[-500:]
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["read"] == len(world.events) and summary["rejected"] == {"no_consent": world.refused}

    given = command("export", "profiles", "--store", store, "--run-id", "census", "-o", tmp_path / "rows.csv")
    assert given.returncode == 0, given.stderr[-500:]
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = {(r["row"], r["col"]): r for r in csv.DictReader(file)}
    assert {r["table"] for r in rows.values()} == {TABLE}
    for cell, r in rows.items():
        low, high, truth = int(r["n_low"]), int(r["n_high"]), world.truth(*cell)
        assert low <= truth <= high and low >= K and int(r["n"]) >= K
        assert r["status"] == ("released" if low == high else "range")
        assert int(r["n"]) == truth or low < high
    cells = {cell for cell in rows if cell[1]}
    assert cells == {cell for cell, n in world.counted.items() if n >= K} and len(cells) > 20
    assert all(rows[cell]["status"] == "released" for cell in cells)
    assert set(rows) - cells == {("", ""), ("f", ""), ("m", "")} and {("f", "none"), ("m", "none")} <= cells
    # what is not listed is hidden in [0, k - 1]: some few people, and people whom too few companies know
    left_out = Counter(n >= K for cell, n in world.people.items() if cell not in world.counted)
    assert left_out[True] > 0 and left_out[False] > 0

    with Store.open(store) as held:
        report: Report = audit_stored_tables(held, context(held.runs()[0]), TableRule())
    assert report.findings == [] and report.summary["table_rows"] == len(rows)
