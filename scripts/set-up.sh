#!/bin/sh
# Sets up .venv: `set-up.sh demo`, or `set-up.sh test` with what tests, lint and types need too.
# Each step leaves a stamp in .venv and runs only when what it rests on is newer. ENGINE_BUILD chooses the kernels' mode.
# One at a time: a second one, in another terminal, waits and then finds the work done.
set -eu
cd "$(dirname "$0")/.."
mode=${ENGINE_BUILD:-release}
venv=.venv

if command -v flock >/dev/null 2>&1; then
  exec 9<Makefile
  flock -n 9 || { echo 'waiting for another set-up to end'; flock 9; }
fi

due() { # stamp, files it rests on: whether it is missing or older than one of them
  [ -e "$1" ] || return 0
  stamp=$1
  shift
  [ -n "$(find "$@" -newer "$stamp" -print 2>/dev/null)" ]
}

install() { # words of pip; its own cache and settings stay the user's
  "$venv/bin/python" -m pip --disable-pip-version-check --quiet --no-input install "$@" || {
    echo "hitonami: pip could not install what $venv needs (see above): is the package index within reach?" >&2
    exit 1
  }
}

build() { # in a shell of its own, which becomes it: so it can be killed
  echo "compiling the kernels ($mode)"
  exec env ENGINE_BUILD="$mode" "$venv/bin/python" setup.py --quiet build_ext --inplace --parallel 2 >/dev/null
}

built() {
  rm -f "$venv"/kernels-*
  touch "$venv/kernels-$mode"
}

# Scripts in .venv/bin name this directory; a moved clone and a Python that is gone need a new one.
here=$(pwd -P)
building=''
if [ "$(cat "$venv/made" 2>/dev/null)" != "$here" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
  python=$(sh scripts/find-python.sh)
  echo "setting up $venv with $python"
  rm -rf "$venv"
  "$python" -m venv "$venv"
  install 'setuptools>=77,<83' 'Cython>=3.1,<4'
  printf '%s\n' "$here" >"$venv/made"
  # These two are all that the kernels need: they are compiled while pip fetches the rest.
  build &
  building=$!
  trap 'kill "$building" 2>/dev/null; exit 130' INT TERM
fi

# ENGINE_BUILD=none: dependencies and the command only; the kernels are compiled in place, above or below.
failed=''
if [ "$1" = test ] && due "$venv/for-test" "$venv/made" pyproject.toml; then
  echo 'installing what the demo and the tests need (a few minutes the first time)'
  (ENGINE_BUILD=none install --no-build-isolation -e '.[demo,test,dev]') || failed=pip
  [ -n "$failed" ] || touch "$venv/for-demo" "$venv/for-test"
elif due "$venv/for-demo" "$venv/made" pyproject.toml; then
  echo 'installing what the demo needs (a few minutes the first time)'
  (ENGINE_BUILD=none install --no-build-isolation -e '.[demo]') || failed=pip
  [ -n "$failed" ] || touch "$venv/for-demo"
fi

if [ -n "$building" ]; then
  wait "$building" || failed=kernels
  [ -n "$failed" ] || built
elif [ -z "$failed" ] &&
  due "$venv/kernels-$mode" "$venv/for-demo" setup.py engine/fast/*.pyx engine/fast/*.pxd flows/fast/*.pyx flows/fast/*.pxd; then
  (build)
  built
fi
[ -z "$failed" ]
