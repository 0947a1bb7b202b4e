#!/bin/sh
# The unit, parity and property tests and the fuzz in small, on kernels built with AddressSanitizer and
# UndefinedBehaviorSanitizer. A report of either fails its test, or ends the run. Words are handed on to pytest.
# It works in a copy of the tree under build/sanitize, so that the tree's own kernels stay what they are.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)
copy=$root/build/sanitize/tree

compiler=${CC:-cc}
preload=
for library in libasan.so libstdc++.so.6; do # the second, so that ASan finds the throw of C++ it is to watch
  path=$("$compiler" -print-file-name=$library)
  case "$path" in
    /*) preload="$preload${preload:+ }$path" ;;
    *)
      echo "make sanitize needs GCC with its sanitizers: $compiler has no $library" >&2
      exit 1
      ;;
  esac
done

# All but what was built there is new, so that no deleted test stays.
mkdir -p "$copy"
find "$copy" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
tar -c --exclude='./.*' --exclude=./build --exclude=./dist --exclude='*.egg-info' --exclude=__pycache__ \
  --exclude='*.so' --exclude=_build.py . | tar -x -C "$copy"
cd "$copy"
export ENGINE_BUILD=sanitize
python=$root/.venv/bin/python
"$python" setup.py --quiet build_ext --inplace --parallel 2 >/dev/null

# Python leaves memory behind at its end, so leaks are not looked for. Without Python's own allocator every object is
# watched by itself. What the tests start (sh, cc, python) gets the library too and is watched.
export LD_PRELOAD="$preload" PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
# --capture=sys: what a sanitizer says ends the process, and pytest would keep it to itself.
exec "$python" -m pytest -p no:cacheprovider --capture=sys tests/unit tests/parity tests/property tests/fuzz \
  -m 'not embedded and not kafka and not clickhouse' "$@"
