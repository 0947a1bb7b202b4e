"""How good the page's forecast of density is, beside persistence (all stays as it is): dashboard/forecast.py.

    python -m benchmarks.forecast [--scenario weekday] [--seed 2] [--seconds S] [--every 5] [--json]

A scenario of the load generator is replayed into an embedded ClickHouse. Then, every so many minutes of it, a forecast
is made of what was stored by then, shown or hidden as the page would, and compared with what came: mean absolute errors
in people per m², over all zones, at each horizon. ``shown`` forecasts of ``of`` are compared; ``within`` is how many of
them came to lie inside their interval (P10 to P90: 80 % would be right).

α, β and φ were chosen on seed 1; so measure others.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.services import HITONAMI, ROOT, machine, tell
from dashboard.forecast import HORIZONS, PAST_MIN, forecast
from dashboard.history import by_minute
from engine.model import F64, MINUTE, TS_MAX, WINDOWS
from loadgen import SCENARIOS, write_file, write_registry
from sinks.clickhouse.store import Store


def densities(scenario: str, seed: int, seconds: int | None, work: Path) -> F64:
    """Density by minute and zone (minutes, zones) as a replay of the scenario has stored it."""
    made = SCENARIOS[scenario](seed=seed, **({} if seconds is None else {"seconds": seconds}))
    write_registry(made, work / "registry.json")
    write_file(made, work / "events.jsonl")
    url = f"chdb://{work}/store"
    words = ["replay", str(work / "events.jsonl"), "--registry", str(work / "registry.json"), "--store", url]
    done = subprocess.run([*HITONAMI, *words, "--run-id", "of"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"replay ended with {done.returncode}: {done.stderr[-300:]}")
    with Store.open(url) as store:
        label = WINDOWS[MINUTE]
        newest = store.newest_start("zones", "of", label, TS_MAX)
        if newest is None:
            raise SystemExit("no zones are stored")
        return by_minute(store.zone_densities("of", label, 0, TS_MAX), newest)[1]


def compared(density: F64, every: int) -> dict[str, dict[str, float]]:
    """Horizon → errors of the forecasts that the page would have shown, and of persistence at the same moments."""
    found: dict[int, list[tuple[F64, F64, F64]]] = {horizon: [] for horizon in HORIZONS}
    asked = dict.fromkeys(HORIZONS, 0)
    for now in range(every - 1, len(density), every):
        told = forecast(density[max(0, now + 1 - PAST_MIN) : now + 1])
        for horizon in HORIZONS:
            if now + horizon >= len(density):
                continue
            came, mid = density[now + horizon], told.mid[horizon]
            asked[horizon] += int(np.sum(~np.isnan(came) & ~np.isnan(told.now)))
            use = ~np.isnan(came) & ~np.isnan(mid)
            inside = (told.low[horizon] <= came) & (came <= told.high[horizon])
            found[horizon].append((np.abs(came - mid)[use], np.abs(came - told.now)[use], inside[use].astype(float)))
    return {
        str(horizon): of_errors(*(np.concatenate(each) for each in zip(*errors, strict=True)), asked[horizon])
        for horizon, errors in found.items()
        if errors
    }


def of_errors(lacked: F64, moved: F64, inside: F64, asked: int) -> dict[str, float]:
    """Means of one horizon."""
    result: dict[str, float] = {"shown": len(lacked), "of": asked}
    if len(lacked):
        mae, persistence = float(lacked.mean()), float(moved.mean())
        result |= {"mae": round(mae, 4), "persistence": round(persistence, 4), "ratio": round(mae / persistence, 3)}
        result["within"] = round(float(inside.mean()), 3)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="weekday")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        density = densities(chosen.scenario, chosen.seed, chosen.seconds, Path(folder))
    result: dict[str, object] = {**machine(), "scenario": chosen.scenario, "seed": chosen.seed}
    result |= {"minutes": len(density), "zones": density.shape[1], "horizons": compared(density, chosen.every)}
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
