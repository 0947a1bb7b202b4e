"""Commands on files: export, registry check and new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from engine import registry as registries
from engine import registry_new
from engine.config import DEFAULTS
from engine.errors import BadInput, UsageError
from engine.model import END, NO_TIME, PRODUCTS, REPORTING, WINDOWS
from engine.rfc3339 import format_ms
from flows.kafka import Cluster
from flows.publish import publish, signed, tell
from hitonami.common import (
    StoreOption,
    ended_by,
    kafka_settings,
    known_run,
    now_ms,
    opened,
    out,
    say,
    span_of,
    time_of,
)
from sinks import files
from sinks.clickhouse.company import Ask

registry = typer.Typer(
    help="Registries: check one, make one, publish one; people in a zone.", no_args_is_help=True, rich_markup_mode=None
)


def export(
    product: Annotated[str, typer.Argument(help=f"One of {', '.join(PRODUCTS)}.")],
    store: StoreOption,
    run_id: Annotated[str, typer.Option("--run-id", help="The run.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    window: Annotated[str | None, typer.Option("--window", help="One window length; all where not given.")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="First window start.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="T", help="Last window end.")] = None,
    format: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    workbench: Annotated[bool, typer.Option("--workbench", help="Needed to export a workbench run.")] = False,
    contract: Annotated[
        str | None, typer.Option("--contract", metavar="ID", help="For a company: the contract it reads by.")
    ] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="For a company: what it reads for.")] = None,
    company: Annotated[
        str | None, typer.Option("--company", metavar="NAME", help="For a company: who gets the file.")
    ] = None,
) -> None:
    """Write a product's rows to a file.

    Example: hitonami export flow --store chdb:///tmp/figures --run-id monday --window 1h -o flow.csv
    """
    if product not in PRODUCTS:
        raise UsageError(f"export: no product {product}; there is {', '.join(PRODUCTS)}")
    if format not in ("csv", "parquet"):
        raise UsageError("--format: csv or parquet")
    if window is not None and (window not in WINDOWS or "window" not in PRODUCTS[product][1]):
        raise UsageError(f"--window: one of {', '.join(WINDOWS)}, for products with windows")
    if (contract is None) != (purpose is None) or (contract is None and company is not None):
        raise UsageError("export: a company's read names --contract and --purpose")
    from_ms, to_ms = span_of(from_, to)
    start, end = None if from_ms == NO_TIME else from_ms, None if to_ms == END else to_ms
    with opened(store) as held:
        given = None
        if contract is not None and purpose is not None:
            ask = Ask(contract, purpose, product, run_id, window, start, end, company)
            read = held.company_read(ask, now_ms)
            run, given = read.run, read.given
        else:
            run = known_run(held, run_id)
        if run.kind == "workbench" and not workbench:
            raise UsageError(f"{run_id} is a workbench run, a second release: --workbench exports it all the same")
        tables = held.slices(
            product, run_id, window=window, start_ms=start, end_ms=end, before=ended_by(run.timezone, to_ms)
        )
        rows = files.export(tables, product, format, output, window_column=window is None, before=given)
    say(f"{rows} rows")


@registry.command("check")
def registry_check(path: Annotated[Path, typer.Argument(metavar="FILE", help="Registry file.")]) -> None:
    """Check a registry; every fault with its place, exit 3 where there is one.

    Example: hitonami registry check registry.json
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    found, faults = registries.check(raw)
    for fault in faults:
        out.print(fault, markup=False)
    if found is None:
        raise BadInput(f"{path}: {len(faults)} faults")
    if found.sensors and all(REPORTING[sensor.reporting] == "on_change" for sensor in found.sensors):
        # a warning, also with -q: without heartbeats the time at which a row appears tells (docs/adr/0002)
        out.print("sensors that report only on change: rows of quiet times come when somebody passes", markup=False)
    say(f"{found.version}: {len(found.zones)} zones, {len(found.gates)} gates, {len(found.sensors)} sensors")


@registry.command("publish")
def registry_publish(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Registry file.")],
    kafka: Annotated[str, typer.Option("--kafka", metavar="HOST:PORT", help="Bootstrap server of Kafka.")],
    kafka_config: Annotated[
        Path | None, typer.Option("--kafka-config", help="librdkafka settings, key = value per line (TLS, SASL).")
    ] = None,
    topic: Annotated[str, typer.Option("--topic", help="Topic of the events.")] = "people",
    after: Annotated[Path | None, typer.Option("--after", help="The --registry of the runs, to check against.")] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who publishes it; stands in it, with now.")
    ] = None,
) -> None:
    """Write a registry version into every partition of a topic; it holds for all records behind it.

    Example: hitonami registry publish registry.json --kafka 127.0.0.1:9092
    """
    version = registries.load(path)
    if by is not None:
        version = signed(version, by, now_ms())
    first = None if after is None else registries.load(after)
    partitions = publish(Cluster(kafka, kafka_settings(kafka_config), topic), version, first)
    say(f"{version.version}: published to {partitions} partitions")


@registry.command("set")
def registry_set(
    zone: Annotated[str, typer.Argument(metavar="ZONE", help="Id of the zone.")],
    people: Annotated[int, typer.Argument(metavar="PEOPLE", help="How many people are in it.")],
    kafka: Annotated[str, typer.Option("--kafka", metavar="HOST:PORT", help="Bootstrap server of Kafka.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; stands in the record.")],
    at: Annotated[str | None, typer.Option("--at", metavar="T", help="When it was so (RFC 3339); else now.")] = None,
    kafka_config: Annotated[
        Path | None, typer.Option("--kafka-config", help="librdkafka settings, key = value per line (TLS, SASL).")
    ] = None,
    topic: Annotated[str, typer.Option("--topic", help="Topic of the events.")] = "people",
    after: Annotated[
        Path | None, typer.Option("--after", help="The --registry of the runs, where none was published.")
    ] = None,
) -> None:
    """Tell how many people are in a zone, into every partition of a topic; occupancy counts on from there.

    Example: hitonami registry set c1 0 --kafka 127.0.0.1:9092 --by sato
    """
    ts = None if at is None else time_of(at, "--at", 0)
    first = None if after is None else registries.load(after)
    told = tell(Cluster(kafka, kafka_settings(kafka_config), topic), zone, people, by, ts, first)
    say(f"{zone}: {people} people at {format_ms(told.ts)}, told to {told.partitions} partitions")
    if told.age_ms > DEFAULTS["time"]["bound_ms"]:
        # a warning, also with -q: whether it holds is told by the runs alone, in their own words elsewhere
        late = f"{told.age_ms // 1000} s old by Kafka's clock"
        out.print(f"{late}: it holds only where no window of that instant has closed", markup=False)


@registry.command("new")
def registry_new_command(
    from_csv: Annotated[Path, typer.Option("--from-csv", metavar="FILE", help="CSV with columns gate, sensor, …")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; else standard output.")] = None,
) -> None:
    """Make a registry from a table of sensors.

    Example: hitonami registry new --from-csv sensors.csv -o registry.json
    """
    try:
        text = from_csv.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{from_csv}: cannot be read as UTF-8") from None
    document = json.dumps(registry_new.from_csv(text), ensure_ascii=False, indent=1)
    if output is None:
        out.print(document, markup=False)
    else:
        try:
            output.write_text(document + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"-o: the file cannot be written: {error.strerror}") from None
