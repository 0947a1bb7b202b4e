"""The pictures of docs/BENCHMARKING.md, drawn from results alone: equal results give equal bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.svg import INK, MIDDLE, PALE, Picture

Result = Mapping[str, Any]
Says = Mapping[str, str]  # where a figure stands in the result -> what it says
WIDTH, LABELS, RIGHT = 820, 300, 96  # px: of all, of the names at the left, of the figures at the right
ROW = 27
CELL_MS = 50  # a latency histogram's rows are told per so many ms
_DASHES = ("", "7 4", "2 3")


def picture(name: str, result: Result, says: Says) -> Picture | None:
    """The picture of a measurement; None for one that has none, or whose result lacks what it would show."""
    has, draw = _PICTURES.get(name, (_never, None))
    return draw(result, says) if draw is not None and has(result) else None


def _never(_: Result) -> bool:
    return False


def _machine(result: Result) -> str:
    return f"{result['cores']} cores of {result['cpu']}, {result['measured_on']}"


def _rates(result: Result, says: Says) -> Picture:
    """Events per second of us and all peers: bars on a log scale, fastest first."""
    told = {
        says.get(f"peers.{name}.events_per_s", name): (name, peer["events_per_s"])
        for name, peer in result["peers"].items()
    }
    order = sorted(told.items(), key=lambda each: -each[1][1]["median"])
    first = math.floor(math.log10(min(rate["least"] for _, rate in told.values())))
    last = math.log10(max(rate["greatest"] for _, rate in told.values()))
    room = WIDTH - LABELS - RIGHT

    def at(rate: float) -> float:
        return LABELS + (math.log10(rate) - first) / (last - first) * room

    words = "; ".join(
        f"{label}: {rate['median']:,.0f} ({rate['least']:,.0f} to {rate['greatest']:,.0f})"
        for label, (_, rate) in order
    )
    drawn = Picture(
        "Events per second, the same stream for all",
        f"Log scale; bar: median, line: least to greatest of {result['repeats']}. {_machine(result)}",
        f"Bars on a logarithmic scale, events per second, fastest first. {words}.",
        WIDTH,
        len(order) * ROW + 34,
    )
    for power in range(first, math.ceil(last)):
        for times in (1, 2, 5):
            if (mark := times * 10**power) <= 10**last:
                drawn.line((at(mark), 0), (at(mark), len(order) * ROW + 4), ink=PALE)
                drawn.text(at(mark), len(order) * ROW + 20, _short(mark), anchor="middle", size=11)
    for number, (label, (name, rate)) in enumerate(order):
        y = number * ROW + 4
        ours = name.startswith("hitonami")
        fill = INK if ours else "#ffffff" if name.startswith("ceiling") else MIDDLE
        drawn.text(LABELS - 8, y + 14, label, anchor="end", bold=ours, size=12)
        drawn.bar(LABELS, y, at(rate["median"]) - LABELS, ROW - 8, fill)
        inside = at(rate["least"]), at(rate["median"])
        drawn.spread(inside[0], at(rate["greatest"]), y + (ROW - 8) / 2, ink=MIDDLE if ours else INK)
        drawn.text(WIDTH - 8, y + 14, f"{rate['median']:,.0f}", anchor="end", bold=ours)
    return drawn


def _latency(result: Result, _: Says) -> Picture:
    """How many rows were seen how long after the watermark: areas, for the steps are not of one width."""
    edges, rows, before = [0], [], 0
    for told, until in result["rows_until"].items():
        if before < result["rows"]:  # nothing lies behind
            edges.append(int(told.split()[1]))
            rows.append(until - before)
            before = until
    steps = list(zip(edges, edges[1:], rows, strict=False))
    height = [many * CELL_MS / (until - since) for since, until, many in steps]
    left, room, tall = 64, WIDTH - 64 - 24, 230

    def x(ms: float) -> float:
        return left + ms / edges[-1] * room

    marks = {name: ms * 1000 for name, ms in result["latency_s"].items() if name in ("p50", "p90", "p99")}
    share = [f"{since} to {until} ms: {many:,} rows" for since, until, many in steps]
    drawn = Picture(
        "From the watermark to the row seen in ClickHouse",
        f"{result['rows']:,} rows under {result['rate']:,} messages/s. {_machine(result)}",
        f"Histogram of {result['rows']:,} rows. {'; '.join(share)}. "
        + "; ".join(f"{name}: {ms:.0f} ms" for name, ms in marks.items())
        + ".",
        WIDTH,
        tall + 66,
    )
    scale = _steps(max(height))
    for mark in scale:
        y = tall + 20 - mark / scale[-1] * tall
        drawn.line((left, y), (left + room, y), ink=PALE)
        drawn.text(left - 6, y + 4, f"{mark:,}", anchor="end", size=11)
    for (since, until, _many), each in zip(steps, height, strict=True):
        drawn.bar(x(since), tall + 20 - each / scale[-1] * tall, x(until) - x(since), each / scale[-1] * tall, MIDDLE)
    for edge in edges:
        drawn.text(x(edge), tall + 36, str(edge), anchor="middle", size=11)
    for name, ms in marks.items():
        drawn.line((x(ms), 12), (x(ms), tall + 20), dashes="5 3", width=1.5)
        drawn.text(x(ms) + 4, 12, f"{name[1:]} % within {ms:.0f} ms", size=11)
    drawn.text(left, 4, f"rows per {CELL_MS} ms", anchor="middle", size=11)
    drawn.text(left + room, tall + 54, "ms after the watermark has passed the window's end", anchor="end", size=11)
    return drawn


def _memory(result: Result, _: Says) -> Picture:
    """Resident memory over time, from zero."""
    runs = {int(name.removeprefix("sensors_")): told for name, told in result.items() if name.startswith("sensors_")}
    left, room, tall = 64, WIDTH - 64 - 130, 240
    scale = _steps(max(max(told["over_time_mb"]) for told in runs.values()))

    def at(minutes: float, mb: float) -> tuple[float, float]:
        return left + minutes * 60 / result["seconds"] * room, tall + 20 - mb / scale[-1] * tall

    words = "; ".join(
        f"{sensors:,} sensors: at most {told['greatest_mb']} MB, slope {told['slope_mb_per_hour']['slope']:+g}"
        f" ± {told['slope_mb_per_hour']['error']:g} MB per hour"
        for sensors, told in runs.items()
    )
    drawn = Picture(
        "Resident memory of a live run",
        f"{result['rate']:,} events/s, each with seq, {result['seconds'] / 60:g} minutes. {_machine(result)}",
        f"Lines of memory over time. {words}.",
        WIDTH,
        tall + 66,
    )
    for mark in scale:
        drawn.line(at(0, mark), at(result["seconds"] / 60, mark), ink=PALE)
        drawn.text(left - 6, at(0, mark)[1] + 4, f"{mark:,}", anchor="end", size=11)
    for minutes in _steps(result["seconds"] / 60):
        if minutes * 60 <= result["seconds"]:
            drawn.text(at(minutes, 0)[0], tall + 36, f"{minutes:g}", anchor="middle", size=11)
    for number, (sensors, told) in enumerate(runs.items()):
        points = [at(every * told["every_s"] / 60, mb) for every, mb in enumerate(told["over_time_mb"])]
        points = [point for point in points if point[0] <= left + room]
        drawn.line(*points, width=2, dashes=_DASHES[number % len(_DASHES)])
        drawn.text(left + room + 8, points[-1][1] + 4, f"{sensors:,} sensors", size=12)
    drawn.text(left, 4, "MB", anchor="middle", size=11)
    drawn.text(left + room, tall + 54, "minutes", anchor="end", size=11)
    return drawn


def _stages(result: Result, says: Says) -> Picture:
    """Where the CPU of an event goes: each stage begins where the one before has ended; below, the whole."""
    stages, whole = result["stages_ns"], result["replay_ns"]
    rows: list[tuple[str, float, Mapping[str, float]]] = []
    begin = 0.0
    for name, told in stages.items():
        rows.append((says.get(f"stages_ns.{name}", name), begin, told))
        begin += told["median"]
    most = max(begin, whole["greatest"])
    room = WIDTH - LABELS - RIGHT

    def x(ns: float) -> float:
        return LABELS + ns / most * room

    words = "; ".join(f"{label}: {told['median']:g} ns" for label, _, told in rows)
    drawn = Picture(
        "CPU of one event, stage by stage",
        f"ns of all threads on one core; medians of {result['repeats']}. {_machine(result)}",
        f"Waterfall. {words}. Sum: {begin:g} ns; the whole replay without clocks: {whole['median']:g} ns.",
        WIDTH,
        (len(rows) + 2) * ROW + 12,
    )
    for number, (label, since, told) in enumerate(rows):
        y = number * ROW + 4
        drawn.text(LABELS - 8, y + 14, label, anchor="end", size=12)
        drawn.bar(x(since), y, max(x(told["median"]) - LABELS, 0.0), ROW - 8, MIDDLE)
        drawn.text(WIDTH - 8, y + 14, f"{told['median']:g} ns", anchor="end")
        drawn.line((x(since + told["median"]), y), (x(since + told["median"]), y + ROW), ink=MIDDLE)
    for number, (label, ns, fill) in enumerate((("sum", begin, PALE), ("replay, no clocks", whole["median"], INK))):
        y = (len(rows) + number) * ROW + 8
        drawn.text(LABELS - 8, y + 14, label, anchor="end", size=12, bold=True)
        drawn.bar(LABELS, y, x(ns) - LABELS, ROW - 8, fill)
        drawn.text(WIDTH - 8, y + 14, f"{ns:g} ns", anchor="end", bold=True)
    drawn.spread(x(whole["least"]), x(whole["greatest"]), (len(rows) + 1) * ROW + 8 + (ROW - 8) / 2, ink=MIDDLE)
    return drawn


def _short(number: float) -> str:
    return f"{number / 1e6:g} M" if number >= 1e6 else f"{number / 1e3:g} k" if number >= 1e3 else f"{number:g}"


def _steps(most: float) -> Sequence[int]:
    """Round marks from 0 to ``most`` or a little more: four to eight."""
    step = 10 ** math.floor(math.log10(max(most, 1.0)))
    if most / step < 4:
        step = max(step // 2 if most / step >= 2 else step // 5, 1)
    return list(range(0, math.ceil(most / step) * step + 1, step))


_PICTURES: Mapping[str, tuple[Callable[[Result], bool], Callable[[Result, Says], Picture]]] = {
    "peers": (lambda result: bool(result["peers"]), _rates),
    "latency": (lambda result: "rows_until" in result, _latency),
    "memory": (
        lambda result: any("over_time_mb" in told for told in result.values() if isinstance(told, dict)),
        _memory,
    ),
    "stages": (lambda result: "stages_ns" in result, _stages),
}
