"""Nothing lost, nothing double, replay equal to live, when processes are killed at random (tests/faults/kills.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.kills import REFUSED, STOP_S, matrix
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.slow
@pytest.mark.parametrize(("partitions", "epoch_ms"), [(4, 1_000), (16, 200)])
def test_kills_lose_nothing_and_double_nothing(
    kafka: Kafka, topic: Callable[..., str], clickhouse: ClickHouse, tmp_path: Path, partitions: int, epoch_ms: int
) -> None:
    database = f"kills_{partitions}"
    clickhouse.query(f"CREATE DATABASE {database}")
    clickhouse.query("SYSTEM STOP MERGES")  # a merge would hide rows that are stored twice
    try:
        report = matrix(
            kafka,
            topic(partitions=partitions),
            partitions,
            clickhouse.url(database),
            tmp_path,
            kills=5,
            epoch_ms=epoch_ms,
            seed=partitions,
        )
    finally:
        clickhouse.query("SYSTEM START MERGES")
        clickhouse.query(f"DROP DATABASE {database} SYNC")
    assert not any(report.faults().values()), report
    assert report.rows > 300 and report.windows > 10
    # what is refused is counted, released and stored exactly once too
    assert report.rejected.keys() == REFUSED and report.refused >= len(REFUSED)
    assert max(report.stop_s) <= STOP_S
    # a peer that ended because another one was killed has nothing to say
    assert set(report.said) <= {"hitonami: a process was ended by signal 9; starting again"}
