"""The compacted topic ``contracts``: the newest record of every contract, by its id (engine/contract.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.contract import Contracts
from flows.compacted import Compacted, Writer, create
from flows.kafka import Cluster

TOPIC = "contracts"


def reading(bootstrap: str, settings: Mapping[str, str] | None, contracts: Contracts) -> Compacted:
    """A reader of the topic that ``contracts`` are kept up to date by; the caller polls and closes it."""

    def take(key: bytes | None, value: bytes | None, _record_ts: int) -> None:
        contracts.take(value, (key or b"").decode("utf-8", "surrogateescape"))  # each key by itself, whatever it is

    return Compacted(bootstrap, settings, TOPIC, take)


def stray(contracts: Contracts) -> str:
    """The topic's name while one of its records bars all companies, else ""."""
    return TOPIC if contracts.bars_all else ""


def publish(bootstrap: str, settings: Mapping[str, str] | None, name: str, newest: Callable[[], str]) -> None:
    """Write the record that ``newest`` gives to the topic, which is made where it is missing.

    ``newest`` is asked when earlier writers can write no more, so the last to write knows all that they knew. Raises
    ServiceUnreachable where Kafka does not take it, or a later writer cuts in.
    """
    cluster = Cluster(bootstrap, settings, TOPIC)
    create(cluster)
    writer = Writer(cluster)
    writer.write([(name.encode(), newest().encode())])
