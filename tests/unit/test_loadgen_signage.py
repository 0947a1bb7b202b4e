"""Loads of signage: the truth told of them, by a plain count of the events alone; equal seeds; faults; the command."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import loadgen
from engine import registry
from engine.errors import UsageError
from engine.languages import LANGUAGES
from engine.touch import primary
from hitonami.cli import app
from loadgen import signage

QUARTER, HOUR, BOUND = 900_000, 3_600_000, 5_000
FAULTY: dict[str, Any] = {"seconds": 3_000, "rate": 15.0, "late": 0.05, "duplicate": 0.05, "bad": 0.1}


def rows_of(load: loadgen.Signage) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    *rows, totals = load.truth()
    return rows, totals["totals"]  # type: ignore[return-value]


class Plain:
    """What the rules say of messages, event by event, in the order of one log, with dicts and sets."""

    def __init__(self, document: dict[str, Any]) -> None:
        now = "2026-01-01T00:00:00Z"
        told = {device["id"]: device["approved"][0] for device in document["devices"]}
        self.approved = {device: span["to"] is None or span["to"] > now for device, span in told.items()}
        self.watermark, self.reasons = -(2**63), Counter[str]()
        self.first: dict[tuple[int, str, str, str], tuple[int, str]] = {}
        self.moved: set[tuple[int, str, str, str, str]] = set()

    def take(self, value: bytes) -> None:
        self.reasons[self.judge(value)] += 1

    def judge(self, value: bytes) -> str:
        try:
            event = json.loads(value)
        except ValueError:
            return "malformed"
        if event["type"] not in ("touch", "heartbeat"):
            return "unknown_type"
        touched = event["type"] == "touch"
        if touched and not {"session", "screen"} <= set(event):
            return "missing_field"
        if touched and not isinstance(event["session"], str):
            return "bad_value"
        if event["device"] not in self.approved:
            return "unknown_sensor"
        if not self.approved[event["device"]]:
            return "not_approved"
        ts, device = event["ts"], event["device"]
        if ts // QUARTER * QUARTER + QUARTER <= self.watermark:
            return "late"
        self.watermark = max(self.watermark, ts - BOUND)
        if touched:
            lang = primary(event["lang"].encode()).decode()
            said = ts, lang if lang in LANGUAGES else "other"
            key = ts // QUARTER * QUARTER, device, event["screen"], event["session"]
            self.first[key] = min(self.first.get(key, said), said)
            if "to" in event:
                self.moved.add((ts // HOUR * HOUR, device, event["screen"], event["to"], event["session"]))
        return "accepted"

    def rows(self) -> list[dict[str, Any]]:
        touched = Counter((start, device, screen, of[1]) for (start, device, screen, _), of in self.first.items())
        moved = Counter(key[:4] for key in self.moved)
        out = [
            {"device": d, "screen": s, "lang": lang, "window": "15m", "start_ms": at, "n": n}
            for (at, d, s, lang), n in touched.items()
        ]
        return out + [
            {"device": d, "from": f, "to": to, "window": "1h", "start_ms": at, "n": n}
            for (at, d, f, to), n in moved.items()
        ]


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row) for row in rows)


@pytest.mark.parametrize("most", [signage._MANY, 500], ids=["counted at the end", "counted on the way"])
def test_the_truth_is_what_a_plain_count_says(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(signage, "_MANY", most)
    load = loadgen.Signage(seed=3, **(FAULTY | {"seconds": 5_000}))
    plain = Plain(load.registry)
    for message in load.events():
        plain.take(message.value)
    rows, totals = rows_of(load)
    assert in_order(rows) == in_order(plain.rows())
    accepted = plain.reasons.pop("accepted")
    assert totals["rejected"] == dict(plain.reasons)
    assert set(plain.reasons) == set(signage.REASONS[1:])
    assert (totals["accepted"], totals["events"]) == (accepted, accepted + plain.reasons.total())
    assert totals["touches"] + totals["heartbeats"] == accepted
    assert totals["events"] == pytest.approx(15 * 5_000, rel=0.05)
    assert {row["lang"] for row in rows if "lang" in row} == {"ja", "en", "zh", "ko", "th", "ru", "other"}


def test_the_truth_is_of_what_was_read() -> None:
    load, plain = loadgen.Signage(**FAULTY), Plain(loadgen.Signage().registry)
    for message in islice(load.events(), 777):
        plain.take(message.value)
    rows, totals = rows_of(load)
    assert in_order(rows) == in_order(plain.rows())
    assert totals["events"] == 777


def test_equal_seeds_give_equal_events_in_order_of_arrival() -> None:
    one, two, other = (list(loadgen.Signage(seed=seed, **FAULTY).events()) for seed in (1, 1, 2))
    assert one == two
    assert one != other
    assert [m.arrival_ms for m in one] == sorted(m.arrival_ms for m in one)
    keys = {json.loads(m.value)["device"].encode() == m.key for m in one if m.value.endswith(b"}")}
    assert keys == {True}


def test_its_registry_is_one() -> None:
    checked, faults = registry.check(json.dumps(loadgen.Signage(devices=30).registry).encode())
    assert faults == []
    assert checked is not None
    assert len(json.loads(checked.text)["devices"]) == 31


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"rate": 0.3}, {"late": -0.1}, {"bad": 0.5}, {"devices": 0}])
def test_loads_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"seconds|rate|late"):
        loadgen.Signage(**wrong)


def test_the_command_writes_events_registry_and_truth(tmp_path: Path) -> None:
    def run(*words: object) -> None:
        app(["load", "signage", *map(str, words)], standalone_mode=False)

    events, document, truth = (tmp_path / name for name in ("events.jsonl", "registry.json", "truth.jsonl"))
    into = ("-o", events, "--registry-out", document, "--truth", truth)
    run("--seconds", 60, "--rate", 50, "--late", 0.1, *into)
    totals = json.loads(truth.read_text().splitlines()[-1])["totals"]
    assert totals["events"] == len(events.read_text().splitlines()) > 2_000
    assert totals["rejected"]["late"] > 100
    registry.load(document)
    with pytest.raises(UsageError, match="--skewed: not of signage"):
        run("--skewed", 0.1, *into)
    with pytest.raises(UsageError, match="--rate is too low"):
        run("--rate", 0.1, *into)
