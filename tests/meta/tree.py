"""The repository as these tests read it: its files, its packages, what a module imports."""

from __future__ import annotations

import ast
import functools
import shutil
import subprocess
from pathlib import Path

from tests.realservices.cache import ROOT

PACKAGES = ("engine", "flows", "sinks", "loadgen", "dashboard", "hitonami")
SKIP = {".git", ".venv", ".cache", "build", "dist", "__pycache__", "node_modules"}


@functools.cache
def _all() -> tuple[Path, ...]:
    """Every file that belongs to the repository, sorted; found once."""
    names: list[Path]
    if shutil.which("git") and (ROOT / ".git").exists():
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        names = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        names = [p for p in ROOT.rglob("*") if not SKIP & set(p.relative_to(ROOT).parts)]
    return tuple(sorted(p for p in names if p.is_file()))


def files(*suffixes: str) -> list[Path]:
    """The files that belong to the repository, ending in one of ``suffixes`` (all without); sorted."""
    return [path for path in _all() if not suffixes or path.name.endswith(suffixes)]


def sources(package: str, suffixes: tuple[str, ...] = (".py",)) -> list[Path]:
    """The source files of one top-level package."""
    return [path for path in files(*suffixes) if path.relative_to(ROOT).parts[0] == package]


def name(path: Path) -> str:
    """A file's path inside the repository."""
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(), name(path))


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Every module a file imports, anywhere in it, as dotted names (``from a import b`` gives a and a.b)."""
    found: set[str] = set()
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join(base + ([node.module] if node.module else []))
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def within(module: str, *roots: str) -> bool:
    """Whether a dotted name is one of ``roots`` or below it."""
    return any(module == root or module.startswith(root + ".") for root in roots)


def public_names(path: Path) -> dict[str, list[str] | None]:
    """Public functions and classes of a .py, .pyi file: name → names of its arguments (None for a class)."""
    found: dict[str, list[str] | None] = {}
    for node in parsed(path).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            found[node.name] = [argument.arg for argument in node.args.posonlyargs + node.args.args]
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found[node.name] = None
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and (
                    not method.name.startswith("_") or method.name == "__init__"
                ):
                    arguments = method.args.posonlyargs + method.args.args
                    found[f"{node.name}.{method.name}"] = [argument.arg for argument in arguments][1:]
    return found
