"""A steady load of crosses, in the order of their time, all of them good: by loadgen, in a process of its own.

    python -m benchmarks.stream BOOTSTRAP TOPIC [--start-ms 1770450000000] [--rate 200000] [--seconds 60] …

Open loop: an event carries the moment at which it is due, and leaves at the end of its 10 ms whatever became of those
before it. Printed is what was reached, as ``hitonami load --report`` has it.
"""

from __future__ import annotations

import argparse
import json

from loadgen import Plan, send

GATES = 250


def steady(
    rate: float, seconds: float, start_ms: int, *, sensors: int = 1_000, partitions: int = 4, per_message: int = 1
) -> Plan:
    """The plan: from ``start_ms``, an event a message or JSON arrays of up to ``per_message``."""
    return Plan(
        rate=rate,
        seconds=seconds,
        start_ms=start_ms,
        sensors=sensors,
        per_gate=max(1, sensors // GATES),
        partitions=partitions,
        disorder_ms=0,
        format="json" if per_message == 1 else "array",
        per_array=per_message,
    )


def main() -> None:
    """Send it in its own time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("--start-ms", type=int, required=True)
    parser.add_argument("--rate", type=float, default=200_000)
    parser.add_argument("--seconds", type=float, default=60)
    for name, default in (("sensors", 1_000), ("partitions", 4), ("per-message", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    told = vars(parser.parse_args())
    bootstrap, topic = told.pop("bootstrap"), told.pop("topic")
    plan = steady(**told)
    sent, _ = send(plan, bootstrap, topic, at_ms=plan.start_ms, truth=False)
    print(json.dumps(sent.report(plan, paced=True)))


if __name__ == "__main__":
    main()
