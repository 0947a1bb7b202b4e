"""Findings of ``doctor``: each in one line with what to do, and none where all is well."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import ServiceUnreachable
from flows.checkup import Topic
from flows.compacted import SETTINGS
from flows.kafka import Cluster
from hitonami import doctor
from hitonami.doctor import Report

GOOD = {
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
}
TOPIC = Topic(4, 3, 3, 0, 0, GOOD, 20, 0)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def report(lines: list[str]) -> Report:
    return Report(lines.append)


def findings(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("✗ ")]


def test_a_good_topic_has_no_finding(report: Report, lines: list[str]) -> None:
    doctor.topic(report, "people", TOPIC, "b:9092")
    assert report.findings == 0 and findings(lines) == []
    assert lines == ["kafka b:9092: people has 4 partitions, 3 replicas", "clock: within 50 ms of the broker's"]


@pytest.mark.parametrize(
    ("settings", "fields", "what"),
    [
        ({"message.timestamp.type": "CreateTime"}, {}, "message.timestamp.type is not LogAppendTime"),
        ({"retention.ms": "604800000"}, {}, "retention.ms is 604800000"),
        ({"retention.bytes": "5"}, {}, "retention.bytes is 5"),
        ({"cleanup.policy": "compact"}, {}, "cleanup.policy is compact"),
        ({"unclean.leader.election.enable": "true"}, {}, "unclean.leader.election.enable is true"),
        ({"min.insync.replicas": "1"}, {}, "min.insync.replicas is 1 of 3, a lost broker"),
        ({"min.insync.replicas": "3"}, {}, "min.insync.replicas is 3 of 3, one broker away"),
        ({}, {"replicas": 1}, "one replica on 3 brokers"),
        ({}, {"leaderless": 2}, "2 partitions have no leader"),
        ({}, {"behind": 1}, "1 partitions have replicas that are not in sync"),
        ({}, {"ours_ahead_ms": 1001}, "this clock is 1.0 s ahead of the broker's"),
        ({}, {"ours_ahead_ms": -2500}, "this clock is 2.5 s behind the broker's"),
        ({}, {"ours_ahead_ms": None, "ours_behind_ms": 60_000}, "this clock is at least 60.0 s behind the broker's"),
    ],
)
def test_a_topic_s_faults(
    report: Report, lines: list[str], settings: dict[str, str], fields: dict[str, int], what: str
) -> None:
    doctor.topic(report, "people", replace(TOPIC, settings={**GOOD, **settings}, **fields), "b:9092")
    (found,) = findings(lines)
    assert what in found and report.findings == 1
    assert ": " in found[found.index(what) :]  # and what to do


@pytest.mark.parametrize("fields", [{"replicas": 1, "brokers": 1}, {"ours_ahead_ms": None}, {"ours_ahead_ms": -1000}])
def test_what_is_no_fault(report: Report, lines: list[str], fields: dict[str, int]) -> None:
    doctor.topic(report, "people", replace(TOPIC, **fields), "b:9092")
    assert findings(lines) == []


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({}, ""),
        ({"cleanup.policy": "delete"}, "cleanup.policy is delete, what stands would be removed by age"),
        ({"message.timestamp.type": "CreateTime"}, "message.timestamp.type is CreateTime"),
        ({"min.compaction.lag.ms": "0"}, "min.compaction.lag.ms is 0, a run that was away"),
    ],
)
def test_a_compacted_topic(report: Report, lines: list[str], settings: dict[str, str], what: str) -> None:
    doctor.compacted_settings(report, "consents", {**SETTINGS, **settings})
    assert [what in line and "--topic consents --add-config" in line for line in lines] == [True] * bool(what)
    assert report.findings == bool(what)


def test_compacted_topics_may_not_be_there(report: Report, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def no_topic(cluster: Cluster) -> int:
        raise ServiceUnreachable(f"no topic {cluster.topic}")

    monkeypatch.setattr(Cluster, "partitions", no_topic)
    doctor.compacted(report, Cluster("b:9092", topic="contracts"), needed=False)
    assert lines == ["contracts: not there; needed for events about people who consented"]
    with pytest.raises(ServiceUnreachable):
        doctor.compacted(report, Cluster("b:9092", topic="consents"), needed=True)


def test_a_recovery_directory_of_one_s_own(report: Report, lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "recovery"
    doctor.recovery_directory(report, path)
    path.mkdir(mode=0o700)
    doctor.recovery_directory(report, path)
    assert [line for line in lines if "GiB free" not in line] == [
        f"recovery {path}: not there yet, the first start makes it",
        f"recovery {path}: empty",
    ]


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o777])
def test_a_recovery_directory_others_may_look_into(report: Report, lines: list[str], tmp_path: Path, mode: int) -> None:
    path = tmp_path / "recovery"
    path.mkdir()
    path.chmod(mode)
    doctor.recovery_directory(report, path)
    assert f"✗ recovery {path} has mode {mode:04o}, others may look in: chmod 700 {path}" in lines


def test_a_recovery_directory_of_somebody_else(
    report: Report, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 123_456)
    doctor.recovery_directory(report, tmp_path)
    assert f"✗ recovery {tmp_path} belongs to another user: run as its owner, or chown it" in lines


def test_a_file_is_no_recovery_directory(report: Report, lines: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    doctor.recovery_directory(report, tmp_path / "file")
    assert lines == [f"✗ recovery {tmp_path}/file is no directory: give a directory of its own"]


def test_network_file_systems_are_known_by_their_mount(
    report: Report, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "a dir" / "inner"
    inner.mkdir(parents=True)
    mounts = tmp_path / "mounts"
    shown = str(tmp_path / "a dir").replace(" ", "\\040")
    mounts.write_text(f"x / ext4 rw 0 0\nserver:/x {shown} nfs4 rw 0 0\ny /elsewhere tmpfs rw 0 0\n")
    assert doctor.filesystem(inner, mounts) == "nfs4"
    assert doctor.filesystem(tmp_path, mounts) == "ext4"
    assert doctor.filesystem(tmp_path, tmp_path / "none") == ""
    monkeypatch.setattr(doctor, "filesystem", lambda _path: "nfs4")
    doctor.recovery_directory(report, inner)
    assert any("network file system (nfs4): SQLite may lose an epoch there" in line for line in findings(lines))


def test_every_fault_of_a_registry_is_told(report: Report, lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    doctor.registry_file(report, path)
    path.write_text('{"version":"1"}')
    doctor.registry_file(report, path)
    assert report.findings == len(lines) >= 2
    assert all(line.startswith(f"✗ registry {path}: ") for line in lines)


def test_little_room_is_a_finding(report: Report, lines: list[str]) -> None:
    doctor._free(report, "store: disk default", 20 << 30, 100 << 30)
    assert lines == []
    doctor._free(report, "store: disk default", 9 << 30, 100 << 30)
    doctor._free(report, "store: disk other", 1 << 29, 1 << 30)
    assert lines == [
        "✗ store: disk default has 9.0 GiB free of 100.0: make room or add a disk",
        "✗ store: disk other has 0.5 GiB free of 1.0: make room or add a disk",
    ]


def test_the_first_service_away_is_kept(report: Report, lines: list[str]) -> None:
    report.away(ServiceUnreachable("one"))
    report.away(ServiceUnreachable("two"))
    assert (report.unreachable, report.findings, lines) == ("one", 0, ["✗ one", "✗ two"])
