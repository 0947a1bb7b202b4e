#!/bin/sh
# Prints the Python to build with: 3.12 or 3.11, with venv, ensurepip, Python.h and a working C compiler.
# Otherwise one line on stderr that names what is missing and the package to install.
# Candidates are run, not only looked up: version managers leave shims on PATH that fail. PYTHON=… is tried first.
set -u

facts='
import os, sys, sysconfig
missing = []
try:
    import venv, ensurepip
except ImportError:
    missing.append("venv")
include = sysconfig.get_paths()["include"]
if not os.path.exists(os.path.join(include, "Python.h")):
    missing.append("headers")
print("%d.%d" % sys.version_info[:2], sys.executable, include, ",".join(missing) or "-")
'

candidates() {
  [ -z "${PYTHON:-}" ] || command -v "$PYTHON" || true
  for name in python3.12 python3.11 python3 python; do
    old_ifs=$IFS
    IFS=:
    for dir in $PATH; do
      [ -x "${dir:-.}/$name" ] && [ ! -d "${dir:-.}/$name" ] && printf '%s\n' "${dir:-.}/$name"
    done
    IFS=$old_ifs
  done
}

compiler=
for cc in ${CC:-} cc gcc clang; do
  if command -v "$cc" >/dev/null 2>&1; then compiler=$cc; break; fi
done

# Debian's metapackages belong to its own python3; other versions have packages of their own.
package() { # version, suffix
  default=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || default=
  if [ "$1" = "$default" ]; then printf 'python3-%s' "$2"; else printf 'python%s-%s' "$1" "$2"; fi
}

best='' others=''
for path in $(candidates); do
  line=$("$path" -c "$facts" 2>/dev/null </dev/null) || continue
  set -- $line
  [ $# -eq 4 ] || continue
  case "$1" in
    3.11 | 3.12) ;;
    *)
      case " $others " in *" $1 "*) ;; *) others="$others${others:+ }$1" ;; esac
      continue
      ;;
  esac
  if [ "$4" = - ] && [ -n "$compiler" ]; then
    if { printf '#include <Python.h>\n' | "$compiler" -I"$3" -fsyntax-only -xc -; } >/dev/null 2>&1; then
      printf '%s\n' "$2"
      exit 0
    fi
    set -- "$1" "$2" "$3" libc
  fi
  [ -n "$best" ] || best="$1 $2 $4"
done

if [ -z "$best" ]; then
  if [ -n "$others" ]; then found="found only $(printf '%s' "$others" | sed 's/ /, /g')"; else found='found no Python'; fi
  # Which of the two the system's own packages have.
  case "$(. /etc/os-release 2>/dev/null; printf '%s' "${VERSION_CODENAME:-}")" in
    bookworm | jammy) p=python3.11 how='apt-get install ' ;;
    noble) p=python3.12 how='apt-get install ' ;;
    *) p=python3.12 how='install the packages ' ;;
  esac
  echo "hitonami needs Python 3.11 or 3.12 ($found): $how$p $p-venv $p-dev, or set PYTHON=/path/to/$p" >&2
  exit 1
fi
set -- $best
what='' packages=''
add() { what="$what${what:+ and }$1"; packages="$packages${packages:+ }$2"; }
case "$3" in *venv*) add 'the venv module' "$(package "$1" venv)" ;; esac
case "$3" in *headers*) add 'the headers (Python.h)' "$(package "$1" dev)" ;; esac
[ "$3" != libc ] || add 'the C library headers' libc6-dev
[ -n "$compiler" ] || add 'a C compiler' 'gcc libc6-dev'
echo "hitonami needs $what for $2: apt-get install $packages" >&2
exit 1
