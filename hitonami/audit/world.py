"""Simulated days at gates, small and seeded: platoons, groups, rush hours, a quiet night, an hour of crowds.

Of its own on purpose: an audit that shared the load generator's idea of people would share its blind spots.
"""

from __future__ import annotations

import numpy as np

from engine.model import I64

PANE_MS = 10_000
PANES = 8640  # one day
# Share of a day's passages by hour: first trains, two peaks, an empty night.
_HOUR = np.array([4, 0, 0, 0, 0, 2, 12, 42, 90, 62, 50, 56, 76, 66, 58, 60, 68, 92, 96, 70, 50, 34, 21, 10], float)


def day(seed: int, chains: int = 8, passages: int = 24_000) -> I64:
    """People per chain and pane of ten seconds, (chains, PANES); about ``passages`` in all, unevenly over chains."""
    rng = np.random.default_rng(seed)
    rate = np.repeat(_HOUR / _HOUR.sum() / 360, 360)
    share = rng.dirichlet(np.full(chains, 1.5))
    busy = rate * passages * share[:, None] * rng.gamma(4, 1 / 4, (chains, PANES // 6)).repeat(6, axis=1)
    surge = int(rng.integers(6 * 360, 22 * 360))
    busy[0, surge : surge + 360] *= 20
    busy[-1] *= 0.02  # a side door: hours until a run ends
    groups = rng.poisson(busy / 1.4)
    return (groups + rng.binomial(groups * 2, 0.2)).astype(np.int64)
