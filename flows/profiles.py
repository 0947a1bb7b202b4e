"""The flow of service providers' data: events of people who consented → profiles and trips (docs/adr/0046).

    logs → facts → one key (close, release) ═ committed ═ store
                                               └── keys of closed days are destroyed

Consents change while a run goes on, and they stand in no log of the run's. So what a closed day gives is decided once:
rows wait until the decision is committed, and a process that starts again stores those rows, not others; and a key is
destroyed only when nobody goes back behind the end of its day any more.

Each process follows the topics ``consents`` and ``contracts`` for itself. While either is not current, sources read
nothing, nor while a contract bars all companies, for nobody knows whose it is. In phase city_only there is nothing to
follow: every event is no_contract.
"""

from __future__ import annotations

import pickle
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream, StatefulBatchLogic

from engine import ingress
from engine.book import Book
from engine.config import Config
from engine.contract import Contracts
from engine.errors import BadInput, ServiceUnreachable, UsageError
from engine.model import DAY, I32, I64, NO_TIME, Payloads, Released
from engine.profile import ProfilePartition, check_keys
from engine.profile_facts import PRODUCTS
from engine.profile_gate import Gate, Keys, Withdrawal
from engine.profile_rows import ProfileRelease, Rule, proven
from engine.subjects import Subjects
from engine.tables import Tables
from engine.timezone import TimeZone
from flows import consents
from flows.consent_report import Reporter
from flows.contracts import reading, stray
from flows.external_sort import Stamps
from flows.guard import guarded
from flows.kafka import Cluster
from flows.keys import KeyFile, MemoryKeys, checked
from flows.recovery import remembered, states
from flows.source import FileSource, KafkaSource, Parts
from flows.store_sink import Advance, StoreSink
from flows.subjects import flow_of

if TYPE_CHECKING:
    from flows.runs import Setup

SELF_SUSTAINING = "self_sustaining"
_OWNER = "key owner"  # its name in the recovery directory
_PATIENCE_S = 30.0  # of a replay, for consents and contracts to be read to their end
_PAUSE_S = 0.01


class Followed:
    """Consents and contracts of one process, and the partitions that ask them.

    ``consents_at``, ``contracts_at``: the clusters of the two topics.
    """

    def __init__(self, setup: Setup, consents_at: Cluster, contracts_at: Cluster, keys: Keys) -> None:
        config = setup.config
        self._keys, self._purposes = keys, purposes(config)
        self._gap_ms = 1_000 * int(config["trips", "gap_s"])
        self._contracts = Contracts()
        self._consents = consents.Gate(
            consents_at.bootstrap,
            consents_at.settings,
            beside=[reading(contracts_at.bootstrap, contracts_at.settings, self._contracts)],
            stray=partial(stray, self._contracts),
        )
        self._reporter = Reporter(self._consents, setup.store, setup.run_id)

    def holds(self) -> bool:
        """Whether events must wait, for it is not known what people and contracts say now. Never waits."""
        is_open = self._consents.open()
        self._reporter.report()
        return not is_open

    def wait(self) -> None:
        """Wait until both are known. Raises ServiceUnreachable where that takes too long, BadInput for a stray."""
        until = time.monotonic() + _PATIENCE_S
        while self.holds():
            if time.monotonic() > until:
                if self._consents.held().stray:
                    raise BadInput("contracts hold a record that cannot be read and is nobody's: mend it first")
                raise ServiceUnreachable(
                    "consents or contracts are not current: their topics cannot be read to the end"
                )
            time.sleep(_PAUSE_S)

    def make(
        self, number: int, book: Book, bound_ms: int, _shards: int, state: bytes | None, since: int, _wire: int
    ) -> ProfilePartition:
        """See flows.source.Maker."""
        asked = self._consents.follower()
        if number == 0:  # of the processes of a run one tells
            self._reporter.begin()
        gate = Gate(True, self._purposes, self._gap_ms, asked, self._contracts, self._keys)
        return ProfilePartition(number, book, bound_ms, gate, state, since)

    def close(self) -> None:
        """Leave the brokers."""
        self._reporter.close()
        self._consents.close()


class Closed:
    """Phase city_only: nothing is followed, and every event is refused."""

    def __init__(self, config: Config) -> None:
        self._gate = Gate(False, purposes(config), 0, _Nobody(), Contracts(), MemoryKeys())

    def holds(self) -> bool:
        """There is nothing to wait for."""
        return False

    def make(
        self, number: int, book: Book, bound_ms: int, _shards: int, state: bytes | None, since: int, _wire: int
    ) -> ProfilePartition:
        """See flows.source.Maker."""
        return ProfilePartition(number, book, bound_ms, self._gate, state, since)

    def close(self) -> None:
        """Nothing was opened."""


class _Nobody:
    """No consents."""

    def allowed(self, provider: str, subject: str, purpose: str, ts_ms: int) -> None:
        return None

    def withdrawn(self) -> Sequence[Withdrawal]:
        return ()

    def current(self) -> bool:
        return True


