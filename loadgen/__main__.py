"""``python -m loadgen FD``: one process of a load; by that socket it gets its job and answers (processes.py)."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgen.processes import Job


def main() -> None:
    """One process of a load: it ends when told, and with its parent."""
    with Connection(int(sys.argv[1])) as line:
        job: Job = line.recv()

        def begin() -> int:
            line.send("ready")
            start_ms: int = line.recv()
            return start_ms

        try:
            line.send(job.run(begin, line.poll, line.send))
        except (EOFError, BrokenPipeError):
            return  # nobody is there to be told
        except (ConnectionError, ValueError) as error:
            line.send(error)


if __name__ == "__main__":
    main()
