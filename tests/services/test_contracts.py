"""Contracts through the command line, a real Kafka and both stores: who may read, who is refused, what is told."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Producer

from benchmarks import refusal
from dashboard import company, governance
from engine.contract import Contracts
from engine.errors import BadInput, CheckFailed, ServiceUnreachable, UsageError
from flows import contracts
from flows.compacted import create
from flows.kafka import Cluster
from sinks import files
from sinks.clickhouse.company import Ask
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.store import Store
from tests.realservices.kafka import Kafka
from tests.services.released import T0, flow, run, table
from tests.services.test_live_replay import COMMAND, ROOT
from tests.support.in_process import hitonami

CANARY = "7c0ffee7canary"
VALID = ("--from", "2020-01-01T00:00:00+09:00", "--to", "2120-01-01T00:00:00+09:00", "--report-months", 120)
DAY = 86_400_000
_numbers = itertools.count(1)

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


class Desk:
    """A filled store, a contract of its own in the session's topic, and the commands on both."""

    def __init__(self, kafka: Kafka, url: str, directory: Path) -> None:
        self.kafka, self.url, self.directory = kafka, url, directory
        self.id = f"acme-{next(_numbers)}"
        self.company = f"company of {self.id}"
        self.both = ("--kafka", kafka.bootstrap, "--store", url)

    def add(self, *more: object) -> str:
        mask = ("--purpose", "policy", "--product", "flow", "--product", "profiles")
        return hitonami("contract", "add", self.id, "--company", self.company, *mask, *VALID, *self.both, *more)

    def act(self, act: str, *more: object) -> str:
        return hitonami("contract", act, self.id, *self.both, *more)

    def words(self, name: str = "x.csv", *more: object, product: str = "flow", run: str = "live") -> tuple[object, ...]:
        file = ("-o", self.directory / name)
        by = ("--contract", self.id, "--purpose", "policy")
        return ("export", product, "--store", self.url, "--run-id", run, *file, *by, *more)

    def refused(self, *words: object) -> str:
        """The reason; no file is there, and the last row of the chain says the same."""
        with pytest.raises(CheckFailed) as found:
            hitonami(*words)
        assert list(self.directory.glob("x*")) == []
        reason = str(found.value).removeprefix("this read is refused: ")
        assert self.told()[-1] == ("refused", reason, 0)
        return reason

    def told(self) -> list[tuple[str, str, int]]:
        """Outcome, reason and rows of every row of the chain."""
        with Store.open(self.url) as store:
            return [(link.outcome, link.reason, link.rows) for link in store.reads()]

    def in_topic(self) -> Contracts:
        """All contracts as the flow reads them."""
        known = Contracts()
        reader = contracts.reading(self.kafka.bootstrap, None, known)
        reader.wait()
        reader.close()
        return known


def opened(kafka: Kafka, url: str, directory: Path) -> Desk:
    with Store.open(url) as store:
        store.migrate()
        for name, kind in (("live", "live"), ("second", "workbench")):
            store.start_run(run(name, kind=kind, config='{"flow":{"k":5},"profiles":{"purpose":"policy"}}'))
            store.insert(flow("u", *(("1h", T0 + i, "j1", "ab", 7, 7, 7, "released", None) for i in range(5))), name)
        rows = [("1d", T0 + i * DAY, "gender", f"{CANARY} {i}", "", 12, 12, 12, "released") for i in range(3)]
        store.insert(table("profiles", "u", *rows), "live")
    (directory / "out").mkdir()
    create(Cluster(kafka.bootstrap, None, contracts.TOPIC))
    return Desk(kafka, url, directory / "out")


@pytest.fixture
def desk(kafka: Kafka, clickhouse_url: str, tmp_path: Path) -> Desk:
    return opened(kafka, clickhouse_url, tmp_path)


