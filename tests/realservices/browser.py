"""Debian's Chromium for the page's tests: where it is, how it is started, and what it may reach."""

from __future__ import annotations

import os
import shutil
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome")
# From FRONTEND's rules; the last one makes sure that nothing outside this machine is ever reached.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
INSTALL = "the browser tests need Debian's chromium: apt-get install chromium fonts-noto-cjk"


def chromium() -> str | None:
    """The path of the system's Chromium, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def must_run() -> bool:
    """Whether a missing browser is a failure: in CI, and for root, who can install it."""
    return bool(os.environ.get("CI")) or os.geteuid() == 0


def foreign(url: str) -> bool:
    """Whether a URL leads away from this machine."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss", "ftp") and parts.hostname not in ("127.0.0.1", "localhost")
