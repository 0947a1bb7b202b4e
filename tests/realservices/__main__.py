"""Fetches the services that are missing, both at a time, so that no test waits for that (.ci/run).

What cannot be fetched is not told here: the first test that needs it tries again, and tells.
"""

from __future__ import annotations

import contextlib
import threading

from tests.realservices import clickhouse, kafka
from tests.realservices.cache import ServiceError


def main() -> None:
    """Fill the cache."""

    def fetch_clickhouse() -> None:
        with contextlib.suppress(ServiceError):
            clickhouse.library()

    beside = threading.Thread(target=fetch_clickhouse)
    beside.start()
    with contextlib.suppress(ServiceError):
        kafka.loaded()
    beside.join()


if __name__ == "__main__":
    main()
