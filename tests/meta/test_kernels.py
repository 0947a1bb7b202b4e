"""Every compiled kernel has a readable twin, a signature file, a parity test and a benchmark."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.tree import ROOT, files, name, public_names, sources

KERNELS = sources("engine", (".pyx",))
STEMS = [path.stem.removeprefix("_") for path in KERNELS]
COMPILED = [*KERNELS, *sources("flows", (".pyx",))]


def test_there_are_kernels() -> None:
    assert STEMS
    assert len(COMPILED) > len(STEMS)


@pytest.mark.parametrize("stem", STEMS)
def test_the_twin_has_the_same_names_and_arguments(stem: str) -> None:
    compiled = public_names(ROOT / "engine" / "fast" / f"_{stem}.pyi")
    reference = public_names(ROOT / "engine" / f"{stem}.py")
    assert compiled
    assert {key: reference.get(key) for key in compiled} == compiled


@pytest.mark.parametrize("path", COMPILED, ids=name)
def test_the_signature_file_tells_what_is_compiled(path: Path) -> None:
    module = importlib.import_module(name(path).removesuffix(".pyx").replace("/", "."))
    declared = {key for key in public_names(path.with_suffix(".pyi")) if "." not in key}
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and callable(value)
        and getattr(value, "__module__", module.__name__) == module.__name__
    }
    assert declared == defined


@pytest.mark.parametrize("stem", STEMS)
def test_there_is_a_parity_test(stem: str) -> None:
    mention = re.compile(rf"_{stem}\b|\b{stem}\b")
    assert [name(path) for path in files(".py") if path.parent.name == "parity" and mention.search(path.read_text())]


@pytest.mark.parametrize("stem", STEMS)
def test_there_is_a_benchmark(stem: str) -> None:
    path = ROOT / "benchmarks" / "kernels" / f"bench_{stem}.py"
    assert path.exists()
    assert "assert " in path.read_text(), "a benchmark asserts its own result"


@pytest.mark.parametrize("path", COMPILED, ids=name)
def test_there_is_no_performance_hint(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cython", "-3", "-X", "show_performance_hints=True", "-X", "boundscheck=False"]
    command += ["-X", "wraparound=False", "-o", str(tmp_path / "kernel.c"), str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    assert "performance hint" not in log, log


@pytest.mark.parametrize("path", COMPILED, ids=name)
def test_directives_are_those_of_the_house(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"cdivision\s*[=(]\s*True", text)
    assert not re.search(r"boundscheck\s*[=(]\s*False", text), "the build mode decides on bounds checks (setup.py)"
    assert not re.search(r"^\s*include\s", text, re.MULTILINE)


def test_the_build_mode_is_stamped() -> None:
    from engine.fast import _build

    assert os.environ.get("ENGINE_BUILD", "release") == _build.BUILD_MODE


def test_kernels_are_never_tuned_to_one_machine() -> None:
    words = ("march" + "=native", "mtune" + "=native", "Ofast", "ffast" + "-math")
    text = (ROOT / "setup.py").read_text() + (ROOT / "Makefile").read_text()
    assert [word for word in words if word in text] == []
