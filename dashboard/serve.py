"""Starting and stopping the page's server, in a thread beside the flow or for the command line."""

from __future__ import annotations

import resource
import signal
import socket
import threading
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from engine.errors import HitonamiError, UsageError

GRACE_S = 2  # what open requests get at a stop
_START_S = 10.0
FILES = 16_384  # open files: each stream is one, and most systems begin with 1,024, which a public page fills


class Server:
    """A server that runs; ``url`` has no slash at its end. Made by ``serve``."""

    def __init__(self, inner: uvicorn.Server, thread: threading.Thread, url: str) -> None:
        self.url = url
        self._inner, self._thread = inner, thread

    def stop(self, timeout_s: float = GRACE_S + 3.0) -> None:
        """End all streams, then the server. A second call does nothing; the thread is a daemon if it takes longer."""
        self._inner.should_exit = True
        self._thread.join(timeout_s)

    def run_until_signal(self) -> None:
        """Block until SIGINT, SIGTERM or the server's own end, then stop. Main thread only.

        The handlers are set here because a shell's background start hands down SIGINT as ignored.
        """
        stopped = threading.Event()

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            stopped.set()

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while self._thread.is_alive() and not stopped.wait(0.2):
                pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.stop()


class _Uvicorn(uvicorn.Server):
    """Ends the streams before it waits for open requests: a stream never ends by itself."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        assert isinstance(app, Starlette)
        feed = getattr(app.state, "feed", None)
        if feed is not None:
            feed.close()
        await super().shutdown(sockets)


def serve(
    app: Starlette, host: str = "127.0.0.1", port: int = 0, *, anywhere: bool = False, proxied: bool = False
) -> Server:
    """Serve ``app`` in a thread; port 0 takes a free one. It answers when this returns.

    ``proxied``: take the client's address from a proxy on this machine, or on one named by FORWARDED_ALLOW_IPS.
    Raises UsageError for a host that is not loopback (without users nobody else may reach the page) but with
    ``anywhere``, and for a port that cannot be had; HitonamiError when the server does not start.
    """
    listener = _listen(host, port, anywhere)
    _make_room()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=proxied,
        timeout_graceful_shutdown=GRACE_S,
    )
    inner = _Uvicorn(config)
    thread = threading.Thread(target=inner.run, kwargs={"sockets": [listener]}, name="dashboard", daemon=True)
    thread.start()
    waited = threading.Event()
    for _ in range(round(_START_S / 0.01)):
        if inner.started or not thread.is_alive():
            break
        waited.wait(0.01)
    if not inner.started:
        inner.should_exit = True
        listener.close()
        raise HitonamiError("the page's server did not start")
    name, number = listener.getsockname()[:2]
    return Server(inner, thread, f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}")


def _make_room() -> None:
    """Let the process have FILES files open, or as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(host: str, port: int, anywhere: bool) -> socket.socket:
    address = "127.0.0.1" if host == "localhost" else host
    if address not in ("127.0.0.1", "::1") and not anywhere:
        raise UsageError("a page without users is for this machine only: --host must be 127.0.0.1, ::1 or localhost")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except (OSError, OverflowError):
        listener.close()
        raise UsageError(f"port {port} on {host} cannot be had: taken, or not allowed") from None
    listener.listen(128)
    listener.set_inheritable(False)
    return listener
