"""Where fetched services live, and free ports for them.

The cache is ``.cache/`` of the project, or the directory in ``HITONAMI_CACHE`` (so that a clean clone can use
one that is already filled). Nothing in it is ever half there: a thing is made beside its place and renamed.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ATTEMPTS = 3
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")  # Debian; Fedora
# Below Linux's ephemeral range: a client that knocks at a dead server's ephemeral port can connect to itself.
PORTS = range(20_000, 32_000)


class ServiceError(Exception):
    """A service of the kit cannot be fetched or started; the message says which, and why."""


def cache_dir() -> Path:
    """The cache's directory, made if missing."""
    path = Path(os.environ.get("HITONAMI_CACHE") or ROOT / ".cache").resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


def trust_the_system() -> None:
    """Let Python's and Node's clients trust the certificates the system trusts, beside their own lists.

    Where a company's proxy signs with its own authority only the system knows it, and pip already asks there.
    """
    bundle = next((path for path in CERTIFICATES if os.path.exists(path)), None)
    if bundle is not None:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", bundle)
        os.environ.setdefault("NODE_EXTRA_CA_CERTS", bundle)


def fetched(name: str, fetch: Callable[[Path], None], sentence: str) -> Path:
    """The directory ``name`` of the cache, filled once by ``fetch(empty directory)``; safe among processes.

    ``fetch`` is tried ATTEMPTS times; then ServiceError says ``sentence`` and the last reason.
    """
    target = cache_dir() / name
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(cache_dir() / f"{name.replace('/', '-')}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():  # another process was faster
            return target
        reason: Exception | None = None
        for attempt in range(ATTEMPTS):
            part = target.with_name(f"{target.name}.part{os.getpid()}")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            try:
                fetch(part)
                part.rename(target)
                return target
            except Exception as error:  # whatever a client raises, the sentence below tells it
                reason = error
                time.sleep(2 * attempt)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    raise ServiceError(f"{sentence}: {type(reason).__name__}: {reason}")


def free_port(_random: random.Random = random.Random(os.getpid())) -> int:
    """A port on 127.0.0.1 that nothing listens on now."""
    for _ in range(200):
        port = _random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServiceError("no free port on 127.0.0.1")
