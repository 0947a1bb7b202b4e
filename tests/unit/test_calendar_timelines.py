"""Days on which clocks change, as timelines: what is drawn here goes in as events, and must come out as rows.

One cell per window of 1h, `#` where a day begins, as a reader on the spot would note it: the hour's beginning by the
local clock and its offset, the same instant in UTC, its length in minutes, the people of that hour; below them the
people of the whole day and its length in hours, in the day's first cell. An hour that comes twice is two cells, told
apart by their offset; an hour that is skipped has none. Each hour has a number of people of its own, so a person in a
wrong cell shows.
"""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from engine.config import Config
from tests.services.test_live_replay import hitonami, rfc3339
from tests.support.engine_run import run

DRAWN = """
Australia/Melbourne 2023-04-02
local   |23:00#00:00|01:00|02:00|02:00|03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|11:00|
offset  |+1100#+1100|+1100|+1100|+1000|+1000|+1000|+1000|+1000|+1000|+1000|+1000|+1000|+1000|
utc     |12:00#13:00|14:00|15:00|16:00|17:00|18:00|19:00|20:00|21:00|22:00|23:00|00:00|01:00|
minutes |   60#   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|
people  |   70#    1|    2|    3|    4|    5|    6|    7|    8|    9|   10|   11|   12|   13|
day     |   70#  325|     |     |     |     |     |     |     |     |     |     |     |     |
hours   |   24#   25|     |     |     |     |     |     |     |     |     |     |     |     |

local   |12:00|13:00|14:00|15:00|16:00|17:00|18:00|19:00|20:00|21:00|22:00|23:00#00:00|
offset  |+1000|+1000|+1000|+1000|+1000|+1000|+1000|+1000|+1000|+1000|+1000|+1000#+1000|
utc     |02:00|03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|11:00|12:00|13:00#14:00|
minutes |   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60#   60|
people  |   14|   15|   16|   17|   18|   19|   20|   21|   22|   23|   24|   25#   80|
day     |     |     |     |     |     |     |     |     |     |     |     |     #   80|
hours   |     |     |     |     |     |     |     |     |     |     |     |     #   24|

Australia/Melbourne 2023-10-01
local   |23:00#00:00|01:00|03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|11:00|12:00|13:00|
offset  |+1000#+1000|+1000|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|
utc     |13:00#14:00|15:00|16:00|17:00|18:00|19:00|20:00|21:00|22:00|23:00|00:00|01:00|02:00|
minutes |   60#   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|
people  |   70#    1|    2|    3|    4|    5|    6|    7|    8|    9|   10|   11|   12|   13|
day     |   70#  276|     |     |     |     |     |     |     |     |     |     |     |     |
hours   |   24#   23|     |     |     |     |     |     |     |     |     |     |     |     |

local   |14:00|15:00|16:00|17:00|18:00|19:00|20:00|21:00|22:00|23:00#00:00|
offset  |+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100#+1100|
utc     |03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|11:00|12:00#13:00|
minutes |   60|   60|   60|   60|   60|   60|   60|   60|   60|   60#   60|
people  |   14|   15|   16|   17|   18|   19|   20|   21|   22|   23#   80|
day     |     |     |     |     |     |     |     |     |     |     #   80|
hours   |     |     |     |     |     |     |     |     |     |     #   24|

Australia/Lord_Howe 2023-04-02
local   |23:00#00:00|01:00|01:30|02:00|03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|11:00|
offset  |+1100#+1100|+1100|+1030|+1030|+1030|+1030|+1030|+1030|+1030|+1030|+1030|+1030|+1030|
utc     |12:00#13:00|14:00|15:00|15:30|16:30|17:30|18:30|19:30|20:30|21:30|22:30|23:30|00:30|
minutes |   60#   60|   60|   30|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|
people  |   70#    1|    2|    3|    4|    5|    6|    7|    8|    9|   10|   11|   12|   13|
day     |   70#  325|     |     |     |     |     |     |     |     |     |     |     |     |
hours   |   24# 24.5|     |     |     |     |     |     |     |     |     |     |     |     |

local   |12:00|13:00|14:00|15:00|16:00|17:00|18:00|19:00|20:00|21:00|22:00|23:00#00:00|
offset  |+1030|+1030|+1030|+1030|+1030|+1030|+1030|+1030|+1030|+1030|+1030|+1030#+1030|
utc     |01:30|02:30|03:30|04:30|05:30|06:30|07:30|08:30|09:30|10:30|11:30|12:30#13:30|
minutes |   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60#   60|
people  |   14|   15|   16|   17|   18|   19|   20|   21|   22|   23|   24|   25#   80|
day     |     |     |     |     |     |     |     |     |     |     |     |     #   80|
hours   |     |     |     |     |     |     |     |     |     |     |     |     #   24|

Australia/Lord_Howe 2023-10-01
local   |23:00#00:00|01:00|02:30|03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|11:00|12:00|
offset  |+1030#+1030|+1030|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|
utc     |12:30#13:30|14:30|15:30|16:00|17:00|18:00|19:00|20:00|21:00|22:00|23:00|00:00|01:00|
minutes |   60#   60|   60|   30|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|
people  |   70#    1|    2|    3|    4|    5|    6|    7|    8|    9|   10|   11|   12|   13|
day     |   70#  300|     |     |     |     |     |     |     |     |     |     |     |     |
hours   |   24# 23.5|     |     |     |     |     |     |     |     |     |     |     |     |

local   |13:00|14:00|15:00|16:00|17:00|18:00|19:00|20:00|21:00|22:00|23:00#00:00|
offset  |+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100|+1100#+1100|
utc     |02:00|03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|11:00|12:00#13:00|
minutes |   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60#   60|
people  |   14|   15|   16|   17|   18|   19|   20|   21|   22|   23|   24#   80|
day     |     |     |     |     |     |     |     |     |     |     |     #   80|
hours   |     |     |     |     |     |     |     |     |     |     |     #   24|

Europe/Zurich 2020-10-25
local   |23:00#00:00|01:00|02:00|02:00|03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|11:00|
offset  |+0200#+0200|+0200|+0200|+0100|+0100|+0100|+0100|+0100|+0100|+0100|+0100|+0100|+0100|
utc     |21:00#22:00|23:00|00:00|01:00|02:00|03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|
minutes |   60#   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|
people  |   70#    1|    2|    3|    4|    5|    6|    7|    8|    9|   10|   11|   12|   13|
day     |   70#  325|     |     |     |     |     |     |     |     |     |     |     |     |
hours   |   24#   25|     |     |     |     |     |     |     |     |     |     |     |     |

local   |12:00|13:00|14:00|15:00|16:00|17:00|18:00|19:00|20:00|21:00|22:00|23:00#00:00|
offset  |+0100|+0100|+0100|+0100|+0100|+0100|+0100|+0100|+0100|+0100|+0100|+0100#+0100|
utc     |11:00|12:00|13:00|14:00|15:00|16:00|17:00|18:00|19:00|20:00|21:00|22:00#23:00|
minutes |   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60#   60|
people  |   14|   15|   16|   17|   18|   19|   20|   21|   22|   23|   24|   25#   80|
day     |     |     |     |     |     |     |     |     |     |     |     |     #   80|
hours   |     |     |     |     |     |     |     |     |     |     |     |     #   24|

Europe/Zurich 2020-10-24
local   |23:00#00:00|01:00|02:00|03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|11:00|12:00|
offset  |+0200#+0200|+0200|+0200|+0200|+0200|+0200|+0200|+0200|+0200|+0200|+0200|+0200|+0200|
utc     |21:00#22:00|23:00|00:00|01:00|02:00|03:00|04:00|05:00|06:00|07:00|08:00|09:00|10:00|
minutes |   60#   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|
people  |   70#    1|    2|    3|    4|    5|    6|    7|    8|    9|   10|   11|   12|   13|
day     |   70#  300|     |     |     |     |     |     |     |     |     |     |     |     |
hours   |   24#   24|     |     |     |     |     |     |     |     |     |     |     |     |

local   |13:00|14:00|15:00|16:00|17:00|18:00|19:00|20:00|21:00|22:00|23:00#00:00|
offset  |+0200|+0200|+0200|+0200|+0200|+0200|+0200|+0200|+0200|+0200|+0200#+0200|
utc     |11:00|12:00|13:00|14:00|15:00|16:00|17:00|18:00|19:00|20:00|21:00#22:00|
minutes |   60|   60|   60|   60|   60|   60|   60|   60|   60|   60|   60#   60|
people  |   14|   15|   16|   17|   18|   19|   20|   21|   22|   23|   24#   80|
day     |     |     |     |     |     |     |     |     |     |     |     #   80|
hours   |     |     |     |     |     |     |     |     |     |     |     #   25|
"""
TIMELINES = {text.partition("\n")[0]: text.strip() for text in re.split(r"\n\n(?=[A-Z])", DRAWN.strip())}
NAMES = ("local", "offset", "utc", "minutes", "people", "day", "hours")
PER_LINE = 14
MINUTE = 60_000
LEAVES = ("1m", "15m", "1h", "1h")  # of the gates g0 …; the last one's people come as counts, the others' one by one
REPORTING = ("heartbeat", "on_change", "heartbeat", "on_change")


