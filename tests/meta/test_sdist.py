"""The source distribution: a wheel built from it is the wheel built from the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.meta.tree import PACKAGES, ROOT, name, sources

FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md")
IGNORED = shutil.ignore_patterns("__pycache__", "*.so", "*.c", "_build.py", "*.html.annotate")


def tree_at(tree: Path) -> Path:
    for package in (*PACKAGES, "tests", "benchmarks"):
        shutil.copytree(ROOT / package, tree / package, ignore=IGNORED)
    for file in FILES:
        shutil.copy(ROOT / file, tree / file)
    return tree


@pytest.mark.slow
def test_it_holds_all_that_a_wheel_is_built_from(tmp_path: Path) -> None:
    tree = tree_at(tmp_path / "tree")
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(tmp_path / "dist")],
        cwd=tree,
        env={**os.environ, "ENGINE_BUILD": "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {entry.name.partition("/")[2] for entry in archive if entry.isfile()}
    needed = {name(file) for package in PACKAGES for file in sources(package, (".py", ".pyi", ".pyx", ".pxd"))}
    needed |= {name(file) for file in sources("dashboard", ("",)) if "static" in file.parts}
    assert len(needed) > 50
    assert {*needed, *FILES} - held == set()
    assert {entry for entry in held if entry.startswith(("tests/", "benchmarks/"))} == set()


def test_without_kernels_nothing_is_built(tmp_path: Path) -> None:
    shutil.copy(ROOT / "setup.py", tmp_path)
    environment = {**os.environ, "ENGINE_BUILD": "release"}
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "holds no .pyx" in done.stderr
