"""``hitonami load``: a scenario's events, into Kafka or into a file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from engine.errors import BadInput, ServiceUnreachable, UsageError
from flows import guard
from flows.kafka import refused
from hitonami.common import kafka_settings, progress, say
from hitonami.flow_commands import KafkaConfig, KafkaOption

if TYPE_CHECKING:
    import loadgen

_FILE_S = 600.0  # length of a plan or of signage in a file where it is not given
_SIGNAGE = "signage"  # scenario, and its topic
_PROFILES = "profiles"  # scenario, and its topic
_FAULTS = ("late", "duplicate", "bad")  # options that signage has too
_SCENARIO = ("rate", "seconds", "seed", "start_ms", "clock_of_day_s")  # what a scenario is made of
_BUSY_S = 8 * 3600  # a weekday begins at this hour in Kafka, whatever the clock says; the other scenarios have theirs
_KAFKA_ONLY = ("partitions", "format", "per_array", "processes", "unpaced", "report")


def load(
    scenario: Annotated[
        str, typer.Argument(help="weekday, snow-festival, smoke, blackout, signage, profiles, city or nation")
    ],
    kafka: KafkaOption = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Events per second on average.")] = None,
    seconds: Annotated[
        int | None, typer.Option("--seconds", help="Length; where not given all of it in a file, no end in Kafka.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same events.")] = 1,
    truth: Annotated[Path | None, typer.Option("--truth", help="File for the true counts.")] = None,
    registry_out: Annotated[Path | None, typer.Option("--registry-out", help="File for the registry.")] = None,
    consents_out: Annotated[
        Path | None, typer.Option("--consents-out", help="File for the consents of profiles, to be imported.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File for the events.")] = None,
    kafka_config: KafkaConfig = None,
    topic: Annotated[
        str | None, typer.Option("--topic", help="Topic of the events; where not given people, of signage signage.")
    ] = None,
    sensors: Annotated[int | None, typer.Option("--sensors", help="Number of sensors.")] = None,
    partitions: Annotated[
        int | None, typer.Option("--partitions", help="Partitions of a topic that is missing.")
    ] = None,
    hot: Annotated[
        float | None, typer.Option("--hot", help="Skew of the keys: sensor s sends in proportion to (s + 1) ** -N.")
    ] = None,
    late: Annotated[float | None, typer.Option("--late", help="Share of events that come too late.")] = None,
    duplicate: Annotated[
        float | None, typer.Option("--duplicate", help="Share of events that come a second time.")
    ] = None,
    bad: Annotated[float | None, typer.Option("--bad", help="Share of events that no rule lets through.")] = None,
    skewed: Annotated[float | None, typer.Option("--skewed", help="Share of events by clocks that are wrong.")] = None,
    skew_ms: Annotated[int | None, typer.Option("--skew-ms", help="How wrong clocks may be that are believed.")] = None,
    disorder_ms: Annotated[
        int | None, typer.Option("--disorder-ms", help="How long an event is on its way at most.")
    ] = None,
    ramp: Annotated[float | None, typer.Option("--ramp", help="Seconds until the rate is reached.")] = None,
    burst: Annotated[float | None, typer.Option("--burst", help="Events per second in a burst; 0: none.")] = None,
    burst_every: Annotated[float | None, typer.Option("--burst-every", help="Seconds from burst to burst.")] = None,
    burst_seconds: Annotated[float | None, typer.Option("--burst-seconds", help="Length of a burst.")] = None,
    format: Annotated[str | None, typer.Option("--format", help="json, array or arrow.")] = None,
    per_array: Annotated[int | None, typer.Option("--per-array", help="Events in an array or an Arrow stream.")] = None,
    processes: Annotated[int | None, typer.Option("--processes", help="Processes that send.", min=1)] = None,
    unpaced: Annotated[bool, typer.Option("--unpaced", help="Send all at once, with times of the past.")] = False,
    report: Annotated[Path | None, typer.Option("--report", help="File for what was reached (JSON).")] = None,
) -> None:
    """Generate a scenario's events, into Kafka in real time or into a file at once.

    Example: hitonami load weekday --seconds 600 -o events.jsonl --registry-out registry.json --truth truth.jsonl
    """
    import loadgen

    known = (*loadgen.SCENARIOS, _SIGNAGE, _PROFILES, *loadgen.PLANS)
    if scenario not in known:
        raise UsageError(f"load: no scenario {scenario}; there is {', '.join(known)}")
    if (kafka is None) == (output is None):
        raise UsageError("load: give --kafka or -o, one of them")
    shape = {
        "sensors": sensors,
        "partitions": partitions,
        "hot": hot,
        "late": late,
        "duplicate": duplicate,
        "bad": bad,
        "skewed": skewed,
        "skew_ms": skew_ms,
        "disorder_ms": disorder_ms,
        "ramp": ramp,
        "burst": burst,
        "burst_every": burst_every,
        "burst_seconds": burst_seconds,
        "format": format,
        "per_array": per_array,
    }
    sending = {"processes": processes, "unpaced": unpaced or None, "report": report}
    given = [name for name, value in {**shape, **sending}.items() if value is not None]
    if scenario not in loadgen.PLANS and (wrong := [o for o in given if scenario != _SIGNAGE or o not in _FAULTS]):
        raise UsageError(f"load: {_words(wrong)}: not of {scenario}")
    if output is not None and (wrong := [name for name in given if name in _KAFKA_ONLY]):
        raise UsageError(f"load: {_words(wrong)}: only with --kafka")
    options = {**shape, "rate": rate, "seconds": seconds, "seed": seed}
    files = _Files(registry_out, truth, report)
    if consents_out is not None and scenario != _PROFILES:
        raise UsageError(f"load: --consents-out: not of {scenario}")
    if scenario == _PROFILES:
        there = None if kafka is None else _Topic(kafka, topic or _PROFILES, kafka_settings(kafka_config))
        _profiles(options, there, files, consents_out, output)
        return
    if kafka is None:
        write = _signage_file if scenario == _SIGNAGE else _plan_file if scenario in loadgen.PLANS else _scenario_file
        write(scenario, options, Path(str(output)), files)
        return
    files.touch()
    guard.on_signals()
    there = _Topic(kafka, topic or (_SIGNAGE if scenario == _SIGNAGE else "people"), kafka_settings(kafka_config))
    try:
        if scenario == _SIGNAGE:
            _signage_kafka(options, there, files)
        elif scenario in loadgen.SCENARIOS:
            _scenario_kafka(scenario, options, there, files)
        else:
            _plan_kafka(scenario, options, there, files, processes or 1, not unpaced)
    except ConnectionError as error:
        raise ServiceUnreachable(str(error)) from None
    except loadgen.SettingsRefused:
        raise refused() from None


class _Topic(NamedTuple):
    """Where events go in Kafka."""

    bootstrap: str
    name: str
    settings: dict[str, str]


class _Files(NamedTuple):
    """What is written beside the events."""

    registry: Path | None
    truth: Path | None
    report: Path | None

    def touch(self) -> None:
        """Make those that are written at the end: a live load ends long after, say now what is wrong."""
        for option, path in (("--truth", self.truth), ("--report", self.report)):
            if path is not None:
                with _written(option, path):
                    path.touch()

    def write_registry(self, write: Callable[[Path], None]) -> None:
        """Have the registry written where it is wanted."""
        if self.registry is not None:
            with _written("--registry-out", self.registry):
                write(self.registry)

    def write_truth(self, write: Callable[[Path], None]) -> None:
        """Have the truth written where it is wanted."""
        if self.truth is not None:
            with _written("--truth", self.truth):
                write(self.truth)


def _scenario(scenario: str, options: dict[str, Any], files: _Files) -> loadgen.Scenario:
    """A scenario made, and its registry written."""
    import loadgen

    try:
        made = loadgen.SCENARIOS[scenario](**{name: value for name, value in options.items() if name in _SCENARIO})
    except ValueError as error:
        raise UsageError(f"load: {error}") from None
    files.write_registry(lambda path: loadgen.write_registry(made, path))
    return made


def _scenario_file(scenario: str, options: dict[str, Any], output: Path, files: _Files) -> None:
    import loadgen

    seconds = loadgen.LENGTHS_S[scenario] if options["seconds"] is None else options["seconds"]
    made = _scenario(scenario, {**options, "seconds": seconds}, files)
    with _written("-o", output):
        loadgen.write_file(made, output)
    files.write_truth(lambda path: loadgen.write_truth(made, path))


def _scenario_kafka(scenario: str, options: dict[str, Any], topic: _Topic, files: _Files) -> None:
    import loadgen

    now = {"start_ms": int(time.time() * 1000)}
    if scenario == "weekday":
        now["clock_of_day_s"] = _BUSY_S
    made = _scenario(scenario, {**options, **now}, files)
    sent = loadgen.produce(made, topic.bootstrap, topic.name, stop=guard.stop.is_set, kafka_config=topic.settings)
    say(f"{sent.events} events in {sent.seconds:.1f} s")
    files.write_truth(lambda path: loadgen.write_truth(made, path))


def _signage(options: dict[str, Any], files: _Files, **more: float) -> loadgen.Signage:
    """Signage made, and its registry written."""
    import loadgen

    given = {name: options[name] for name in ("rate", "seconds", "seed", *_FAULTS) if options[name] is not None}
    try:
        made = loadgen.Signage(**{**more, **given})
    except ValueError as error:
        raise UsageError(f"load: {error}") from None
    files.write_registry(lambda path: loadgen.write_registry(made, path))
    return made


def _signage_file(scenario: str, options: dict[str, Any], output: Path, files: _Files) -> None:
    import loadgen

    made = _signage(options, files, seconds=_FILE_S)
    with _written("-o", output):
        loadgen.write_file(made, output)
    files.write_truth(lambda path: loadgen.write_signage_truth(made, path))


def _signage_kafka(options: dict[str, Any], topic: _Topic, files: _Files) -> None:
    import loadgen

    made = _signage(options, files, start_ms=int(time.time() * 1000))
    sent = loadgen.produce(made, topic.bootstrap, topic.name, stop=guard.stop.is_set, kafka_config=topic.settings)
    say(f"{sent.events} events in {sent.seconds:.1f} s")
    files.write_truth(lambda path: loadgen.write_signage_truth(made, path))


def _profiles(
    options: dict[str, Any], topic: _Topic | None, files: _Files, consents: Path | None, output: Path | None
) -> None:
    """A day of people, all at once: in Kafka yesterday, for nothing may lie in the future."""
    import loadgen

    if wrong := [name for name in ("rate", "seconds") if options[name] is not None]:
        raise UsageError(f"load: {_words(wrong)}: not of {_PROFILES}")
    day = {} if topic is None else {"start_ms": loadgen.day_before(int(time.time() * 1000))}
    made = loadgen.ProfileLoad(seed=options["seed"], **day)
    files.write_registry(lambda path: loadgen.write_profile_registry(made, path))
    files.write_truth(lambda path: loadgen.write_profile_truth(made, path))
    if consents is not None:
        with _written("--consents-out", consents):
            loadgen.write_profile_consents(made, consents)
    if output is not None:
        with _written("-o", output):
            loadgen.write_profiles(made, output)
        return
    assert topic is not None
    try:
        say(f"{loadgen.send_profiles(made, topic.bootstrap, topic.name, topic.settings)} events")
    except ConnectionError as error:
        raise ServiceUnreachable(str(error)) from None
    except loadgen.SettingsRefused:
        raise refused() from None


def _plan(scenario: str, options: dict[str, Any]) -> loadgen.Plan:
    import loadgen

    try:
        return loadgen.planned(scenario, **options)
    except ValueError as error:
        raise UsageError(f"load: {error}") from None


def _plan_file(scenario: str, options: dict[str, Any], output: Path, files: _Files) -> None:
    import loadgen

    seconds = _FILE_S if options["seconds"] is None else options["seconds"]
    of_a_file = {"seconds": seconds, "partitions": 1, "future": False, "appended_when_due": False}
    plan = _plan(scenario, {**options, **of_a_file})
    files.write_registry(lambda path: loadgen.write_plan_registry(plan, path))
    with _written("-o", output), progress() as tell:
        tally = loadgen.write_plan(plan, output, on_progress=_share(plan, tell))
    files.write_truth(tally.write)


def _plan_kafka(
    scenario: str, options: dict[str, Any], topic: _Topic, files: _Files, processes: int, paced: bool
) -> None:
    import loadgen

    plan = _plan(scenario, options)
    if not paced and plan.seconds is None:
        raise UsageError("load: --unpaced needs --seconds")
    there = loadgen.partitions_of(topic.bootstrap, topic.name, topic.settings)
    if there is None:
        loadgen.create_topic(topic.bootstrap, topic.name, partitions=plan.partitions, kafka_config=topic.settings)
    elif options["partitions"] not in (None, there):
        raise UsageError(f"load: --partitions: topic {topic.name} has {there}")
    else:
        plan = _plan(scenario, {**options, "partitions": there})
    files.write_registry(lambda path: loadgen.write_plan_registry(plan, path))
    with progress() as tell:
        sent, tally = loadgen.send(
            plan,
            topic.bootstrap,
            topic.name,
            paced=paced,
            processes=processes,
            truth=files.truth is not None,
            kafka_config=topic.settings,
            stop=guard.stop.is_set,
            on_progress=_share(plan, tell),
        )
    files.write_truth(tally.write)
    reached = sent.report(plan, paced)
    if files.report is not None:
        with _written("--report", files.report):
            files.report.write_text(json.dumps(reached) + "\n", encoding="utf-8")
    say(_told(reached))


def _told(reached: dict[str, Any]) -> str:
    """What was reached, in a line."""
    line = f"{reached['events']} events in {reached['seconds']:.1f} s, {reached['rate']} events/s"
    if "asked" not in reached:
        return line
    behind = reached["behind_ms"]
    return f"{line} of {reached['asked']}; behind by {behind['p50']} ms (99 %: {behind['p99']}, most: {behind['max']})"


def _share(plan: loadgen.Plan, tell: Callable[[str, float], None]) -> Callable[[int], None] | None:
    """What shows the progress of a plan that has an end."""
    events = plan.events()
    return None if not events else lambda many: tell("events", many / events)


def _words(names: list[str]) -> str:
    """Options as they are typed."""
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


@contextmanager
def _written(option: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(f"load: {option}: {path}: {error.strerror}") from None
