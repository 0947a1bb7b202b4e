"""What a peer is made of, fetched at its first use into the cache: packages of Python, jars of Java, compiled code."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.realservices import maven
from tests.realservices.cache import ServiceError, fetched
from tests.realservices.kafka import java

PROGRAMS = Path(__file__).with_name("programs")
_COMPILER = "org.eclipse.jdt:ecj:3.40.0"  # a Java without javac is what Python's packages have
_TOLD = 1_000


class Missing(Exception):
    """A peer cannot be had here; the message says what, and why."""


def python_of(name: str, requirements: Sequence[str]) -> Path:
    """The Python of a virtual environment that holds ``requirements`` alone. Raises Missing."""

    def make(target: Path) -> None:
        _run([sys.executable, "-m", "venv", str(target)])
        pip = [str(target / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input"]
        _run([*pip, "install", *requirements])

    return made(f"{name}-{_hash(*requirements)}", make, f"{', '.join(requirements)} could not be installed by pip") / (
        "bin/python"
    )


def jars(name: str, coordinates: Sequence[str], least: int) -> Path:
    """The directory of these artifacts' jars and of all they need, at least ``least`` of them. Raises Missing."""
    endpoint = "+".join(coordinates)
    sentence = f"{coordinates[0]} could not be fetched from Maven Central"
    return made(f"{name}-jars-{_hash(endpoint)}", lambda target: maven.fetch(target, endpoint, least), sentence)


def classes(name: str, source: Path, libraries: Path) -> Path:
    """The directory of a Java program's classes. Raises Missing."""
    compiler = next(jars("ecj", [_COMPILER], 1).glob("ecj-*.jar"))

    def make(target: Path) -> None:
        words = [str(java()), "-jar", str(compiler), "-nowarn", "-source", "17", "-target", "17"]
        path = ":".join(str(jar) for jar in sorted(libraries.glob("*.jar")))  # it knows no wildcards
        _run([*words, "-cp", path, "-d", str(target), str(source)])

    sentence = f"{source.name} could not be compiled"
    return made(f"{name}-classes-{_hash(source.read_text(), libraries.name)}", make, sentence)


def program(source: Path) -> Path:
    """A C program, compiled by the system's compiler. Raises Missing."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Missing(f"{source.name} needs a C compiler (cc)")

    def make(target: Path) -> None:
        _run([compiler, "-O3", "-o", str(target / source.stem), str(source), "-ldl"])

    sentence = f"{source.name} could not be compiled"
    return made(f"{source.stem}-{_hash(source.read_text())}", make, sentence) / source.stem


def made(name: str, make: Callable[[Path], None], sentence: str) -> Path:
    """The directory ``name`` of the peers' cache, filled once by ``make``. Raises Missing, with ``sentence``."""
    try:
        return fetched(f"peers/{name}", make, sentence)
    except ServiceError as error:
        raise Missing(str(error)) from None


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(
            f"{Path(command[0]).name} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-_TOLD:]}"
        )
