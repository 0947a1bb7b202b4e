"""Appending one row under a token: of several inserts with one token ClickHouse keeps the first, whoever sends them.

So a repeat after a lost answer is harmless, and where writers agree on the token of the next row (its number), the
insert is a compare-and-set: all but one find another's row in its place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sinks.clickhouse.connection import Connection


def append(connection: Connection, table: str, values: Mapping[str, Any], token: str | None = None) -> None:
    """Insert one row, columns by name, times as RFC 3339; nothing where a row came under the token before.

    ``token`` None: the row itself, so that the same row is there once. The table must keep tokens
    (non_replicated_deduplication_window). Raises ServiceUnreachable where it is not known whether the row is there.
    """
    line = json.dumps(values, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
    settings: dict[str, Any] = {
        "async_insert": 0,
        "wait_end_of_query": 1,
        "date_time_input_format": "best_effort",
        "insert_deduplicate": 1,
        "insert_deduplication_token": hashlib.sha256(line).hexdigest() if token is None else token,
    }
    if connection.knows("deduplicate_insert"):
        settings["deduplicate_insert"] = "enable"
    connection.insert_json(table, tuple(values), line + b"\n", settings)
