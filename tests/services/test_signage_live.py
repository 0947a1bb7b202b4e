"""Signage live = replay: the real Kafka, the real ClickHouse, two processes, a kill -9 in mid-stream."""

from __future__ import annotations

import csv
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.realservices.cache import free_port
from tests.realservices.kafka import Kafka
from tests.services.test_live_replay import PARTITIONS, Live, differing, hitonami, partition, produce, read_of, told_of
from tests.support.signage_run import HOUR, REGISTRY, touch


def touches(events: int) -> list[tuple[int, bytes]]:
    """Some sessions at some devices over two and a half hours, the last a minute ago; (partition, message)."""
    rng, end = random.Random(11), int(time.time() * 1000) - 60_000
    out = []
    for number in range(events):
        ts = end - (events - 1 - number) * (5 * HOUR // 2) // events
        device = rng.choice(["d1", "d2"])
        record = touch(ts, f"s{number // 40}-{rng.randrange(25)}", device, rng.choice(["top", "map"]))
        record |= {"lang": rng.choice(["ja", "ja", "en", "ko"]), "to": rng.choice(["map", "help"])}
        out.append((partition(device.encode()), json.dumps(record).encode()))
    return out


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.slow
def test_signage_killed_in_mid_stream_equals_every_replay(
    kafka: Kafka, topic: Callable[..., str], clickhouse_url: str, tmp_path: Path
) -> None:
    messages = touches(6_000)
    name, registry = topic(partitions=PARTITIONS, name="signage", timestamps="LogAppendTime"), tmp_path / "r.json"
    registry.write_text(json.dumps(REGISTRY))
    # the events lie in the past: a tick while the producer pauses would make the rest of them late
    (tmp_path / "config.toml").write_text("[time]\ntick_ms = 3000\n[status]\nexact = true\n")
    config, port = ("--config", tmp_path / "config.toml", "--events", "signage"), free_port()
    more = (*config, "--processes", 2, "--health-port", port)
    live = Live(kafka, name, clickhouse_url, registry, tmp_path / "recovery", *more)
    killed = []

    def pause(number: int) -> None:
        time.sleep(0.1)
        if number >= len(messages) // 2 and not killed:
            killed.append(number)
            until = time.monotonic() + 60
            while read_of(port) == 0 and time.monotonic() < until:
                time.sleep(0.1)
            live.kill()
            live.start()

    produce(kafka, name, messages, pause)
    assert killed
    until = time.monotonic() + 90
    # ticks close the last quarters, in the partitions without a device too; the run's row tells an epoch later
    while (told_of(port, "hitonami_watermark_age_seconds") or 99) > 50 and time.monotonic() < until:
        time.sleep(0.2)
    told = live.stop()
    assert told["read"] == len(messages) and told["accepted"] > len(messages) // 2 and told["released"] > 20

    at = ("--store", clickhouse_url, "--registry", registry, *config, "--run-id")
    replayed = json.loads(hitonami("replay", "--kafka", kafka.bootstrap, "--topic", name, *at, "topic"))
    assert (replayed["read"], replayed["accepted"]) == (told["read"], told["accepted"])
    hitonami("dump", "--kafka", kafka.bootstrap, "--topic", name, "-o", tmp_path / "dump.parquet")
    dumped = json.loads(hitonami("replay", tmp_path / "dump.parquet", *at, "dump"))
    assert dumped["digest"] == replayed["digest"]
    verified = hitonami("verify", "--store", clickhouse_url, "--run-id", "live", "--against", "topic")
    assert differing(verified) == 0 and not verified.startswith("0 "), verified

    out = tmp_path / "touches.csv"
    hitonami("export", "touches", "--store", clickhouse_url, "--run-id", "live", "-o", out)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {(row["device"], row["screen"]) for row in rows} == {(d, s) for d in ("d1", "d2") for s in ("top", "map")}
    assert all(int(row["n_low"]) >= 5 for row in rows) and {"", "ja"} <= {row["lang"] for row in rows}
