"""Figures for Prometheus, in its text format: of a run's row as it is shown (PRIVACY.md R6), and of the program.

Families are made new for each answer: nothing is counted here.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from dashboard.snapshot import closed_ms, status_of

if TYPE_CHECKING:
    from sinks.clickhouse.store import Run

TEXT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_PREFIX = "hitonami_"


def gauge(
    name: str, help: str, value: float | None = None, *, label: str = "", values: Mapping[str, float] | None = None
) -> Metric:
    """One gauge: a value (None: not told), or ``values`` by ``label``."""
    family = GaugeMetricFamily(_PREFIX + name, help, value, [label] if label else None)
    for name_of_label, number in (values or {}).items():
        family.add_metric([name_of_label], number)
    return family


def counter(
    name: str, help: str, value: float | None = None, *, label: str = "", values: Mapping[str, float] | None = None
) -> Metric:
    """One counter, as ``gauge``; ``_total`` is put behind its name."""
    family = CounterMetricFamily(_PREFIX + name, help, value, [label] if label else None)
    for name_of_label, number in (values or {}).items():
        family.add_metric([name_of_label], number)
    return family


def info(name: str, help: str, labels: Mapping[str, str]) -> Metric:
    """A gauge of 1 whose labels are what it tells."""
    family = GaugeMetricFamily(_PREFIX + name, help, labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


def of_build() -> list[Metric]:
    """Which program this is."""
    labels = {"version": importlib.metadata.version("hitonami"), "python": platform.python_version()}
    return [info("build_info", "Version of Hitonami and of Python.", labels)]


def of_run(run: Run | None, now_ms: int) -> list[Metric]:
    """A run's row: what it is, its counters as they may be shown, the age of its watermark (live runs)."""
    if run is None:
        return []
    status, closed = status_of(run), closed_ms(run)
    versions = [run.registry_hash, *run.versions]
    about = {"run_id": run.run_id, "kind": run.kind, "state": run.state, "registry_hash": versions[-1][:12]}
    found = [
        info("run_info", "The run and its state.", about),
        counter("events_read", "Events read, as may be shown: people with their released run.", status["read"]),
        counter("events_accepted", "Events accepted, as may be shown.", status["accepted"]),
        counter("events_rejected", "Events rejected, as may be shown.", label="reason", values=status["rejected"]),
    ]
    if closed is not None:
        age = max(0, now_ms - closed) / 1000
        found.append(gauge("watermark_age_seconds", "How far the closed windows lie behind the clock.", age))
    return found


def text(families: Iterable[Metric]) -> bytes:
    """The families in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Made(list(families)))
    return generate_latest(registry)


class _Made(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families

    def describe(self) -> Iterable[Metric]:
        return []
