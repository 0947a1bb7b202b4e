"""Requests to a served page as a browser, or somebody who is none, would send them."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any

from dashboard.serve import Server

SAME = "same"  # the Origin of the page itself


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)


@dataclass
class Client:
    """``cookie``: as it stands in the header. ``headers``: sent with every request."""

    server: Server
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return self.server.url.removeprefix("http://")

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request; of a stream the status alone, for it never ends."""
        connection = http.client.HTTPConnection(self.host, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {**self.headers, **({"cookie": self.cookie} if self.cookie else {}), **named}
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        stream = (answer.headers.get("content-type") or "").startswith("text/event-stream")
        told = Answer(answer.status, answer.headers, b"" if stream else answer.read())
        answer.close()
        connection.close()
        return told

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, origin: str | None = SAME, **headers: str) -> Answer:
        """A POST of JSON (bytes are sent as they are), as a page of this server would; ``origin`` None: without."""
        if origin is not None:
            headers["origin"] = f"http://{self.host}" if origin == SAME else origin
        headers.setdefault("content_type", "application/json")
        return self.ask("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), **headers)

    def login(self, name: str, password: str) -> Answer:
        """Log in and keep the cookie."""
        told = self.post("/api/login", {"name": name, "password": password})
        if told.status == 200:
            self.cookie = told.headers["set-cookie"].partition(";")[0]
        return told
