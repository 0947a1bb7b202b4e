"""Profiles and trips through the real Kafka and the real command line: the truth, and no trace of people.

A live run is killed in mid-stream, a person withdraws while it is down, another one while two processes go on, and
nothing of anybody (no subject, no field that nobody asked for, nothing of the refused) stands in what the run writes:
store, recovery directory, logs, dead letters, topics; nor in what the page answers of it, and companies get.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message, Producer

import loadgen
from hitonami.audit.store_tables import audit_stored_tables
from hitonami.audit.stored import context
from hitonami.audit.table_rules import TableRule
from loadgen.profiles import Cell, Person, ProfileLoad
from sinks.clickhouse.store import Store
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka
from tests.support import in_process, looked
from tests.support.command import COMMAND, ROOT, command
from tests.support.topics import log

CANARIES = re.compile(rb"person-[0-9]|canary", re.IGNORECASE)
TABLE = "gender*income"
K, PROVIDERS, TRAPS, FIELD_TRAPS = 5, 3, 26, 18


def until(condition: Callable[[], bool]) -> None:
    last = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.05)


class Live:
    """``hitonami run`` as a process of its own; what it says is kept in files."""

    def __init__(self, work: Path, *words: object) -> None:
        self._work, self._command = work, [*COMMAND, "run", *map(str, words)]
        self._lives = 0

    def start(self, processes: int = 1) -> None:
        self._lives += 1
        said = self._work / f"said-{self._lives}"
        with open(f"{said}.out", "wb") as out, open(f"{said}.err", "wb") as err:
            words = [*self._command, "--processes", str(processes)]
            self.process = subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=err)
        until(lambda: b"running" in Path(f"{said}.out").read_bytes() or self.process.poll() is not None)
        assert self.process.poll() is None, Path(f"{said}.err").read_text()[-500:]

    def end(self, sign: int) -> dict[str, Any]:
        self.process.send_signal(sign)
        self.process.wait(20)
        if sign == signal.SIGKILL:
            return {}
        assert self.process.returncode == 0, (self._work / f"said-{self._lives}.err").read_text()[-500:]
        return dict(json.loads((self._work / f"said-{self._lives}.out").read_text().splitlines()[-1]))


def traps(load: ProfileLoad) -> Iterator[bytes]:
    """Events that are refused, TRAPS of them, with a canary in every field: two without consent, one without contract.

    The first FIELD_TRAPS have a value that cannot be.
    """
    known = next(person for person in load.people if "provider-0" in person.consents)
    good = {"provider": "provider-0", "subject": "canary-s", "ts": 1_770_400_000_000}
    for name in ("zone", "residence", "gender", "birth_year", "income", "household", "children", "occupation", "lang"):
        yield json.dumps({**good, name: ["canary-value"]}).encode()
        yield json.dumps({**good, name: f"canary-{name}" if name != "lang" else 3}).encode()
    yield json.dumps({**good, "provider": "canary-provider"}).encode()
    yield json.dumps({**good, "interests": ["canary-interest"], "canary-field": 1}).encode()
    yield json.dumps({**good, "type": "canary-type"}).encode()
    yield json.dumps({**good, "ts": "canary-time"}).encode()
    yield json.dumps({**good, "ts": 4_000_000_000_000, "subject": known.subject}).encode()
    yield b'{"provider":"provider-0","subject":"canary'
    yield b'{"type":"registry","registry":{"version":"canary","zones":[{"id":"canary"}]}}'
    yield json.dumps([{**good, "email": "canary@example"}, "canary"]).encode()


def send(kafka: Kafka, topic: str, values: list[tuple[bytes, bytes]]) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    for key, value in values:
        producer.produce(topic, value=value, key=key, partition=key[-1] % 2)  # of two, whatever the names hash to
    assert producer.flush(30) == 0


def with_extras(value: bytes) -> bytes:
    """The event as a careless provider sends it: with fields that nobody asked for."""
    return value[:-1] + b',"name":"canary-name","birth_date":"1984-02-03 canary","home":{"address":"canary"}}'


def keys_of(work: Path) -> list[str]:
    """Names (run, product, day) of the keys there are; the entry that tells of destroyed ones names no product."""
    return [name for name in json.loads((work / "keys" / "file").read_text()) if json.loads(name)[1]]


def hitonami(*words: object) -> str:
    """What the command says, on both streams."""
    done = command(*words)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout + done.stderr


def exported(product: str, store: str, run_id: str, work: Path, *more: str) -> list[dict[str, str]]:
    path = work / f"{product}-{run_id}.csv"
    hitonami("export", product, "--store", store, "--run-id", run_id, "-o", path, *more)
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def truth(load: ProfileLoad, without: tuple[str, ...]) -> tuple[dict[Cell, int], dict[Cell, int]]:
    """What is shown of the day: cells of the table, trips."""
    both = load.cells(0, TABLE.split("*"), without), load.trips(0, without)
    counted = [{cell: known.counted(K, PROVIDERS) for cell, known in part.items()} for part in both]
    cells, trips = ({cell: n for cell, n in part.items() if n >= K} for part in counted)
    return cells, trips


def right(load: ProfileLoad, without: tuple[str, ...], store: str, run_id: str, work: Path, *more: str) -> None:
    """What the run has stored is the truth about those who consented, but ``without``."""
    shown, trips = truth(load, without)
    got = {(r["row"], r["col"]): r for r in exported("profiles", store, run_id, work, *more)}
    assert len(shown) > 10 and {cell: int(got[cell]["n"]) for cell in shown} == shown
    assert {cell for cell in got if cell[1]} == set(shown)
    for gender in "fm":
        total = got[gender, ""]
        assert int(total["n_low"]) == sum(n for cell, n in shown.items() if cell[0] == gender) < int(total["n_high"])
    moved = {(r["from"], r["to"]): int(r["n"]) for r in exported("trips", store, run_id, work, *more)}
    assert moved == trips and len(moved) == 12


def _letter(message: Message) -> dict[str, Any]:
    return dict(json.loads(message.value() or b""))


def counted(person: Person, load: ProfileLoad, places: slice) -> int:
    """Events of a person that pass while the consent stands."""
    return sum(visit.person is person and visit.provider in person.consents for visit in load.visits[places])


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.slow
def test_a_run_of_people_who_consented(
    kafka: Kafka, clickhouse: ClickHouse, clickhouse_url: str, topic: Callable[..., str], tmp_path: Path
) -> None:
    load = ProfileLoad(seed=7, people=300)
    store, name = clickhouse_url, topic(name="profiles", partitions=2, timestamps="LogAppendTime")
    loadgen.create_topic(kafka.bootstrap, "rejects", partitions=1)  # where it is missing
    (tmp_path / "registry.json").write_text(json.dumps(load.registry()))
    (tmp_path / "config.toml").write_text(
        f'[privacy]\nphase = "self_sustaining"\n[time]\ntick_ms = 5000\n[trips]\nk = {K}\n'
        f'[profiles]\nk = {K}\ntables = ["{TABLE}"]\nkey_file = "{tmp_path}/keys/file"\n'
    )
    (tmp_path / "keys").mkdir()
    (tmp_path / "consents.jsonl").write_bytes(b"\n".join(value for _, value in load.consents()))
    hitonami("consent", "import", tmp_path / "consents.jsonl", "--kafka", kafka.bootstrap)
    for provider in load.providers:
        span = ("--from", "2026-01-01T00:00:00+09:00", "--to", "2027-01-01T00:00:00+09:00", "--report-months", "12")
        both = ("--product", "profiles", "--product", "trips", "--purpose", "policy")
        at = ("--kafka", kafka.bootstrap, "--store", store)
        hitonami("contract", "add", f"{name}-{provider}", "--company", provider, *both, *span, *at)

    leaving = next(person for person in load.people if len(person.consents) == 2)
    gone: tuple[str, ...] = (leaving.subject,)
    half, rest = len(load.visits) // 2, len(load.visits) * 3 // 4
    # whose withdrawal is seen in the rows, and of whom the day that is open knows already
    second = next(
        person
        for person in load.people
        if len(person.consents) == 1 and counted(person, load, slice(half)) and counted(person, load, slice(rest, None))
        if all(a != b for a, b in zip(truth(load, gone), truth(load, (*gone, person.subject)), strict=True))
    )
    events = [(key, with_extras(value)) for key, value in load.events()]
    at = ("--store", store, "--registry", tmp_path / "registry.json", "--config", tmp_path / "config.toml")
    how = ("--kafka", kafka.bootstrap, "--topic", name, "--events", "profiles", "--recovery", tmp_path / "recovery")
    live = Live(tmp_path, *how, *at)
    live.start()
    send(kafka, name, [*events[:half], *((b"provider-0", trap) for trap in traps(load))])
    until(lambda: bool(keys_of(tmp_path)))
    time.sleep(1.5)  # an epoch or so is kept
    live.end(signal.SIGKILL)
    for provider in leaving.consents:
        hitonami("consent", "withdraw", provider, leaving.subject, "--kafka", kafka.bootstrap)
    live.start(processes=2)
    send(kafka, name, events[half:rest])
    for provider in second.consents:  # while both processes go on, and the day is open
        hitonami("consent", "withdraw", provider, second.subject, "--kafka", kafka.bootstrap)
    send(kafka, name, events[rest:])
    recovery = [path.read_bytes() for path in (tmp_path / "recovery").rglob("*") if path.is_file()]
    keys = keys_of(tmp_path)
    until(lambda: not keys_of(tmp_path))  # destroyed when the day's rows go out
    told = live.end(signal.SIGTERM)
    refused = sum(visit.person is leaving for visit in load.visits[half:])
    known = len(events) - load.accepted()
    # what was read again after the kill, and what the second sent, is refused once the processes have heard
    after = told["rejected"]["no_consent"] - (known + refused + 2)
    assert 0 <= after <= counted(second, load, slice(None)) + counted(leaving, load, slice(half))
    assert told["read"] == len(events) + TRAPS and told["accepted"] == load.accepted() - refused - after

    gone = (leaving.subject, second.subject)
    right(load, gone, store, "live", tmp_path)
    with Store.open(store) as held:
        (run,) = held.runs()
        judged = audit_stored_tables(held, context(run), TableRule())
    assert judged.findings == [] and judged.summary["live_counters"] == 1 and 0 < run.accepted < told["accepted"]
    assert len(keys) >= 2  # there were some while the day was open

    lines = [value for _, value in events] + list(itertools.islice(traps(load), FIELD_TRAPS))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "day.jsonl").write_bytes(b"\n".join(lines))
    letters = ("--dead-letters", tmp_path / "letters.jsonl", "--consents", kafka.bootstrap)
    again = ("--run-id", "again", "--events", "profiles")
    said = hitonami("replay", tmp_path / "in" / "day.jsonl", *at, *letters, *again)
    refused_export = ("export", "profiles", "--store", store, "--run-id", "again", "-o", tmp_path / "no.csv")
    assert command(*refused_export).returncode == 2 and not (tmp_path / "no.csv").exists()  # a second release of them
    right(load, gone, store, "again", tmp_path, "--workbench")
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "letters.jsonl").read_text().splitlines()]
    assert len(reasons) == FIELD_TRAPS and "no_consent" not in reasons  # nobody is told of one by one

    contract, mask = f"{name}-provider-0", {"purpose": "policy", "product": "profiles"}
    key = in_process.hitonami("contract", "token", contract, "--kafka", kafka.bootstrap, "--store", store).split()[-1]
    by = ("--contract", contract, "--purpose", "policy")
    for product in ("profiles", "trips"):
        of = ("export", product, "--store", store, "--run-id", "live", "--format", "parquet")
        in_process.hitonami(*of, *by, "-o", tmp_path / f"{product}.parquet")
    answers = looked.page(store, "live", key, contract=contract, **mask)
    usage = in_process.hitonami("report", "usage", "--store", store, "--contract", contract)
    assert "given 3" in usage

    found = {"recovery while the day was open": b"".join(recovery), "said": (said + usage).encode()}
    found |= {f"page {route}": body for route, body in answers.items()}
    found |= {f"table {table}": held for table, held in looked.stored(store).items()}
    found |= {f"{product} as rows": looked.rows(tmp_path / f"{product}.parquet") for product in ("profiles", "trips")}
    assert all(
        TABLE.encode() in found[place]
        for place in ("page /api/profiles", "page /api/company/export", "profiles as rows")
    )
    mine = {tmp_path / "consents.jsonl", tmp_path / "in" / "day.jsonl"}
    database = store.rsplit("/", 1)[1]
    folders = clickhouse.query(f"SELECT arrayJoin(data_paths) FROM system.tables WHERE database = '{database}'").split()
    stored = [path for folder in folders for path in Path(folder).rglob("*")]
    assert any(path.suffix == ".bin" for path in stored)
    for path in [*tmp_path.rglob("*"), *stored]:
        if path.is_file() and path not in mine:
            found[str(path)] = path.read_bytes()
    letters_of = log(kafka, "rejects", 0)
    told_of = [letter["reason"] for letter in map(_letter, letters_of) if letter["topic"] == name]
    assert len(told_of) >= TRAPS - 3  # all but two without consent and one without contract
    assert not {"no_consent", "no_contract"} & {*told_of}
    for message in letters_of:
        found[f"rejects {message.offset()}"] = message.value() or b""
    assert [place for place, data in found.items() if CANARIES.search(data)] == []
    assert len(found) > 30 and any("recovery" in place for place in found)
    assert os.stat(tmp_path / "keys" / "file").st_mode & 0o777 == 0o600
