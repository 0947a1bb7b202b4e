"""What all routes answer with: JSON, a line of text, and the store's trouble as 503."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.responses import PlainTextResponse, Response

NO_STORE = {"cache-control": "no-store"}


def told(words: str, status: int = 200) -> Response:
    """A short answer for people and probes."""
    return PlainTextResponse(words + "\n", status, headers=NO_STORE)


def answer(body: Any, status: int = 200) -> Response:
    """JSON that no cache keeps."""
    return Response(orjson.dumps(body), status, NO_STORE, "application/json")


def refused(word: str, status: int) -> Response:
    """``{"error": word}``; the word is ours, never a part of the request."""
    return answer({"error": word}, status)


async def from_store(read: Callable[[], Awaitable[Any]]) -> Response:
    """What ``read`` gives as JSON; 503 where the store does not answer."""
    try:
        return answer(await read())
    except Exception:  # the store's trouble, whatever it is; feed.py logs it
        return refused("the store does not answer", 503)
