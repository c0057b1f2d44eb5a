#!/bin/sh
# SPDX-License-Identifier: MIT
# deps.sh GROUP...: installs the Debian packages of these groups of tools/packages that are missing.
set -eu
here=$(dirname "$0")

missing=
for group in "$@"; do
    packages=$(sed -n "s/^$group: //p" "$here/packages")
    [ -n "$packages" ] || { echo "deps.sh: no group $group in tools/packages" >&2 && exit 2; }
    for package in $packages; do
        if command -v dpkg-query >/dev/null; then
            status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
            [ "$status" = installed ] || missing="$missing $package"
        fi
    done
done

if ! command -v dpkg-query >/dev/null; then
    echo "deps.sh: not a Debian system. Needed are the equivalents of: $(sed -n 's/^[a-z]*: //p' "$here/packages" | tr '\n' ' ')" >&2
    exit 0
fi
[ -n "$missing" ] || exit 0
echo "Installing:$missing"

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=sudo
elif command -v sudo >/dev/null && [ -t 0 ]; then
    as_root=sudo
else
    echo "deps.sh: neither root nor sudo. Please install by hand: apt-get install$missing" >&2
    exit 1
fi

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

# The first attempt uses the present package lists, which may be missing or old.
for attempt in 1 2 3; do
    if apt install -y --no-install-recommends $missing; then
        exit 0
    fi
    echo "deps.sh: attempt $attempt failed, updating the package lists" >&2
    apt update || sleep 5
done
echo "deps.sh: could not install:$missing" >&2
exit 1
