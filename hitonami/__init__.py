"""Hitonami (人波): a city's people-sensor events as safe, live crowd figures. The public Python API.

``replay_files`` and ``Setup`` run the engine over files; ``Store`` reads what came out.
"""

from engine.config import Config
from engine.registry import Registry, load
from flows.runs import Setup, Summary, replay_files
from sinks.clickhouse.store import Store

__version__ = "0.1.0"
__all__ = ["Config", "Registry", "Setup", "Store", "Summary", "__version__", "load", "replay_files"]