class Cell(NamedTuple):
    """One drawn hour: [start, end) in ms, the people in it."""

    start: int
    end: int
    people: int


def cells(title: str) -> tuple[list[Cell], int]:
    """The cells of a drawing and the end of its last day (ms); lines that contradict each other fail."""
    rows: dict[str, list[str]] = {name: [] for name in NAMES}
    for line in TIMELINES[title].splitlines()[1:]:
        if line:
            name, *row, _ = re.split("[|#]", line)
            rows[name.strip()] += row
    zone, date = title.split()
    eve = datetime.fromisoformat(date) - timedelta(days=1)
    at = datetime.fromisoformat(f"{eve:%Y-%m-%d}T{rows['local'][0]}{rows['offset'][0]}")
    out = []
    for local, offset, utc, minutes, people in zip(*(rows[name] for name in NAMES[:5]), strict=True):
        here = at.astimezone(ZoneInfo(zone))
        assert (local, offset, utc) == (f"{here:%H:%M}", f"{here:%z}", f"{at.astimezone(UTC):%H:%M}")
        until = at + timedelta(minutes=int(minutes))
        out.append(Cell(round(at.timestamp() * 1000), round(until.timestamp() * 1000), int(people)))
        at = until
    return out, out[-1].start + round(float(rows["hours"][-1]) * 60) * MINUTE


