"""Child processes of a run and of the demo: their ports, and that they end with the process that started them."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import socket

_libc = ctypes.CDLL(None)  # loaded here: between fork and exec as little as possible is done


def end_with_parent() -> None:
    """Called in a child before it runs: the kernel ends it when this process goes, by -9 too (PR_SET_PDEATHSIG)."""
    _libc.prctl(1, signal.SIGKILL, 0, 0, 0)


def free_ports(count: int) -> list[int]:
    """TCP ports of loopback that are free now, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
