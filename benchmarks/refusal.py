"""How long a company that is suspended can still read.

    python -m benchmarks.refusal [--times 20] [--json]

Everything is on this machine: Kafka, ClickHouse, the page's server, and a company that reads flow from it with its key,
50 times a second at the most. Time after time a supervisor suspends the company, by ``hitonami contract suspend`` and
by ``hitonami contract leak`` in turn, and reinstates it. Told is when the first read was answered by a refusal::

    command begins ── makes its step ── the store has it ── the topic has it ── it returns
    reads      given             given           refused            refused        refused
    └───────────── from_start_s ─────────────────┘
                       └── from_act_s ───────────┘       from_return_s: 0, refused before

and how long ``hitonami export`` of the company, begun when the command has returned, takes to be refused. Every answer
is looked at, and so is the chain of reads: a row for each refusal, with its reason.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.services import HITONAMI, ROOT, machine, new_store, percentiles, tell
from flows import contracts
from flows.compacted import create
from flows.kafka import Cluster
from sinks.clickhouse.store import Store
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka
from tests.services.released import T0, flow, run
from tests.support.in_process import hitonami

CONTRACT, COMPANY, ROWS = "measured", "the company that is measured", 100
ASKED = f"/api/company/export?contract={CONTRACT}&purpose=policy&product=flow"
VALID = ("--from", "2020-01-01T00:00:00+09:00", "--to", "2120-01-01T00:00:00+09:00", "--report-months", 120)
PAUSE_S, PATIENCE_S = 0.02, 30.0
GIVEN = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A read: when it was begun and answered (seconds), and why it was refused (GIVEN: it was not)."""

    begun_s: float
    ended_s: float
    refusal: str


class Company(threading.Thread):
    """Reads without a break, until it is enough."""

    def __init__(self, host: str, key: str) -> None:
        super().__init__(daemon=True)
        self._host, self._headers = host, {"authorization": f"Bearer {key}"}
        self.enough = threading.Event()
        self.answers: list[Answer] = []

    def run(self) -> None:
        """Ask again and again."""
        while not self.enough.wait(PAUSE_S):
            begun_s, connection = time.time(), http.client.HTTPConnection(self._host, timeout=PATIENCE_S)
            connection.request("GET", ASKED, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            refusal = GIVEN if answer.status == 200 else f"{answer.status} {json.loads(body)['error']}"
            self.answers.append(Answer(begun_s, time.time(), refusal))

    def first(self, refused: bool, since_s: float) -> Answer:
        """Wait for the first answer, of a read begun or under way at that second, that is a refusal, or is none."""
        until = time.time() + PATIENCE_S
        while time.time() < until:
            found = [a for a in list(self.answers) if a.ended_s >= since_s and (a.refusal != GIVEN) == refused]
            if found:
                return found[0]
            time.sleep(PAUSE_S)
        raise SystemExit("no read was refused" if refused else "no read was given")


def measured(bootstrap: str, url: str, times: int) -> dict[str, Any]:
    """Suspend and reinstate so often. ``url``: a store with its tables, without contracts and reads."""
    both = ("--kafka", bootstrap, "--store", url)
    create(Cluster(bootstrap, None, contracts.TOPIC))
    with Store.open(url) as store:
        store.start_run(run("live", kind="live"))
        store.insert(flow("u", *(("1h", T0 + i, "j1", "ab", 7, 7, 7, "released", None) for i in range(ROWS))), "live")
    mask = ("--company", COMPANY, "--purpose", "policy", "--product", "flow")
    hitonami("contract", "add", CONTRACT, *mask, *VALID, *both)
    key = hitonami("contract", "token", CONTRACT, *both).splitlines()[-1]
    page = subprocess.Popen([*HITONAMI, "dashboard", "--store", url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert page.stdout is not None
    company = Company(page.stdout.readline().strip().removeprefix("http://"), key)
    spans: list[tuple[float, float, float, float]] = []  # command began, returned; refused; export refused
    try:
        company.start()
        for number in range(times):
            spans.append(_one(company, both, "leak" if number % 2 else "suspend"))
            reinstated_s = time.time()
            hitonami("contract", "reinstate", CONTRACT, *both)
            company.first(False, reinstated_s)
    finally:
        company.enough.set()
        company.join(PATIENCE_S)
        page.terminate()
        page.wait(PATIENCE_S)
    return _told(company.answers, spans, url)


def _one(company: Company, both: tuple[str, ...], act: str) -> tuple[float, float, float, float]:
    """Suspend the company while it reads; see ``spans``."""
    if act == "suspend":
        hitonami("contract", "correct", CONTRACT, *both)
    company.first(False, time.time())
    began_s = time.time()
    subprocess.run([*HITONAMI, "contract", act, CONTRACT, *both], cwd=ROOT, check=True)
    returned_s = time.time()
    with tempfile.TemporaryDirectory() as folder:
        by = ("--contract", CONTRACT, "--purpose", "policy", "--company", COMPANY)
        words = ["export", "flow", "--store", both[-1], "--run-id", "live", "-o", str(Path(folder, "x.csv")), *by]
        done = subprocess.run([*HITONAMI, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
        exported_s = time.time()
        if done.returncode != 1 or "refused: suspended" not in done.stderr or list(Path(folder).iterdir()):
            raise SystemExit(f"the export was not refused: {done.returncode} {done.stderr[-200:]}")
    return began_s, returned_s, company.first(True, began_s).ended_s, exported_s


def _told(answers: list[Answer], spans: list[tuple[float, float, float, float]], url: str) -> dict[str, Any]:
    """The figures. Ends the script where a read after a suspension was given, or the chain tells something else."""
    refusals = Counter(answer.refusal for answer in answers if answer.refusal != GIVEN)
    if set(refusals) != {"403 suspended"}:
        raise SystemExit(f"reads were refused for other reasons: {sorted(refusals)}")
    late = [a for a in answers for _, returned_s, _, done_s in spans if returned_s <= a.begun_s and a.ended_s <= done_s]
    given_after = sum(answer.refusal == GIVEN for answer in late)
    with Store.open(url) as store:
        links = list(store.reads())  # verified row by row
        known = store.contracts().get(CONTRACT)
    acts = [] if known is None else [step.at_ms / 1000 for step in known.steps if step.act in ("suspend", "leak")]
    rows = Counter((link.outcome, link.reason) for link in links)
    expected = {("refused", "suspended"): refusals.total() + len(spans), ("given", ""): len(answers) - refusals.total()}
    if rows != expected or given_after:
        raise SystemExit(f"{given_after} reads after a suspension were given; the chain has {rows}, not {expected}")
    return {
        "times": len(spans),
        "reads": len(answers),
        "refused": refusals.total() + len(spans),
        "audit_rows": rows["refused", "suspended"],
        "reason": "suspended",
        "given_after_return": given_after,
        "from_start_s": percentiles(refused_s - began_s for began_s, _, refused_s, _ in spans),
        "from_act_s": percentiles(span[2] - at_s for span, at_s in zip(spans, acts, strict=True)),
        "from_return_s": percentiles(max(0.0, refused_s - returned_s) for _, returned_s, refused_s, _ in spans),
        "export_s": percentiles(exported_s - returned_s for _, returned_s, _, exported_s in spans),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as server:
            told = measured(kafka.bootstrap, new_store(server, "bench"), chosen.times)
    tell({**machine(), **told}, chosen.json)


if __name__ == "__main__":
    main()
