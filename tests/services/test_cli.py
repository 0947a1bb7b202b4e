"""Exit codes and one-line errors of the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.services.test_live_replay import hitonami
from tests.support.command import command


def failing(*words: object, code: int) -> str:
    """Standard error of a command that must fail with one line."""
    done = command(*words, timeout=60)
    assert done.returncode == code, (done.returncode, done.stdout[-300:], done.stderr[-300:])
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("hitonami: ")
    return done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("cli")
    out = ("-o", work / "e.jsonl", "--registry-out", work / "r.json")
    hitonami("load", "weekday", "--seconds", 120, *out)
    (work / "bad.toml").write_text("[flow]\nkk = 1\n")
    (work / "scalar.toml").write_text("flow = 5\n")
    (work / "other.toml").write_text("[flow]\nk = 3\n")
    (work / "bad.json").write_text('{"version": 1}')
    hitonami("replay", work / "e.jsonl", *at(work), "--run-id", "a")
    return work


def at(work: Path) -> tuple[str, ...]:
    return ("--store", f"chdb://{work}/store", "--registry", str(work / "r.json"))


def test_errors_end_with_their_code(made: Path) -> None:
    events = made / "e.jsonl"
    store = ("--store", f"chdb://{made}/store")
    assert "exists" in failing("replay", events, *at(made), "--run-id", "a", code=2)
    assert "kk" in failing("replay", events, *at(made), "--run-id", "b", "--config", made / "bad.toml", code=3)
    scalar = failing("replay", events, *at(made), "--run-id", "b", "--config", made / "scalar.toml", code=3)
    assert scalar == "hitonami: config: flow must be a table: [flow] and its settings below\n"
    failing("replay", events, *store, "--registry", made / "none.json", "--run-id", "b", code=3)
    failing("replay", events, *store, "--registry", made / "bad.json", "--run-id", "b", code=3)
    failing("replay", made / "none.jsonl", *at(made), "--run-id", "b", code=3)
    failing("replay", events, "--store", "http://127.0.0.1:9/x", *at(made)[2:], "--run-id", "b", code=4)
    failing("replay", "--kafka", "127.0.0.1:9", *at(made), "--run-id", "b", code=4)
    failing("replay", events, "--speed", "2", *at(made), "--run-id", "b", code=2)
    failing("nothing", code=2)
    (made / "latin.conf").write_bytes(b"sasl.password = \xe9\n")
    latin = ("--kafka-config", made / "latin.conf")
    assert "UTF-8" in failing("dump", "--kafka", "127.0.0.1:9", *latin, "-o", made / "d", code=3)
    failing("export", "flow", *store, "--run-id", "none", "-o", made / "x.csv", code=2)


def test_a_file_that_cannot_be_written_is_told(made: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none" / "file"
    store = ("--store", f"chdb://{made}/store")
    load = ("load", "weekday", "--seconds", 5)
    out = (*load, "-o", tmp_path / "e.jsonl")
    assert "--truth" in failing(*out, "--truth", missing, code=3)
    assert "--registry-out" in failing(*out, "--registry-out", missing, code=3)
    assert "-o: " in failing(*load, "-o", missing, code=3)
    assert "--truth" in failing(*load, "--kafka", "127.0.0.1:9", "--truth", missing, code=3)
    assert "-o: " in failing("export", "flow", *store, "--run-id", "a", "-o", missing, code=2)
    letters = ("--dead-letters", missing)
    assert "dead letters: " in failing("replay", made / "e.jsonl", *at(made), "--run-id", "b", *letters, code=2)
    (tmp_path / "s.csv").write_text("gate,sensor\ng1,s1\n")
    hitonami("registry", "new", "--from-csv", tmp_path / "s.csv")
    assert "-o: " in failing("registry", "new", "--from-csv", tmp_path / "s.csv", "-o", missing, code=2)


def test_bad_settings_leave_no_store(made: Path, tmp_path: Path) -> None:
    replay = ("replay", made / "e.jsonl", "--run-id", "a")
    run = ("run", "--kafka", "127.0.0.1:9", "--recovery", tmp_path / "state")
    bad_config = ("--registry", made / "r.json", "--config", made / "bad.toml")
    for words in (replay, run):
        for bad in (bad_config, ("--registry", made / "bad.json")):
            failing(*words, "--store", f"chdb://{tmp_path}/store", *bad, code=3)
    assert not list(tmp_path.iterdir())


def test_a_second_release_is_a_workbench_run(made: Path) -> None:
    store = ("--store", f"chdb://{made}/store")
    hitonami("replay", made / "e.jsonl", *at(made), "--run-id", "w", "--config", made / "other.toml")
    assert "workbench" in failing("export", "flow", *store, "--run-id", "w", "-o", made / "w.csv", code=2)
    hitonami("export", "flow", *store, "--run-id", "w", "-o", made / "w.parquet", "--format", "parquet", "--workbench")
    (made / "part.jsonl").write_bytes(b"".join((made / "e.jsonl").read_bytes().splitlines(keepends=True)[300:]))
    hitonami("replay", made / "part.jsonl", *at(made), "--run-id", "part")
    hitonami("replay", made / "e.jsonl", *at(made), "--run-id", "again")
    found = [json.loads(line) for line in hitonami("runs", "list", *store).splitlines()]
    classes = {run["run_id"]: run["class"] for run in found}
    assert classes == {"a": "replay", "w": "workbench", "part": "workbench", "again": "replay"}
    hitonami("runs", "drop", "w", *store)
    assert "w" not in [json.loads(line)["run_id"] for line in hitonami("runs", "list", *store).splitlines()]


CANARY = "7c0ffee7canary"


def test_no_value_leaves_by_an_error_path(made: Path, tmp_path: Path) -> None:
    good = json.loads((made / "e.jsonl").read_text().splitlines()[0])
    bad: list[dict[str, Any]] = [
        {**good, "sensor": CANARY},
        {**good, "type": CANARY},
        {**good, "ts": CANARY},
        {**good, "type": "cross", "dir": CANARY},
        {**good, CANARY: 1, "ts": None},
    ]
    lines = [json.dumps(b) for b in bad] + ['{"sensor":"' + CANARY]
    (tmp_path / "bad.jsonl").write_text("\n".join([*lines, json.dumps({**good, CANARY: CANARY}), ""]))
    store, letters = f"chdb://{tmp_path}/store", tmp_path / "letters.jsonl"
    words = (
        "replay",
        tmp_path / "bad.jsonl",
        "--store",
        store,
        *at(made)[2:],
        "--run-id",
        "c",
        "--dead-letters",
        letters,
    )
    done = command(*words, timeout=60)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["read"], summary["accepted"], sum(summary["rejected"].values())) == (7, 1, 6)
    assert len(letters.read_text().splitlines()) == 6
    written = [p.read_bytes() for p in (tmp_path / "store").rglob("*") if p.is_file()]
    everything = b"".join([done.stdout.encode(), done.stderr.encode(), letters.read_bytes(), *written])
    assert CANARY.encode() not in everything
