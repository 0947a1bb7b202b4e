"""City of Melbourne pedestrian counts (per minute, CC BY 4.0) as Hitonami events and registry.

    python examples/melbourne.py COUNTS.csv LOCATIONS.csv -o events.jsonl --registry-out registry.json

Each sensor location becomes a gate with one counter: Direction_1 counts as ab, Direction_2 as ba. A row becomes one
`count` event over its minute, in the order of the file (the city publishes newest first). Rows that cannot be read
are left out, counted by cause and reported on stderr. Needs nothing but Python's standard library.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SPAN_MS = 60_000
TIMEZONE = "Australia/Melbourne"
FIRST_INSTALLATION = "2009-01-01"  # the city's first counters; for locations whose date is not told
COUNT_COLUMNS = ("LocationID", "SensingDateTime", "Direction_1", "Direction_2", "total_of_Directions")
LOCATION_COLUMNS = ("location_id", "Sensor_description", "Installation_date", "Direction_1", "Direction_2")
NUMBER = re.compile(r"[0-9]{1,9}")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:Z|[+-][0-9]{2}:[0-9]{2})")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unusable(Exception):
    """A whole file that cannot be used; a single bad row is only counted."""


def rows(path: str, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file as {column: cell}; a BOM is skipped, missing cells are empty."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise Unusable(f"{path}: column {missing[0]} is missing")
            yield from reader
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise Unusable(f"{path}: not a CSV file in UTF-8") from None


def registry(locations: Iterator[dict[str, str]]) -> tuple[dict[str, Any], Counter[str]]:
    """The registry of all locations, and how many of their rows were left out by cause."""
    gates: dict[str, dict[str, Any]] = {}
    sensors = []
    bad: Counter[str] = Counter()
    for row in locations:
        number = row["location_id"].strip()
        if NUMBER.fullmatch(number) is None:
            bad["location number"] += 1
            continue
        name = f"mel-{int(number)}"
        if name in gates:
            bad["location stands there twice"] += 1
            continue
        label = row["Sensor_description"].strip()
        ways = row["Direction_1"].strip(), row["Direction_2"].strip()
        if all(ways):
            label += f" ({ways[0]} / {ways[1]})"
        since = row["Installation_date"].strip()
        since = since if DATE.fullmatch(since) else FIRST_INSTALLATION
        # sides are not zones here: the counters stand in streets, and both sides are outside
        gates[name] = {"id": name, "name": {"en": label}, "a": None, "b": None, "leaf": "1m"}
        sensors.append(
            {
                "id": name,
                "kind": "counter",
                "gate": name,
                "zone": None,
                "owner": "City of Melbourne",
                # installation dates are days; an hour of summer time more or less does not matter
                "approved": [{"from": f"{since}T00:00:00+10:00", "to": None}],
                # a minute without people has no row, so silence says nothing about the counter
                "reporting": "on_change",
            }
        )
    version = f"melbourne-{len(sensors)}"
    return (
        {"version": version, "timezone": TIMEZONE, "zones": [], "gates": list(gates.values()), "sensors": sensors},
        bad,
    )


def event(row: dict[str, str], sensors: set[str]) -> dict[str, Any] | str:
    """The `count` event of one row, or the cause why there is none."""
    if None in row:  # where csv.DictReader puts what has no column
        return "more cells than the header"
    numbers = {column: row[column].strip() for column in ("LocationID", *COUNT_COLUMNS[2:])}
    for column, number in numbers.items():
        if NUMBER.fullmatch(number) is None:
            return f"{column} {'missing' if not number else 'not a whole number'}"
    name = f"mel-{int(numbers['LocationID'])}"
    if name not in sensors:
        return "LocationID not among the locations"
    text = row["SensingDateTime"].strip()
    if TIME.fullmatch(text) is None:
        return "SensingDateTime not a time with offset"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return "SensingDateTime not a time with offset"
    ab, ba = int(numbers["Direction_1"]), int(numbers["Direction_2"])
    if ab + ba != int(numbers["total_of_Directions"]):
        return "directions do not add up to the total"
    ts = (at - EPOCH) // timedelta(milliseconds=1)
    return {"sensor": name, "ts": ts, "type": "count", "span_ms": SPAN_MS, "ab": ab, "ba": ba}


def main(arguments: list[str] | None = None) -> int:
    """Convert both files; 0 = done (bad rows are reported), 2 = wrong usage, 3 = a file cannot be used."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("counts", help="pedestrian-counting-system-past-hour-counts-per-minute.csv")
    parser.add_argument("locations", help="pedestrian-counting-system-sensor-locations.csv")
    parser.add_argument("-o", "--output", required=True, help="events as JSON Lines")
    parser.add_argument("--registry-out", required=True, help="the registry these events need")
    given = parser.parse_args(arguments)
    bad: Counter[str] = Counter()
    written = people = 0
    try:
        document, bad_locations = registry(rows(given.locations, LOCATION_COLUMNS))
        sensors = {sensor["id"] for sensor in document["sensors"]}
        with open(given.output, "w", encoding="utf-8", newline="\n") as out:
            for row in rows(given.counts, COUNT_COLUMNS):
                found = event(row, sensors)
                if isinstance(found, str):
                    bad[found] += 1
                    continue
                out.write(json.dumps(found, separators=(",", ":")) + "\n")
                written += 1
                people += found["ab"] + found["ba"]
        Path(given.registry_out).write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except Unusable as error:
        print(error, file=sys.stderr)
        return 3
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 3
    print(f"{written} events of {len(sensors)} locations, {people} people")
    for cause, number in sorted((bad + bad_locations).items()):
        print(f"left out: {number} rows, {cause}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
