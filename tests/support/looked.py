"""Where words of events could have got to: files, the rows of a store, and all that the page answers of a run."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pyarrow.parquet as pq

from dashboard import assets
from dashboard.app import create_app
from dashboard.roles import TABLE, Who
from dashboard.serve import serve
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.store import Store
from tests.support.http import Client

STREAMS = ("/events", "/public/events")
FROM_S, TO_S = -6 * 3600, 3600  # around now: the span that is asked for of routes that want one
# What a route is asked for beside the run; of most that is enough. No route has all of them.
MORE: Mapping[str, Mapping[str, object]] = {
    "/api/frames": {"window": "1h", "from": FROM_S, "to": TO_S},
    "/api/history": {"window": "1h", "from": FROM_S, "to": TO_S},
    "/api/download": {"product": "rejects", "format": "csv"},
    "/api/why": {"gate": "device d1"},  # as a run of signage names its places
    "/api/reads": {"limit": 1000},
}


def files(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, by its path."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def rows(path: Path) -> bytes:
    """The rows of a Parquet file as text: its pages are packed."""
    return str(pq.read_table(path).to_pylist()).encode()


def got(url: str) -> bytes:
    """The answer of a port, head and body."""
    try:
        answer = urllib.request.urlopen(url, timeout=20)
    except urllib.error.HTTPError as refusal:  # it is an answer too
        answer = refusal
    with answer:
        body: bytes = answer.read()
        return bytes(answer.headers) + body


def stored(url: str) -> dict[str, bytes]:
    """Every row of every table of a store as text: its files are packed.

    Of the logs that ClickHouse keeps of itself the rows that name the database: tests share a server.
    """
    connection = Connection.open(url)
    try:
        names = connection.rows(f"SELECT name FROM system.tables WHERE database = {connection.database_text}")
        logs = connection.rows("SELECT name FROM system.tables WHERE database = 'system' AND endsWith(name, '_log')")
        mine = {str(name): connection.rows(f"SELECT * FROM {connection.table(str(name))}") for (name,) in names}
        whole = {f"system.{name}": connection.rows(f"SELECT * FROM system.`{name}`") for (name,) in logs}
        database = connection.database_text.strip("'")
        told = {log: [row for row in rows if database in str(row)] for log, rows in whole.items()}
        return {table: str(rows).encode() for table, rows in {**mine, **told}.items()}
    finally:
        connection.close()


def page(url: str, run_id: str, key: str, **of_company: str) -> dict[str, bytes]:
    """What the page over a store answers a supervisor on every route that reads, head and body: refusals too.

    Of streams the first event. ``key``: a company's; ``of_company``: contract, purpose and product of its export.
    """
    now_ms = int(time.time() * 1000)
    out = {}
    with Store.open(url) as store:
        server = serve(create_app(store, local=Who("somebody", "supervisor"), poll_s=0.1))
        client = Client(server)
        for method, route in TABLE:
            if method != "GET" or "{" in route:
                continue
            more = of_company if route == "/api/company/export" else MORE.get(route, {})
            times = {name: now_ms + 1000 * int(str(more[name])) for name in ("from", "to") if name in more}
            path = f"{route}?{urlencode({'run': run_id, **more, **times})}"
            if route in STREAMS:
                out[route] = _first(client.host, path)
            else:
                told = client.get(path, authorization=f"Bearer {key}")
                out[route] = told.headers.as_bytes() + told.body
        server.stop()
    return out | {path: body for path, (body, _) in assets.load().files.items()}


def _first(host: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.request("GET", path)
    lines = connection.getresponse()
    got = [lines.readline()]
    while got[-1].strip() or not any(line.startswith(b"data:") for line in got):
        assert got[-1], got
        got.append(lines.readline())
    connection.close()
    return b"".join(got)
