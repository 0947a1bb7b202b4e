"""How long after the watermark a figure is on the screen, at the load of a city: the whole way, and its parts.

    python -m benchmarks.pixel [--seconds 330] [--rate 5000] [--json]

Everything is on this machine: Kafka, ClickHouse, the load (`hitonami load city`: 1,000 sensors, 5,000 events/s, bursts
of 50,000), `hitonami run`, `hitonami dashboard` and Chromium without a window. The page measures by itself
(dashboard/static/latency.js says what each part is), in the 10 s windows of all gates and zones; the browser tells when
it painted. A window's events have waited for its end before, which is not in the figures: up to 10 s, and the watermark
bound, 5 s, which is told beside them.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.browser import browser_cpu_s, measured, rounded, shown
from benchmarks.services import HITONAMI, ROOT, Run, cpu_of, cpu_s, machine, new_store, tell
from loadgen import planned, write_plan_registry
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka

CELL_S, END_S = 10, 8  # a window, and how long after its end it is shown at the latest
MOST_S = 590  # the page keeps ten minutes


def dashboard(store: str) -> tuple[subprocess.Popen[str], str]:
    """``hitonami dashboard`` over a store as a child, and its address."""
    child = subprocess.Popen([*HITONAMI, "dashboard", "--store", store], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    url = child.stdout.readline().strip()
    if not url:
        raise SystemExit("the page's server does not start")
    return child, url


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=330, help=f"length of the load, at most {MOST_S}")
    parser.add_argument("--rate", type=float, default=None, help="events per second without bursts; else the city's")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if not CELL_S <= chosen.seconds <= MOST_S:
        parser.error(f"--seconds: {CELL_S} to {MOST_S}")
    plan = planned("city", seconds=chosen.seconds, rate=chosen.rate)
    result: dict[str, object] = {**machine(), "seconds": chosen.seconds, "sensors": plan.sensors}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as server:
            topic, store = kafka.create_topic("people", plan.partitions), new_store(server, "bench")
            write_plan_registry(plan, work / "registry.json")
            words = ["--kafka", kafka.bootstrap, "--store", store, "--registry", str(work / "registry.json")]
            run = Run([*words, "--recovery", str(work / "state")])
            run.wait_until_ready()
            page_server, url = dashboard(store)
            try:
                load = [*HITONAMI, "load", "city", "--kafka", kafka.bootstrap, "--topic", topic]
                load += ["--seconds", str(chosen.seconds)]
                if chosen.rate is not None:
                    load += ["--rate", str(chosen.rate)]
                load += ["--report", str(work / "report.json")]
                sender = subprocess.Popen(load, cwd=ROOT)
                with shown(url) as (page, _):
                    before = {**cpu_of(kafka, server, run), "page": cpu_s(page_server.pid), "browser": browser_cpu_s()}
                    begun = time.time()
                    page.wait_for_timeout((chosen.seconds + END_S) * 1000)
                    told = measured(page)
                    wall = time.time() - begun
                    busy = {**cpu_of(kafka, server, run), "page": cpu_s(page_server.pid), "browser": browser_cpu_s()}
                sender.wait(60)
            finally:
                page_server.terminate()
                page_server.wait(20)
            summary = run.stop()
    if sender.returncode or not told["windows"]:
        raise SystemExit("the load did not end well" if sender.returncode else "the page has measured nothing")
    result |= {
        "events": summary["read"],
        "windows": told["windows"],
        "pixel_ms": rounded(told["total"]),
        "parts_ms": {part: rounded(quantiles) for part, quantiles in told["parts"].items()},
        "paint_of_a_tick_ms": rounded(told["tick_paint"]),
        "ticks": told["ticks"],
        "skipped_ticks": told["skipped"],
        "histogram": told["histogram"],
        "cores_busy": {name: round((busy[name] - before[name]) / wall, 2) for name in busy},
    }
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
