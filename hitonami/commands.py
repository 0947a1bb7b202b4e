"""Commands that look at what is stored: verify, audit, runs, doctor, schema, dashboard, bench."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from engine import rfc3339
from engine.config import Config
from engine.errors import CheckFailed, ServiceUnreachable, UsageError
from engine.model import END, NO_TIME, WINDOWS
from engine.timezone import TimeZone
from flows.kafka import Cluster
from hitonami.common import StoreOption, ended_by, kafka_settings, known_run, opened, out, say, span_of
from sinks.clickhouse.runs import Run
from sinks.clickhouse.store import Store

runs = typer.Typer(help="Runs in a store.", no_args_is_help=True, rich_markup_mode=None)
schema = typer.Typer(help="Tables of a store.", no_args_is_help=True, rich_markup_mode=None)


def verify(
    store: StoreOption,
    run_id: Annotated[str, typer.Option("--run-id", metavar="A", help="One run.")],
    against: Annotated[str, typer.Option("--against", metavar="B", help="The other.")],
    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="First window start.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="T", help="Last window end.")] = None,
) -> None:
    """Compare two runs window by window; exit 1 and the first difference where they differ.

    Example: hitonami verify --store chdb:///tmp/figures --run-id live --against monday
    """
    from_ms, to_ms = span_of(from_, to)
    with opened(store) as held:
        a, b = known_run(held, run_id), known_run(held, against)
        start_ms = None if from_ms == NO_TIME else from_ms
        one, two = (
            held.window_digests(run.run_id, start_ms=start_ms, before=ended_by(run.timezone, to_ms)) for run in (a, b)
        )
        both = [key for key in one if key in two and _closed(a, *key) and _closed(b, *key)]
        both.sort(key=lambda key: (WINDOWS.index(key[0]), key[1]))
        differing = [key for key in both if one[key] != two[key]]
        say(f"{len(both)} windows closed in both, {len(differing)} differ")
        say(f"{len(one) - len(both)} only in {run_id}, {len(two) - len(both)} only in {against}")
        lost = [key for key in _between(one, two) if _closed(a, *key) and _closed(b, *key)]
        if differing:
            out.print(held.first_difference(run_id, against, *differing[0]), markup=False)
            raise CheckFailed(f"{len(differing)} windows differ")
        if lost:
            label, start = lost[0]
            where = against if lost[0] in one else run_id
            out.print(f"{label} {rfc3339.format_ms(start)}: closed in both, but not stored in {where}", markup=False)
            raise CheckFailed(f"{len(lost)} windows are missing")
        if not both:
            raise CheckFailed("no window is closed in both")


def _between(one: Mapping[tuple[str, int], str], two: Mapping[tuple[str, int], str]) -> list[tuple[str, int]]:
    """Windows that only one of two runs stores, though both store earlier and later ones of that length."""
    out = []
    for label in WINDOWS:
        starts = [{start for name, start in run if name == label} for run in (one, two)]
        if all(starts):
            first, last = max(map(min, starts)), min(map(max, starts))
            out += [(label, start) for start in sorted(starts[0] ^ starts[1]) if first <= start <= last]
    return out


def _closed(run: Run, label: str, start_ms: int) -> bool:
    """Whether all gates of a run have closed the window."""
    end = TimeZone(run.timezone).next(np.array([start_ms], np.int64), WINDOWS.index(label))
    return run.closed_ms == END or int(end[0]) + run.gate_delay_ms <= run.closed_ms


def audit(
    context: typer.Context,
    store: Annotated[
        str | None, typer.Option("--store", metavar="URL", help="chdb:///DIR or http(s)://user@host:8123/db.")
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="One run; the newest where not given.")] = None,
    all_runs: Annotated[bool, typer.Option("--all-runs", help="All runs, and what they tell together.")] = False,
) -> None:
    """Audit the release rule and what a store holds (docs/PRIVACY-AUDIT.md); exit 1 where it finds something.

    Example: hitonami audit --store chdb:///tmp/figures --all-runs
    """
    from hitonami.audit import audit_rule, audit_store, audit_tables, settings_of, table_settings_of

    if context.invoked_subcommand is not None:
        return
    if store is None:
        raise UsageError("Missing option '--store'.")
    with opened(store) as held:
        stored = [run.run_id for run in held.runs()]
        if run_id is not None:
            known_run(held, run_id)
        chosen = stored if all_runs else [run_id] if run_id is not None else stored[-1:]
        report = audit_rule(settings=settings_of(held, chosen))
        report.add(audit_tables(settings=table_settings_of(held, chosen)))
        report.add(audit_store(held, chosen, all_runs))
    out.print(json.dumps(report.as_dict()), markup=False)
    if not report.passed:
        raise CheckFailed(f"the audit found {len(report.findings)} faults")


def doctor(
    config: Annotated[bool, typer.Option("--config", help="Print all settings with their defaults (TOML).")] = False,
    store: Annotated[str | None, typer.Option("--store", metavar="URL", help="Also look at this store.")] = None,
    kafka: Annotated[str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Also look at this Kafka.")] = None,
    topic: Annotated[str, typer.Option("--topic", help="Topic of the events.")] = "people",
    kafka_config: Annotated[
        Path | None, typer.Option("--kafka-config", help="librdkafka settings, key = value per line (TLS, SASL).")
    ] = None,
    registry: Annotated[Path | None, typer.Option("--registry", help="Also check this registry file.")] = None,
    recovery: Annotated[
        Path | None, typer.Option("--recovery", help="Also look at this recovery directory of a run.")
    ] = None,
) -> None:
    """Tell versions and what would keep Hitonami from working; exit 1 where something would.

    Example: hitonami doctor --store chdb:///tmp/figures
    """
    from hitonami.doctor import examine

    if config:
        out.print(Config().as_toml(), markup=False)
        return
    cluster = None if kafka is None else Cluster(kafka, kafka_settings(kafka_config), topic)
    found = examine(store, cluster, registry, recovery, lambda line: out.print(line, markup=False))
    if found.unreachable:
        raise ServiceUnreachable(found.unreachable)
    if found.findings:
        raise CheckFailed(f"{found.findings} findings")


def dashboard(
    store: StoreOption,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; another than loopback needs --users and --https.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.")] = 0,
    run_id: Annotated[str | None, typer.Option("--run-id", help="The run to show; the newest live one else.")] = None,
    users: Annotated[
        Path | None,
        typer.Option("--users", metavar="FILE", help="Ask for a login; users of this file (hitonami users)."),
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", metavar="HOST", help="Host name it answers to; may be repeated.")
    ] = None,
    https: Annotated[bool, typer.Option("--https", help="Browsers come through a proxy with TLS.")] = False,
) -> None:
    """Serve the operator's page of a store.

    Example: hitonami dashboard --store http://default@127.0.0.1:8123/hitonami --port 8080
    """
    from dashboard.app import create_app
    from dashboard.door import own_names
    from dashboard.serve import serve
    from dashboard.trail import Trail, beside
    from dashboard.users import Users

    if users is None and (name or https):
        raise UsageError("--name and --https are for a page with --users")
    with contextlib.ExitStack() as stack:
        known = trail = None
        if users is not None:
            known = stack.enter_context(contextlib.closing(Users(users)))
            trail = stack.enter_context(contextlib.closing(Trail(beside(users), time.time)))
        names = own_names(host, name or (), https) if users is not None else ()
        held = stack.enter_context(opened(store))
        app = create_app(held, run_id=run_id, users=known, trail=trail, names=names, https=https)
        server = serve(app, host, port, anywhere=users is not None, proxied=https)
        out.print(server.url, markup=False)
        server.run_until_signal()


def bench(
    name: Annotated[
        str,
        typer.Argument(
            help="adult, faults, forecast, formats, kernels, latency, memory, paint, peers, pixel, refusal, replay, "
            "scale_out, source, stages, touches, withdrawal"
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a benchmark of a checkout's benchmarks/ folder.

    Example: hitonami bench replay --json
    """
    script = Path("benchmarks") / name
    if not any(path.is_file() for path in (script.with_suffix(".py"), script / "__main__.py")):
        raise UsageError(f"bench: no {script} here; run it in a checkout")
    command = [sys.executable, "-m", f"benchmarks.{name}", *(["--json"] if as_json else [])]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise CheckFailed(f"{script} ended with {done.returncode}")


