"""An HTTP relay between Hitonami and a real ClickHouse server, which loses, cuts, delays and throttles on demand."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
INSERT = "INSERT INTO"  # statements are told apart by a word of theirs


class Relay:
    """Listens on a free port and passes requests on to ``target`` (a port on 127.0.0.1).

    ``delay_s``: every answer is kept back so long. ``bytes_per_s``: at most so much of requests, None unbounded.
    ``rewrite``: changes a request's path and headers on its way. ``hits``: requests that a fault has hit; ``vain``:
    requests that found no server; ``passed``: answers that were passed back.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay_s = 0.0
        self.bytes_per_s: float | None = None
        self.rewrite: Callable[[str, dict[str, str]], str] | None = None
        self.hits = self.vain = self.passed = 0
        self._fault, self._word, self._times = "", "", 0
        self._lock = threading.Lock()
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                relay._pass(self)

            def do_GET(self) -> None:
                relay._pass(self)

            def log_message(self, *_: Any) -> None:
                """Nothing: it would stand in the test's output."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: Any) -> None:
                """Nothing: that connections break is what this is for."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, database: str) -> str:
        """The store URL of a database behind the relay."""
        return f"http://default@127.0.0.1:{self.port}/{database}"

    def lose_answers(self, word: str, times: int = 1) -> None:
        """The next requests with ``word`` in their statement are carried out, and the answers get lost."""
        self._break("answer", word, times)

    def cut_requests(self, word: str, times: int = 1) -> None:
        """Of the next requests with ``word`` in their statement half the body arrives, then both sides break."""
        self._break("request", word, times)

    def cut_answers(self, word: str, times: int = 1) -> None:
        """Of the answers to the next requests with ``word`` in their statement half arrives."""
        self._break("half", word, times)

    def _break(self, fault: str, word: str, times: int) -> None:
        with self._lock:
            self._fault, self._word, self._times = fault, word, times

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def _fault_of(self, statement: str) -> str:
        with self._lock:
            if self._times == 0 or self._word not in statement:
                return ""
            self._times -= 1
            self.hits += 1
            return self._fault

    def _pass(self, asked: http.server.BaseHTTPRequestHandler) -> None:
        body = self._read(asked)
        statement = unquote_plus(asked.path) + body[:2_000].decode(errors="replace")
        fault = self._fault_of(statement)
        headers = {name: value for name, value in asked.headers.items() if name.lower() not in _HOP}
        path = asked.path if self.rewrite is None else self.rewrite(asked.path, headers)
        upstream = http.client.HTTPConnection("127.0.0.1", self.target, timeout=60)
        try:
            if fault == "request":
                upstream.putrequest("POST", path)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    upstream.putheader(name, value)
                upstream.endheaders(body[: len(body) // 2])
                _reset(upstream.sock)
                _reset(asked.connection)
                return
            self._connect(upstream)
            upstream.request(asked.command, path, body, headers)
            answer = upstream.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            _reset(asked.connection)
            return
        finally:
            upstream.close()
        if self.delay_s:
            time.sleep(self.delay_s)
        if fault == "answer":
            _reset(asked.connection)
            return
        with contextlib.suppress(OSError):
            asked.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    asked.send_header(name, value)
            asked.send_header("Content-Length", str(len(text)))
            asked.end_headers()
            if fault == "half":
                asked.wfile.write(text[: len(text) // 2])
                asked.wfile.flush()
                _reset(asked.connection)
                return
            asked.wfile.write(text)
            with self._lock:
                self.passed += 1

    def _connect(self, upstream: http.client.HTTPConnection) -> None:
        try:
            upstream.connect()
        except OSError:
            with self._lock:
                self.vain += 1
            raise

    def _read(self, asked: http.server.BaseHTTPRequestHandler) -> bytes:
        """The body of a request, as fast as ``bytes_per_s`` allows."""
        body = b""
        if asked.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(asked.rfile.readline().split(b";")[0], 16):
                body += asked.rfile.read(size)
                asked.rfile.readline()
            asked.rfile.readline()
        else:
            body = asked.rfile.read(int(asked.headers.get("Content-Length", 0)))
        if self.bytes_per_s is not None:
            time.sleep(len(body) / self.bytes_per_s)
        return body


def _reset(connection: socket.socket | None) -> None:
    """Break a connection at once, so that the other side cannot take it for an orderly end."""
    if connection is None:
        return
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # shutdown first: file objects of the handler keep the descriptor open
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
