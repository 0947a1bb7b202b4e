"""Entry of the command: it can be stopped quietly while the rest is still being loaded, which takes a moment."""

from __future__ import annotations

import os
import signal
import sys

LONG_RUNNING = ("demo", "run", "dashboard")  # to stop these is no failure


def main() -> None:
    """Load the command line and run it."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        code = 0 if set(sys.argv[1:]) & set(LONG_RUNNING) else 130
        signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(code))
    from hitonami import cli

    signal.signal(signal.SIGINT, before)
    cli.main()


if __name__ == "__main__":
    main()
