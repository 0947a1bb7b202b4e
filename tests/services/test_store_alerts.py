"""Alerts as people see them: what the log says and what operators do, both only ever appended, joined when read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.errors import UsageError
from sinks.clickhouse import alerts as stored
from sinks.clickhouse.alerts import ACTIONS, Action
from sinks.clickhouse.store import Store
from tests.services.released import T0, alert_row, alerts, run

MINUTE = 60_000
NOW = T0 + 3_600_000


def action(what: str, at_ms: int = NOW, alert: str = "a", by: str = "sato", **told: Any) -> Action:
    """An action with what it needs."""
    needs: dict[str, dict[str, Any]] = {
        "assign": {"owner": "ito"},
        "note": {"reason": "on the way"},
        "shelve": {"reason": "works on the stairs", "until_ms": at_ms + MINUTE},
        "resolve": {"reason": "false alarm"},
    }
    return Action("r1", alert, what, by, at_ms, **{**needs.get(what, {}), **told})


@pytest.fixture
def filled(store: Store) -> Store:
    """Alert a stands, b has ended."""
    store.start_run(run("r1", kind="live"))
    store.insert(
        alerts(
            "u",
            alert_row("a", T0, severity="critical"),
            alert_row("b", T0 + MINUTE, kind="flow", gate="g1", value=None),
            alert_row("b", T0 + 2 * MINUTE, "resolved", T0 + MINUTE),
        ),
        "r1",
    )
    return store


def the(store: Store, name: str = "a") -> stored.Alert:
    return next(alert for alert in store.alerts("r1") if alert.id == name)


def test_without_actions_it_is_what_the_log_says(filled: Store) -> None:
    a, b = filled.alerts("r1")
    assert a == stored.Alert(
        "a", "dense", "density", "critical", "c1", "", "10s", T0, None, "", 2.5, 2.0, "v1",
        "new", True, "", "", None, "",
    )  # fmt: skip
    assert (b.id, b.gate, b.value, b.resolved_ms, b.reason) == ("b", "g1", None, T0 + 2 * MINUTE, "recovered")
    assert (b.state, b.standing) == ("resolved", False)
    assert filled.alerts("r1", standing=True) == [a]
    assert filled.alerts("r1", since_ms=T0 + 1) == [b]
    assert filled.alerts("other") == []


def test_the_worst_and_newest_come_first(store: Store) -> None:
    rows = [
        alert_row("w1", T0),
        alert_row("i", T0 + 9, severity="info"),
        alert_row("c", T0, severity="critical"),
        alert_row("w2", T0 + 1),
    ]
    store.insert(alerts("u", *rows), "r1")
    assert [alert.id for alert in store.alerts("r1")] == ["c", "w2", "w1", "i"]


def test_of_too_many_that_stand_the_worst_are_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sensors of a whole city are lost behind a crush that stands already."""
    monkeypatch.setattr(stored, "MOST", 3)
    rows = [alert_row("crush", T0, severity="critical"), alert_row("i", T0 + 99, severity="info")]
    rows += [alert_row(f"lost{n}", T0 + n, kind="sensor_loss") for n in range(1, 5)]
    store.insert(alerts("u", *rows), "r1")
    told = ["crush", "lost4", "lost3"]
    assert [alert.id for alert in store.alerts("r1", standing=True)] == told
    assert [alert.id for alert in stored.standing_at(store.alert_changes("r1", T0, T0 + 100), [])] == told
    monkeypatch.setattr(stored, "MOST_OF_SPAN", 3)
    assert {row["id"] for row in store.alert_changes("r1", T0 + 99, T0 + 100)} == set(told)
    assert [alert.id for alert in store.alerts("r1")] == ["lost4", "lost3", "i"]  # the newest, as a list of the past


def test_a_life_cycle(filled: Store) -> None:
    assert the(filled).state == "new"
    filled.act(action("acknowledge"))
    assert the(filled).state == "acknowledged"
    filled.act(action("assign", NOW + 1))
    filled.act(action("assign", NOW + 2, owner="kato"))
    filled.act(action("note", NOW + 3))
    filled.act(action("note", NOW + 4, reason="gate C opened, 開けた"))
    alert = the(filled)
    assert (alert.state, alert.owner, alert.note) == ("acknowledged", "kato", "gate C opened, 開けた")
    filled.act(action("shelve", NOW + 5))
    alert = the(filled)
    assert (alert.shelved_until_ms, alert.shelved_for) == (NOW + 5 + MINUTE, "works on the stairs")
    filled.act(action("unshelve", NOW + 6))
    assert (the(filled).shelved_until_ms, the(filled).shelved_for) == (None, "")
    filled.act(action("resolve", NOW + 7))
    alert = the(filled)
    assert (alert.state, alert.standing, alert.resolved_ms) == ("resolved", True, None)  # its condition holds
    assert filled.alerts("r1", standing=True) == [alert]
    filled.act(action("reopen", NOW + 8))
    assert the(filled).state == "acknowledged"
    filled.act(action("resolve", NOW + 9))
    assert the(filled).state == "resolved"
    filled.insert(alerts("later", alert_row("a", T0 + 5 * MINUTE, "resolved", T0)), "r1")
    alert = the(filled)
    assert (alert.state, alert.standing, alert.owner) == ("resolved", False, "kato")


