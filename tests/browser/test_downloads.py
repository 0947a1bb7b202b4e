"""Files of rows, asked of a real embedded store; without a browser."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard import downloads
from dashboard.app import create_app
from dashboard.serve import Server, serve
from engine.errors import ServiceUnreachable
from sinks import files
from sinks.clickhouse import reader
from sinks.clickhouse.store import Store
from tests.browser.test_past import begin, get, insert, story
from tests.services.released import released

pytestmark = pytest.mark.embedded

T0 = 1_770_447_600_000


@pytest.fixture(autouse=True)
def no_script_errors() -> None:
    """No browser here."""


@pytest.fixture
def server(chdb_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Store]]:
    monkeypatch.setattr(reader, "SLICE_ROWS", 1)  # as many slices as the index can cut
    with Store.open(chdb_url) as store:
        store.migrate()
        begin(store)
        insert(store, insert(store, story(), T0 + 200_000), T0 + 900_000)  # two parts, so two entries of the index
        store.insert(released("rejects", "rejects", [(T0, "s1", "late", 7)]), "r")
        started = serve(create_app(store))
        yield started, store
        started.stop()


def raw(server: Server, query: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
    connection.request("GET", f"/api/download?{query}")
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def test_a_download_is_the_file_that_export_writes(server: tuple[Server, Store], tmp_path: Path):
    page, store = server
    for product in downloads.SHOWN:
        for format in ("csv", "parquet"):
            status, headers, body = raw(page, f"product={product}&format={format}&run=r")
            assert status == 200 and headers["content-type"] == downloads.MEDIA_TYPES[format]
            rows = files.export(store.slices(product, "r"), product, format, tmp_path / "x", window_column=True)
            assert body == (tmp_path / "x").read_bytes(), (product, format)
            assert rows, product
    assert len(list(store.slices("flow", "r"))) > 1
    _, headers, body = raw(page, f"product=flow&window=10s&from={T0 + 20_000}&to={T0 + 45_000}")
    starts = {line.split(b",")[0] for line in body.splitlines()[1:]}
    assert starts == {b"2026-02-07T07:00:20.000Z", b"2026-02-07T07:00:30.000Z"}  # the last has not ended by then
    named = 'attachment; filename="hitonami-flow-r-10s-2026-02-07T070020Z-2026-02-07T070045Z.csv"'
    assert headers["content-disposition"] == named


def test_names_of_files_hold_nothing_that_a_header_or_a_disk_could_read():
    name = downloads.named('a"; x=../\r\n日' + "r" * 200, "flow", None, (None, None), "csv")
    assert re.fullmatch(r"hitonami-flow-[A-Za-z0-9._-]{1,80}\.csv", name) and len(name) < 120


def test_what_cannot_be_downloaded_is_refused(server: tuple[Server, Store]):
    page, _ = server
    for query, status, word in (
        ("", 400, "product"),
        ("product=runs_of_flow", 400, "product"),
        ("product=flow&format=xlsx", 400, "format"),
        ("product=flow&window=7s", 400, "window"),
        ("product=alerts&window=10s", 400, "window"),
        ("product=flow&from=2&to=2", 400, "from"),
        ("product=flow&run=nobody", 404, "run"),
        # a refusal does not count as a file on its way
        *[("product=flow&run=nobody", 404, "run")] * downloads.MOST,
    ):
        assert get(page, f"/api/download?{query}") == (status, {"error": word}, {}), query


def test_a_store_that_goes_away_meanwhile_leaves_no_whole_file(
    server: tuple[Server, Store], monkeypatch: pytest.MonkeyPatch
):
    page, store = server
    slices = store.slices

    def breaking(*asked: Any, **named: Any) -> Iterator[Any]:
        yield next(slices(*asked, **named))
        raise ServiceUnreachable("away")

    monkeypatch.setattr(store, "slices", breaking)
    for _ in range(downloads.MOST + 1):
        with pytest.raises((http.client.HTTPException, OSError)):
            raw(page, "product=flow")
    monkeypatch.undo()
    assert raw(page, "product=flow")[0] == 200


def test_few_files_go_out_at_once(server: tuple[Server, Store], monkeypatch: pytest.MonkeyPatch):
    page, _ = server
    monkeypatch.setattr(downloads, "MOST", 0)
    assert get(page, "/api/download?product=flow") == (503, {"error": "busy"}, {})
    monkeypatch.setattr(downloads, "MOST", 1)
    for _ in range(3):  # one that has gone out does not count any more
        assert raw(page, "product=health")[0] == 200


def test_a_client_that_stalls_gives_its_place_up(server: tuple[Server, Store], monkeypatch: pytest.MonkeyPatch):
    page, _ = server
    written = downloads._written

    async def endless(*given: Any) -> Any:
        while True:
            async for piece in written(*given):
                yield piece * 20

    monkeypatch.setattr(downloads, "MOST", 1)
    monkeypatch.setattr(downloads, "PIECE_S", 0.5)
    monkeypatch.setattr(downloads, "_written", endless)
    connection = http.client.HTTPConnection(page.url.removeprefix("http://"), timeout=20)
    connection.request("GET", "/api/download?product=flow")
    answer = connection.getresponse()  # and no more of it is read than its head
    monkeypatch.setattr(downloads, "_written", written)
    assert raw(page, "product=health")[0] == 503
    until = time.monotonic() + 20
    while (status := raw(page, "product=health")[0]) == 503 and time.monotonic() < until:
        time.sleep(0.05)
    assert status == 200
    with pytest.raises((http.client.HTTPException, OSError)):  # what it has of the file does not look like all of it
        answer.read()
    connection.close()
