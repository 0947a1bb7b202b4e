"""Alerts to a webhook, in the form of Alertmanager version 4: for people who are called, while a run is live.

Only a live run has one: a replay calls nobody. Changes are handed over after they are stored, and never wait: a thread
of its own posts them. After a crash they may come again, with the same fingerprint and time. What a receiver refuses
(4xx) and what no longer fits into the queue is lost for it, and counted; the store has it all.

A post names rule, place, severity and limit, and no figure of people (PRIVACY.md R6).
"""

from __future__ import annotations

import base64
import http.client
import json
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from engine.model import Released
from engine.rfc3339 import format_ms

QUEUE = 1_000  # alerts that wait
BATCH = 100  # alerts in a post
TIMEOUT_S = 5.0
BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_AGAIN = (408, 425, 429)  # answers of a receiver that will take the same post later
_STANDING = "0001-01-01T00:00:00Z"  # endsAt of what has not ended, as Alertmanager writes it
_WORDS = ("id", "state", "rule", "kind", "severity", "zone", "gate")


@dataclass(frozen=True, slots=True)
class Change:
    """An alert that is new (``firing``) or resolved, as it is posted. Times in ms; ``limit`` None = not told."""

    id: str
    firing: bool
    rule: str
    kind: str
    severity: str
    zone: str
    gate: str
    registry_version: str
    limit: float | None
    began_ms: int
    changed_ms: int


def changes_of(rows: Released) -> Iterator[Change]:
    """The changes in rows of ``alerts``."""
    if rows.product != "alerts":
        raise ValueError(f"the webhook takes alerts, not {rows.product}")
    columns, names = rows.columns, rows.names
    for i, (limit, began, changed) in enumerate(
        zip(*(columns[name].tolist() for name in ("threshold", "began", "changed")), strict=True)
    ):
        name, state, rule, kind, severity, zone, gate = (names[word][int(columns[word][i])] for word in _WORDS)
        limit, version = None if limit != limit else limit, rows.registry_version
        yield Change(name, state == "new", rule, kind, severity, zone, gate, version, limit, began, changed)


class Webhook:
    """Posts changes of alerts to ``url`` (http or https, with user and password or without); safe for threads.

    ``sent``, ``lost``: alerts so far. ``tell``: told in one line, without the URL's path, when posts begin to fail and
    when they go through again.
    """

    def __init__(
        self,
        url: str,
        run_id: str,
        tell: Callable[[str], None],
        *,
        queue: int = QUEUE,
        timeout_s: float = TIMEOUT_S,
        back_off_s: Sequence[float] = BACK_OFF_S,
    ) -> None:
        self._url, self._headers, self._shown = _address(url)
        self._run_id, self.tell = run_id, tell
        self._most, self._timeout_s, self._back_off_s = queue, timeout_s, tuple(back_off_s)
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._under_way = 0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False
        self._opener = urllib.request.build_opener(_NoRedirect)
        self.sent = self.lost = 0

    def put(self, changes: Sequence[Change]) -> None:
        """Take changes to be posted; returns at once."""
        with self._changed:
            self._waiting.extend(_entry(change, self._run_id) for change in changes)
            self._drop()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self, timeout_s: float = 1.0) -> None:
        """Post what waits for at most ``timeout_s`` seconds; what is left then counts as lost."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._under_way, timeout_s)
            self._stop.set()
            self.lost += len(self._waiting) + self._under_way
            self._waiting.clear()
            self._changed.notify_all()

    def _drop(self) -> None:
        """Let the oldest go where too many wait: what is new matters more, and the store has all of them."""
        while len(self._waiting) + self._under_way > self._most and self._waiting:
            self._waiting.popleft()
            self.lost += 1

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stop.is_set())
                if self._stop.is_set():
                    return
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                self._under_way = len(batch)
            taken = self._delivered(json.dumps(payload(batch)).encode())
            if taken is None:
                return  # stopped meanwhile: ``close`` has counted what was under way
            with self._changed:
                if self._stop.is_set():
                    return
                self._under_way = 0
                self.sent += len(batch) if taken else 0
                self.lost += 0 if taken else len(batch)
                self._changed.notify_all()

    def _delivered(self, body: bytes) -> bool | None:
        """Post until it is taken (True) or refused (False); None where the process ends first."""
        attempt = 0
        while not self._stop.is_set():
            answer = self._post(body)
            if answer == "":
                if self._failing:
                    self.tell(f"webhook {self._shown}: posts go through again")
                self._failing = False
                return True
            if not self._failing:
                self.tell(f"webhook {self._shown}: {answer}")
            self._failing = True
            if answer.startswith("refuses"):
                return False
            self._stop.wait(self._back_off_s[min(attempt, len(self._back_off_s) - 1)])
            attempt += 1
        return None

    def _post(self, body: bytes) -> str:
        """One attempt; "" where the receiver took it, else what it did, in words."""
        request = urllib.request.Request(self._url, body, self._headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                answer.read(1 << 16)
            return ""
        except urllib.error.HTTPError as error:
            error.close()
            lasting = error.code < 500 and error.code not in _AGAIN
            return f"{'refuses alerts' if lasting else 'takes no alerts now'} (HTTP {error.code})"
        except (OSError, http.client.HTTPException) as error:
            return f"does not answer ({type(error).__name__})"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Alerts go where the operator said, nowhere else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def _address(url: str) -> tuple[str, dict[str, str], str]:
    """The URL without user and password, the headers of a post, and what of it may be shown."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    headers = {"Content-Type": "application/json", "User-Agent": "hitonami"}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(secret).decode()}"
    return urlunsplit(parts._replace(netloc=host)), headers, f"{parts.scheme}://{host}"


def _entry(change: Change, run_id: str) -> Mapping[str, Any]:
    where = {"kind": change.kind, "severity": change.severity, "zone": change.zone, "gate": change.gate}
    annotations = {"summary": f"{change.kind} at {change.gate or change.zone}", "alert": change.id}
    annotations |= {"registry_version": change.registry_version}
    annotations |= {} if change.limit is None else {"limit": f"{change.limit:g}"}
    return {
        "status": "firing" if change.firing else "resolved",
        "labels": {"alertname": change.rule, "run": run_id, **{name: word for name, word in where.items() if word}},
        "annotations": annotations,
        "startsAt": format_ms(change.began_ms),
        "endsAt": _STANDING if change.firing else format_ms(change.changed_ms),
        "generatorURL": "",
        "fingerprint": change.id.rpartition("-")[2],
    }


def payload(alerts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The post of some alerts, in the order of their changes; of an alert that has changed twice the last change."""
    newest = {(alert["fingerprint"], alert["startsAt"]): alert for alert in alerts}
    told = list(newest.values())
    common = {
        kind: {k: v for k, v in told[0][kind].items() if all(alert[kind].get(k) == v for alert in told)}
        for kind in ("labels", "annotations")
    }
    return {
        "version": "4",
        "groupKey": f"{{}}:{{run={json.dumps(told[0]['labels']['run'])}}}",
        "truncatedAlerts": 0,
        "status": "firing" if any(alert["status"] == "firing" for alert in told) else "resolved",
        "receiver": "hitonami",
        "groupLabels": {"run": told[0]["labels"]["run"]},
        "commonLabels": common["labels"],
        "commonAnnotations": common["annotations"],
        "externalURL": "",
        "alerts": told,
    }
