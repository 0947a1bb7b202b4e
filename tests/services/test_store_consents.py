"""What supervisors may see of consents, in the store."""

from __future__ import annotations

import pytest

from sinks.clickhouse.consents import ConsentState
from sinks.clickhouse.store import Store

T = 1_770_450_000_000


@pytest.fixture(params=["server", "embedded"])
def store_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("clickhouse_url" if request.param == "server" else "chdb_url"))


@pytest.mark.clickhouse
def test_the_newest_state_of_a_run(store_url: str) -> None:
    with Store.open(store_url) as store:
        store.migrate()
        assert store.consents("people") is store.consents_told("people") is None
        first = ConsentState(T, None, True)
        later = ConsentState(
            T + 61_000, 412, False, ("stale", "malformed"), {"あ\n'": 20, "b": 0}, {"あ\n'": ["1 ja", "2 en"], "b": []}
        )
        store.put_consents("people", first)
        assert store.consents("people") == first
        assert store.consents_told("people") is None  # consents were not known yet
        store.put_consents("people", later)
        store.put_consents("people", first)  # an older one does not come back
        store.put_consents("others", ConsentState(T + 99_000, 1, False))
        assert store.consents("people") == later
        newer = ConsentState(T + 62_000, 3, True)  # of the same minute
        store.put_consents("people", newer)
        assert store.consents("people") == newer
        store.put_consents("people", ConsentState(T + 190_000, None, True))
        assert store.consents_told("people") == newer
        assert store.consents_told("new") == ConsentState(T + 99_000, 1, False)  # where it has none, the newest of all
        store.drop_run("people")
        assert store.consents("people") is None and store.consents("others") is not None
