"""What the commands share: times, stores, Kafka settings, progress, exit codes."""

from __future__ import annotations

import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from engine import rfc3339
from engine.errors import BadInput, UsageError
from engine.model import END, NO_TIME
from engine.timezone import TimeZone
from sinks.clickhouse.runs import Run
from sinks.clickhouse.store import Store

StoreOption = Annotated[str, typer.Option("--store", metavar="URL", help="chdb:///DIR or http(s)://user@host:8123/db.")]
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
RUN_ID_BYTES = 64
level = {"verbosity": 0}  # -q lowers it, -v raises it


def now_ms() -> int:
    """The wall clock in ms."""
    return round(time.time() * 1000)


def time_of(text: str | None, name: str, default: int) -> int:
    """Milliseconds of an RFC 3339 option. Raises UsageError."""
    if text is None:
        return default
    ms = rfc3339.parse_ms(text)
    if ms is None:
        raise UsageError(f"{name}: needs RFC 3339 with offset, like 2026-02-07T08:00:00+09:00")
    return ms


def span_of(from_: str | None, to: str | None) -> tuple[int, int]:
    """The options --from and --to. Raises UsageError when they are not in order."""
    start, end = time_of(from_, "--from", NO_TIME), time_of(to, "--to", END)
    if start >= end:
        raise UsageError("--from must lie before --to")
    return start, end


def ended_by(timezone: str, to_ms: int) -> dict[str, int] | None:
    """Window label → start (ms) of the first window that has not ended by --to; None where that is not given.

    So the option says the same of stored windows as it does to a replay: those with end ≤ --to.
    """
    return None if to_ms == END else TimeZone(timezone).holding(to_ms)


def new_run_id(run_id: str) -> str:
    """The option --run-id of a run to be stored. Raises UsageError where it is no name that can be shown and typed."""
    printable = run_id.strip() and not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in run_id)
    if not printable or len(run_id.encode()) > RUN_ID_BYTES:
        raise UsageError(f"--run-id: 1 to {RUN_ID_BYTES} bytes, without control characters")
    return run_id


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """A store with its tables up to date."""
    store = Store.open(url)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


def known_run(store: Store, run_id: str) -> Run:
    """The run of that id. Raises UsageError where there is none."""
    run = store.run(run_id)
    if run is None:
        raise UsageError(f"no run {run_id} in the store")
    return run


def kafka_settings(path: Path | None) -> dict[str, str]:
    """Settings of --kafka-config: lines ``key = value`` as librdkafka names them, # begins a comment."""
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: cannot be read as UTF-8") from None
    settings = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key, sign, value = text.partition("=")
        if not sign:
            raise BadInput(f"{path}:{number}: not key = value")
        settings[key.strip()] = value.strip()
    return settings


@contextmanager
def progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on the terminal for long work; silent with -q and where stderr is not a terminal."""
    if level["verbosity"] < 0 or not sys.stderr.isatty():
        yield lambda _what, _share: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    lock = threading.Lock()
    with Progress(*columns, console=err, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, share: float) -> None:
            with lock:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=1.0)
                bar.update(tasks[what], completed=share)

        yield tell


def say(text: str) -> None:
    """A line for people, not with -q."""
    if level["verbosity"] >= 0:
        out.print(text, markup=False)
