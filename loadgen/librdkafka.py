"""Messages in bulk to Kafka, by the librdkafka that confluent_kafka is linked to: none becomes a Python object.

Its public functions and types (rdkafka.h) are the same in every 1.x and 2.x.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

import confluent_kafka.cimpl
import numpy as np
from numpy.typing import NDArray

MESSAGE = np.dtype(  # rd_kafka_message_t
    [
        ("err", "i4"), ("topic", "u8"), ("partition", "i4"), ("payload", "u8"), ("size", "u8"), ("key", "u8"),
        ("key_size", "u8"), ("offset", "i8"), ("private", "u8"),
    ],
    align=True,
)  # fmt: skip
_PRODUCER = 0
_COPY = 2  # RD_KAFKA_MSG_F_COPY. Never F_BLOCK: it waits with a lock that the sending thread needs
_QUEUE_FULL = -184
_TEXT = 512
_PIECE = 10_000  # messages per call
_MOST_WAITING = 400_000  # messages in librdkafka's queue: some 100 MB of small ones
_MOST_WAITING_BYTES = 256 << 20
_FLUSH_MS = 100

_POINTER, _TEXTUAL, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {  # result, arguments
    "conf_new": (_POINTER, ()),
    "conf_set": (_INT, (_POINTER, _TEXTUAL, _TEXTUAL, _TEXTUAL, ctypes.c_size_t)),
    "conf_destroy": (None, (_POINTER,)),
    "conf_set_log_cb": (None, (_POINTER, _POINTER)),
    "conf_set_dr_msg_cb": (None, (_POINTER, _POINTER)),
    "new": (_POINTER, (_INT, _POINTER, _TEXTUAL, ctypes.c_size_t)),
    "topic_new": (_POINTER, (_POINTER, _TEXTUAL, _POINTER)),
    "topic_destroy": (None, (_POINTER,)),
    "produce_batch": (_INT, (_POINTER, ctypes.c_int32, _INT, _POINTER, _INT)),
    "outq_len": (_INT, (_POINTER,)),
    "poll": (_INT, (_POINTER, _INT)),
    "flush": (_INT, (_POINTER, _INT)),
    "purge": (_INT, (_POINTER, _INT)),
    "err2str": (_TEXTUAL, (_INT,)),
    "destroy": (None, (_POINTER,)),
}
_PURGE_ALL = 3
_Delivery = ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _POINTER)


class SettingsRefused(ValueError):
    """librdkafka does not take the settings; nothing of their values is told."""


class _Message(ctypes.Structure):
    _fields_ = (("err", _INT),)  # its beginning


def _library() -> Mapping[str, Callable[..., Any]]:
    """librdkafka's functions; raises ValueError where one is not found."""
    library = ctypes.CDLL(confluent_kafka.cimpl.__file__)  # looked up in it and in what it is linked to
    found = {}
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = library[f"rd_kafka_{name}"]
        except AttributeError:
            raise ValueError(f"the librdkafka of confluent_kafka has no rd_kafka_{name}") from None
        function.restype, function.argtypes = result, arguments
        found[name] = function
    return found


class BulkProducer:
    """Sends arrays of MESSAGE to one topic; each message is confirmed once, in order, or counted as lost.

    Raises SettingsRefused, and ValueError for a librdkafka that lacks a function. ``close`` must be called.
    """

    def __init__(self, bootstrap: str, topic: str, kafka_config: Mapping[str, Any] | None = None) -> None:
        self._call = _library()
        self.lost, self.why = 0, ""
        self._told = _Delivery(self._on_loss)
        settings = {
            "bootstrap.servers": bootstrap,
            "client.id": "hitonami-load",
            "enable.idempotence": True,  # without it, batches of a new topic change places
            "linger.ms": 5,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": 2 * _MOST_WAITING,
            "queue.buffering.max.kbytes": 4 * _MOST_WAITING_BYTES >> 10,
            "delivery.report.only.error": True,
            **(kafka_config or {}),
        }
        conf, text = self._call["conf_new"](), ctypes.create_string_buffer(_TEXT)
        self._client = None
        for name, value in settings.items():
            word = str(value).lower() if isinstance(value, bool) else str(value)
            if self._call["conf_set"](conf, name.encode(), word.encode(), text, _TEXT):
                self._call["conf_destroy"](conf)
                raise SettingsRefused(f"librdkafka refuses the setting {name}")
        self._call["conf_set_log_cb"](conf, None)
        self._call["conf_set_dr_msg_cb"](conf, self._told)
        self._client = self._call["new"](_PRODUCER, conf, text, _TEXT)
        if self._client is None:
            self._call["conf_destroy"](conf)
            raise SettingsRefused("librdkafka refuses the settings together")
        self._topic = self._call["topic_new"](self._client, topic.encode(), None)

    def send(self, partition: int, messages: NDArray[np.void], stopped: Callable[[], bool]) -> int:
        """Hand messages to librdkafka, which copies them; waits for room. How many: all unless stopped or lost."""
        room = _MOST_WAITING
        if len(messages):
            room = max(1, min(room, _MOST_WAITING_BYTES * len(messages) // max(1, int(messages["size"].sum()))))
        sent = 0
        while sent < len(messages):
            piece = messages[sent : sent + min(_PIECE, room)]
            while self.waiting() + len(piece) > room:
                self._call["poll"](self._client, 1)
                if stopped() or self.lost:
                    return sent
            sent += self._call["produce_batch"](self._topic, partition, _COPY, piece.ctypes.data, len(piece))
            wrong = piece["err"][piece["err"] != 0]
            if len(wrong) and wrong[0] != _QUEUE_FULL:
                self._lose(int(wrong[0]))
                return sent
        return sent

    def waiting(self) -> int:
        """Messages that the broker has not confirmed."""
        return int(self._call["outq_len"](self._client))

    def poll(self) -> None:
        """Hear of losses."""
        self._call["poll"](self._client, 0)

    def flush(self, seconds: float, stopped: Callable[[], bool] = bool) -> int:
        """Wait until all is confirmed; how many are not."""
        for _ in range(int(seconds * 1000 / _FLUSH_MS)):
            if self._call["flush"](self._client, _FLUSH_MS) == 0 or stopped():
                break
        return self.waiting()

    def close(self) -> None:
        """Leave the broker; what is not confirmed is dropped."""
        if self._client is not None:
            self._call["purge"](self._client, _PURGE_ALL)
            self._call["topic_destroy"](self._topic)
            self._call["destroy"](self._client)
            self._client = None

    def _on_loss(self, _client: object, message: int, _opaque: object) -> None:
        self._lose(_Message.from_address(message).err)

    def _lose(self, code: int) -> None:
        self.lost += 1
        self.why = self.why or self._call["err2str"](code).decode()
