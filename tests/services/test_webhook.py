"""The webhook against a real HTTP server: its form, failures, slowness, overflow; nothing of it holds up the flow."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sinks.webhook import BATCH, Change, Webhook, changes_of
from tests.services.receiver import Receiver, until
from tests.services.released import T0, alert_row, alerts, flow

BACK_OFF_S = (0.01,)


def one(name: str, state: str = "new", **cells: Any) -> list[Change]:
    changed = T0 + 60_000 if state == "resolved" else T0
    return list(changes_of(alerts("u", alert_row(f"20260207T070000Z-{name}", changed, state, T0, **cells))))


def test_a_post_has_the_form_of_alertmanager_4_and_no_figure(receiver: Receiver) -> None:
    said: list[str] = []
    hook = Webhook(receiver.url, "live", said.append)
    hook.put(one("a", gate="g1", kind="flow", value=81.5, threshold=66.0))
    until(lambda: hook.sent == 1)
    hook.put(one("a", "resolved", gate="g1", kind="flow", value=12.5, threshold=66.0))
    until(lambda: hook.sent == 2)
    labels = {"alertname": "dense", "run": "live", "kind": "flow", "severity": "warning", "zone": "c1", "gate": "g1"}
    notes = {"summary": "flow at g1", "alert": "20260207T070000Z-a", "registry_version": "v1", "limit": "66"}
    firing = {
        "status": "firing",
        "labels": labels,
        "annotations": notes,
        "startsAt": "2026-02-07T07:00:00.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "a",
    }
    assert receiver.posts[0] == {
        "version": "4",
        "groupKey": '{}:{run="live"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "hitonami",
        "groupLabels": {"run": "live"},
        "commonLabels": labels,
        "commonAnnotations": notes,
        "externalURL": "",
        "alerts": [firing],
    }
    assert receiver.posts[1]["status"] == "resolved"
    assert receiver.posts[1]["alerts"] == [{**firing, "status": "resolved", "endsAt": "2026-02-07T07:01:00.000Z"}]
    assert "81.5" not in json.dumps(receiver.posts) and "12.5" not in json.dumps(receiver.posts)
    assert receiver.headers[0]["content-type"] == "application/json" and "authorization" not in receiver.headers[0]
    assert said == []


def test_common_labels_are_those_all_have(receiver: Receiver) -> None:
    hook = Webhook(receiver.url, "live", lambda _line: None)
    rows = alerts(
        "u",
        alert_row("x-a", T0, zone="c1"),
        alert_row("x-b", T0, zone="c2", severity="critical"),
        alert_row("x-c", T0 + 1, "resolved", T0 - 5, reason="not_in_force", threshold=None),
    )
    hook.put(list(changes_of(rows)))
    until(lambda: hook.sent == 3)
    (post,) = receiver.posts
    assert post["commonLabels"] == {"alertname": "dense", "run": "live", "kind": "density"}
    assert post["status"] == "firing" and [alert["status"] for alert in post["alerts"]] == ["firing"] * 2 + ["resolved"]
    assert "limit" not in post["alerts"][2]["annotations"]


def test_user_and_password_go_into_a_header(receiver: Receiver) -> None:
    said: list[str] = []
    receiver.answers = [503]
    url = receiver.url.replace("http://", "http://us%40er:pa%2Fss@")
    hook = Webhook(url, "live", said.append, back_off_s=BACK_OFF_S)
    hook.put(one("a"))
    until(lambda: hook.sent == 1)
    assert receiver.headers[0]["authorization"] == "Basic " + base64.b64encode(b"us@er:pa/ss").decode()
    assert not any(word in line for line in said for word in ("pa/ss", "pa%2Fss", "secret-path"))


@pytest.mark.parametrize("answers", [[503], [500, 502, 429, 408], [0, 0, 503]])
def test_a_receiver_that_fails_gets_it_again(receiver: Receiver, answers: list[int]) -> None:
    said: list[str] = []
    receiver.answers = list(answers)
    hook = Webhook(receiver.url, "live", said.append, back_off_s=BACK_OFF_S)
    hook.put(one("a"))
    hook.put(one("b"))
    until(lambda: hook.sent == 2)
    assert [alert["fingerprint"] for alert in receiver.alerts()] == ["a", "b"]
    assert receiver.asked >= len(answers) + 1 and hook.lost == 0
    shown = receiver.url.rpartition("/")[0]
    assert len(said) == 2 and said[0].startswith(f"webhook {shown}: ")
    assert said[1] == f"webhook {shown}: posts go through again"


def test_a_receiver_that_is_not_there_gets_it_when_it_comes(receiver: Receiver) -> None:
    receiver.close()
    said: list[str] = []
    hook = Webhook(receiver.url, "live", said.append, back_off_s=BACK_OFF_S)
    hook.put(one("a"))
    until(lambda: bool(said))
    assert said[0].endswith("does not answer (URLError)") and (hook.sent, hook.lost) == (0, 0)
    hook.close(0.05)
    assert hook.lost == 1


@pytest.mark.parametrize("code", [400, 401, 404, 302])
def test_what_is_refused_is_lost_and_counted_and_the_next_goes_on(receiver: Receiver, code: int) -> None:
    said: list[str] = []
    receiver.answers = [code]
    receiver.location = f"{receiver.url}/elsewhere" if code == 302 else ""
    hook = Webhook(receiver.url, "live", said.append, back_off_s=BACK_OFF_S)
    hook.put(one("a"))
    until(lambda: hook.lost == 1)
    assert said[0].endswith(f"refuses alerts (HTTP {code})")
    hook.put(one("b"))
    until(lambda: hook.sent == 1)
    assert [alert["fingerprint"] for alert in receiver.alerts()] == ["b"]
    assert receiver.asked == 2  # a redirection is not followed


def test_a_slow_receiver_holds_up_nobody_and_too_many_lose_the_oldest(receiver: Receiver) -> None:
    receiver.held.clear()
    hook = Webhook(receiver.url, "live", lambda _line: None, queue=5)
    hook.put(one("first"))
    until(lambda: receiver.asked == 1)
    for i in range(20):
        hook.put(one(f"n{i}"))  # returns though the receiver has not answered
    assert (hook.sent, hook.lost) == (0, 16)  # one is under way, four wait
    receiver.held.set()
    until(lambda: hook.sent == 5)
    assert [alert["fingerprint"] for alert in receiver.alerts()] == ["first", "n16", "n17", "n18", "n19"]
    assert hook.lost == 16


def test_a_receiver_slower_than_the_time_limit_gets_it_again(receiver: Receiver) -> None:
    receiver.held.clear()
    hook = Webhook(receiver.url, "live", lambda _line: None, timeout_s=0.1, back_off_s=BACK_OFF_S)
    hook.put(one("a"))
    until(lambda: receiver.asked >= 2)
    receiver.held.set()
    until(lambda: hook.sent == 1)
    assert {alert["fingerprint"] for alert in receiver.alerts()} == {"a"}  # at least once


def test_many_go_in_posts_of_bounded_size_and_of_one_that_changed_twice_the_last_change(receiver: Receiver) -> None:
    receiver.held.clear()
    hook = Webhook(receiver.url, "live", lambda _line: None)
    hook.put(one("first"))
    until(lambda: receiver.asked == 1)
    for i in range(BATCH):
        hook.put(one(f"n{i}"))
    hook.put(one("n0", "resolved"))
    hook.put(one("again"))
    hook.put(one("again", "resolved"))
    receiver.held.set()
    until(lambda: hook.sent == BATCH + 4)
    assert [len(post["alerts"]) for post in receiver.posts] == [1, BATCH, 2]
    assert [alert["status"] for alert in receiver.posts[2]["alerts"]] == ["resolved", "resolved"]


def test_close_posts_what_waits_and_counts_what_is_left(receiver: Receiver) -> None:
    hook = Webhook(receiver.url, "live", lambda _line: None)
    hook.put(one("a"))
    hook.close(10)
    assert (hook.sent, hook.lost) == (1, 0)
    receiver.held.clear()
    late = Webhook(receiver.url, "live", lambda _line: None)
    late.put(one("a"))
    until(lambda: receiver.asked == 2)
    late.put(one("b"))
    late.close(0.05)
    assert (late.sent, late.lost) == (0, 2)
    receiver.held.set()
    idle = Webhook(receiver.url, "live", lambda _line: None)
    idle.close()
    assert (idle.sent, idle.lost) == (0, 0)


def test_only_alerts_are_posted() -> None:
    with pytest.raises(ValueError, match=r"^the webhook takes alerts, not flow$"):
        list(changes_of(flow("u", ("10s", T0, "g1", "ab", 7, 7, 7, "released", 1.0))))
