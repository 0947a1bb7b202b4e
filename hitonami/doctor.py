"""What ``doctor`` looks at. Each finding is one line: what is wrong, and what to do."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from engine import kernels
from engine import registry as registries
from engine.errors import HitonamiError, ServiceUnreachable
from flows import checkup
from flows.compacted import LEAST_COMPACTION_LAG_MS
from flows.kafka import Cluster
from flows.recovery import holds_state
from sinks.clickhouse.store import Store

PACKAGES = ("hitonami", "bytewax", "confluent-kafka", "clickhouse-connect", "chdb-core-lite", "numpy", "orjson")
BYTEWAX = "0.21.1"  # recovery is measured on exactly this version
PYTHONS = ((3, 11), (3, 12))
CLICKHOUSE = (26, 5)  # the oldest one tried
COMPACTED = ("consents", "contracts")  # topics of the newest record of each key
LEAST_WINDOW = 10_000  # inserts remembered against repeats, as the migrations set it
LEAST_FREE, LEAST_SHARE = 1 << 30, 0.1
CLOCK_MS = 1000  # what two clocks may differ
NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "ceph",
    "glusterfs",
    "lustre",
    "afs",
    "fuse.sshfs",
    "fuse.s3fs",
)


class Report:
    """Prints lines as they come; counts findings, keeps the first service that does not answer."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.findings = 0
        self.unreachable = ""
        self.note = tell

    def finding(self, what: str, do: str) -> None:
        """One thing that is wrong and what to do about it."""
        self.findings += 1
        self.note(f"✗ {what}: {do}")

    def away(self, error: ServiceUnreachable) -> None:
        """A service that does not answer."""
        self.note(f"✗ {error}")
        self.unreachable = self.unreachable or str(error)


def examine(
    store: str | None,
    cluster: Cluster | None,
    registry: Path | None,
    recovery: Path | None,
    tell: Callable[[str], None],
) -> Report:
    """Look at this installation and at all that is given; ``tell`` hears every line."""
    report = Report(tell)
    versions(report)
    if registry is not None:
        registry_file(report, registry)
    if recovery is not None:
        recovery_directory(report, recovery)
    if cluster is not None:
        try:
            if cluster.topic in COMPACTED:
                compacted(report, cluster, needed=True)
            else:
                topic(report, cluster.topic, checkup.look(cluster), cluster.bootstrap)
                for name in COMPACTED:
                    compacted(report, Cluster(cluster.bootstrap, cluster.given, name), needed=False)
        except ServiceUnreachable as error:
            report.away(error)
    if store is not None:
        try:
            with Store.open(store) as held:
                of_store(report, held)
        except ServiceUnreachable as error:
            report.away(error)
    return report


def versions(report: Report) -> None:
    """Python, packages, kernels."""
    report.note(f"python {platform.python_version()}")
    if tuple(map(int, platform.python_version_tuple()[:2])) not in PYTHONS:
        report.finding("this Python is not 3.11 or 3.12", "Bytewax has wheels for those; install one of them")
    for name in PACKAGES:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            report.finding(f"{name} is not installed", "install hitonami again, with its dependencies")
            continue
        report.note(f"{name} {found}")
        if name == "bytewax" and found != BYTEWAX:
            report.finding(f"bytewax is not {BYTEWAX}", f"recovery rests on it; pip install bytewax=={BYTEWAX}")
    try:
        mode = kernels.load("compiled").mode
        report.note(f"kernels {mode}")
    except HitonamiError as error:
        report.finding(str(error), "install hitonami again; in a checkout, make build")
    if os.environ.get("ENGINE_KERNELS") == "reference":
        report.finding("ENGINE_KERNELS=reference is set", "the readable twins are slow; unset it for a live run")


def registry_file(report: Report, path: Path) -> None:
    """The registry file: every fault of it."""
    try:
        found, faults = registries.check(path.read_bytes())
    except OSError as error:
        report.finding(f"registry {path}: {error.strerror}", "give the file that runs begin with")
        return
    for fault in faults:
        report.finding(f"registry {path}: {fault}", "mend the file")
    if found is not None:
        report.note(f"registry {path}: version {found.version}, {len(found.gates)} gates, {len(found.sensors)} sensors")


