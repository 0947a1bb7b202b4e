"""The wheel: what it holds, and that it works elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.meta.tree import PACKAGES, ROOT, name, sources

FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
IGNORED = shutil.ignore_patterns("__pycache__", "*.so", "*.c", "_build.py", "*.html.annotate")


def compiled() -> list[Path]:
    """What setuptools has left of the kernels below build/release, but of no others that were once there."""
    stems = {(path.parent.parent.name, path.stem) for room in ("engine", "flows") for path in sources(room, (".pyx",))}
    left = (ROOT / "build" / "release").glob("*/*/fast/_*")
    return [p.relative_to(ROOT) for p in left if (p.parent.parent.name, p.name.split(".")[0]) in stems]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by pip from a copy of the sources with this environment's Cython and setuptools.

    Kernels that the set-up has compiled from these sources, with the same setup.py, are not compiled again.
    """
    tree = tmp_path_factory.mktemp("tree")
    for package in (*PACKAGES, "tests", "benchmarks"):
        shutil.copytree(ROOT / package, tree / package, ignore=IGNORED)
    for file in FILES:
        shutil.copy(ROOT / file, tree / file)
    for made in compiled():
        (tree / made).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / made, tree / made)  # with its time: setuptools compiles what is older than its source
    target = tmp_path_factory.mktemp("wheel")
    environment = {**os.environ, "ENGINE_BUILD": "release"}
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-build-isolation",
        "--no-deps",
        "-q",
        "-w",
        str(target),
        str(tree),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = target.glob("*.whl")
    return path


@pytest.mark.slow
def test_it_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {entry.split("/")[0] for entry in names}
    assert tops == {*PACKAGES, f"hitonami-{wheel.name.split('-')[1]}.dist-info"}
    assert {entry for entry in names if entry.endswith((".c", ".pyx", ".html.annotate", ".pyc", ".cpp"))} == set()
    modules = {name(path) for package in PACKAGES for path in sources(package)}
    assert modules <= names
    assert {name(path) for room in ("engine", "flows") for path in sources(room, (".pyi",))} <= names
    static = {name(p) for p in sources("dashboard", ("",)) if "static" in p.parts}
    assert static <= names
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    compiled = [path for room in ("engine", "flows") for path in sources(room, (".pyx",))]
    assert {name(path).removesuffix(".pyx") + suffix for path in compiled} <= names
    assert "engine/fast/_build.py" in names


@pytest.mark.slow
def test_it_works_from_another_directory(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", str(wheel)],
        check=True,
        capture_output=True,
    )
    site = next((venv / "lib").glob("python3.*")) / "site-packages"
    # The dependencies of this environment, but none of its .pth files: so not the source tree.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    code = (
        "import engine, flows, sinks, hitonami, loadgen, dashboard; import engine.fast._build as build;"
        "import engine.kernels as k; print(engine.__file__, build.BUILD_MODE, k.active().mode)"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "ENGINE"))}
    done = subprocess.run(
        [python, "-c", code], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    where, mode, kernels = done.stdout.split()
    assert Path(where).is_relative_to(venv)
    assert (mode, kernels) == ("release", "compiled")
    version = subprocess.run(
        [venv / "bin" / "hitonami", "--version"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert version.returncode == 0, version.stderr
    assert wheel.name.split("-")[1] in version.stdout
