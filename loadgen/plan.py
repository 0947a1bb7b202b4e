"""What a load sends, and when: scenarios `city` and `nation`, and how many events are due by which moment.

A plan says everything: equal plans give equal events in every partition, whatever the number of processes that send it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from loadgen.bulk import START_MS

TICK_MS = 10  # events leave together that are due within so many ms
FORMATS = ("json", "array", "arrow")
_MOST_GATES = 20_000
_MOST_SHARE = 0.9  # of events that are not plain
_MOST_SKEW_MS = 30_000  # the rules refuse what is more than 60 s ahead
_SPARE = 4  # times as many events of one sensor as are to be expected still have a seq of one width


@dataclass(frozen=True)
class Plan:
    """A load. Raises ValueError, with the option's name, for one that cannot be."""

    rate: float = 5_000.0  # events per second
    seconds: float | None = None  # None = without end
    seed: int = 1
    start_ms: int = START_MS  # event time of the beginning
    sensors: int = 1_000
    per_gate: int = 4  # sensors of a gate; more where there would be too many gates
    partitions: int = 4  # sensor s goes to partition s % partitions
    hot: float = 0.0  # sensor s sends in proportion to (s + 1) ** -hot; 0 = all alike
    late: float = 0.0  # shares of all events
    duplicate: float = 0.0
    bad: float = 0.0
    skewed: float = 0.0
    skew_ms: int = 2_000  # how far clocks are off that are still believed
    disorder_ms: int = 500  # how long an event is on its way at most
    ramp: float = 0.0  # seconds until the rate is reached
    burst: float = 0.0  # events per second in a burst; 0 = none
    burst_every: float = 60.0
    burst_seconds: float = 2.0
    format: str = "json"
    per_array: int = 100  # events in an array or an Arrow stream
    appended_when_due: bool = True  # False: events are appended all at once, long after they happened
    future: bool = True  # some skewed clocks are years ahead

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(value, int | float) and not 0 <= value < float("inf"):
                raise ValueError(f"--{option.name.replace('_', '-')} must not be negative")
        shares = ("late", "duplicate", "bad", "skewed")
        wrong = {
            "--rate must be above 0": self.rate <= 0,
            "--seconds must be above 0": self.seconds is not None and self.seconds <= 0,
            "--sensors must be at least 1": self.sensors < 1,
            "--per-gate must be at least 1": self.per_gate < 1,
            "--partitions must be 1 to the number of sensors": not 1 <= self.partitions <= self.sensors,
            f"--{', --'.join(shares)} must be {_MOST_SHARE} together at most": sum(self.shares()) > _MOST_SHARE,
            f"--skew-ms must be {_MOST_SKEW_MS} at most": self.skew_ms > _MOST_SKEW_MS,
            "--burst must be above --rate": 0 < self.burst <= self.rate,
            "--burst-seconds must be below --burst-every": self.burst > 0 and self.burst_seconds >= self.burst_every,
            f"--format is one of {', '.join(FORMATS)}": self.format not in FORMATS,
            "--per-array must be 1 to 10000": not 1 <= self.per_array <= 10_000,
        }
        for text, is_wrong in wrong.items():
            if is_wrong:
                raise ValueError(text)

    @property
    def gates(self) -> int:
        """Number of gates of the registry: sensor s serves gate s % gates."""
        return max(1, min(self.sensors // self.per_gate, _MOST_GATES))

    def shares(self) -> tuple[float, float, float, float]:
        """Shares of late, duplicate, bad and skewed events."""
        return self.late, self.duplicate, self.bad, self.skewed

    def due(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """How many events are due by so many seconds after the beginning, on average of a plan without end."""
        ramped = np.minimum(seconds, self.ramp)
        grown = ramped * ramped / (2 * self.ramp) if self.ramp > 0 else ramped
        told = self.rate * (grown + seconds - ramped)
        if self.burst > 0:
            periods, within = np.divmod(seconds, self.burst_every)
            calm = self.burst_every - self.burst_seconds
            told = told + (self.burst - self.rate) * (periods * self.burst_seconds + np.maximum(within - calm, 0.0))
        return told

    def events(self) -> int | None:
        """Number of events of the whole plan; None = without end."""
        return None if self.seconds is None else round(float(self.due(np.array([self.seconds]))[0]))

    def average(self, seconds: float) -> float:
        """Events per second that the plan asks for in its first ``seconds``."""
        return float(self.due(np.array([seconds]))[0]) / seconds if seconds > 0 else 0.0

    def weights(self) -> NDArray[np.float64]:
        """Each sensor's share of the events."""
        weights = (np.arange(self.sensors) + 1.0) ** -self.hot
        return weights / weights.sum()

    def parts(self) -> NDArray[np.float64]:
        """Each partition's share of the events; of a plan with an end, its number of events."""
        numbers = np.arange(self.sensors) % self.partitions
        shares = np.bincount(numbers, self.weights(), self.partitions).astype(np.float64)
        events = self.events()
        if events is None:
            return shares
        whole = np.floor(shares * events)
        largest_rest_first = np.argsort(whole - shares * events, kind="stable")
        whole[largest_rest_first[: events - int(whole.sum())]] += 1
        return whole

    def first_seq(self) -> int:
        """The seq that each sensor begins with: large enough that all of them have as many digits."""
        events = self.events()
        if events is None:
            return 10**9
        most = _SPARE * events * float(self.weights()[0]) + 999
        return int(10 ** len(str(int(most))))


PLANS: Mapping[str, Mapping[str, float]] = {
    "city": {"sensors": 1_000, "rate": 5_000.0, "burst": 50_000.0},
    "nation": {"sensors": 1_000_000, "rate": 300_000.0, "partitions": 8},
}


def planned(scenario: str, **options: object) -> Plan:
    """The plan of a scenario, with options that are not None in place of its own. Raises ValueError as Plan does."""
    given = {name: value for name, value in options.items() if value is not None}
    if given.get("rate") is not None and "burst" not in given:
        given["burst"] = 0.0  # the scenario's bursts belong to its own rate
    return Plan(**{**PLANS[scenario], **given})  # type: ignore[arg-type]
