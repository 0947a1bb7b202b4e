"""Hitonami (人波): a city's people-sensor events as safe, live crowd figures. The public Python API.

``replay_files`` and ``Setup`` run the engine over files; ``Store`` reads what came out.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.config import Config as Config
    from engine.registry import Registry as Registry
    from engine.registry import load as load
    from flows.runs import Setup as Setup
    from flows.runs import Summary as Summary
    from flows.runs import replay_files as replay_files
    from sinks.clickhouse.store import Store as Store

__version__ = "0.1.0"
_HOMES = {
    "Config": "engine.config",
    "Registry": "engine.registry",
    "load": "engine.registry",
    "Setup": "flows.runs",
    "Summary": "flows.runs",
    "replay_files": "flows.runs",
    "Store": "sinks.clickhouse.store",
}
__all__ = ["Config", "Registry", "Setup", "Store", "Summary", "__version__", "load", "replay_files"]


def __getattr__(name: str) -> object:
    """Load a name on first use: the command must be able to hear a signal before all of it is there."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
