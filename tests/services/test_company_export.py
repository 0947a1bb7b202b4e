"""What a company gets from the page's server by its key, and what it does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.app import create_app
from dashboard.door import PER_ADDRESS
from dashboard.feed import Feed
from dashboard.serve import serve
from engine.model import PRODUCTS, WINDOWS
from sinks import files
from sinks.clickhouse.store import Store
from tests.services.released import T0, TABLES, flow, run, table
from tests.support.contracts import contract
from tests.support.http import Answer, Client

KEY = "a key that is long enough"
NOW = T0 + 86_400_000 * 90  # in May: valid, and no report is due


class Desk:
    def __init__(self, store: Store, client: Client, feed: Feed) -> None:
        self.store, self.client, self.feed = store, client, feed

    def ask(self, query: str, key: str | None = KEY) -> Answer:
        more = {} if key is None else {"authorization": f"Bearer {key}"}
        return self.client.get(f"/api/company/export?{query}", **more)

    def told(self) -> list[tuple[str, str, int]]:
        return [(link.outcome, link.reason, link.rows) for link in self.store.reads()]


@pytest.fixture
def desk(chdb_url: str) -> Iterator[Desk]:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    with Store.open(chdb_url) as store:
        store.migrate()
        store.start_run(run("live", kind="live"))
        store.start_run(run("second", kind="workbench"))
        rows = [(window, T0, "j1", "ab", 7, 7, 7, "released", None) for window in WINDOWS]
        store.insert(flow("u", *rows), "live")
        made = contract(id="a", products=["flow"]).moved("token", T0, token=digest)
        store.put_contract("a", 1, contract(id="a", products=["flow"]).text())
        store.put_contract("a", 2, made.text())
        store.put_contract("b", 1, contract(id="b", company="b").text())  # without a key
        app = create_app(store, clock=lambda: NOW / 1000)
        server = serve(app, "127.0.0.1", 0)
        yield Desk(store, Client(server), app.state.feed)
        server.stop()


def test_the_bytes_are_those_of_an_export(desk: Desk, tmp_path: Path) -> None:
    for query, choice in (("", {}), ("&window=1h", {"window": "1h"}), (f"&from={T0 + 1}", {"start_ms": T0 + 1})):
        told = desk.ask(f"contract=a&purpose=policy&product=flow&run=live{query}")
        rows = desk.store.slices("flow", "live", **choice)  # type: ignore[arg-type]
        files.export(rows, "flow", "csv", tmp_path / "x", window_column="window" not in choice)
        assert (told.status, told.body) == (200, (tmp_path / "x").read_bytes())
        assert told.headers["cache-control"] == "no-store"
    shown = desk.ask("contract=a&purpose=policy&product=flow&format=parquet")
    assert shown.status == 200 and shown.body[:4] == b"PAR1"
    assert desk.told() == [("given", "", 6), ("given", "", 1), ("given", "", 0), ("given", "", 6)]


def test_refusals_are_told_with_their_reason(desk: Desk) -> None:
    for query, reason in (
        ("contract=a&purpose=policy&product=trips&run=live", "product"),
        ("contract=a&purpose=disaster_support&product=flow&run=live", "purpose"),
        ("contract=a&purpose=policy&product=flow&run=none", "unknown_run"),
        ("contract=a&purpose=policy&product=flow&run=second", "workbench"),
    ):
        told = desk.ask(query)
        assert (told.status, told.json()) == (403, {"error": reason})
        assert desk.told()[-1] == ("refused", reason, 0)
    newest = desk.store.contracts().get("a")
    assert newest is not None
    desk.store.put_contract("a", 3, newest.moved("leak", NOW).text())
    told = desk.ask("contract=a&purpose=policy&product=flow&run=live")
    assert (told.status, told.json()) == (403, {"error": "suspended"})
    assert len(desk.told()) == 5


PRO = {"profiles": "profiles"}
ASKED_FOR = {"profiles": {"purpose": "policy"}, "trips": {"purpose": "disaster_support"}}


def everything(desk: Desk) -> None:
    """Contract e: all products, both purposes, and desk's key."""
    made = contract(id="e", products=sorted(PRODUCTS), purposes=["policy", "disaster_support"])
    desk.store.put_contract("e", 1, made.text())
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    desk.store.put_contract("e", 2, made.moved("token", T0, token=digest).text())


def test_people_s_rows_are_given_for_the_purpose_that_they_consented_to(desk: Desk) -> None:
    everything(desk)
    desk.store.start_run(run("pro", PRO, kind="live", config=json.dumps(ASKED_FOR)))
    for product, right, wrong in (
        ("profiles", "policy", "disaster_support"),
        ("trips", "disaster_support", "policy"),
    ):
        desk.store.insert(table(product, "u", (*TABLES[product], 12, 12, 12, "released")), "pro")
        asked = f"contract=e&product={product}&run=pro&purpose="
        assert desk.ask(asked + right).status == 200
        assert desk.told()[-1] == ("given", "", 1)
        told = desk.ask(asked + wrong)
        assert (told.status, told.json()) == (403, {"error": "purpose"})
        assert desk.told()[-1] == ("refused", "purpose", 0)
    for number, config in enumerate(("", "{}", "[]", '{"profiles":1}', '{"profiles":{}}')):  # none tells
        desk.store.start_run(run(f"odd{number}", PRO, kind="live", config=config))
        told = desk.ask(f"contract=e&product=profiles&run=odd{number}&purpose=policy")
        assert (told.status, told.json()) == (403, {"error": "purpose"})
    assert desk.ask("contract=e&product=flow&run=live&purpose=disaster_support").status == 200  # nobody was asked