def test_a_company_reads_what_its_contract_says_and_all_of_it_is_told(
    kafka: Kafka, store_url: str, tmp_path: Path
) -> None:
    desk = opened(kafka, store_url, tmp_path)
    assert desk.add() == f"{desk.id}: added\n"
    assert hitonami(*desk.words("a.csv")) == "5 rows\n"
    assert hitonami(*desk.words("b.parquet", "--format", "parquet", product="profiles")) == "3 rows\n"
    hitonami("export", "flow", "--store", desk.url, "--run-id", "live", "-o", desk.directory / "city.csv")
    assert (desk.directory / "a.csv").read_bytes() == (desk.directory / "city.csv").read_bytes()
    assert desk.told() == [("given", "", 5), ("given", "", 3)]  # the city's own export is not in it
    assert desk.refused(*desk.words("x.csv", "--purpose", CANARY)) == "purpose"

    chain = json.loads(hitonami("audit", "chain", "--store", desk.url))
    usage = ("report", "usage", "--store", desk.url, "--contract", desk.id, "--head", chain["head"])
    told = json.loads(hitonami(*usage, "--json"))
    assert chain["rows"] == 3 and told["chain"] == chain
    connection = Connection.open(desk.url)
    totals = connection.rows(
        "SELECT countIf(outcome = 'given'), sumIf(rows, outcome = 'given'), countIf(outcome = 'refused')"
        f" FROM {connection.table('reads')} WHERE contract = {{id:String}}",
        {"id": desk.id},
    )
    everything = str(connection.rows(f"SELECT * FROM {connection.table('reads')}"))
    connection.close()
    assert (told["given"], told["rows"], told["refused"]) == tuple(totals[0]) == (2, 8, 1)
    assert told["products"] == [
        {"product": "flow", "purpose": "policy", "given": 1, "rows": 5},
        {"product": "profiles", "purpose": "policy", "given": 1, "rows": 3},
    ]
    assert told["refusals"] == {"purpose": 1}
    lines = hitonami(*usage).splitlines()
    assert lines[1] == "given 2, 8 rows; refused 1"
    assert "flow for policy: 1 given, 5 rows" in lines and "refused as purpose: 1" in lines
    assert lines[-1] == f"the chain holds 3 rows, its head is {chain['head']}"
    none = json.loads(hitonami(*usage, "--json", "--to", "2026-02-07T00:00:00Z"))
    assert (none["given"], none["rows"], none["refused"], none["first"]) == (0, 0, 0, None)
    assert desk.company in everything and CANARY not in everything  # no value of a row, nothing that was typed


def test_every_refusal_is_told_without_what_was_typed(desk: Desk) -> None:
    desk.add()
    assert hitonami(*desk.words("a.csv", "--company", desk.company, "--from", "2026-02-07T00:00:00Z")) == "5 rows\n"
    assert desk.refused(*desk.words("x.csv", "--purpose", "disaster_support")) == "purpose"
    assert desk.refused(*desk.words("x.csv", product="zones")) == "product"
    assert desk.refused(*desk.words("x.csv", "--company", CANARY)) == "third_party"
    assert desk.refused(*desk.words("x.csv", "--contract", CANARY)) == "no_contract"
    assert desk.refused(*desk.words("x.csv", run=CANARY)) == "unknown_run"
    assert desk.refused(*desk.words("x.csv", "--workbench", run="second")) == "workbench"
    with pytest.raises(UsageError, match="names --contract and --purpose"):
        hitonami("export", "flow", "--store", desk.url, "--run-id", "live", "-o", "x", "--purpose", "policy")
    for words in (("audit", "chain"), ("report", "usage", "--contract", desk.id)):
        with pytest.raises(UsageError, match="SEQ:HASH"):
            hitonami(*words, "--store", desk.url, "--head", f"1:{CANARY}")
    connection = Connection.open(desk.url)
    rows = connection.rows(f"SELECT * FROM {connection.table('reads')}")
    assert len(rows) == 7 and CANARY not in str(rows)
    change = "UPDATE rows = 6 WHERE seq = 1 SETTINGS mutations_sync = 2"
    connection.command(f"ALTER TABLE {connection.table('reads')} {change}")
    connection.close()
    for words in (("audit", "chain"), ("report", "usage", "--contract", desk.id)):
        with pytest.raises(CheckFailed, match="chain of reads: row 1 was changed"):
            hitonami(*words, "--store", desk.url)
    with pytest.raises(UsageError, match="--store"):
        hitonami("audit")


def test_a_bar_holds_for_the_next_read_and_in_the_flow(desk: Desk) -> None:
    desk.add()
    hitonami(*desk.words("a.csv"))
    now = T0 + 300 * DAY

    def flow_says() -> str | None:
        return desk.in_topic().refusal(desk.company, "profiles", "policy", now)

    assert flow_says() is None
    assert desk.act("correct", "--why", "no report") == f"{desk.id}: correction_ordered\n"
    hitonami(*desk.words("a.csv"))
    assert desk.act("suspend") == f"{desk.id}: suspended\n"
    assert desk.refused(*desk.words()) == flow_says() == "suspended"
    assert desk.act("reinstate") == f"{desk.id}: active\n"
    hitonami(*desk.words("a.csv"))
    assert desk.act("leak") == f"{desk.id}: suspended\n"
    assert desk.act("leak") == f"{desk.id}: suspended already\n"
    assert desk.refused(*desk.words()) == flow_says() == "suspended"
    assert desk.act("expel") == f"{desk.id}: expelled\n"
    assert desk.refused(*desk.words()) == flow_says() == "expelled"
    for act in ("report", "correct", "reinstate", "leak", "token"):
        with pytest.raises(UsageError, match="no legal move in state expelled"):
            desk.act(act)
    shown = json.loads(hitonami("contract", "show", desk.id, "--store", desk.url))
    assert [step["act"] for step in shown["steps"]] == ["add", "correct", "suspend", "reinstate", "leak", "expel"]
    assert (shown["state"], shown["steps"][1]["why"]) == ("expelled", "no report")
    (row,) = [json.loads(line) for line in hitonami("contract", "list", "--store", desk.url).splitlines()]
    assert (row["id"], row["state"], row["next_report_due"]) == (desk.id, "expelled", "2029-12-31T15:00:00.000Z")
    assert [outcome for outcome, _, _ in desk.told()] == ["given", "given", "refused", "given", "refused", "refused"]


