"""How long rows are kept: by their own time, per product; what they were made by stays."""

from __future__ import annotations

import time

from engine.model import PRODUCTS
from sinks.clickhouse.alerts import Action
from sinks.clickhouse.store import Store
from tests.services.released import (
    TABLES,
    alert_row,
    alerts,
    flow,
    headings,
    released,
    run,
    runs_of_flow,
    table,
    zone_row,
    zones,
)

DAY = 86_400_000
NOW = int(time.time() * 1000) // DAY * DAY
OLD, NEW, FAR = NOW - 100 * DAY, NOW - 2 * DAY, 5_600_000_000_000  # in the year 2147: behind what 32 bits hold
KEPT = dict.fromkeys(PRODUCTS, 0)


def fill(store: Store) -> None:
    store.put_registry("v1", "h1", "{}")
    store.start_run(run("r1", kind="live"))
    for at in (-2_000_000_000_000, OLD, NEW, FAR):  # the first in the year 1906
        store.insert(flow(f"{at}", ("10s", at, "j1", "ab", 7, 7, 7, "released", 1.0)), "r1")
        store.insert(zones(f"{at}", zone_row("10s", at, "c1")), "r1")
        store.insert(released("health", f"{at}", [("1m", at, "s1", "ok", at)]), "r1")
        store.insert(runs_of_flow(f"{at}", ("j1", "ab", at, at + 10, 7)), "r1")
        store.insert(headings(f"{at}", ("1m", at, "c1", 7, 7, 7, 7, "released", 315.0, 1.0)), "r1")
        for product, (window, _, *names) in TABLES.items():
            store.insert(table(product, f"{at}", (window, at, *names, 12, 12, 12, "released")), "r1")
        store.insert(alerts(f"{at}", alert_row(f"a{at}", at)), "r1")
        store.act(Action("r1", f"a{at}", "acknowledge", "sato", at))
        store.insert(released("rejects", f"{at}", [(at, "s1", "late", 7)]), "r1")


def merge(store: Store) -> None:
    """What ClickHouse does by itself within hours."""
    for product in (*PRODUCTS, "alert_actions"):
        store._connection.command(f"OPTIMIZE TABLE {store._connection.table(product)} FINAL")


def left(store: Store) -> dict[str, int]:
    merge(store)
    return {product: len(store.rows(product, "r1")) for product in PRODUCTS}


def test_old_rows_go_product_by_product(store: Store) -> None:
    fill(store)
    assert store.keep(KEPT) == []
    assert left(store) == dict.fromkeys(PRODUCTS, 4)
    assert store.keep({**KEPT, "flow": 50, "zones": 200}) == ["flow", "zones"]
    assert left(store) == dict.fromkeys(PRODUCTS, 4) | {"flow": 2, "zones": 3}
    assert store.keep({**KEPT, "flow": 50, "zones": 200}) == []
    assert store.run("r1") is not None and store.registry("h1") == "{}"


def test_what_was_done_with_alerts_goes_with_them(store: Store) -> None:
    fill(store)
    assert store.keep({**KEPT, "alerts": 50}) == ["alerts"]
    assert left(store) == {**dict.fromkeys(PRODUCTS, 4), "alerts": 2}
    assert [action.at_ms for action in store.actions("r1")] == [NEW, FAR]


def test_what_is_kept_for_ever_again_stays(store: Store) -> None:
    store.keep(dict.fromkeys(PRODUCTS, 50))
    assert store.keep(KEPT) == list(PRODUCTS)
    fill(store)
    assert left(store) == dict.fromkeys(PRODUCTS, 4)


def test_a_migration_leaves_it_as_it_is(store: Store) -> None:
    store.keep({**KEPT, "flow": 50})
    store.migrate()
    assert store.keep({**KEPT, "flow": 50}) == []
