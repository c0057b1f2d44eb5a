#!/bin/sh
# SPDX-License-Identifier: MIT
# make.sh: builds the documentation site in build-docs/html. Docstrings are of the package for Debian's interpreter.
set -eu
cd "$(dirname "$0")/../.."
version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
package=build-python-$version
log=build-docs.log
trap 'rm -f "$log"' EXIT

if [ ! -f "$package/build.ninja" ]; then
    meson setup "$package" python -Dwerror=true -Dpython=/usr/bin/python3 >"$log" 2>&1 || { cat "$log" && exit 1; }
fi
ninja -C "$package" >"$log" 2>&1 || { tail -n 100 "$log" && exit 1; }
/usr/bin/python3 tools/site/build.py build-docs "$package"
echo "The site is in build-docs/html: open build-docs/html/index.html"
