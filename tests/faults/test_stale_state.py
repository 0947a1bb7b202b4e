"""Bytewax 0.21.1 keeps the snapshots of a dead run's uncommitted epoch, and loads them at the second crash.

Three executions of one flow, each a process; the first two die before their second epoch is committed::

    1   K is told item 0, then 1, in two epochs    dies when K's snapshot of the second is written, not committed
    2   K is silent: no snapshot of it replaces    dies
    3   K's state is that of the dead epoch: what was told in it is told a second time
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flows.recovery import open_recovery

OWNER = {"run id": "stale"}
DIED = 9
FLOW = """
import os, sys
from datetime import timedelta, datetime, timezone
import bytewax.operators as op
from bytewax._bytewax import cluster_main
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig

directory, execution = sys.argv[1], int(sys.argv[2])
epochs = [0]

class Log(StatefulSourcePartition):
    def __init__(self, state):
        self.at = state or 0
    def next_batch(self):
        if execution == 2 and self.at == 10 and epochs[0] >= 1:
            raise StopIteration
        out = [("other", -1)]
        if self.at < 10 and not (execution == 1 and epochs[0] == 0):
            out.append(("K", self.at))
            self.at += 1
        return out
    def next_awake(self):
        return datetime.now(timezone.utc) + timedelta(milliseconds=40)
    def snapshot(self):
        epochs[0] += 1
        return self.at

class Source(FixedPartitionedSource):
    def list_parts(self):
        return ["log"]
    def build_part(self, step, part, state):
        return Log(state)

class Seen(StatefulBatchLogic):
    def __init__(self, state):
        self.seen = list(state or [])
    def on_batch(self, values):
        self.seen += [value for value in values if value >= 0]
        return values, False
    def on_eof(self):
        if self.seen:
            sys.stdout.write(" ".join(map(str, self.seen)))
        return [], False
    def snapshot(self):
        return list(self.seen)

class Part(StatefulSinkPartition):
    count = 0
    def write_batch(self, values):
        pass
    def snapshot(self):
        self.count += 1
        if execution < 2 and self.count == 2:
            os._exit(9)
        return self.count

class Sink(FixedPartitionedSink):
    def list_parts(self):
        return ["part"]
    def build_part(self, step, part, state):
        return Part()

flow = Dataflow("stale")
logs = op.input("logs", flow, Source())
op.output("sink", op.stateful_batch("seen", logs, Seen), Sink())
recovery = RecoveryConfig(directory, timedelta(0))
cluster_main(flow, [], 0, epoch_interval=timedelta(seconds=0.2), recovery_config=recovery)
"""


@pytest.mark.parametrize("purged", [True, False])
def test_a_dead_epochs_state_does_not_come_back(tmp_path: Path, purged: bool) -> None:
    open_recovery(tmp_path, OWNER)  # which purges, before each start
    for execution, code in ((0, DIED), (1, DIED), (2, 0)):
        if purged:
            open_recovery(tmp_path, OWNER)
        done = subprocess.run(
            [sys.executable, "-c", FLOW, str(tmp_path), str(execution)], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stderr[-1000:]
    seen = done.stdout.split()
    # without the purge the hole is still there: when a later Bytewax closes it, flows/recovery.py may be simplified
    assert (seen == [str(n) for n in range(10)]) == purged