def test_nothing_is_overwritten_and_a_repeat_is_the_same_action(filled: Store) -> None:
    done = [action("note", NOW), action("note", NOW, by="ito"), action("note", NOW + 1), action("acknowledge", NOW + 1)]
    for one in done:
        filled.act(one)
        filled.act(one)
    assert sorted(filled.actions("r1"), key=repr) == sorted(done, key=repr)
    assert filled._connection.rows("SELECT count() FROM " + filled._connection.table("alert_actions"))[0][0] == len(
        done
    )
    assert filled.actions("r1", ["b"]) == []
    assert [a.at_ms for a in filled.actions("r1", ["a"])] == [NOW, NOW, NOW + 1, NOW + 1]


def test_what_was_done_survives_a_restart_and_goes_with_its_run(store_url: str) -> None:
    with Store.open(store_url) as store:
        store.migrate()
        store.start_run(run("r1"))
        store.insert(alerts("u", alert_row("a", T0)), "r1")
        store.act(action("shelve"))
    with Store.open(store_url) as store:
        assert store.actions("r1") == [action("shelve")]
        store.drop_run("r1")
        assert store.actions("r1") == [] and store.alerts("r1") == []


@pytest.mark.parametrize("what", ACTIONS)
def test_every_action_comes_back(filled: Store, what: str) -> None:
    filled.act(action(what))
    assert filled.actions("r1") == [action(what)]


def test_an_alert_that_is_not_there_takes_no_action(filled: Store) -> None:
    with pytest.raises(UsageError, match=r"^alerts: the run has no such alert$"):
        filled.act(action("acknowledge", alert="zz"))
    assert filled.actions("r1") == []


@pytest.mark.parametrize(
    ("what", "told", "fault"),
    [
        ("open", {}, "no such action; there are acknowledge, assign, note, shelve, unshelve, resolve, reopen"),
        ("acknowledge", {"by": " "}, "acknowledge needs who does it"),
        ("acknowledge", {"by": "x" * 65}, "who does it has at most 64 bytes"),
        ("assign", {"owner": ""}, "assign needs an owner"),
        ("note", {"reason": ""}, "note needs a reason"),
        ("note", {"reason": "x" * 2001}, "a reason has at most 2000 bytes"),
        ("shelve", {"reason": ""}, "shelve needs a reason"),
        ("resolve", {"reason": "\n"}, "resolve needs a reason"),
        ("note", {"owner": "ito"}, "only assign names an owner"),
        ("shelve", {"until_ms": None}, "shelve, and only shelve, has a time until which"),
        ("note", {"until_ms": NOW + 1}, "shelve, and only shelve, has a time until which"),
        ("shelve", {"until_ms": NOW}, "it can be shelved until a later time only"),
    ],
)
def test_an_action_has_what_it_needs_and_nothing_else(what: str, told: dict[str, Any], fault: str) -> None:
    with pytest.raises(UsageError, match=f"^alerts: {fault}$"):
        action(what, **told)


def test_edits_of_thresholds_are_told_with_author_time_before_and_after(store: Store) -> None:
    dense, late = ({"id": name, "kind": "density", "limits": [{"limit": 2}]} for name in ("dense", "late"))
    versions: list[dict[str, Any]] = [
        {"version": "v1"},
        {"version": "v2", "by": "sato", "at": "2026-02-07T08:00:00+09:00", "thresholds": [dense]},
        {"version": "v3", "by": "ito", "thresholds": [dense]},  # something else was changed
        {"version": "v4", "by": "ito", "thresholds": [dense, late]},
        {"version": "v5"},
    ]
    for document in versions:
        store.put_registry(document["version"], f"h-{document['version']}", json.dumps(document))
    store.start_run(run("r1", registry_hash="h-v1", versions=tuple(f"h-v{i}" for i in (2, 3, 4, 5))))
    told = [(c.version, c.by, c.at, list(c.before), list(c.after)) for c in store.threshold_changes("r1")]
    assert told == [
        ("v2", "sato", "2026-02-07T08:00:00+09:00", [], [dense]),
        ("v4", "ito", None, [dense], [dense, late]),
        ("v5", None, None, [dense, late], []),
    ]
    assert store.threshold_changes("none") == []
