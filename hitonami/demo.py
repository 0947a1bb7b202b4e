"""``hitonami demo``: broker, store, load, flow and page on this machine, one URL."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import loadgen
from dashboard.app import create_app
from dashboard.serve import serve
from engine import registry as registries
from engine.config import Config
from flows import guard
from flows.kafka import Cluster
from flows.live import run_live
from flows.processes import end_with_parent
from flows.runs import Setup
from hitonami import __version__
from hitonami.common import opened, out
from hitonami.embedded import broker, end
from sinks.deadletter import DeadLetters, FileTarget


def demo() -> None:
    """Show live figures of an underground walkway: all on this machine, with synthetic people. Ctrl-C ends it.

    Example: hitonami demo
    """
    guard.on_signals()
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # a closed terminal ends it too; under nohup it goes on
        signal.signal(signal.SIGHUP, lambda _number, _frame: guard.stop.set())
    work = Path(tempfile.mkdtemp(prefix="hitonami-demo-"))
    try:
        with broker() as address, opened(f"chdb://{work}/store") as store:
            scenario = loadgen.SCENARIOS["weekday"](
                seconds=600, start_ms=int(time.time() * 1000), clock_of_day_s=8 * 3600
            )
            registry = registries.parse(json.dumps(scenario.registry).encode())
            loadgen.create_topic(address)
            loader = subprocess.Popen(
                [sys.executable, "-m", "hitonami.cli", "-q", "load", "weekday", "--kafka", address],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
            server = serve(create_app(store, run_id="live"))
            try:
                config = Config({"status": {"exact": True}})  # synthetic people: nothing to protect
                letters = DeadLetters(FileTarget(work / "dead-letters.jsonl"))
                setup = Setup(store, registry, config, "live", __version__, letters)
                run_live(
                    setup,
                    Cluster(address),
                    work / "recovery",
                    "stored",
                    on_start=lambda: out.print(server.url, markup=False),
                )
            finally:
                end(loader)
                server.stop()
    finally:
        shutil.rmtree(work, ignore_errors=True)
