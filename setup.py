"""Builds the compiled modules: every .pyx of engine/fast and flows/fast becomes one extension module.

``ENGINE_BUILD`` chooses how: ``release`` (default; -O3, no bounds checks), ``debug`` (bounds checks, -O1 -g),
``sanitize`` (debug with ASan and UBSan), ``coverage`` (tells a fuzzer what it reaches: tests/fuzz) or ``none`` (no
kernels: the Makefile's step that only installs dependencies). The mode is stamped into ``engine/fast/_build.py``
beside the binaries. Each mode has its own directory under build/, so a change of mode never links old objects.
"""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

CHECKS = ["-fsanitize=address,undefined"]
MODES = {
    "release": (["-O3", "-g0"], []),
    "debug": (["-O1", "-g"], []),
    "sanitize": (
        # -fno-wrapv: Python's own flags hold -fwrapv, with which UBSan sees no signed overflow
        ["-O1", "-g", "-fno-omit-frame-pointer", "-fno-wrapv", *CHECKS, "-fno-sanitize-recover=undefined"],
        CHECKS,
    ),
    "coverage": (["-O1", "-g0", "-fsanitize-coverage=trace-pc,trace-cmp"], []),
}
FAST = Path("engine", "fast")
ROOMS = (FAST, Path("flows", "fast"))

mode = os.environ.get("ENGINE_BUILD") or "release"
if mode != "none" and mode not in MODES:
    raise SystemExit(f"ENGINE_BUILD must be one of {', '.join(MODES)}, none")


class Build(build):
    """Keeps the objects of each mode apart."""

    def initialize_options(self):
        super().initialize_options()
        self.build_base = os.path.join("build", mode)


class BuildExt(build_ext):
    """Builds the kernels and stamps the mode beside them."""

    def run(self):
        super().run()
        if mode == "none":
            return
        roots = [Path()] if self.inplace else [Path(self.build_lib)]
        for root in roots:
            stamp = root / FAST / "_build.py"
            stamp.parent.mkdir(parents=True, exist_ok=True)
            text = (
                f'"""How the kernels beside this file were built (written by setup.py)."""\n\nBUILD_MODE = "{mode}"\n'
            )
            if not stamp.exists() or stamp.read_text() != text:
                stamp.write_text(text)


def extensions():
    """The extension modules of this mode."""
    found = {room: sorted(room.glob("*.pyx")) for room in ROOMS}
    if mode == "none":
        return []
    for room, sources in found.items():
        if not sources:  # else a package without kernels would be built, and nobody told
            raise SystemExit(f"{room} holds no .pyx: the source distribution is not whole")
    from Cython.Build import cythonize

    compile_args, link_args = MODES[mode]
    modules = [
        Extension(
            ".".join((*room.parts, source.stem)),
            [str(source)],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
        )
        for room, sources in found.items()
        for source in sources
    ]
    return cythonize(
        modules,
        build_dir=os.path.join("build", mode, "cython"),
        compiler_directives={
            "language_level": 3,
            "wraparound": False,
            "boundscheck": mode != "release",
            "show_performance_hints": mode == "release",
        },
    )


setup(ext_modules=extensions(), cmdclass={"build": Build, "build_ext": BuildExt})
