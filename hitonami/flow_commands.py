"""Commands that move events: run, replay, dump."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from engine import registry as registries
from engine.config import Config
from engine.errors import UsageError
from engine.model import GAP_MS
from flows import guard
from flows.cluster import run_cluster
from flows.consents import TOPIC as CONSENTS
from flows.health import State, gathered
from flows.kafka import Cluster
from flows.live import run_live
from flows.logs import topic_of
from flows.runs import Setup, Summary, dump_topic, replay_files, replay_kafka
from flows.streams import events_of, stream_of
from flows.worker import Job
from hitonami import __version__
from hitonami.common import StoreOption, kafka_settings, new_run_id, opened, out, progress, say, span_of
from sinks.clickhouse.store import Store
from sinks.deadletter import DeadLetters, FileTarget, KafkaTarget

KafkaOption = Annotated[str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Bootstrap server of Kafka.")]
KafkaConfig = Annotated[
    Path | None, typer.Option("--kafka-config", help="librdkafka settings, key = value per line (TLS, SASL).")
]
RegistryOption = Annotated[Path, typer.Option("--registry", help="Registry file (JSON).")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings (TOML); see doctor --config.")]
FromOption = Annotated[str | None, typer.Option("--from", metavar="T", help="Event time, RFC 3339 with offset.")]
ToOption = Annotated[str | None, typer.Option("--to", metavar="T", help="Event time, RFC 3339 with offset.")]
LettersOption = Annotated[Path | None, typer.Option("--dead-letters", help="File for dead letters (no values).")]
TopicOption = Annotated[str, typer.Option("--topic", help="Topic of the events.")]
EventsOption = Annotated[
    str | None, typer.Option("--events", help="people or signage; where not given, by the topic's name.")
]
ConsentsOption = Annotated[
    str | None,
    typer.Option("--consents", metavar="HOST:PORT", help="Kafka of topic consents, where it is another; for profiles."),
]
SourceOption = Annotated[str, typer.Option("--source", help="How Kafka is read: hot, or safe (slower).")]


def run(
    kafka: Annotated[str, typer.Option("--kafka", metavar="HOST:PORT", help="Bootstrap server of Kafka.")],
    store: StoreOption,
    registry: RegistryOption,
    recovery: Annotated[Path, typer.Option("--recovery", help="Directory of the run's state, local and private.")],
    run_id: Annotated[str, typer.Option("--run-id", help="Name of the run in the store.")] = "live",
    processes: Annotated[
        int, typer.Option("--processes", help="Number of processes; may change at every start.", min=1)
    ] = 1,
    config: ConfigOption = None,
    start: Annotated[str, typer.Option("--start", help="earliest, latest or stored.")] = "stored",
    kafka_config: KafkaConfig = None,
    dead_letters: LettersOption = None,
    topic: TopicOption = "people",
    source: SourceOption = "hot",
    events: EventsOption = None,
    consents: ConsentsOption = None,
    health_port: Annotated[
        int | None,
        typer.Option("--health-port", metavar="N", help="Port of /healthz, /readyz and /metrics; 0: a free one."),
    ] = None,
    health_host: Annotated[
        str, typer.Option("--health-host", metavar="ADDRESS", help="Address of the health port.")
    ] = "127.0.0.1",
) -> None:
    """Run live until SIGTERM or SIGINT; goes on where it stopped.

    Example: hitonami run --kafka 127.0.0.1:9092 --store chdb:///var/lib/hitonami --registry registry.json
    --recovery /var/lib/hitonami-state
    """
    if start not in ("earliest", "latest", "stored"):
        raise UsageError("--start: earliest, latest or stored")
    new_run_id(run_id)
    stream = stream_of(events or events_of(topic)).name
    guard.on_signals()
    settings = kafka_settings(kafka_config)
    cluster = Cluster(kafka, settings, topic, source)
    version, chosen = registries.load(registry), Config.load(config)  # before a store is made
    with (
        _served(health_host, health_port, lambda: gathered(recovery, processes)) as url,
        opened(store) as opened_store,
    ):
        if opened_store.embedded and processes != 1:
            raise UsageError("--processes: an embedded store is owned by one process")
        at = _consents(consents, settings, stream)
        setup = Setup(opened_store, version, chosen, run_id, __version__, events=stream, consents=at)
        days = setup.config.keep_days()
        if days is not None:
            opened_store.keep(days)

        def tell() -> None:
            say(f"running as {run_id}" + (f", health at {url}" if url else ""))

        if opened_store.embedded:
            letters = _letters(dead_letters, cluster, stream, chosen)
            summary = run_live(replace(setup, letters=letters), cluster, recovery, start, on_start=tell)
            if letters is not None:
                letters.close()
        else:
            job = Job(
                kafka=kafka,
                kafka_settings=settings,
                topic=topic,
                source=source,
                store=store,
                registry=setup.registry.text,
                config=setup.config.as_json(),
                run_id=run_id,
                code_version=__version__,
                recovery=str(recovery.resolve()),
                events=stream,
                consents=consents,
                dead_letters=None if dead_letters is None else str(dead_letters.resolve()),
            )
            summary = run_cluster(setup, job, start, processes, on_start=tell)
        _print_summary(opened_store, summary)


def replay(
    store: StoreOption,
    registry: RegistryOption,
    run_id: Annotated[str, typer.Option("--run-id", help="Name of the run in the store; must be new.")],
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="JSON Lines (.gz, .zst) or dumps.")
    ] = None,
    kafka: KafkaOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    config: ConfigOption = None,
    order: Annotated[str | None, typer.Option("--order", help="ts (default for JSON Lines) or log.")] = None,
    speed: Annotated[float, typer.Option("--speed", help="0: as fast as possible.")] = 0,
    kafka_config: KafkaConfig = None,
    dead_letters: LettersOption = None,
    topic: TopicOption = "people",
    source: SourceOption = "hot",
    events: EventsOption = None,
    consents: ConsentsOption = None,
) -> None:
    """Replay files or a topic into the store; prints a JSON summary last.

    Example: hitonami replay events.jsonl --store chdb:///tmp/figures --registry registry.json --run-id monday
    """
    new_run_id(run_id)
    if bool(paths) == bool(kafka):
        raise UsageError("replay: give files or --kafka, one of them")
    if speed != 0:
        raise UsageError("--speed: this version replays as fast as possible (0)")
    stream = stream_of(events or events_of(topic_of(paths[0]) if paths else topic)).name
    from_ms, to_ms = span_of(from_, to)
    guard.on_signals()
    version, chosen = registries.load(registry), Config.load(config)  # before a store is made
    settings = kafka_settings(kafka_config)
    with opened(store) as opened_store:
        letters = _letters(dead_letters, None, stream, chosen)
        at = _consents(consents, settings, stream)
        setup = Setup(opened_store, version, chosen, run_id, __version__, letters, events=stream, consents=at)
        with progress() as tell:
            if paths:
                summary = replay_files(setup, paths, order, from_ms=from_ms, to_ms=to_ms, progress=tell)
            else:
                cluster = Cluster(str(kafka), settings, topic, source)
                summary = replay_kafka(setup, cluster, from_ms=from_ms, to_ms=to_ms)
        if letters is not None:
            letters.close()
        if (
            summary.first_ms is not None
            and summary.last_ms is not None
            and summary.last_ms - summary.first_ms > 366 * GAP_MS
        ):
            say("the first and the last accepted record lie more than a year apart")
        _print_summary(opened_store, summary)


def dump(
    kafka: Annotated[str, typer.Option("--kafka", metavar="HOST:PORT", help="Bootstrap server of Kafka.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Parquet file to write.")],
    topic: TopicOption = "people",
    from_: FromOption = None,
    to: ToOption = None,
    kafka_config: KafkaConfig = None,
) -> None:
    """Write a topic to a Parquet file that replays as live did.

    With --from it begins a day before, with --to it ends an hour behind (record time); chains of people that began
    before are cut, so a replay of it beside the live run is a workbench run.

    Example: hitonami dump --kafka 127.0.0.1:9092 --topic people -o people.parquet
    """
    if topic in ("profiles", "consents"):
        raise UsageError(f"dump: {topic} holds personal data and is not dumped")
    from_ms, to_ms = span_of(from_, to)
    guard.on_signals()
    cluster = Cluster(kafka, kafka_settings(kafka_config), topic)
    with progress() as tell:
        written = dump_topic(cluster, output, from_ms=from_ms, to_ms=to_ms, progress=tell)
    say(f"{written} records")


def _served(host: str, port: int | None, read: Callable[[], State]) -> AbstractContextManager[str | None]:
    """The health port for the time of a block; its server takes its time to load, so only where one is asked for."""
    if port is None:
        return nullcontext()
    from hitonami.health import served

    return served(host, port, read)


def _consents(bootstrap: str | None, settings: dict[str, str], stream: str) -> Cluster | None:
    """Where --consents says that the topic is. Raises UsageError for streams of which nobody has to consent."""
    if bootstrap is not None and stream != "profiles":
        raise UsageError("--consents: only with --events profiles")
    return None if bootstrap is None else Cluster(bootstrap, settings, CONSENTS)


def _letters(path: Path | None, cluster: Cluster | None, events: str, config: Config) -> DeadLetters | None:
    exact = config["status", "exact"]
    if path is not None:
        return DeadLetters.of(FileTarget(path), events, exact=exact)
    if cluster is None:
        return None
    return DeadLetters.of(KafkaTarget(cluster.settings, "rejects"), events, exact=exact)


def _print_summary(store: Store, summary: Summary) -> None:
    status = store.status_counts(summary.run_id)
    document = {
        "run_id": summary.run_id,
        "read": summary.read,
        "accepted": summary.accepted,
        "rejected": dict(summary.rejected),
        "windows": store.window_counts(summary.run_id),
        "released": status.get("released", 0),
        "suppressed": status.get("suppressed", 0),
        "digest": store.digest(summary.run_id),
        "seconds": round(summary.seconds, 3),
    }
    out.print(json.dumps(document), markup=False)
