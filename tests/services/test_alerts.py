"""Alerts through the real command line: a file's, exported; live with an edit, a kill and a webhook, as replayed."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.health import State
from sinks.clickhouse.store import Run, Store
from tests.realservices.kafka import Kafka
from tests.services.receiver import Receiver
from tests.services.released import run
from tests.services.test_live_replay import Live, hitonami, produce, rfc3339
from tests.services.test_registry_publish import later
from tests.services.test_span import ms

PARTITIONS = 2
RULES = [
    {
        "id": "heavy",
        "kind": "flow",
        "severity": "critical",
        "on_delay_s": 20,
        "off_delay_s": 30,
        "limits": [{"zones": ["c1"], "limit": 20}],
    },
    {"id": "against", "kind": "counterflow", "on_delay_s": 0, "limits": [{"limit": 0.3}]},
    {"id": "lost", "kind": "sensor_loss", "on_delay_s": 10, "off_delay_s": 0, "limits": [{"limit": 0.5}]},
    {
        "id": "blind",
        "kind": "sensor_loss",
        "by": "health",
        "on_delay_s": 0,
        "off_delay_s": 0,
        "limits": [{"limit": 0.5}],
    },
]
REGISTRY: dict[str, Any] = {
    "version": "v1",
    "timezone": "Asia/Tokyo",
    "zones": [{"id": "c1", "kind": "walkway", "width_m": 6}],
    "gates": [{"id": "g1", "a": "c1", "b": None, "leaf": "10s"}],
    "sensors": [
        {
            "id": "s1",
            "kind": "counter",
            "gate": "g1",
            "reporting": "heartbeat",
            "beat_s": 10,
            "approved": [{"from": "2020-01-01T00:00:00Z", "to": None}],
        }
    ],
}


def scene(start: int) -> list[bytes]:
    """Ten minutes of a gate: quiet; from 1:00 on 30 a window one way; from 3:00 on both ways; quiet from 5:00 on; no
    beat from 7:00 to 8:00; from 9:00 on 30 a window again.
    """
    out = []
    for at in range(0, 600_000, 10_000):
        beats = not 420_000 <= at < 480_000
        if beats:
            out.append({"type": "heartbeat", "sensor": "s1", "ts": start + at})
        many, both = 60_000 <= at < 180_000 or at >= 540_000, 180_000 <= at < 300_000
        one, other = (30, 0) if many else (20, 20) if both else (0, 0)
        for way, n in (("ab", one), ("ba", other)):
            out += [{"type": "cross", "sensor": "s1", "ts": start + at + 200 * i, "dir": way} for i in range(n)]
    out.sort(key=lambda event: event["ts"])
    return [json.dumps(event).encode() for event in out]


def exported(work: Path, run_id: str, *more: object) -> list[dict[str, str]]:
    path = work / f"{run_id}.csv"
    hitonami("export", "alerts", "--store", f"chdb://{work}/store", "--run-id", run_id, "-o", path, *more)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def told(rows: list[dict[str, str]], start: int) -> list[tuple[str, str, str]]:
    """Rule, when it changed behind the start, and to what; by time."""
    out = [(ms(row["changed"]) - start, row["rule"], row["reason"] or row["state"]) for row in rows]
    return [(rule, f"{at // 60_000}:{at % 60_000 / 1000:04.1f}", what) for at, rule, what in sorted(out)]


def test_alerts_of_a_file_are_exported(tmp_path: Path) -> None:
    start = 1_770_447_600_000
    (tmp_path / "r.json").write_text(json.dumps(REGISTRY | {"thresholds": RULES}))
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(scene(start)) + b"\n")
    (tmp_path / "k.toml").write_text("[flow]\nk = 1\nguard = 0\n")
    at = ("--store", f"chdb://{tmp_path}/store", "--registry", tmp_path / "r.json", "--config", tmp_path / "k.toml")
    summary = json.loads(hitonami("replay", tmp_path / "e.jsonl", *at, "--run-id", "file"))
    rows = exported(tmp_path, "file")
    assert told(rows, start) == [
        ("heavy", "1:30.0", "new"),  # 30 in 10 s over 6 m: 30 per metre and minute, in the third window
        ("against", "3:10.0", "new"),
        ("heavy", "5:40.0", "recovered"),
        ("against", "6:10.0", "recovered"),  # off_delay 60 s of windows with nobody
        ("blind", "7:20.0", "new"),  # a beat covers twice its time, until 7:10
        ("lost", "7:30.0", "new"),  # unknown for two windows
        ("blind", "8:10.0", "recovered"),
        ("lost", "8:10.0", "recovered"),
        ("heavy", "9:30.0", "new"),
    ]
    assert list(rows[0])[:4] == ["id", "changed", "state", "reason"]
    heavy = next(row for row in rows if row["rule"] == "heavy" and row["state"] == "new")
    names = ("kind", "severity", "zone", "gate", "of_window", "value", "threshold", "run_id", "registry_version")
    assert [heavy[name] for name in names] == ["flow", "critical", "c1", "g1", "10s", "30", "20", "file", "v1"]
    # the minutes of a span: 5:40 belongs to [5:00, 6:00)
    part = exported(tmp_path, "file", "--from", rfc3339(start + 60_000), "--to", rfc3339(start + 360_000))
    assert [change[0] for change in told(part, start)] == ["heavy", "against", "heavy"]
    hitonami("replay", tmp_path / "e.jsonl", *at, "--run-id", "part", "--from", rfc3339(start + 300_000))
    assert told(exported(tmp_path, "part"), start) == told(rows, start)[2:]
    again = json.loads(hitonami("replay", tmp_path / "e.jsonl", *at, "--run-id", "again"))
    assert again["digest"] == summary["digest"]
    hitonami("export", "alerts", "--store", f"chdb://{tmp_path}/store", "--run-id", "file", "--window", "1m",
             "-o", tmp_path / "x", code=2)  # fmt: skip


def test_a_silence_of_everything_raises_an_alert_although_no_row_comes(tmp_path: Path) -> None:
    """Beats until 1:50, which cover 20 s each; from then on there are ticks alone."""
    start = 1_770_447_600_000
    dark = {"id": "dark", "kind": "sensor_loss", "by": "health", "limits": [{"limit": 0.5}]}
    (tmp_path / "r.json").write_text(json.dumps(REGISTRY | {"thresholds": [dark, RULES[2]]}))
    beats = [{"type": "heartbeat", "sensor": "s1", "ts": start + at} for at in range(0, 120_000, 10_000)]
    ticks = [{"type": "tick", "ts": start + at} for at in range(120_000, 420_000, 10_000)]
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(event) + "\n" for event in beats + ticks))
    at = ("--store", f"chdb://{tmp_path}/store", "--registry", tmp_path / "r.json")
    hitonami("replay", tmp_path / "e.jsonl", *at, "--run-id", "dark")
    rows = exported(tmp_path, "dark")
    assert told(rows, start) == [("dark", "2:40.0", "new")]  # silent at 2:20, and on_delay of 20 s
    assert (rows[0]["zone"], rows[0]["value"], rows[0]["threshold"]) == ("c1", "0", "0.5")
    hitonami("export", "zones", "--store", f"chdb://{tmp_path}/store", "--run-id", "dark", "--window", "10s",
             "-o", tmp_path / "z.csv")  # fmt: skip
    with (tmp_path / "z.csv").open(newline="") as file:
        assert max(ms(row["window_start"]) for row in csv.DictReader(file)) < start + 120_000


def wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


HEAVY = ("heavy", "firing", 570)
BLIND = ("blind", "firing", 40)  # the scene is sent eleven minutes late: by its beats the sensor's clock is slow


def calls(receiver: Receiver, start: int) -> list[tuple[str, str, int]]:
    """Rule, what became of it, and how many seconds behind the start it began, as posted."""
    return [(a["labels"]["alertname"], a["status"], (ms(a["startsAt"]) - start) // 1000) for a in receiver.alerts()]


def row(recovery: Path) -> Run:
    """The row of a live run, as it tells its health port."""
    path = recovery / "health-0.json"
    told = State.decode(path.read_bytes()).run if path.exists() else None
    return told or run("live")


@pytest.mark.kafka
@pytest.mark.slow
def test_live_alerts_with_an_edit_kills_and_a_webhook_equal_every_replay(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path, receiver: Receiver
) -> None:
    """The scene ended a minute ago: the run catches up with it, is killed in the middle and once it stands still."""
    recovery = tmp_path / "recovery"
    name, store = topic(partitions=PARTITIONS, timestamps="LogAppendTime"), f"chdb://{tmp_path}/store"
    (tmp_path / "r.json").write_text(json.dumps(REGISTRY))
    (tmp_path / "c.toml").write_text(
        f'[time]\ntick_ms = 60000\n[flow]\nk = 1\nguard = 0\n[alerts]\nwebhook = "{receiver.url}"\n'
    )
    on = ("--kafka", kafka.bootstrap, "--topic", name)
    with_rules = later(tmp_path / "r.json", "v2", lambda d: d.update(thresholds=RULES))
    less = later(tmp_path / "r.json", "v3", lambda d: d.update(thresholds=[RULES[0], *RULES[2:]]))
    config = ("--config", tmp_path / "c.toml")
    live = Live(kafka, name, store, tmp_path / "r.json", recovery, *config)
    hitonami("registry", "publish", with_rules, *on, "--after", tmp_path / "r.json", "--by", "sato")
    start = (int(time.time() * 1000) - 660_000) // 60_000 * 60_000
    # the other partition has ticks alone: it holds up nobody
    messages = [(0, value) for value in scene(start)]
    ticks = [json.dumps({"type": "tick", "ts": json.loads(value)["ts"]}).encode() for _, value in messages]
    messages = [pair for i, message in enumerate(messages) for pair in (message, (1, ticks[i]))]
    times = [json.loads(value)["ts"] - start for _, value in messages]
    half, more = (next(i for i, at in enumerate(times) if at >= until) for until in (270_000, 300_000))

    def produced(these: list[tuple[int, bytes]]) -> None:
        produce(kafka, name, these, lambda _number: None)

    def tick_now() -> None:
        produced([(p, json.dumps({"type": "tick", "ts": int(time.time() * 1000)}).encode()) for p in (0, 1)])

    produced(messages[:half])
    wait(lambda: row(recovery).closed_ms >= start + 250_000)
    hitonami("registry", "publish", less, *on, "--by", "ito")
    produced(messages[half:more])
    wait(lambda: len(row(recovery).versions) == 2)  # both edits are in force, without a restart
    live.kill()
    live.start()
    produced(messages[more:])
    assert receiver.posts == []  # two alerts stand, but what stands now the run does not know yet
    tick_now()
    wait(lambda: calls(receiver, start).count(HEAVY) == 1)
    live.kill()
    live.start()
    tick_now()
    wait(lambda: calls(receiver, start).count(HEAVY) >= 2)  # each start tells what stands
    live.stop()
    # whether what stood at the first kill was told nobody knows: its end is. The others came and went
    told_of_heavy = [call for call in calls(receiver, start) if call[0] == "heavy"]
    assert told_of_heavy == [("heavy", "resolved", 90), HEAVY, HEAVY]
    assert set(calls(receiver, start)) - {*told_of_heavy, BLIND} <= {("against", "resolved", 190)}
    assert BLIND in calls(receiver, start)
    posts = len(receiver.posts)

    rows = exported(tmp_path, "live")
    changes = told(rows, start)
    assert [(rule, what) for rule, _, what in changes if rule != "against"] == [
        ("blind", "new"),
        ("heavy", "new"),
        ("heavy", "recovered"),
        ("lost", "new"),
        ("lost", "recovered"),
        ("heavy", "new"),
    ]
    assert [(rule, what) for rule, _, what in changes if rule == "against"] == [
        ("against", "new"),
        ("against", "not_in_force"),  # v3 has no such rule
    ]
    assert {row["registry_version"] for row in rows} == {"v2", "v3"}
    at = ("--store", store, "--registry", tmp_path / "r.json", *config, "--run-id")
    hitonami("replay", *on, *at, "topic")
    hitonami("dump", *on, "-o", tmp_path / "dump.parquet")
    hitonami("replay", tmp_path / "dump.parquet", *at, "dump")
    for other in ("topic", "dump"):
        assert "0 differ" in hitonami("verify", "--store", store, "--run-id", "live", "--against", other)
        without = [{k: v for k, v in row.items() if k != "run_id"} for row in exported(tmp_path, other)]
        assert without == [{k: v for k, v in row.items() if k != "run_id"} for row in rows]
    assert len(receiver.posts) == posts  # a replay calls nobody
    with Store.open(store) as opened:
        edits = opened.threshold_changes("live")
        assert [(e.version, e.by, len(e.before), len(e.after)) for e in edits] == [
            ("v2", "sato", 0, 4),
            ("v3", "ito", 4, 3),
        ]
        assert all(e.at is not None for e in edits)
        stored = opened.run("live")
        assert stored is not None and "secret-path" not in stored.config