def test_what_failed_half_way_is_mended_by_the_same_command(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise ServiceUnreachable("Kafka away")

    with monkeypatch.context() as broken:
        broken.setattr(contracts, "publish", away)
        with pytest.raises(ServiceUnreachable, match="the same command again"):
            desk.add()
    assert desk.in_topic().get(desk.id) is None
    desk.add()
    assert desk.in_topic().get(desk.id) is not None
    with pytest.raises(UsageError, match="says something else"):
        desk.add("--product", "trips")
    with monkeypatch.context() as broken:
        broken.setattr(contracts, "publish", away)
        with pytest.raises(ServiceUnreachable, match="the same command again"):
            desk.act("leak")
    assert desk.refused(*desk.words()) == "suspended"  # the store has it: no read waits for Kafka
    assert desk.in_topic().all() and desk.in_topic().refusal(desk.company, "flow", "policy", T0) is None
    assert desk.act("leak") == f"{desk.id}: suspended already\n"
    assert desk.in_topic().refusal(desk.company, "flow", "policy", T0) == "suspended"
    with pytest.raises(ServiceUnreachable):
        hitonami("contract", "reinstate", desk.id, "--kafka", desk.kafka.bootstrap, "--store", "http://127.0.0.1:9/x")
    assert desk.in_topic().refusal(desk.company, "flow", "policy", T0) == "suspended"


def test_changes_at_the_same_time_lose_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody suspends the company between a report's look at the store and its write."""
    desk.add()
    put, others = Store.put_contract, iter([True])

    def late(store: Store, name: str, version: int, record: str) -> bool:
        if next(others, False):
            newest = store.contracts().get(name)
            assert newest is not None and put(store, name, version, newest.moved("leak", T0 + 400 * DAY).text())
        return put(store, name, version, record)

    monkeypatch.setattr(Store, "put_contract", late)
    assert desk.act("report") == f"{desk.id}: suspended\n"
    (made,) = [made for made in desk.in_topic().all() if made.id == desk.id]
    assert [step.act for step in made.steps] == ["add", "leak", "report"]


def test_a_stray_record_in_the_topic_is_mended_as_operations_says(desk: Desk) -> None:
    """Nobody knows whose it is, so it bars all; the store knows of none of that id."""
    desk.add()

    def write(key: str | bytes, value: bytes | None) -> None:
        producer = Producer({"bootstrap.servers": desk.kafka.bootstrap, "log_level": 0})
        producer.produce(contracts.TOPIC, value, key)
        assert producer.flush(30) == 0

    def all_are_barred() -> bool:
        found = desk.in_topic()
        barred = found.refusal(desk.company, "flow", "policy", T0) == "unreadable"
        assert barred == found.bars_all == (contracts.stray(found) != "")
        return barred

    stray = f"stray of {desk.id}"
    write(stray, b"{")
    assert all_are_barred()
    with pytest.raises(UsageError, match=f"no contract {stray}"):
        hitonami("contract", "report", stray, *desk.both)
    mask = ("--purpose", "policy", "--product", "flow")
    over = ("--from", "2199-01-01T00:00:00Z", "--to", "2199-02-01T00:00:00Z", "--report-months", 1)
    hitonami("contract", "add", stray, "--company", "nobody", *mask, *over, *desk.both)
    assert not all_are_barred()
    assert hitonami(*desk.words("a.csv")) == "5 rows\n"
    typos = [start + desk.id.encode() for start in (b"\xff", b"\xfe")]  # keys that can be no ids
    write(typos[0], b"{")
    write(typos[1], None)
    assert all_are_barred()
    write(typos[0], None)
    assert not all_are_barred()
    write(desk.id, None)
    assert desk.in_topic().refusal(desk.company, "flow", "policy", T0) == "unreadable"
    desk.add()
    assert desk.in_topic().refusal(desk.company, "flow", "policy", T0) is None


def test_nothing_is_handed_out_to_a_company_suspended_while_it_reads(desk: Desk) -> None:
    desk.add()
    path = desk.directory / "x.csv"
    with Store.open(desk.url) as store:
        read = store.company_read(Ask(desk.id, "policy", "flow", "live"), lambda: T0)
        desk.act("leak")
        with pytest.raises(CheckFailed, match="suspended"):
            files.export(store.slices("flow", "live"), "flow", "csv", path, window_column=True, before=read.given)
    assert list(desk.directory.iterdir()) == []
    assert desk.told() == [("refused", "suspended", 0)]


def test_a_token_is_shown_once_and_stands_nowhere(desk: Desk) -> None:
    desk.add()
    told = [desk.act("token").splitlines()[-1] for _ in range(2)]
    assert len(set(told)) == 2 and all(len(token) >= 43 for token in told)
    with Store.open(desk.url) as store:
        (known,) = store.contracts().all()
    assert known.token and known == desk.in_topic().get(desk.id)
    assert not any(token in known.text() for token in told)
    assert json.loads(hitonami("contract", "show", desk.id, "--store", desk.url))["token"] is True


def test_a_record_of_another_id_is_nobodys_to_any_reader(desk: Desk) -> None:
    """A row says that it is desk's contract, with more steps and another key, and before the suspension."""
    desk.add()
    token = desk.act("token").splitlines()[-1]
    with Store.open(desk.url) as store:
        own = store.contracts().get(desk.id)
        assert own is not None
        foreign = own.moved("report", T0 + 400 * DAY)
        for _ in range(4):
            foreign = foreign.moved("token", T0 + 400 * DAY, token=hashlib.sha256(CANARY.encode()).hexdigest())
        desk.act("leak")
        assert store.put_contract("b", 1, foreign.text())
        assert [company._is_key(store, desk.id, key) for key in (token, CANARY)] == [True, False]
        told = governance.contracts(store, T0)
        assert [(one["id"], one["state"]) for one in told["contracts"]] == [(desk.id, "suspended")]
        assert told["unreadable"] == 1
    at = ("--store", desk.url)
    (row,) = [json.loads(line) for line in hitonami("contract", "list", *at).splitlines()]
    shown = json.loads(hitonami("contract", "show", desk.id, *at))
    assert (row["state"], shown["state"]) == ("suspended", "suspended")
    assert desk.act("report") == f"{desk.id}: suspended\n"
    shown = json.loads(hitonami("contract", "show", desk.id, *at))
    assert [step["act"] for step in shown["steps"]] == ["add", "token", "leak", "report"]


def test_what_cannot_be_a_contract_is_refused_and_stored_nowhere(desk: Desk) -> None:
    add = ("contract", "add", desk.id, "--company", "a", *VALID, *desk.both)
    with pytest.raises(BadInput, match="purposes must be some of"):
        hitonami(*add, "--purpose", CANARY, "--product", "flow")
    with pytest.raises(BadInput, match="products must be some of"):
        hitonami(*add, "--purpose", "policy", "--product", CANARY)
    with pytest.raises(UsageError, match="one of --report-months and --report-days"):
        hitonami(*add, "--purpose", "policy", "--product", "flow", "--report-days", 9)
    with pytest.raises(UsageError, match="no contract"):
        desk.act("leak")
    with Store.open(desk.url) as store:
        assert store.contracts().all() == []
    assert desk.in_topic().get(desk.id) is None


def test_exports_at_once_are_one_chain_and_a_refusal_is_exit_1(desk: Desk) -> None:
    desk.add()
    asked = [desk.words("0.csv"), desk.words("1.csv"), desk.words("x.csv", product="zones")]
    begun = [
        subprocess.Popen([*COMMAND, *map(str, words)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for words in asked
    ]
    ended = [(one.communicate(timeout=120), one.returncode) for one in begun]
    assert ended[:2] == [((b"5 rows\n", b""), 0)] * 2
    assert ended[2] == ((b"", b"hitonami: this read is refused: product\n"), 1)
    assert sorted(path.name for path in desk.directory.iterdir()) == ["0.csv", "1.csv"]
    assert sorted(desk.told()) == [("given", "", 5)] * 2 + [("refused", "product", 0)]


def test_the_measurement_of_a_suspension(kafka: Kafka, clickhouse_url: str) -> None:
    """A smoke of benchmarks/refusal.py on the session's services; the clock is for the machine that measures."""
    with Store.open(clickhouse_url) as store:
        store.migrate()
    told = refusal.measured(kafka.bootstrap, clickhouse_url, 1)  # it looks at every answer and every row itself
    assert (told["times"], told["reason"], told["given_after_return"]) == (1, "suspended", 0)
    assert told["reads"] >= told["refused"] and told["audit_rows"] == told["refused"] > 1
    assert 0 <= told["from_act_s"]["p100"] < told["from_start_s"]["p100"]
