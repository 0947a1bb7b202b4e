"""What people do with alerts, over real HTTP: in whose name, what is taken, who sees it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboard.acts import SHELVED_MIN
from dashboard.trail import MOST
from sinks.clickhouse.alerts import ACTIONS, NAME_BYTES, REASON_BYTES, Action, Alert
from tests.support.desk import Desk, ended, opened
from tests.support.http import Client

BEGAN = 1_770_450_000_000
ONE = Alert(
    "20260207T070010Z-a", "dense", "density", "critical", "c1", "", "10s", BEGAN, None, "", 2.5, 2.0, "v1",
    "new", True, "", "", None, "",
)  # fmt: skip
OVER = replace(ONE, id="b", began_ms=BEGAN - 60_000, resolved_ms=BEGAN - 1, state="resolved", standing=False)
CANARY = "<img src=x onerror=alert('CANARY')>\"';--\u2028</script>"
NEEDS: dict[str, dict[str, Any]] = {
    "assign": {"owner": "ito"},
    "note": {"reason": "on the way"},
    "shelve": {"reason": "works on the stairs", "until_min": 15},
    "resolve": {"reason": "false alarm"},
}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = opened(tmp_path)
    desk.store.standing["live"] = [OVER, ONE]
    desk.store.standing["w1"] = [replace(ONE, id="w")]
    yield desk
    ended(desk)


def act(client: Client, action: str, alert: str = ONE.id, run: str = "live", **told: Any) -> tuple[int, Any]:
    told = client.post(f"/api/alerts/{alert}", {"run": run, "action": action, **told})
    return told.status, told.json()


def test_op_06_every_action_is_done_in_the_session_s_name_by_the_server_s_clock(desk: Desk):
    operator, now = desk.client("operator"), round(desk.clock.now * 1000)
    for what in ACTIONS:
        assert act(operator, what, **NEEDS.get(what, {})) == (200, {"ok": True}), what
    assert desk.store.acted == [
        Action(
            "live", ONE.id, what, "operator", now, NEEDS.get(what, {}).get("owner", ""),
            NEEDS.get(what, {}).get("reason", ""), now + 15 * 60_000 if what == "shelve" else None,
        )
        for what in ACTIONS
    ]  # fmt: skip
    assert desk.what() == [("act", "operator", what) for what in ACTIONS]
    assert {(row["run"], row["alert"]) for row in desk.trail.newest(9)} == {("live", ONE.id)}


@pytest.mark.parametrize(
    "told",
    [
        {"action": "delete"}, {"action": None}, {"action": ["note"]}, {"run": None}, {"run": 7}, {"run": "r" * 201},
        {"action": "note"}, {"action": "note", "reason": "  "}, {"action": "note", "reason": 5},
        {"action": "note", "reason": "x" * (REASON_BYTES + 1)}, {"action": "note", "reason": "a\x00b"},
        {"action": "assign"}, {"action": "assign", "owner": "あ" * (NAME_BYTES // 3 + 1)},
        {"action": "acknowledge", "owner": "ito"}, {"action": "acknowledge", "until_min": 5},
        {"action": "shelve", "reason": "x"}, {"action": "shelve", "until_min": 5},
        *({"action": "shelve", "reason": "x", "until_min": n} for n in (0, -1, SHELVED_MIN + 1, 1.5, "5", True, 1e99)),
        {"by": "supervisor"}, {"at_ms": 0}, {"until_ms": 9_999_999_999_999}, {"run_id": "live"},
    ],
)  # fmt: skip
def test_what_is_not_an_action_is_not_done(shared: Desk, told: dict[str, Any]):
    status, answer = act(shared.client("operator"), **{"action": "acknowledge", **told})
    assert status == 400 and answer.keys() == {"error"}
    assert "xxx" not in answer["error"] and "あ" not in answer["error"]
    assert shared.store.acted == shared.what() == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = opened(tmp_path_factory.mktemp("shared"))
    desk.store.standing["live"] = [ONE]
    yield desk
    ended(desk)


@pytest.mark.parametrize(("alert", "run"), [("none", "live"), (ONE.id, "none"), ("w", "live"), ("%2e%2e", "live")])
def test_an_alert_that_is_not_there_is_404_and_the_trail_says_undone(desk: Desk, alert: str, run: str):
    assert act(desk.client("operator"), "acknowledge", alert, run) == (404, {"error": "no such alert"})
    assert desk.what() == [("act", "operator", "acknowledge"), ("undone", "operator", "acknowledge")]


def test_a_store_that_does_not_answer_is_503_and_nothing_else(desk: Desk):
    operator = desk.client("operator")
    desk.store.broken = True
    assert act(operator, "acknowledge") == (503, {"error": "the store does not answer"})
    told = operator.get("/api/alerts")
    assert (told.status, told.json()) == (503, {"error": "the store does not answer"})
    assert [what for what, _, _ in desk.what()] == ["act", "undone"]


def test_without_its_trail_nothing_is_done(desk: Desk):
    operator = desk.client("operator")
    desk.trail.close()
    told = operator.post(f"/api/alerts/{ONE.id}", {"run": "live", "action": "acknowledge"})
    assert told.status == 503 and "content-security-policy" in told.headers
    assert desk.store.acted == []


def test_alerts_are_listed_newest_first_with_what_was_done(desk: Desk):
    act(desk.client("operator"), "acknowledge")
    desk.clock.now += 60
    act(desk.client("supervisor"), "note", reason="gate C")
    viewer = desk.client("viewer")
    first, second = viewer.get("/api/alerts").json()
    assert (first["id"], first["state"], first["note"]) == (ONE.id, "acknowledged", "gate C")
    at = round(desk.clock.now * 1000)
    rest = {"owner": "", "until_ms": None}
    assert first["actions"] == [
        {"action": "acknowledge", "by": "operator", "at_ms": at - 60_000, "reason": "", **rest},
        {"action": "note", "by": "supervisor", "at_ms": at, "reason": "gate C", **rest},
    ]
    assert (second["id"], second["standing"], second["actions"]) == ("b", False, [])
    assert [alert["id"] for alert in viewer.get(f"/api/alerts?run=live&since={BEGAN}").json()] == [ONE.id]
    assert viewer.get("/api/alerts?run=none").json() == []
    assert [alert["id"] for alert in desk.client("analyst").get("/api/alerts?run=w1").json()] == ["w"]
    for query in ("since=a", "since=-1", "since=", "since=9999999999999999", "since=%D9%A3", "run=" + "r" * 201):
        assert desk.client("operator").get(f"/api/alerts?{query}").status == 400, query


def test_op_06_what_one_does_is_in_the_stream_of_another_though_no_look_is_due(tmp_path: Path):
    desk = opened(tmp_path, poll_s=3600)  # so it can only be the act that makes the page look again
    desk.store.standing["live"] = [ONE]
    other = desk.client("viewer")
    connection = http.client.HTTPConnection(other.host, timeout=20)
    connection.request("GET", "/events", headers={"cookie": other.cookie})
    stream = connection.getresponse()
    assert events(stream)["alerts"][0]["state"] == "new"
    act(desk.client("operator"), "acknowledge")
    assert events(stream)["alerts"][0]["state"] == "acknowledged"
    connection.close()
    ended(desk)


def events(stream: http.client.HTTPResponse) -> Any:
    """The data of the next event that tells of alerts."""
    while True:
        line = stream.readline()
        assert line, "the stream has ended"
        if line.startswith(b"data: ") and b'"alerts"' in line:
            return json.loads(line.removeprefix(b"data: "))


def test_op_18_canaries_in_names_and_notes_are_text(desk: Desk):
    name = CANARY[:40]
    desk.users.add(name, "supervisor", "three words and more")
    client = Client(desk.server)
    assert client.login(name, "three words and more").json()["name"] == name
    desk.store.standing["live"] = [replace(ONE, id=CANARY, zone=CANARY)]
    path = "%" + "%".join(f"{byte:02x}" for byte in CANARY.replace("/", "").encode())
    desk.store.standing["live"].append(replace(ONE, id=CANARY.replace("/", "")))
    assert act(client, "note", path, reason=CANARY)[0] == 200
    assert act(client, "assign", path, owner=CANARY[:60])[0] == 200
    for asked in ("/api/alerts", "/api/audit", "/api/session"):
        told = client.get(asked)
        assert (
            told.headers["content-type"] == "application/json" and told.headers["x-content-type-options"] == "nosniff"
        )
        assert name in json.dumps(told.json(), ensure_ascii=False).replace('\\"', '"'), asked
    noted = client.get("/api/alerts").json()
    assert [action["reason"] for alert in noted for action in alert["actions"]] == [CANARY, ""]
    assert CANARY not in "".join(row["detail"] for row in desk.trail.newest(MOST))  # notes stand in the store alone
