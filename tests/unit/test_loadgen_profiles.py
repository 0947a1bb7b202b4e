"""The load of people who use service providers: files, their truth, and what the command says no to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import loadgen
from engine import consent, ingress, registry
from loadgen.profiles import DAY_MS
from tests.support.command import command


def test_a_day_as_files(tmp_path: Path) -> None:
    names = ("events", "registry", "consents", "truth")
    paths = {name: tmp_path / f"{name}.jsonl" for name in names}
    wanted = ("-o", paths["events"], "--registry-out", paths["registry"], "--consents-out", paths["consents"])
    assert command("load", "profiles", "--seed", "3", *wanted, "--truth", paths["truth"]).returncode == 0
    events = [ingress.read(line, 0) for line in paths["events"].read_bytes().splitlines()]
    assert len(events) > 1_000 and all(not record.reason for (record,) in events)
    assert registry.load(paths["registry"]).timezone == "Asia/Tokyo"
    consents = [consent.parse(line) for line in paths["consents"].read_bytes().splitlines()]
    consented = {(record.provider, record.subject) for record in consents}
    truth = [json.loads(line) for line in paths["truth"].read_bytes().splitlines()]
    accepted = sum((record.provider, record.subject) in consented for (record,) in events)
    assert truth[-1]["totals"] == {"events": len(events), "accepted": accepted, "people": 400}
    for table in ("gender", "municipality"):  # everybody is in one category
        counts = [row["n"] for row in truth[:-1] if row.get("table") == table]
        assert sum(counts) == len(
            {record.subject for (record,) in events if (record.provider, record.subject) in consented}
        )
    assert all(max(row["providers"].values()) <= row["n"] for row in truth[:-1])
    assert {len(row) for row in truth[:-1] if "from" in row} == {5}


def test_equal_seeds_give_equal_events() -> None:
    first, again, other = (list(loadgen.ProfileLoad(seed=seed, people=20).events()) for seed in (1, 1, 2))
    assert first == again != other


def test_the_day_before() -> None:
    start = loadgen.ProfileLoad(people=1).start_ms
    assert loadgen.day_before(start) == loadgen.day_before(start + DAY_MS - 1) == start - DAY_MS


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("profiles", "--rate", "5"), "--rate: not of profiles"),
        (("profiles", "--seconds", "5"), "--seconds: not of profiles"),
        (("profiles", "--bad", "0.5"), "--bad: not of profiles"),
        (("weekday", "--consents-out", "x"), "--consents-out: not of weekday"),
    ],
)
def test_what_it_does_not_take(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = command("load", *words, "-o", tmp_path / "events.jsonl")
    assert done.returncode == 2 and told in done.stderr
    assert not list(tmp_path.iterdir())
