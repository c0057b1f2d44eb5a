#!/bin/sh
# SPDX-License-Identifier: MIT
# install.sh BUILD ROOT VERSION: programs can use the installed library, by pkg-config, shared and static, and by CMake.
set -u
build=$1 root=$2 version=$3
place=$(mktemp -d) || exit 1
trap 'rm -rf "$place"' EXIT
number=0 failed=0

# try TITLE COMMAND...: runs the command, and prints a line of TAP, with the output as comments.
try() {
    title=$1
    shift
    number=$((number + 1))
    if "$@" >"$place/log" 2>&1; then
        echo "ok $number - $title"
    else
        echo "not ok $number - $title"
        sed 's/^/# /' "$place/log"
        failed=1
    fi
}

exists() {
    for pattern in "$@"; do
        find "$place/root" -path "$place/root/*$pattern" | grep -q . || { echo "$pattern is not installed" && return 1; }
    done
}

echo 1..10
try "meson install" env DESTDIR="$place/root" meson install --no-rebuild -C "$build"
try "headers, libraries and manual pages are there" exists \
    include/bough.h include/bough/branch.h libbough.so.0 libbough.a man3/bough_read.3 bin/bough man1/bough.1 completions/bough \
    site-functions/_bough vendor_completions.d/bough.fish
try "so are the licence, and the documents that manual pages refer to" exists \
    doc/bough/LICENSE $(sed -n 's,^\.Pa \(\(docs\|examples\)/[^ ]*\).*,doc/bough/\1,p' "$root"/man/*.[137])

pc=$(find "$place/root" -name bough.pc)
libdir=$(dirname "$(dirname "$pc")")
prefix=$(find "$place/root" -type d -name include)
prefix=${prefix%/include}
export PKG_CONFIG_SYSROOT_DIR="$place/root" PKG_CONFIG_LIBDIR="$libdir/pkgconfig"
export LD_LIBRARY_PATH="$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

try "pkg-config knows version $version" test "$(pkg-config --modversion bough)" = "$version"
cp -r "$root/examples/sample" "$place/sample"
try "sample by pkg-config, shared" make -C "$place/sample" clean run
try "sample by pkg-config, static" make -C "$place/sample" clean run STATIC=1
try "sample by CMake: configure and build" sh -c '
    cmake -S "$1/sample" -B "$1/cmake" -DCMAKE_PREFIX_PATH="$2" && cmake --build "$1/cmake"' - "$place" "$prefix"
try "sample by CMake: run" sh -c '"$1/cmake/sample" && "$1/cmake/sample-static"' - "$place"
try "sample by CMake in ISO C: configure and build" sh -c '
    for standard in 99 11 17; do
        cmake -S "$1/sample" -B "$1/iso$standard" -DCMAKE_PREFIX_PATH="$2" -DCMAKE_C_STANDARD=$standard \
            -DCMAKE_C_EXTENSIONS=OFF -DCMAKE_C_FLAGS="-Wall -Wextra -Wpedantic -Werror" -DCMAKE_VERBOSE_MAKEFILE=ON &&
        cmake --build "$1/iso$standard" | tee "$1/iso$standard.log" && grep -q -e "-std=c$standard" "$1/iso$standard.log" ||
        exit 1
    done' - "$place" "$prefix"
try "sample by CMake in ISO C: run" sh -c '
    for standard in 99 11 17; do "$1/iso$standard/sample" && "$1/iso$standard/sample-static" || exit 1; done' - "$place"
exit $failed
