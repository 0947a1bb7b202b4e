"""The store: where released rows are kept and read back. One door for the flow, the command line and the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Unpack

import pyarrow as pa

from engine.contract import Contracts
from engine.model import I64, Released
from sinks.clickhouse import alerts, checkup, consents, contracts, digest, history, reader, reads, runs, schema, tables
from sinks.clickhouse.alerts import Action, Alert, ThresholdChange
from sinks.clickhouse.checkup import Checkup
from sinks.clickhouse.company import Ask, CompanyRead
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.consents import ConsentState
from sinks.clickhouse.reads import Link
from sinks.clickhouse.runs import Run
from sinks.clickhouse.writer import Writer

__all__ = ["Run", "Store"]


class Store:
    """Products, runs and registries in ClickHouse; safe for threads; a context manager.

    Every method raises ServiceUnreachable, in one line and without password, when the store does not answer, and
    HitonamiError when it has not been migrated.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._writer = Writer(connection)

    @classmethod
    def open(cls, url: str) -> Store:
        """Connect to ``chdb:///DIR`` (embedded) or ``http(s)://user:password@host:8123/db``.

        An embedded DIR is owned by one process, and a process has one DIR open at a time; inside the process it may
        be opened several times, and after the last close another DIR can be opened. Raises UsageError for another
        form of URL, ServiceUnreachable when nobody answers or DIR is in use.
        """
        return cls(Connection.open(url))

    @property
    def embedded(self) -> bool:
        """Whether ClickHouse runs in this process."""
        return self._connection.embedded

    @property
    def url_shown(self) -> str:
        """The URL without password."""
        return self._connection.shown

    def answering_within(self, seconds: float) -> AbstractContextManager[None]:
        """Inside the block a server that takes longer to answer is one that does not: for who must not wait."""
        return self._connection.answering_within(seconds)

    def close(self) -> None:
        """Give the connection back; nothing is written."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def migrate(self) -> list[int]:
        """Create the database and tables, or bring them up to date; returns the migrations applied now."""
        return schema.migrate(self._connection)

    def checkup(self) -> Checkup:
        """Versions, settings, room and clock of the store; needs no tables and makes none."""
        return checkup.look(self._connection)

    def keep(self, days: Mapping[str, int]) -> list[str]:
        """Keep rows of each product so many days (0: for ever); returns the products for which that changed."""
        return schema.keep(self._connection, days)

    def insert(self, rows: Released, run_id: str) -> None:
        """Store released rows exactly once, however often they come (sinks/clickhouse/writer.py).

        One INSERT per 50,000 rows. Raises HitonamiError when a stored row has the same key and other values.
        """
        self._writer.insert(rows, run_id)

    def start_run(self, run: Run) -> None:
        """Store a new run's row; whether the id is free is the caller's to ask (``run``)."""
        runs.put_run(self._connection, run)

    def update_run(self, run: Run) -> None:
        """Replace a run's row; the row with the greatest updated_ms counts."""
        runs.put_run(self._connection, run)

    def run(self, run_id: str) -> Run | None:
        """The run of that id, or None."""
        found = runs.read_runs(self._connection, run_id)
        return found[0] if found else None

    def runs(self) -> list[Run]:
        """All runs, by their start."""
        return runs.read_runs(self._connection)

    def overlapping_runs(self, gates: Iterable[str], first_ms: int, last_ms: int) -> list[Run]:
        """Live, replay and unfinished runs that share a gate and time with ``[first_ms, last_ms]``, by their start."""
        return runs.overlapping(self.runs(), gates, first_ms, last_ms)

    def drop_run(self, run_id: str) -> None:
        """Remove all rows of a run; returns when they are gone. Live runs are the caller's to refuse."""
        runs.drop_run(self._connection, run_id)
        self._writer.forget(run_id)

    def put_registry(self, version: str, hash: str, text: str) -> None:
        """Keep a registry version (JSON text and its hash)."""
        runs.put_registry(self._connection, version, hash, text)

    def registry(self, name: str) -> str | None:
        """JSON text of the registry of that hash, else of the newest of that version; None when there is none."""
        return runs.read_registry(self._connection, name)

    def rows(
        self,
        product: str,
        run_id: str,
        **asked: Unpack[reader.Asked],
    ) -> pa.Table:
        """Rows of a product, ordered by key; columns as ``reader.read_rows`` says, chosen as ``reader.Asked`` says."""
        return reader.read_rows(self._connection, product, run_id, **asked)

    def slices(
        self,
        product: str,
        run_id: str,
        **asked: Unpack[reader.Asked],
    ) -> Iterator[pa.Table]:
        """The same rows in tables of bounded size, one after the other; see ``reader.read_slices``."""
        return reader.read_slices(self._connection, product, run_id, **asked)

    def latest(self, run_id: str, window: str) -> pa.Table:
        """The newest flow row of that window length per gate and direction."""
        return reader.latest(self._connection, "flow", run_id, window, self._delay(run_id))

    def latest_zones(self, run_id: str, window: str) -> pa.Table:
        """The newest zones row of that window length per zone."""
        return reader.latest(self._connection, "zones", run_id, window, self._delay(run_id))

    def latest_headings(self, run_id: str, window: str) -> pa.Table:
        """The newest headings row of that window length per zone and sector."""
        return reader.latest(self._connection, "headings", run_id, window, self._delay(run_id))

    def zone_span(
        self, run_id: str, window: str, start_ms: int, end_ms: int, zones: Sequence[str] | None = None
    ) -> pa.Table:
        """Rows of zones over a span, by zone and time (sinks/clickhouse/history.py SPAN)."""
        return history.zone_span(self._connection, run_id, window, start_ms, end_ms, zones)

    def zone_densities(self, run_id: str, window: str, start_ms: int, end_ms: int) -> pa.Table:
        """Densities of all zones over a span, in no order (sinks/clickhouse/history.py DENSITIES)."""
        return history.zone_densities(self._connection, run_id, window, start_ms, end_ms)

    def usual_zones(self, runs: Sequence[str], starts: I64, days: I64) -> pa.Table:
        """What is usual of each zone over the runs (sinks/clickhouse/history.py USUAL)."""
        return history.usual_zones(self._connection, runs, starts, days)

    def newest_start(self, product: str, run_id: str, window: str, until_ms: int) -> int | None:
        """Start (ms) of a product's newest window of that length that starts at ``until_ms`` or before."""
        return reader.newest_start(self._connection, product, run_id, window, until_ms)

    def span(self, product: str, run_id: str, window: str) -> tuple[int, int] | None:
        """Starts (ms) of a product's oldest and newest window of that length; None where it has none."""
        first = reader.newest_start(self._connection, product, run_id, window, oldest=True)
        last = reader.newest_start(self._connection, product, run_id, window)
        return None if first is None or last is None else (first, last)

    def runs_with(self, products: Sequence[str]) -> list[str]:
        """Ids of the runs that have rows of any of these tables of distinct people (sinks/clickhouse/tables.py)."""
        return tables.runs_with(self._connection, products)

    def starts(self, product: str, run_id: str, most: int) -> list[int]:
        """Starts (ms) of the newest windows of such a table, the newest first."""
        return tables.starts(self._connection, product, run_id, most)

    def devices(self, run_id: str, start_ms: int, end_ms: int) -> list[str]:
        """Devices with rows in windows that start in ``[start_ms, end_ms)``."""
        return tables.devices(self._connection, run_id, start_ms, end_ms)

    def table_rows(
        self, product: str, run_id: str, start_ms: int, end_ms: int, most: int, device: str | None = None
    ) -> pa.Table:
        """The first rows of such a table in windows that start in ``[start_ms, end_ms)``, by key."""
        return tables.table_rows(self._connection, product, run_id, start_ms, end_ms, most, device)

    def sensor_states(self, run_id: str, before_ms: int | None = None) -> list[tuple[str, str, int]]:
        """(sensor, state, since in ms) by the newest row of health of every sensor that has one, by sensor.

        ``before_ms``: only rows whose window starts before it count.
        """
        return reader.sensor_states(self._connection, run_id, before_ms)

    def window_counts(self, run_id: str) -> dict[str, int]:
        """Window label → number of distinct windows with rows."""
        return reader.window_counts(self._connection, run_id)

    def newest_windows(self, run_id: str) -> dict[str, int]:
        """Window label → start (ms) of the newest window with rows of what the run counts."""
        return reader.newest_windows(self._connection, run_id)

    def status_counts(self, run_id: str) -> dict[str, int]:
        """Status → number of rows of what the run counts."""
        return reader.status_counts(self._connection, run_id)

    def alerts(self, run_id: str, *, standing: bool = False, since_ms: int | None = None) -> list[Alert]:
        """Alerts with their life cycle, the worst and newest first (sinks/clickhouse/alerts.py)."""
        return alerts.read_alerts(self._connection, run_id, standing=standing, since_ms=since_ms)

    def alert_changes(self, run_id: str, since_ms: int, until_ms: int) -> list[dict[str, Any]]:
        """Rows of the alerts that stood between two instants (sinks/clickhouse/alerts.py ``read_changes``)."""
        return alerts.read_changes(self._connection, run_id, since_ms, until_ms)

    def act(self, action: Action) -> None:
        """Append what somebody does with an alert. Raises UsageError where the run has no such alert."""
        alerts.act(self._connection, action)

    def actions(self, run_id: str, of: Sequence[str] | None = None) -> list[Action]:
        """What was done with the alerts of a run, or with some of them, in the order of time."""
        return alerts.read_actions(self._connection, run_id, of)

    def put_consents(self, run_id: str, state: ConsentState) -> None:
        """Store how it stands with the consents of a run (sinks/clickhouse/consents.py)."""
        consents.put_consents(self._connection, run_id, state)

    def consents(self, run_id: str) -> ConsentState | None:
        """How it stood with the consents of a run when that was told last, None where it never was."""
        return consents.read_consents(self._connection, run_id)

    def consents_told(self, run_id: str) -> ConsentState | None:
        """What a run goes on from in what it tells of consents (sinks/clickhouse/consents.py ``read_told``)."""
        return consents.read_told(self._connection, run_id)

    def threshold_changes(self, run_id: str) -> list[ThresholdChange]:
        """Every edit of the thresholds that a run has met: author, time, before and after. [] for no such run."""
        run = self.run(run_id)
        return [] if run is None else alerts.threshold_changes(self._connection, run)

    def put_contract(self, name: str, version: int, record: str) -> bool:
        """Append a version (from 1 on) of a contract; False where another record is that version already."""
        return contracts.put(self._connection, name, version, record)

    def contracts(self) -> Contracts:
        """The newest record of every contract; one that is not of the id it stands under cannot be read."""
        return contracts.known(self._connection)

    def company_read(self, ask: Ask, clock_ms: Callable[[], int]) -> CompanyRead:
        """Begin a read by a company. Raises ReadRefused where it is refused (sinks/clickhouse/company.py)."""
        return CompanyRead(self._connection, ask, clock_ms)

    def reads(self, head: str = "") -> Iterator[Link]:
        """The chain of reads by companies, verified row by row (sinks/clickhouse/reads.py ``follow``)."""
        return reads.follow(self._connection, head)

    def window_digests(
        self,
        run_id: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        before: Mapping[str, int] | None = None,
    ) -> dict[tuple[str, int], str]:
        """(window label, start in ms) → hex SHA-256 of what was published in it (sinks/clickhouse/digest.py)."""
        return digest.window_digests(self._connection, run_id, start_ms, end_ms, before)

    def digest(self, run_id: str) -> str:
        """Hex SHA-256 over the run's window digests, by window length and then start."""
        return digest.run_digest(self.window_digests(run_id))

    def first_difference(self, run_a: str, run_b: str, window: str, start_ms: int) -> str:
        """In one line, the first cell in which a window differs between two runs; "" when there is none."""
        return digest.first_difference(self._connection, run_a, run_b, window, start_ms)

    def _delay(self, run_id: str) -> int:
        run = self.run(run_id)
        return 0 if run is None else run.gate_delay_ms
