"""Setting up: which Python is chosen, and the one line that names what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.meta.tree import ROOT


class Machine:
    """A PATH with stand-ins for Pythons and a compiler: find-python.sh believes what a candidate prints."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.include = directory / "include"
        self.include.mkdir()
        (self.bin / "sed").symlink_to(shutil.which("sed") or "sed")

    def program(self, name: str, body: str) -> str:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return str(path)

    def python(self, name: str, version: str, missing: str = "-") -> str:
        return self.program(name, f"echo '{version} {self.bin / name} {self.include} {missing}'")

    def find(self, **environment: str) -> tuple[int, str, str]:
        done = subprocess.run(
            ["/bin/sh", str(ROOT / "scripts" / "find-python.sh")],
            env={"PATH": str(self.bin), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.strip(), done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def fails_with_one_line(machine: Machine, *words: str) -> None:
    code, out, err = machine.find()
    assert (code, out) == (1, "")
    assert err.count("\n") == 1 and err.endswith("\n")
    assert err.startswith("hitonami needs ")
    assert [word for word in words if word not in err] == []


def test_a_python_that_works_is_chosen(machine: Machine) -> None:
    machine.program("cc", "exit 0")
    expected = machine.python("python3", "3.11")
    assert machine.find() == (0, expected, "")


def test_a_shim_that_fails_and_an_old_version_are_passed_over(machine: Machine) -> None:
    machine.program("gcc", "exit 0")
    machine.program("python3.12", "echo 'no such version' >&2; exit 127")
    machine.python("python3", "3.10")
    expected = machine.python("python3.11", "3.11")
    assert machine.find() == (0, expected, "")


def test_one_that_lacks_something_gives_way_to_one_that_does_not(machine: Machine) -> None:
    machine.program("cc", "exit 0")
    machine.python("python3.12", "3.12", "venv,headers")
    expected = machine.python("python3.11", "3.11")
    assert machine.find() == (0, expected, "")


def test_the_python_asked_for_comes_first(machine: Machine) -> None:
    machine.program("cc", "exit 0")
    machine.python("python3.12", "3.12")
    expected = machine.python("mine", "3.11")
    assert machine.find(PYTHON=expected) == (0, expected, "")


@pytest.mark.parametrize("versions", [[], ["3.13"], ["3.13", "3.9"]])
def test_no_fitting_python_is_named_with_its_packages(machine: Machine, versions: list[str]) -> None:
    machine.program("cc", "exit 0")
    for name, version in zip(("python3", "python"), versions, strict=False):
        machine.python(name, version)
    found = f"found only {', '.join(versions)}" if versions else "found no Python"
    fails_with_one_line(machine, "Python 3.11 or 3.12", found, "python3.1", "-venv", "-dev")


def test_a_missing_venv_is_named_with_its_package(machine: Machine) -> None:
    machine.program("cc", "exit 0")
    machine.python("python3.12", "3.12", "venv")
    fails_with_one_line(machine, "the venv module", "apt-get install", "-venv")


def test_missing_headers_are_named_with_their_package(machine: Machine) -> None:
    machine.program("cc", "exit 0")
    machine.python("python3.12", "3.12", "headers")
    fails_with_one_line(machine, "Python.h", "apt-get install", "-dev")


def test_a_missing_compiler_is_named_with_its_package(machine: Machine) -> None:
    machine.python("python3.12", "3.12")
    fails_with_one_line(machine, "a C compiler", "apt-get install gcc")


def test_a_compiler_that_finds_no_headers_is_named(machine: Machine) -> None:
    machine.program("cc", "exit 1")
    machine.python("python3.12", "3.12")
    fails_with_one_line(machine, "the C library headers", "apt-get install libc6-dev")


def test_all_that_is_missing_stands_in_the_same_line(machine: Machine) -> None:
    machine.python("python3.12", "3.12", "venv,headers")
    fails_with_one_line(machine, "-venv", "-dev", "gcc")


# ---------------------------------------------------------------------------------- set-up.sh
FAKE_PYTHON = """#!/bin/sh
# Stands for .venv/bin/python and for the Python that makes it; writes down what it was asked for.
echo "${0##*/} $*" >>"$CALLS"
case "$1 $2" in "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;; esac
[ -z "${FAIL:-}" ] || case "$*" in *"$FAIL"*) echo 'ERROR: no' >&2; exit 1 ;; esac
"""


class Tree:
    """A tree with the real set-up.sh and stand-ins for what it calls; ``run`` gives the steps it took."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "a tree 木"
        self.calls = directory / "calls"
        (self.root / "scripts").mkdir(parents=True)
        for room in ("engine", "flows"):
            (self.root / room / "fast").mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "set-up.sh", self.root / "scripts")
        compiled = [f"{room}/fast/_a.{suffix}" for room in ("engine", "flows") for suffix in ("pyx", "pxd")]
        for name in ("Makefile", "pyproject.toml", "setup.py", *compiled):
            (self.root / name).write_text("")
            os.utime(self.root / name, (1_000, 1_000))
        python = directory / "python3"
        python.write_text(FAKE_PYTHON)
        python.chmod(0o755)
        (self.root / "scripts" / "find-python.sh").write_text(f"echo '{python}'\n")

    def run(self, what: str, **environment: str) -> tuple[int, list[str], str]:
        self.calls.write_text("")
        done = subprocess.run(
            ["/bin/sh", str(self.root / "scripts" / "set-up.sh"), what],
            env={"PATH": os.environ["PATH"], "CALLS": str(self.calls), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        calls = self.calls.read_text()
        steps = {"venv": "-m venv", "demo": ".[demo]", "test": ".[demo,test,dev]", "kernels": "build_ext"}
        return done.returncode, [step for step, mark in steps.items() if mark in calls], done.stderr

    def change(self, name: str) -> None:
        """Make a file newer than every stamp (a clock's tick can be as long as a step here)."""
        for stamp in (path for path in (self.root / ".venv").iterdir() if path.is_file()):
            time = stamp.stat().st_mtime - 10
            os.utime(stamp, (time, time))
        os.utime(self.root / name)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_each_step_is_done_once(tree: Tree) -> None:
    assert tree.run("demo") == (0, ["venv", "demo", "kernels"], "")
    assert tree.run("demo") == (0, [], "")
    assert tree.run("test") == (0, ["test", "kernels"], "")
    assert tree.run("test") == (0, [], "")
    assert tree.run("demo") == (0, [], "")


def test_a_step_is_done_again_when_what_it_rests_on_changed(tree: Tree) -> None:
    tree.run("test")
    for name in ("engine/fast/_a.pxd", "flows/fast/_a.pyx"):
        tree.change(name)
        assert tree.run("test") == (0, ["kernels"], "")
    assert tree.run("test", ENGINE_BUILD="debug") == (0, ["kernels"], "")
    assert tree.run("test", ENGINE_BUILD="debug") == (0, [], "")
    assert tree.run("test") == (0, ["kernels"], "")
    tree.change("pyproject.toml")
    assert tree.run("demo") == (0, ["demo", "kernels"], "")
    assert tree.run("test") == (0, ["test", "kernels"], "")


def test_a_moved_tree_and_a_python_that_is_gone_get_a_new_environment(tree: Tree) -> None:
    tree.run("demo")
    tree.root = tree.root.rename(tree.root.with_name("moved"))
    assert tree.run("demo") == (0, ["venv", "demo", "kernels"], "")
    (tree.root / ".venv" / "bin" / "python").unlink()
    assert tree.run("demo") == (0, ["venv", "demo", "kernels"], "")


def test_a_step_that_failed_is_said_and_done_again(tree: Tree) -> None:
    code, steps, err = tree.run("demo", FAIL=".[demo]")
    assert (code, steps) == (1, ["venv", "demo", "kernels"])  # which were being compiled meanwhile
    assert "pip could not install" in err.splitlines()[-1]
    assert tree.run("demo") == (0, ["demo", "kernels"], "")


def test_nothing_is_made_where_no_python_fits(tree: Tree) -> None:
    (tree.root / "scripts" / "find-python.sh").write_text("echo 'hitonami needs more' >&2\nexit 1\n")
    assert tree.run("demo") == (1, [], "hitonami needs more\n")
    assert not (tree.root / ".venv").exists()
