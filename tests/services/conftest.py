"""A store to test on: the embedded ClickHouse and the real server, each test once on both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sinks.clickhouse.store import Store
from tests.services.receiver import Receiver


@pytest.fixture(params=["chdb", pytest.param("server", marks=pytest.mark.clickhouse)])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a new, empty store."""
    url: str = request.getfixturevalue("chdb_url" if request.param == "chdb" else "clickhouse_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A new store with its tables, closed at the end."""
    with Store.open(store_url) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("no_proxy", "*")
    made = Receiver()
    yield made
    made.close()
