"""What may be shown of a run before it is known whose people its rows are, and when its people were seen."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from engine.book import Book
from engine.model import Progress
from flows.recovery import open_recovery
from flows.store_sink import Advance, RunRow
from sinks.clickhouse.store import Run, Store
from tests.services.test_live_replay import hitonami
from tests.services.test_verify import REGISTRY, START
from tests.support.columns import tables


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    events = [{"sensor": "s", "type": "cross", "ts": START + at} for at in range(0, 300_000, 500)]
    text = "".join(json.dumps(event) + "\n" for event in events)
    (tmp_path / "e.jsonl").write_text(text)
    whole = gzip.compress(text.encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) * 3 // 4])
    (tmp_path / "r.json").write_text(json.dumps(REGISTRY))
    (tmp_path / "exact.toml").write_text("[flow]\nk = 1\nguard = 0\n")
    url = f"chdb://{tmp_path}/store"
    hitonami("replay", tmp_path / "e.jsonl", "--store", url, "--registry", tmp_path / "r.json", "--run-id", "a")
    return url


def classes(url: str) -> dict[str, tuple[str, str]]:
    lines = hitonami("runs", "list", "--store", url).splitlines()
    return {run["run_id"]: (run["class"], run["state"]) for run in map(json.loads, lines)}


def test_a_second_release_that_fails_is_a_workbench_run(store_url: str, tmp_path: Path) -> None:
    broken = (tmp_path / "cut.jsonl.gz", "--order", "log", "--store", store_url, "--registry", tmp_path / "r.json")
    hitonami("replay", *broken, "--config", tmp_path / "exact.toml", "--run-id", "b", code=3)
    assert classes(store_url) == {"a": ("replay", "finished"), "b": ("workbench", "failed")}
    hitonami("export", "flow", "--store", store_url, "--run-id", "b", "-o", tmp_path / "b.csv", code=2)
    assert not (tmp_path / "b.csv").exists()


def test_to_is_the_end_of_the_last_window(store_url: str, tmp_path: Path) -> None:
    def starts(*more: str) -> list[str]:
        out = tmp_path / "f.csv"
        asked = ("--window", "1m", "--from", "2026-02-07T07:41:00Z", *more)
        hitonami("export", "flow", "--store", store_url, "--run-id", "a", *asked, "-o", out)
        return sorted({line.split(",")[0] for line in out.read_text().splitlines()[1:]})

    assert starts("--to", "2026-02-07T07:41:59Z") == []
    assert starts("--to", "2026-02-07T07:42:00Z") == ["2026-02-07T07:41:00.000Z"]
    assert starts("--to", "2026-02-07T07:42:30Z") == ["2026-02-07T07:41:00.000Z"]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 65])
def test_a_run_needs_a_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(REGISTRY))
    (tmp_path / "e.jsonl").write_text("")
    files = (tmp_path / "e.jsonl", "--store", f"chdb://{tmp_path}/s", "--registry", tmp_path / "r.json")
    hitonami("replay", *files, "--run-id", name, code=2)


def test_a_directory_with_other_files_stays_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "letter.txt").write_text("mine")
    with pytest.raises(Exception, match="holds files of another program"):
        open_recovery(home, {"run id": "live"})
    assert os.stat(home).st_mode & 0o777 == 0o755 and [entry.name for entry in home.iterdir()] == ["letter.txt"]


def test_a_live_row_does_not_tell_when_the_last_person_was_seen(tmp_path: Path) -> None:
    with Store.open(f"chdb://{tmp_path}/store") as store:
        store.migrate()
        book = Book(tables().registry)
        live = Run("live", "live", "{}", "c", "v1", "h", "0", "Asia/Tokyo", started_ms=1, updated_ms=1)
        row = RunRow(store, live, book)
        for closed, last in ((START + 60_000, START + 30_000), (START + 120_000, START + 110_000)):
            row.put(Advance(Progress(closed, 0, {}), START, last, book.start))
            stored = store.run("live")
            assert stored is not None and (stored.first_ms, stored.last_ms) == (START, closed)
        row.end("stopped")
        stored = store.run("live")
        assert stored is not None and stored.last_ms == 1_770_476_400_000  # the end of that day in Tokyo
        told = RunRow(store, replace(live, run_id="again", kind="replay"), book)
        told.put(Advance(Progress(START + 60_000, 0, {}), START, START + 30_000, book.start))
        stored = store.run("again")
        assert stored is not None and stored.last_ms == START + 30_000