People = dict[int, int | None]  # by the start of their window; None = unknown
Rows = dict[tuple[str, str], People]  # by window length and place


def draw(title: str, hours: People, days: People) -> str:
    """The timeline of the people of windows of 1h and of 1d."""
    zone, date = title.split()

    def local(ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone))

    def number(n: int | None) -> str:
        return f"{'?' if n is None else n:>5}"

    hour_length, day_length = ({a: b - a for a, b in pairwise(sorted(starts))} for starts in (hours, days))
    begin = next(start for start in sorted(days) if f"{local(start):%Y-%m-%d}" == date)
    end = begin + day_length[begin]
    before = max(start for start in hours if start < begin)
    shown = [start for start in sorted(hours) if before <= start <= end]
    eve = max(start for start in days if start < begin)
    first = {before: eve, begin: begin, end: end}  # in the first cell of each day stands what is said of the day
    rows: dict[str, list[str]] = {name: [] for name in NAMES}
    for start in shown:
        day = first.get(start)
        rows["local"].append(f"{local(start):%H:%M}")
        rows["offset"].append(f"{local(start):%z}")
        rows["utc"].append(f"{datetime.fromtimestamp(start / 1000, UTC):%H:%M}")
        rows["minutes"].append(f"{hour_length[start] // MINUTE:5}")
        rows["people"].append(number(hours[start]))
        rows["day"].append(" " * 5 if day is None else number(days[day]))
        rows["hours"].append(" " * 5 if day is None else f"{day_length[day] / 60 / MINUTE:5g}")
    marks = ["#" if start in days else "|" for start in shown] + ["|"]
    blocks = []
    for at in range(0, len(shown), PER_LINE):
        blocks.append(
            "\n".join(
                f"{name:8}{''.join(m + v for m, v in zip(marks[at:], row[at : at + PER_LINE], strict=False))}"
                f"{marks[min(at + PER_LINE, len(shown))]}"
                for name, row in rows.items()
            )
        )
    return "\n".join([title, "\n\n".join(blocks)])


def registry(zone: str) -> dict[str, Any]:
    """A gate of each leaf, all of them into one zone; a sensor's sign of life is good for half an hour."""
    approved = [{"from": "2020-01-01T00:00:00Z", "to": None}]
    return {
        "version": "v1",
        "timezone": zone,
        "zones": [{"id": "c1", "kind": "plaza"}],
        "gates": [{"id": f"g{i}", "a": None, "b": "c1", "leaf": leaf} for i, leaf in enumerate(LEAVES)],
        "sensors": [
            {"id": f"s{i}", "kind": "counter", "gate": f"g{i}", "approved": approved, "reporting": how, "beat_s": 900}
            for i, how in enumerate(REPORTING)
        ],
    }


