"""``hitonami demo``: broker, store, load, flow and page on this machine, one URL."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from engine import registry as registries
from engine.config import Config
from engine.errors import HitonamiError
from flows import guard
from flows.kafka import Cluster
from flows.live import run_live
from flows.processes import end_with_parent
from flows.runs import Setup
from hitonami import __version__
from hitonami.common import opened, out
from hitonami.embedded import broker, end
from sinks.clickhouse.store import Store
from sinks.deadletter import DeadLetters, FileTarget

_LEAD_VARIABLE = "HITONAMI_DEMO_LEAD_S"  # for tests, which have no minute to wait


class Stage:
    """Which scene of ``names`` plays. The page's thread asks for one, the main thread plays it."""

    def __init__(self) -> None:
        self.names: Sequence[str] = ()
        self._lock = threading.Lock()
        self._played = Counter[str]()
        self._ended = False
        self._scene = self._run = ""
        self._asked = False

    def begin(self, names: Sequence[str]) -> None:
        """Know the scenes, and play the first."""
        self.names = names
        self.play(names[0])

    def play(self, scene: str) -> None:
        """Play a scene as a new run, instead of the one that plays."""
        with self._lock:
            self._played[scene] += 1
            self._scene, self._run, self._asked = scene, f"{scene}-{self._played[scene]}", True
            guard.stop.set()

    def playing(self) -> tuple[str, str]:
        """The scene that plays or will in a moment, and the id of its run."""
        with self._lock:
            return self._scene, self._run

    def end(self) -> None:
        """Play nothing more. Without the lock: a signal may come while the main thread holds it."""
        self._ended = True
        guard.stop.set()

    def next(self) -> tuple[str, str] | None:
        """The scene to play now, and the id of its run; None where that is the end."""
        with self._lock:
            asked, self._asked = self._asked, False
            guard.stop.clear()
            if not asked or self._ended:  # after the clear: whichever came first, the end is seen
                return None
            return self._scene, self._run


def demo() -> None:
    """Show live figures of an underground walkway: all on this machine, with synthetic people. Ctrl-C ends it.

    Example: hitonami demo
    """
    stage = Stage()
    signals = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # a closed terminal ends it too; under nohup it goes on
        signals.append(signal.SIGHUP)
    for number in signals:
        signal.signal(number, lambda _number, _frame: stage.end())
    # page and load take their time to load: for this command alone, and a signal is heard meanwhile
    from dashboard.app import create_app
    from dashboard.roles import Who
    from dashboard.serve import serve
    from loadgen.stage import SCENES

    stage.begin(SCENES)
    work = Path(tempfile.mkdtemp(prefix="hitonami-demo-"))
    try:
        with broker() as address, opened(f"chdb://{work}/store") as store:
            server = serve(create_app(store, scenes=stage, local=Who("demo", "supervisor")))
            try:
                out.print(server.url, markup=False)
                while (asked := stage.next()) is not None:
                    _play(*asked, address, store, work)
            finally:
                server.stop()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _play(scene: str, run_id: str, address: str, store: Store, work: Path) -> None:
    """Play a scene, first its past, until the stop flag is set."""
    from loadgen.stage import LEAD_S, staged

    now_ms, topic = int(time.time() * 1000), f"people-{run_id}"
    lead_s = os.environ.get(_LEAD_VARIABLE, str(LEAD_S))
    registry = registries.parse(json.dumps(staged(scene, now_ms).registry).encode())
    loader = subprocess.Popen(
        [sys.executable, "-m", "loadgen.stage", address, topic, scene, str(now_ms), lead_s],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=end_with_parent,
    )
    try:
        # a run that began earlier would take what has not come yet for silence, and its ticks would make it late
        if not _is_present(loader):
            return
        config = Config({"status": {"exact": True}})  # synthetic people: nothing to protect
        letters = DeadLetters(FileTarget(work / f"{run_id}.jsonl"))
        setup = Setup(store, registry, config, run_id, __version__, letters, past_ms=now_ms, shards=1)
        run_live(setup, Cluster(address, topic=topic), work / run_id, "stored")
        letters.close()
    finally:
        end(loader)
        assert loader.stdout is not None
        loader.stdout.close()


def _is_present(loader: subprocess.Popen[bytes]) -> bool:
    """Wait until a scene's past is in Kafka; False where the stop flag is set before. Raises HitonamiError."""
    assert loader.stdout is not None
    while not guard.stop.is_set():
        if select.select([loader.stdout], [], [], 0.1)[0]:
            if loader.stdout.readline() != b"present\n":
                raise HitonamiError("the demo's load has ended")
            return True
    return False
