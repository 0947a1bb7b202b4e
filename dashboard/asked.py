"""What a request asks for: its parameters, checked, and the answer where they are wrong or the store is away."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dashboard.answers import NO_STORE, answer
from engine.model import TS_MAX, TS_MIN, WINDOWS

LONGEST = 200  # characters of the id of a run, alert, zone or gate in a request

log = logging.getLogger("hitonami.dashboard")


class Refused(Exception):
    """A request that cannot be answered: ``word`` says why, in words of ours, never of the request."""

    def __init__(self, word: str, status: int = 400, **more: int) -> None:
        super().__init__(word)
        self.word, self.status, self.more = word, status, more


def ident(request: Request, name: str) -> str | None:
    """An id; None where it is absent. Raises Refused where it is longer than any."""
    value = request.query_params.get(name) or None
    if value is not None and len(value) > LONGEST:
        raise Refused(name)
    return value


def window(request: Request) -> str | None:
    """A window label; None where it is absent. Raises Refused where there is no such window."""
    value = request.query_params.get("window") or None
    if value is not None and value not in WINDOWS:
        raise Refused("window")
    return value


def instant(request: Request, name: str) -> int | None:
    """A time in ms; None where it is absent. Raises Refused where it is no time an event may have."""
    value = request.query_params.get(name) or None
    if value is None:
        return None
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 15 and TS_MIN <= int(value) <= TS_MAX):
        raise Refused(name)
    return int(value)


def refusal(refused: Refused) -> Response:
    """The answer to a request that cannot be answered."""
    return answer({"error": refused.word, **refused.more}, refused.status)


async def told(read: Awaitable[Any]) -> Response:
    """What ``read`` gives as JSON, bytes as they are; a Refused as told, all else as the store's trouble."""
    try:
        body = await read
    except Refused as refused:
        return refusal(refused)
    except Exception as error:  # the store's trouble, whatever it is
        log.warning("an answer could not be had from the store (%s)", type(error).__name__)
        return refusal(Refused("the store does not answer", 503))
    return Response(body, 200, NO_STORE, "application/json") if isinstance(body, bytes) else answer(body)


async def small(request: Request, response: Response) -> Response:
    """The same answer as gzip where the client takes that, packed beside the loop: of columns a tenth is left."""
    if response.status_code == 200 and "gzip" in request.headers.get("accept-encoding", ""):
        response.body = await asyncio.to_thread(_packed, bytes(response.body))
        response.headers.update({"content-encoding": "gzip", "content-length": str(len(response.body))})
    response.headers["vary"] = "accept-encoding"
    return response


def _packed(body: bytes) -> bytes:
    packed = zlib.compressobj(1, wbits=31)
    return packed.compress(body) + packed.flush()
