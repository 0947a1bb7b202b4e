"""The hot reader: messages go from librdkafka's queues into columns, without the interpreter's lock and its objects.

It calls the librdkafka that confluent_kafka has loaded (flows/fast/_consumer.pyx). Its twin is reader.SafeReader.
"""

from __future__ import annotations

import time

import confluent_kafka.cimpl
import numpy as np

from engine.errors import HitonamiError, ServiceUnreachable
from engine.model import Payloads
from flows.fast import _consumer
from flows.kafka import Cluster, refused
from flows.reader import Reader, SafeReader

_BYTES_PER_MESSAGE = 24  # at least, on the average: room for the columns
_FEW = 64  # messages that always have room
# Fetched and not yet taken: of all partitions, and of each at least. A message takes some 350 bytes besides its own.
_QUEUED_KB, _LEAST_KB = 64 << 10, 2 << 10
_QUEUED, _LEAST = 200_000, 5_000
_PYTHONS_OWN = ("logger", "error_cb")  # settings that the Python client reads


def open_reader(cluster: Cluster, partitions: int) -> Reader:
    """The reader that the cluster's ``source`` names, of up to so many partitions.

    Raises BadInput for settings that librdkafka refuses, HitonamiError where the hot one cannot work here.
    """
    return HotReader(cluster, partitions) if cluster.source == "hot" else SafeReader(cluster)


class HotReader(Reader):
    """Reads by librdkafka's own functions."""

    def __init__(self, cluster: Cluster, partitions: int) -> None:
        super().__init__(cluster)
        try:  # the module is linked to the librdkafka of its wheel: what is looked up in it is found there
            _consumer.load(confluent_kafka.cimpl.__file__)
        except (OSError, ValueError) as error:
            raise HitonamiError(f"the hot source cannot use this librdkafka ({error}): try --source safe") from None
        limits = {  # each partition has a queue of its own: they count for each
            "queued.max.messages.kbytes": max(_QUEUED_KB // partitions, _LEAST_KB),
            "queued.min.messages": max(_QUEUED // partitions, _LEAST),
            "fetch.message.max.bytes": 2 << 20,  # of a partition: half as often asked for, where much lies behind
            "fetch.queue.backoff.ms": 1,  # a full queue is emptied in less than the second that it would be left alone
        }
        settings = {**cluster.reading(), **limits, **cluster.settings}
        words = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in settings.items()
            if key not in _PYTHONS_OWN
        }
        self._columns, self._data = np.empty((4, 0), np.int64), np.empty(0, np.uint8)
        try:
            self._consumer = _consumer.Consumer(words, cluster.topic)
        except ValueError:
            raise refused() from None

    def take(self, partition: int, max_bytes: int) -> Payloads | None:
        """See Reader. The next call uses the same memory again: new pages cost as much as the bytes that fill them."""
        if self._new:
            self._assign()
        rows, size = max_bytes // _BYTES_PER_MESSAGE + _FEW, max_bytes
        while True:
            if self._columns.shape[1] < rows:
                self._columns = np.empty((4, rows), np.int64)
            if len(self._data) < size:
                self._data = np.empty(size, np.uint8)
            columns, data = self._columns[:, :rows], self._data[:size]
            messages, used, need, end, error = self._consumer.take(partition, data, *columns)
            if error:
                self._raise(partition, error)
            if not need:
                break
            size = need  # one message that is larger than what was asked for
        if end >= 0 or messages:
            self._end[partition] = end if end >= 0 else None
            self._heard[partition] = time.monotonic()
        if not messages:
            return None
        starts, ends, record_ts, offsets = columns[:, :messages]
        self._next[partition] = int(offsets[-1]) + 1
        return Payloads(data[:used], starts, ends, record_ts, offsets)

    def _assign(self) -> None:
        try:
            self._consumer.assign(self._new)
        except ValueError as error:
            raise ServiceUnreachable(
                f"Kafka {self.cluster.bootstrap}: partition {min(self._new)} cannot be assigned ({error})"
            ) from None
        self._assigned()

    def _raise(self, partition: int, error: int) -> None:
        if error in _consumer.GONE:
            raise self.cluster.gone(partition)
        raise ServiceUnreachable(f"Kafka {self.cluster.bootstrap}: a failure without another try ({error})")

    def _watermarks(self, partition: int) -> tuple[int, int] | None:
        return self._consumer.watermarks(partition)

    def close(self) -> None:
        """See Reader."""
        self._consumer.close()