def recovery_directory(report: Report, path: Path) -> None:
    """The recovery directory: whose, on what, with what room. It holds unreleased counts."""
    if not path.exists():
        report.note(f"recovery {path}: not there yet, the first start makes it")
        path = next(parent for parent in path.absolute().parents if parent.exists())
    elif not path.is_dir():
        report.finding(f"recovery {path} is no directory", "give a directory of its own")
        return
    else:
        found = path.stat()
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            report.finding(f"recovery {path} has mode {mode:04o}, others may look in", f"chmod 700 {path}")
        if found.st_uid != os.geteuid():
            report.finding(f"recovery {path} belongs to another user", "run as its owner, or chown it")
        elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            report.finding(f"recovery {path} cannot be written", f"chmod 700 {path}")
        else:
            report.note(f"recovery {path}: " + ("holds a run's state" if holds_state(path) else "empty"))
    kind = filesystem(path)
    if kind in NETWORK:
        report.finding(
            f"recovery {path} lies on a network file system ({kind})",
            "SQLite may lose an epoch there; take a local disk",
        )
    room = os.statvfs(path)
    _free(report, f"recovery {path}", room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize)


def filesystem(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of file system ``path`` lies on, as Linux names it; "" where it cannot be told."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    real, best, kind = path.resolve(), -1, ""
    for line in lines:
        point, name = line.split(" ")[1:3]
        at = Path(point.replace("\\040", " "))
        if (real == at or at in real.parents) and len(at.parts) >= best:  # of two mounts on a place the later one
            best, kind = len(at.parts), name
    return kind


def topic(report: Report, name: str, found: checkup.Topic, where: str) -> None:
    """The topic of the events and the broker's clock."""
    report.note(f"kafka {where}: {name} has {found.partitions} partitions, {found.replicas} replicas")
    settings = found.settings

    def alter(setting: str, value: str) -> str:
        return _alter(name, setting, value)

    if settings.get("message.timestamp.type") != "LogAppendTime":
        report.finding(
            f"{name}: message.timestamp.type is not LogAppendTime, a fast clock can make others late",
            alter("message.timestamp.type", "LogAppendTime"),
        )
    for setting in ("retention.ms", "retention.bytes"):
        if settings.get(setting, "-1") != "-1":
            report.finding(
                f"{name}: {setting} is {settings[setting]}, older events cannot be replayed and a run that was stopped"
                " for longer cannot go on",
                alter(setting, "-1") + ", or dump in time",
            )
    if settings.get("cleanup.policy", "delete") != "delete":
        report.finding(
            f"{name}: cleanup.policy is {settings['cleanup.policy']}, events of a sensor would replace each other",
            alter("cleanup.policy", "delete"),
        )
    if settings.get("unclean.leader.election.enable") == "true":
        report.finding(
            f"{name}: unclean.leader.election.enable is true, events that were read may vanish",
            alter("unclean.leader.election.enable", "false"),
        )
    least = int(settings.get("min.insync.replicas", "1"))
    if found.replicas < 2 and found.brokers > 1:
        report.finding(
            f"{name}: one replica on {found.brokers} brokers, a lost disk loses events",
            "kafka-reassign-partitions to 3 replicas",
        )
    elif found.replicas < 2:
        report.note(f"{name}: one broker, one replica: a lost disk loses events; for the city take three")
    elif least < 2:
        report.finding(
            f"{name}: min.insync.replicas is {least} of {found.replicas}, a lost broker may lose events",
            alter("min.insync.replicas", "2"),
        )
    elif least >= found.replicas:
        report.finding(
            f"{name}: min.insync.replicas is {least} of {found.replicas}, one broker away stops all writing",
            alter("min.insync.replicas", str(found.replicas - 1)),
        )
    if found.leaderless:
        report.finding(f"{name}: {found.leaderless} partitions have no leader", "start the brokers that hold them")
    if found.behind:
        report.finding(
            f"{name}: {found.behind} partitions have replicas that are not in sync", "look at the brokers' logs"
        )
    _broker_clock(report, name, found)


def compacted(report: Report, cluster: Cluster, *, needed: bool) -> None:
    """A compacted topic of records that say everything about their key; one that is not there may not be needed."""
    name = cluster.topic
    try:
        partitions = cluster.partitions()
    except ServiceUnreachable:
        if needed:
            raise
        report.note(f"{name}: not there; needed for events about people who consented")
        return
    report.note(f"kafka {cluster.bootstrap}: {name} has {partitions} partitions")
    compacted_settings(report, name, checkup.topic_settings(cluster))


def compacted_settings(report: Report, name: str, settings: Mapping[str, str]) -> None:
    """What a compacted topic must be set to."""
    for setting, wanted, why in (
        ("cleanup.policy", "compact", "what stands would be removed by age"),
        ("message.timestamp.type", "LogAppendTime", "writers could say anything about when they wrote"),
    ):
        found = settings.get(setting, "not told")
        if found != wanted:
            report.finding(f"{name}: {setting} is {found}, {why}", _alter(name, setting, wanted))
    lag = settings.get("min.compaction.lag.ms", "0")
    if int(lag) < LEAST_COMPACTION_LAG_MS:
        report.finding(
            f"{name}: min.compaction.lag.ms is {lag}, a run that was away may not see what changed twice",
            _alter(name, "min.compaction.lag.ms", str(LEAST_COMPACTION_LAG_MS)),
        )


def _alter(name: str, setting: str, value: str) -> str:
    return f"kafka-configs --alter --topic {name} --add-config {setting}={value}"


def _broker_clock(report: Report, name: str, found: checkup.Topic) -> None:
    do = "let both machines take their time from the same servers (chrony)"
    if found.ours_ahead_ms is not None and abs(found.ours_ahead_ms) > CLOCK_MS:
        way = "ahead of" if found.ours_ahead_ms > 0 else "behind"
        report.finding(f"this clock is {abs(found.ours_ahead_ms) / 1000:.1f} s {way} the broker's", do)
    elif found.ours_ahead_ms is not None:
        report.note(f"clock: within {max(50, abs(found.ours_ahead_ms))} ms of the broker's")
    elif found.ours_behind_ms > CLOCK_MS:
        report.finding(f"this clock is at least {found.ours_behind_ms / 1000:.1f} s behind the broker's", do)
    else:
        report.note(f"clock against the broker's: not measurable without a write, nothing came to {name} for a while")


def of_store(report: Report, held: Store) -> None:
    """The store: version, tables, room, clock."""
    found = held.checkup()
    version = ".".join(map(str, found.version[:3]))
    runs = "no tables yet" if found.runs is None else f"{found.runs} runs"
    report.note(f"store {held.url_shown}: ClickHouse {version}, {runs}" + ", replicated" * found.replicated)
    if found.clustered and found.runs is not None and not found.replicated:
        report.finding(
            "store: the server is one of a cluster, its database is not",
            "take a database of another name: 'hitonami schema apply' makes it",
        )
    setting = "replicated_deduplication_window" if found.replicated else "non_replicated_deduplication_window"
    if found.version[:2] < CLICKHOUSE:
        tried = ".".join(map(str, CLICKHOUSE))
        report.finding(f"store: ClickHouse {version} is older than {tried}, the oldest one tried", "upgrade it")
    if found.newer:
        report.finding(f"store: written by a newer Hitonami (schema {found.newer})", "upgrade this installation")
    if found.missing and found.runs is not None:
        numbers = ", ".join(map(str, found.missing))
        report.note(f"store: the next start applies the migrations {numbers}")
    for table, window in found.windows.items():
        if window < LEAST_WINDOW:
            report.finding(
                f"store: {table} remembers {window} inserts against repeats",
                f"ALTER TABLE {table} MODIFY SETTING {setting} = {LEAST_WINDOW}",
            )
    for table, (parts, limit) in found.parts.items():
        if limit and parts >= 0.8 * limit:
            report.finding(
                f"store: {table} has {parts} parts in one run, inserts wait from {limit} on",
                "merges do not keep up; look at the disk and the processors",
            )
    for name, (free, total) in found.disks.items():
        _free(report, f"store: disk {name}", free, total)
    if held.embedded:
        return
    if abs(found.server_ahead_ms) - found.within_ms > CLOCK_MS:
        way = "behind" if found.server_ahead_ms > 0 else "ahead of"
        report.finding(
            f"this clock is {abs(found.server_ahead_ms) / 1000:.1f} s {way} the store's",
            "let both machines take their time from the same servers (chrony)",
        )
    else:
        report.note(f"clock: within {abs(found.server_ahead_ms) + found.within_ms:.0f} ms of the store's")


def _free(report: Report, what: str, free: int, total: int) -> None:
    if total and (free < LEAST_FREE or free < LEAST_SHARE * total):
        report.finding(
            f"{what} has {free / (1 << 30):.1f} GiB free of {total / (1 << 30):.1f}", "make room or add a disk"
        )
