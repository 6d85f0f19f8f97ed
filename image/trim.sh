#!/bin/sh
# trim.sh SITE_PACKAGES: take out what left-out.txt names, and the symbols that only a debugger reads.
# Needs `strip` (binutils). Libraries that auditwheel bundled (*.libs) stay as they are: patched once
# already, some of them do not load after a strip.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
grep -v -e '^#' -e '^$' "$here/left-out.txt" | while read -r pattern; do
    # Unquoted, so that the shell fills in the pattern.
    # shellcheck disable=SC2086
    rm -rf -- $pattern
done
find . -path '*.libs' -prune -o -type f -name '*.so*' -exec strip --strip-unneeded {} +