def events(title: str) -> list[dict[str, Any]]:
    """People as drawn, from each cell's first millisecond to its last, which begins with a sign of life."""
    made: list[dict[str, Any]] = []
    *counted, last = range(len(LEAVES))
    drawn, after = cells(title)
    for start, end, people in drawn:
        steps = [start + (end - 1 - start) * i // max(1, people - 1) for i in range(people)]
        made += [{"sensor": f"s{i}", "type": "cross", "dir": "ab", "ts": ts} for i in counted for ts in steps]
        made.append({"sensor": f"s{last}", "type": "count", "ts": start, "span_ms": end - start, "ab": people})
        made += [{"sensor": f"s{i}", "type": "heartbeat", "ts": start} for i in counted]
    for ts in (start + 12 * 60 * MINUTE, after):  # more than a day of silence would have no rows
        made.append({"sensor": "s0", "type": "heartbeat", "ts": ts})
    return sorted(made, key=lambda event: event["ts"] + event.get("span_ms", 0))


def drawings(title: str, rows: Rows) -> dict[str, str]:
    """A timeline for each gate and zone."""
    return {place: draw(title, rows["1h", place], rows["1d", place]) for window, place in rows if window == "1d"}


@pytest.mark.parametrize("title", TIMELINES)
def test_a_day_is_as_it_is_drawn(title: str, kernels: Any) -> None:
    log = [(json.dumps(event).encode(), None) for event in events(title)]
    result = run(registry(title.split()[0]), [log], Config({"flow": {"k": 1, "guard": 0}}))
    assert result.rejected == {}
    rows: Rows = {}
    for row in result.rows["flow"]:
        if row["direction"] == "ab":
            rows.setdefault((row["window"], row["gate"]), {})[row["window_start"]] = row["n"]
    for row in result.rows["zones"]:
        people, more = divmod(row["inflow"], len(LEAVES)) if row["status"] != "unknown" else (None, 0)
        assert more == 0
        rows.setdefault((row["window"], row["zone"]), {})[row["window_start"]] = people
    drawn = drawings(title, rows)
    assert drawn.keys() == {"c1", *(f"g{i}" for i in range(len(LEAVES)))}
    for place, timeline in drawn.items():
        assert timeline == TIMELINES[title], place
    shown, _ = cells(title)
    for row in result.flow("1h").values():
        half_hour = {cell.start: 30 * MINUTE / (cell.end - cell.start) for cell in shown}
        if row["gate"] in ("g0", "g2") and row["window_start"] in half_hour:
            assert row["coverage"] == half_hour[row["window_start"]]
    within = shown[1:-1]
    for gate in ("g0", "g2"):
        day = result.flow("1d")[within[0].start, gate, "ab"]
        assert day["coverage"] == 30 * MINUTE * len(within) / (within[-1].end - within[0].start)


@pytest.mark.embedded
def test_a_years_changes_stand_in_an_export_as_they_are_drawn(tmp_path: Path) -> None:
    """Both changes of Lord Howe's year in one file, through the command line, the store and a CSV."""
    zone = "Australia/Lord_Howe"
    titles = [title for title in TIMELINES if title.startswith(zone)]
    (tmp_path / "registry.json").write_text(json.dumps(registry(zone)))
    (tmp_path / "config.toml").write_text("[flow]\nk = 1\nguard = 0\n")
    made = [event for title in titles for event in events(title)]
    (tmp_path / "year.jsonl").write_text("".join(json.dumps(event) + "\n" for event in made))
    store = ("--store", f"chdb://{tmp_path}/store", "--run-id", "year")
    at = ("--registry", tmp_path / "registry.json", "--config", tmp_path / "config.toml")
    told = json.loads(hitonami("replay", tmp_path / "year.jsonl", *store, *at).splitlines()[-1])
    assert told["accepted"] == len(made)
    hitonami("export", "flow", *store, "-o", tmp_path / "flow.csv")
    with (tmp_path / "flow.csv").open(newline="") as file:
        found = [row for row in csv.DictReader(file) if row["direction"] == "ab"]
    rows: Rows = {}
    for row in found:
        start = datetime.fromisoformat(row["window_start"])
        assert row["window_start"] == rfc3339(round(start.timestamp() * 1000)).replace("+00:00", "Z")
        of = rows.setdefault((row["window"], row["gate"]), {})
        assert start.timestamp() * 1000 not in of  # UTC: no two hours have one name
        of[round(start.timestamp() * 1000)] = int(row["n"]) if row["n"] else None
    for title in titles:
        for place, timeline in drawings(title, rows).items():
            assert timeline == TIMELINES[title], place
