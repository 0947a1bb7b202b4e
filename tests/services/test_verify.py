"""verify: a window that one of two runs lost is a difference, not a window that only one has."""

from __future__ import annotations

import json
from pathlib import Path

from sinks.clickhouse.store import Store
from tests.services.test_live_replay import hitonami

START = 1_770_450_000_000  # 2026-02-07T07:40:00Z
REGISTRY = {
    "version": "v1",
    "timezone": "Asia/Tokyo",
    "gates": [{"id": "g", "a": None, "b": None, "leaf": "10s"}],
    "sensors": [
        {"id": "s", "kind": "counter", "gate": "g", "approved": [{"from": "2020-01-01T00:00:00Z", "to": None}]}
    ],
}


def test_a_lost_window_is_found(tmp_path: Path) -> None:
    events = [{"sensor": "s", "type": "heartbeat", "ts": START + at} for at in range(0, 60_000, 5_000)]
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (tmp_path / "r.json").write_text(json.dumps(REGISTRY))
    url = f"chdb://{tmp_path}/store"
    for run in ("a", "b"):
        hitonami("replay", tmp_path / "e.jsonl", "--store", url, "--registry", tmp_path / "r.json", "--run-id", run)
    check = ("verify", "--store", url, "--run-id", "a", "--against", "b")
    assert ", 0 differ" in hitonami(*check)
    with Store.open(url) as store:
        store._connection.command(
            f"ALTER TABLE {store._connection.table('flow')} DELETE WHERE run_id = 'b' AND window = '10s'"
            f" AND toUnixTimestamp64Milli(window_start) = {START + 20_000} SETTINGS mutations_sync = 1"
        )
    said = hitonami(*check, code=1)
    assert "10s 2026-02-07T07:40:20.000Z: closed in both, but not stored in b" in said
