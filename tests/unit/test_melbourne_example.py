"""examples/melbourne.py: the city's rows as events; bad rows counted, not fatal."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from engine import registry

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "melbourne.py"
COUNTS = "pedestrian-counting-system-past-hour-counts-per-minute.csv"
LOCATIONS = "pedestrian-counting-system-sensor-locations.csv"

COUNT_HEAD = "LocationID,SensingDateTime,SensingDate,SensingTime,Direction_1,Direction_2,total_of_Directions"
LOCATION_HEAD = "location_id,Sensor_description,sensor_name,Installation_date,Direction_1,Direction_2"
PLACES = [
    "6,Station Underpass,FliS_T,2009-03-25,North,South",
    "73,Bourke St,Bou655_T,,,",
    "112,Argyle Sq,A,2021-10-07,,",
]


def run(tmp_path: Path, counts: Path, locations: Path) -> tuple[subprocess.CompletedProcess[str], Path, Path]:
    events, made = tmp_path / "events.jsonl", tmp_path / "registry.json"
    # isolated: nothing of this project and of its dependencies may be needed
    command = [sys.executable, "-I", "-S", SCRIPT, counts, locations, "-o", events, "--registry-out", made]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False), events, made


def convert(tmp_path: Path, counts: list[str], locations: list[str]) -> tuple[list[dict], registry.Registry, str, str]:
    (tmp_path / "counts.csv").write_text("\ufeff" + "\n".join([COUNT_HEAD, *counts]) + "\n", encoding="utf-8")
    (tmp_path / "places.csv").write_text("\ufeff" + "\n".join([LOCATION_HEAD, *locations]) + "\n", encoding="utf-8")
    done, events, made = run(tmp_path, tmp_path / "counts.csv", tmp_path / "places.csv")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in events.read_text().splitlines()]
    return rows, registry.load(made), done.stdout, done.stderr


def test_rows_become_events_in_the_order_of_the_file(tmp_path: Path) -> None:
    events, made, said, complaints = convert(
        tmp_path,
        [
            "6,2023-06-05T11:26:00+10:00,2023-06-05,11:26,6,8,14",
            "112,2023-06-05T11:26:00+10:00,2023-06-05,11:26,0,3,3",
            "6,2023-06-05T11:25:00+10:00,2023-06-05,11:25,1,0,1",
        ],
        PLACES,
    )
    assert events == [
        {"sensor": "mel-6", "ts": 1_685_928_360_000, "type": "count", "span_ms": 60_000, "ab": 6, "ba": 8},
        {"sensor": "mel-112", "ts": 1_685_928_360_000, "type": "count", "span_ms": 60_000, "ab": 0, "ba": 3},
        {"sensor": "mel-6", "ts": 1_685_928_300_000, "type": "count", "span_ms": 60_000, "ab": 1, "ba": 0},
    ]
    assert said == "3 events of 3 locations, 18 people\n"
    assert complaints == ""
    assert made.timezone == "Australia/Melbourne"
    assert {(g.id, g.a, g.b, g.leaf) for g in made.gates} == {(f"mel-{n}", None, None, 1) for n in (6, 73, 112)}
    assert {s.reporting for s in made.sensors} == {0}
    names = {gate["id"]: gate["name"]["en"] for gate in json.loads(made.text)["gates"]}
    assert names == {"mel-6": "Station Underpass (North / South)", "mel-73": "Bourke St", "mel-112": "Argyle Sq"}
    day = 86_400_000
    since = {s.id: s.approved[0][0] // day for s in made.sensors}
    assert since == {"mel-6": 14_327, "mel-73": 14_244, "mel-112": 18_906}  # 2009-03-24T14Z, 2008-12-31T14Z, …


BAD_ROWS = [
    ("6,2023-06-05T24:00:00+10:00,2023-06-05,24:00,1,1,2", "SensingDateTime not a time with offset"),
    ("6,2023-06-05T11:26:00,2023-06-05,11:26,1,1,2", "SensingDateTime not a time with offset"),
    ("6,2023-06-31T11:26:00+10:00,2023-06-31,11:26,1,1,2", "SensingDateTime not a time with offset"),
    ("6,,2023-06-05,11:26,1,1,2", "SensingDateTime not a time with offset"),
    ("6,2023-06-05T11:26:00+10:00,2023-06-05,11:26,0x1f,1,32", "Direction_1 not a whole number"),
    ("6,2023-06-05T11:26:00+10:00,2023-06-05,11:26,1,-1,0", "Direction_2 not a whole number"),
    ("6,2023-06-05T11:26:00+10:00,2023-06-05,11:26,1.0,1,2", "Direction_1 not a whole number"),
    ("6,2023-06-05T11:26:00+10:00,2023-06-05,11:26,１,1,2", "Direction_1 not a whole number"),
    ("6,2023-06-05T11:26:00+10:00,2023-06-05,11:26,1_0,1,11", "Direction_1 not a whole number"),
    ("6,2023-06-05T11:26:00+10:00,2023-06-05,11:26,,1,1", "Direction_1 missing"),
    ("6,2023-06-05T11:26:00+10:00,2023-06-05,11:26,1,1", "total_of_Directions missing"),
    (",2023-06-05T11:26:00+10:00,2023-06-05,11:26,1,1,2", "LocationID missing"),
    ("7,2023-06-05T11:26:00+10:00,2023-06-05,11:26,1,1,2", "LocationID not among the locations"),
    ("6,2023-06-05T11:26:00+10:00,2023-06-05,11:26,1,1,3", "directions do not add up to the total"),
    ("6,2023-06-05T11:26:00+10:00,2023-06-05,11:26,1,1,2,9", "more cells than the header"),
]


def test_bad_rows_are_counted_by_cause_and_the_rest_is_converted(tmp_path: Path) -> None:
    good = "6,2023-06-05T11:25:00+10:00,2023-06-05,11:25,1,0,1"
    events, _, said, complaints = convert(tmp_path, [good, *(row for row, _ in BAD_ROWS), good], PLACES)
    assert len(events) == 2
    assert said == "2 events of 3 locations, 2 people\n"
    causes = Counter(cause for _, cause in BAD_ROWS)
    assert complaints.splitlines() == [f"left out: {n} rows, {cause}" for cause, n in sorted(causes.items())]


def test_bad_locations_are_counted_too(tmp_path: Path) -> None:
    events, made, _, complaints = convert(tmp_path, [], [*PLACES, "6,again,,,,", "six,x,,,,"])
    assert events == [] and len(made.sensors) == 3
    assert complaints.splitlines() == [
        "left out: 1 rows, location number",
        "left out: 1 rows, location stands there twice",
    ]


@pytest.mark.parametrize("broken", ["absent", "other columns", "not text"])
def test_a_file_that_cannot_be_used_ends_with_one_line(tmp_path: Path, broken: str) -> None:
    counts, places = tmp_path / "counts.csv", tmp_path / "places.csv"
    places.write_text(LOCATION_HEAD + "\n" + PLACES[0] + "\n")
    if broken != "absent":
        counts.write_bytes(b"LocationID,Time\n6,now\n" if broken == "other columns" else b"\xff\xfe\x00")
    done, _, _ = run(tmp_path, counts, places)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1 and str(counts) in done.stderr
    assert done.stdout == ""


def test_the_citys_own_files(tmp_path: Path, shared_data: Path) -> None:
    data = shared_data / "melbourne_minute_2023"
    done, events, made = run(tmp_path, data / COUNTS, data / LOCATIONS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "25446 events of 108 locations, 156009 people\n"
    sent: Counter = Counter()
    for line in events.read_text().splitlines():
        event = json.loads(line)
        sent[event["sensor"], "ab"] += event["ab"]
        sent[event["sensor"], "ba"] += event["ba"]
    expected: Counter = Counter()
    with (data / COUNTS).open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            expected[f"mel-{row['LocationID']}", "ab"] += int(row["Direction_1"])
            expected[f"mel-{row['LocationID']}", "ba"] += int(row["Direction_2"])
    assert sent == expected and sum(sent.values()) == 156_009
    found = registry.load(made)
    assert len(found.gates) == len(found.sensors) == 108
    assert {sensor for sensor, _ in sent} <= {sensor.id for sensor in found.sensors}
    assert max(start for sensor in found.sensors for start, _ in sensor.approved) < 1_685_884_260_000
    names = [gate["name"]["en"] for gate in json.loads(found.text)["gates"]]
    labelled = [name for name in names if name.endswith((" (North / South)", " (East / West)", " (In / Out)"))]
    assert len(labelled) == 100
