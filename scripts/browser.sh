#!/bin/sh
# The browser tests use Debian's chromium with a font that has Japanese: the only system packages of the tests.
# Installs them where they are missing and we are root on a machine with apt; else says so in one line
# (tests/conftest.py then skips the browser tests, and fails them where CI is set).
set -u
missing=''
[ -n "$(command -v chromium || command -v chromium-browser || command -v google-chrome)" ] || missing='chromium'
if command -v fc-list >/dev/null 2>&1; then
  [ -n "$(fc-list :lang=ja family 2>/dev/null | head -n 1)" ] || missing="$missing fonts-noto-cjk"
else
  [ -n "$(find /usr/share/fonts -iname '*cjk*' 2>/dev/null | head -n 1)" ] || missing="$missing fonts-noto-cjk"
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "browser tests need: apt-get install" $missing
  exit 0
fi
echo "installing for the browser tests:" $missing
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1 </dev/null ||
  { tail -n 5 "$log"; echo "browser tests need: apt-get install" $missing; }
rm -f "$log"
