#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# deb.sh: builds the Debian packages into build-deb/, from the files that git does not ignore. Then it runs lintian,
# checks the contents, and runs programs that use the unpacked packages.
set -uo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/build-deb
version=$(dpkg-parsechangelog --show-field Version)
source=$folder/bough-$version
unpacked=$folder/unpacked

die() {
    echo "deb.sh: $*" >&2
    exit 1
}

# contains PACKAGE PATTERN...: checks that the package has a path that ends with each pattern.
contains() {
    local package=$1 pattern list
    shift
    list=$(dpkg-deb --contents "$folder/$package"_*.deb) || die "there is no package $package"
    for pattern in "$@"; do
        grep -qE "$pattern( -> .*)?$" <<<"$list" || die "$package has no $pattern"
    done
}

[ "$version" = "$(sed -n "s/^  version: '\(.*\)',$/\1/p" meson.build)" ] || die "debian/changelog has version $version, meson.build has another"
rm -rf "$folder"
mkdir -p "$source"
git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- -cf - | tar -C "$source" -xf -

(cd "$source" && dpkg-buildpackage -us -uc >"$folder/build.log" 2>&1) || {
    tail -n 60 "$folder/build.log"
    die "the build has failed: see build-deb/build.log"
}
lintian --fail-on error,warning "$folder"/*.changes || die "lintian reported errors or warnings"

contains libbough0 'libbough\.so\.0' 'libbough\.so\.0\.1\.0'
contains libbough-dev include/bough.h include/bough/branch.h libbough.a libbough.so pkgconfig/bough.pc boughConfig.cmake man3/bough_read.3.gz
contains bough bin/bough man1/bough.1.gz man7/bough-ladder.7.gz libbough-preload.so completions/bough docs/semantics.md
contains python3-bough 'dist-packages/bough/_bough\..*\.so' dist-packages/bough/__init__.py py.typed _command/bough 'dist-info/METADATA' pytest_bough.py

for package in "$folder"/*.deb; do
    dpkg-deb --extract "$package" "$unpacked"
done
libraries=$(echo "$unpacked"/usr/lib/*-linux-gnu*)
cc "-I$unpacked/usr/include" debian/tests/smoke.c -o "$folder/smoke" "-L$libraries" -lbough -pthread || die "a program could not be built"
LD_LIBRARY_PATH=$libraries "$folder/smoke" || die "a program with the library has failed"
"$unpacked/usr/bin/bough" --version || die "the command has failed"
PYTHONPATH=$unpacked/usr/lib/python3/dist-packages python3 tools/wheels_program.py || die "a Python program has failed"
(cd "$folder" && ls -1 ./*.deb)
