"""The one dispatcher between the compiled kernels and their readable twins.

Compiled by default; the reference only when asked for, by ``ENGINE_KERNELS=reference`` or ``use("reference")``.
There is no fallback: without the compiled modules the import fails and says how to build them.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any, NamedTuple

from engine.errors import HitonamiError, UsageError

MODES = ("compiled", "reference")


class Kernels(NamedTuple):
    """One implementation of every kernel; both have the same names and arguments."""

    mode: str
    Ids: Any  # table of sensor ids: Ids(list[bytes])
    decode: Any  # messages -> event columns
    admit: Any  # event columns -> reason, pane, close time, mark
    PaneTable: Any  # watermark, late, dedupe and counts of one partition
    Tracks: Any  # tracked points of one partition -> passages, time in zones
    Beams: Any  # records of its beam pairs -> passages
    carry: Any  # closed panes -> released runs
    tree: Any  # counts of tables -> released ranges
    Names: Any  # words and their numbers: Names(list[bytes])
    touch: Any  # messages of signage -> columns


def load(mode: str) -> Kernels:
    """The kernels of ``mode``. Raises UsageError for another word, HitonamiError where they are not built."""
    if mode not in MODES:
        raise UsageError(f"ENGINE_KERNELS must be one of {', '.join(MODES)}")
    modules = _reference() if mode == "reference" else _compiled()
    decode, admit, window, crossing, beam, release, tree, touch = modules
    keepers = window.PaneTable, crossing.Tracks, beam.Beams
    rest = release.carry, tree.tree, touch.Names, touch.touch
    return Kernels(mode, decode.Ids, decode.decode, admit.admit, *keepers, *rest)


def use(mode: str) -> Kernels:
    """Make ``mode`` the active one for this process and return it."""
    global _active
    _active = load(mode)
    return _active


def active() -> Kernels:
    """The kernels in use."""
    return _active if _active is not None else use(os.environ.get("ENGINE_KERNELS", "compiled"))


_active: Kernels | None = None


def _reference() -> tuple[ModuleType, ...]:
    from engine import admit, beam, crossing, decode, release, touch, tree, window

    return decode, admit, window, crossing, beam, release, tree, touch


def _compiled() -> tuple[ModuleType, ...]:
    try:
        from engine.fast import _admit, _beam, _crossing, _decode, _release, _touch, _tree, _window
    except ImportError:
        raise HitonamiError("the compiled kernels are not built: run `make build`") from None
    return _decode, _admit, _window, _crossing, _beam, _release, _tree, _touch
