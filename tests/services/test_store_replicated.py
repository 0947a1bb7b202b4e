"""A server of a cluster: its database and tables are replicated.

A second server to replicate with cannot be had here (libchdb has no port for other servers), so rows are not stored in
these tests: they look at what is asked of ClickHouse, and that a real one with the Keeper it has for tests takes it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from engine.model import PRODUCTS
from hitonami import doctor
from sinks.clickhouse import schema
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.store import Store
from tests.realservices.clickhouse import ClickHouse

pytestmark = pytest.mark.clickhouse

OF_A_CLUSTER = (
    "<zookeeper><implementation>testkeeper</implementation></zookeeper>"
    "<macros><shard>1</shard><replica>clickhouse-0</replica></macros>"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with ClickHouse(tmp_path_factory.mktemp("replica"), settings=OF_A_CLUSTER) as server:
        yield server


def findings(store: Store) -> list[str]:
    told: list[str] = []
    doctor.of_store(doctor.Report(told.append), store)
    return [line for line in told if line.startswith("✗") and "GiB free" not in line]


def test_a_server_of_a_cluster_is_known_by_its_macros(server: ClickHouse, clickhouse_url: str) -> None:
    with Store.open(server.url("x")) as store, Store.open(clickhouse_url) as lone:
        assert schema.in_cluster(store._connection) and not schema.in_cluster(lone._connection)


def test_clickhouse_takes_every_table_as_a_replicated_one(server: ClickHouse) -> None:
    server.query("CREATE DATABASE taken")
    creates = [s for statements in schema.migrations().values() for s in statements if s.startswith("CREATE TABLE")]
    for statement in creates:
        # a replicated database gives each table a UUID, under which Keeper holds it
        named = re.sub(r"(\{database\}\.\w+)", rf"\1 UUID '{uuid.uuid4()}'", statement, count=1)
        server.query(schema.replicated(named.replace("{database}", "taken")))
    with Store.open(server.url("taken")) as store:
        found = store._connection.rows("SELECT name, engine, engine_full FROM system.tables WHERE database = 'taken'")
        engines = {str(name): str(engine) for name, engine, _ in found}
        assert engines.keys() >= {*PRODUCTS, "runs", "registries", "contracts", "reads"} and len(found) == len(creates)
        assert set(engines.values()) == {"ReplicatedReplacingMergeTree", "ReplicatedMergeTree"}
        assert engines["flow"] == engines["runs"] == "ReplicatedReplacingMergeTree"
        whole = {str(name): str(full) for name, _, full in found}
        assert re.search(r"'\{replica\}', updated_ms\)", whole["runs"])  # the newest row of a run counts here too
        for name, statement in ((name, full) for name, full in whole.items() if "_window" in full):
            assert " non_replicated" not in statement, name
            assert "replicated_deduplication_window_seconds = 604800" in statement, name
        assert set(store.checkup().windows.values()) == {10_000}
        (line,) = findings(store)  # it was there before Hitonami came, so it is on this server alone
        assert line.startswith("✗ store: the server is one of a cluster, its database is not: ")


class Asked(Connection):
    """A connection that keeps what it is asked and answers like a server of a cluster without tables."""

    def __init__(self) -> None:
        super().__init__(None, "live", "http://x", None)
        self.statements: list[str] = []

    def command(self, sql: str, parameters: Any = None) -> None:
        self.statements.append(sql)

    def rows(self, sql: str, parameters: Any = None) -> Sequence[Sequence[Any]]:
        if "system.macros" in sql:
            return [[2]]
        return [["Replicated"]] if "system.databases" in sql else []

    def insert_json(self, *_: Any) -> None: ...


def test_a_migration_makes_a_replicated_database() -> None:
    asked = Asked()
    assert schema.migrate(asked) == list(schema.migrations())
    first, *others = asked.statements
    assert first == (
        "CREATE DATABASE IF NOT EXISTS `live` ENGINE = Replicated('/hitonami/live', '{shard}', '{replica}')"
    )
    assert {found[1] for s in others for found in re.finditer(r"ENGINE = (\w+)", s)} == {
        "ReplicatedReplacingMergeTree",
        "ReplicatedMergeTree",
    }
    assert len(others) == 1 + sum(map(len, schema.migrations().values()))
