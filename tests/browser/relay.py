"""A TCP relay that a test can cut: the only way to break an open stream (Chromium's set_offline does not)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any


class Relay:
    """Listens on a free port, passes everything on to ``target`` (a port on 127.0.0.1)."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.requests: list[bytes] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._up = True
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break all connections and refuse new ones."""
        self._call(self._set, False)

    def mend(self) -> None:
        self._call(self._set, True)

    def point_at(self, target: int) -> None:
        self.target = target

    def stop(self) -> None:
        self._call(self._set, False)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _call(self, function: Any, *args: Any) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (function(*args), done.set()))
        assert done.wait(5)

    def _set(self, up: bool) -> None:
        self._up = up
        if not up:
            for writer in self._open:
                writer.transport.abort()
            self._open.clear()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, up_writer}
        await asyncio.gather(self._pipe(reader, up_writer, self.requests), self._pipe(up_reader, writer, None))
        for one in (writer, up_writer):
            one.transport.abort()
            self._open.discard(one)

    async def _pipe(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, keep: list[bytes] | None) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if keep is not None:
                    keep.append(data.split(b"\r\n", 1)[0])
                target.write(data)
                await target.drain()
        with contextlib.suppress(OSError, RuntimeError):
            target.write_eof()