def begin(setup: Setup, recovery: Path) -> None:
    """Check a live run's key file before its processes start, or make it; and that it has what the run goes on from.

    A run that begins anew has other keys, under the same id too: directory and file say whose they are. Raises
    UsageError, BadInput.
    """
    if setup.config["privacy", "phase"] == SELF_SUSTAINING:
        keys = KeyFile(checked(setup.config["profiles", "key_file"], recovery), setup.run_id)
        keys.make()
        for kept in states(recovery, "profiles.logs").values():
            check_keys(pickle.loads(kept)[1], keys)
        keys.own(remembered(recovery, _OWNER, secrets.token_hex(16)))


def opened(setup: Setup, cluster: Cluster | None, recovery: Path | None) -> Followed | Closed:
    """What a process needs that is about to run. Raises UsageError for a replay that is not told where consents are."""
    if setup.config["privacy", "phase"] != SELF_SUSTAINING:
        return Closed(setup.config)
    at = setup.consents or cluster
    if at is None:
        raise UsageError("--consents HOST:PORT: a replay of profiles needs the consents that hold now")
    if recovery is None:
        made = Followed(setup, at, cluster or at, MemoryKeys())
        made.wait()
        return made
    keys = KeyFile(checked(setup.config["profiles", "key_file"], recovery), setup.run_id)
    return Followed(setup, at, cluster or at, keys)


def purposes(config: Config) -> dict[str, str]:
    """Product → the purpose for which people are asked."""
    return {product: config[product, "purpose"] for product in PRODUCTS}


def places(_tables: Tables) -> dict[str, Any]:
    """What a run's row says of its places: all runs of profiles are about the same people."""
    return {"leaves": {"profiles": "profiles"}, "gate_delay_ms": 0}


def stamps(_tables: Tables) -> Stamps:
    """Times of events, by which the lines of a file are sorted."""
    return _stamps


def _stamps(lines: Payloads) -> tuple[I32, I64]:
    messages, times = [], []
    bounds = zip(lines.starts.tolist(), lines.ends.tolist(), lines.record_ts.tolist(), strict=True)
    for message, (start, end, record_ts) in enumerate(bounds):
        for record in ingress.read(bytes(lines.data[start:end]), record_ts):
            messages.append(message)
            times.append(record.record_ts)
    return np.array(messages, np.int32), np.array(times, np.int64)


def dataflow(
    source: FileSource | KafkaSource, sink: StoreSink, parts: Parts, partitions: int, config: Config
) -> Dataflow:
    """The flow of one run over ``partitions`` logs."""
    rule, clock = Rule.of(config), parts.book.tables(parts.book.start).zone_clock

    def make(state: bytes | None) -> Subjects:
        return Subjects(
            partitions,
            parts.book,
            ProfileRelease(rule, clock),
            state,
            threshold=config.threshold_of("profiles"),
            proven=proven,
            exact=config["status", "exact"],
            hears=True,
        )

    if sink.bulk:  # a replay is not resumed: what it has decided, it stores
        return flow_of("profiles", source, sink, make)
    destroy = _destroyer(config, sink.row.run.run_id, clock)
    return flow_of("profiles", source, sink, make, partial(_committed, destroy))


def _destroyer(config: Config, run_id: str, clock: TimeZone) -> Callable[[int], object]:
    """What destroys the keys of days that ended by an instant."""
    if config["privacy", "phase"] != SELF_SUSTAINING:
        return lambda _closed_ms: None
    keys = KeyFile(Path(config["profiles", "key_file"]).absolute(), run_id)
    return lambda closed_ms: keys.destroy(int(clock.floor(np.array([closed_ms], np.int64), DAY)[0]))


def _committed(destroy: Callable[[int], object], rows: KeyedStream[object]) -> KeyedStream[object]:
    """Rows and progress two epochs after they were decided."""
    return op.stateful_batch("committed", rows, guarded(lambda state: _Waiting(destroy, state)))


class _Waiting(StatefulBatchLogic[object, object, bytes]):
    """What was decided in an epoch goes on when the next one has been snapshotted too: then the first is committed."""

    def __init__(self, destroy: Callable[[int], object], state: bytes | None) -> None:
        self._destroy = destroy
        self._ready: list[object]
        self._before: list[object]
        self._ready, self._before = ([], []) if state is None else pickle.loads(state)
        self._now: list[object] = []

    @guarded
    def on_batch(self, values: list[object]) -> tuple[Iterable[object], bool]:
        ready, self._ready = self._ready, []
        closed = [item.progress.closed_ms for item in ready if isinstance(item, Advance)]
        if closed and closed[-1] != NO_TIME:
            self._destroy(closed[-1])
        rest: list[object] = []
        for value in values:
            (self._now if isinstance(value, Released | Advance) else rest).append(value)
        return [*ready, *rest], False

    @guarded
    def snapshot(self) -> bytes:
        self._ready = [*self._ready, *self._before]
        self._before, self._now = self._now, []
        return pickle.dumps((self._ready, self._before), 5)