def test_without_a_run_each_product_comes_from_its_own_stream(desk: Desk) -> None:
    everything(desk)
    asked = "contract=e&purpose=policy&product="
    told = desk.ask(asked + "touches")
    assert (told.status, told.json()) == (403, {"error": "unknown_run"})  # not an empty file
    config = json.dumps({name: {"purpose": "policy"} for name in ("profiles", "trips")})
    desk.store.start_run(run("pro", PRO, kind="live", config=config, started_ms=T0 + 1))
    desk.store.start_run(run("sign", {"device d1": "signage"}, kind="replay", started_ms=T0 + 2))
    for product, of in (("profiles", "pro"), ("trips", "pro"), ("touches", "sign"), ("screens", "sign")):
        desk.store.insert(table(product, "u", (*TABLES[product], 12, 12, 12, "released")), of)
    for pinned in (None, "live"):  # the page shows one run of people, or the newest
        desk.feed.run_id = pinned
        for product in TABLES:
            assert desk.ask(asked + product).status == 200
            assert desk.told()[-1] == ("given", "", 1)
        assert desk.ask(asked + "flow").status == 200
        assert desk.told()[-1] == ("given", "", 6)
    runs = ["sign", "sign", "pro", "pro"]  # in the order of TABLES
    assert [link.run for link in desk.store.reads() if link.rows == 1] == runs * 2


def test_a_record_that_cannot_be_read_bars_as_long_as_it_is_the_newest(desk: Desk) -> None:
    """Contract x of the same company, or of nobody knows whom; each read finds it anew."""
    good = "contract=a&purpose=policy&product=flow&run=live"
    held = contract(id="x").text()
    desk.store.put_contract("x", 1, held)
    assert desk.ask(good).status == 200
    for version, broken in ((2, contract(id="y").text()), (4, "{")):
        assert desk.store.put_contract("x", version, broken)
        told = desk.ask(good)
        assert (told.status, told.json()) == (403, {"error": "unreadable"})
        assert desk.store.put_contract("x", version + 1, held)
        assert desk.ask(good).status == 200


def test_a_contract_whose_row_was_lost_takes_the_same_step_again(desk: Desk) -> None:
    connection = desk.store._connection
    stored, where = connection.table("contracts"), "WHERE id = 'a' AND version = 2"
    first = contract(id="a", products=["flow"])
    for act in ("leak", "correct"):  # not the record that was lost: its token is used up all the same
        connection.command(f"ALTER TABLE {stored} DELETE {where} SETTINGS mutations_sync = 2")
        made = first.moved(act, NOW).text()
        for _ in range(2):
            assert desk.store.put_contract("a", 2, made)
        assert not desk.store.put_contract("a", 2, first.moved("report", NOW).text())
        assert [tuple(row) for row in connection.rows(f"SELECT record FROM {stored} {where}")] == [(made,)]


def test_without_the_right_key_nothing_is_looked_at(desk: Desk) -> None:
    good = "contract=a&purpose=policy&product=flow&run=live"
    others = [(good.replace("=a", f"={name}"), KEY) for name in ("b", "c")]
    for query, key in ((good, None), (good, ""), (good, KEY + "x"), *others):
        told = desk.ask(query, key)
        assert (told.status, told.json()) == (401, {"error": "key"})
    assert desk.client.get(f"/api/company/export?{good}", authorization=f"Basic {KEY}").status == 401
    assert desk.told() == []
    tries = [desk.ask(good, "wrong").status for _ in range(PER_ADDRESS[0])]
    assert tries.count(401) == PER_ADDRESS[0] - 6
    assert desk.ask(good).status == 429
    assert desk.told() == []


def test_what_is_asked_for_must_be_something(desk: Desk) -> None:
    for query, word in (
        ("purpose=policy&product=flow", "contract"),
        ("contract=a&product=flow", "purpose"),
        ("contract=a&purpose=policy", "product"),
        ("contract=a&purpose=policy&product=none", "product"),
        ("contract=a&purpose=policy&product=flow&format=xml", "format"),
        ("contract=a&purpose=policy&product=flow&window=2h", "window"),
        ("contract=a&purpose=policy&product=alerts&window=1h", "window"),
        ("contract=a&purpose=policy&product=flow&from=5&to=5", "from"),
    ):
        told = desk.ask(query)
        assert (told.status, told.json()) == (400, {"error": word})
    assert desk.told() == []
