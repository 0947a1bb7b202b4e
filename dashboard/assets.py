"""The pages (static/*.html) and their files, which the browser keeps for ever under the hash of them all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
OF_OTHERS = ("login.js", "public.js")  # scripts of other pages than the operators'


@dataclass(frozen=True, slots=True)
class Assets:
    """``pages``: name without its ending → HTML. ``files``: path of the request → bytes and media type."""

    pages: Mapping[str, bytes]
    files: Mapping[str, tuple[bytes, str]]


def load() -> Assets:
    """Read them all. In a page /s/HASH/ becomes the files' root, and <!--preload--> a line for each script."""
    pages: dict[str, bytes] = {}
    served: dict[str, bytes] = {}
    for entry in sorted(resources.files("dashboard").joinpath("static").iterdir(), key=lambda e: e.name):
        name, _, ending = entry.name.rpartition(".")
        if entry.is_file() and ending == "html":
            pages[name] = entry.read_bytes()
        elif entry.is_file() and "." + ending in TYPES:
            served[entry.name] = entry.read_bytes()
    digest = hashlib.sha256()
    for name, body in served.items():
        digest.update(b"%d %s %d\n" % (len(name), name.encode(), len(body)) + body)
    root = f"/s/{digest.hexdigest()[:16]}/"
    preload = "\n".join(
        f'<link rel="modulepreload" href="{root}{name}">'
        for name in served
        if name.endswith(".js") and not name.endswith("-worker.js") and name not in OF_OTHERS
    )
    for name, page in pages.items():
        pages[name] = page.replace(b"<!--preload-->", preload.encode()).replace(b"/s/HASH/", root.encode())
    return Assets(pages, {root + name: (body, TYPES[name[name.rfind(".") :]]) for name, body in served.items()})