@runs.command("list")
def runs_list(store: StoreOption) -> None:
    """List the runs of a store, one JSON object a line.

    Example: hitonami runs list --store chdb:///tmp/figures
    """
    with opened(store) as held:
        for run in held.runs():
            row = {
                "run_id": run.run_id,
                "class": run.kind,
                "state": run.state,
                "read": run.read,
                "accepted": run.accepted,
                "registry_version": run.registry_version,
            }
            out.print(json.dumps(row), markup=False)


@runs.command("drop")
def runs_drop(run_id: Annotated[str, typer.Argument(help="The run to remove.")], store: StoreOption) -> None:
    """Remove a replay from a store; live runs are refused.

    Example: hitonami runs drop monday --store chdb:///tmp/figures
    """
    with opened(store) as held:
        if known_run(held, run_id).kind == "live":
            raise UsageError(f"{run_id} is a live run: what it published stays")
        held.drop_run(run_id)


@schema.command("apply")
def schema_apply(
    store: StoreOption,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings (TOML); its [store] says how long rows are kept.")
    ] = None,
) -> None:
    """Create the tables of a store or bring them up to date.

    Example: hitonami schema apply --store http://default@127.0.0.1:8123/hitonami
    """
    days = Config.load(config).keep_days()
    held = Store.open(store)
    try:
        applied = held.migrate()
        changed = [] if days is None else held.keep(days)
    finally:
        held.close()
    say(f"migrations applied: {', '.join(map(str, applied)) or 'none, up to date'}")
    if days is not None:
        say(f"time to keep changed: {', '.join(changed) or 'none'}")
