#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# newest.sh [NAME...]: runs the tests of the Python package with the interpreters of a newer Debian, all or those with these
# names: 3.13 3.14 3.15, 3.13d ... (a debug build), 3.13t (a free-threaded one, of whatever version could be built).
# newest.sh -- COMMAND...: runs a command there instead, in the copy of the source.
#
# The newer Debian lies in build-newest/root, made by debootstrap. It is mounted in a mount namespace only, which the kernel removes with
# its last process; and all processes in there end with this script, also if it is killed. So there is never anything to unmount, and
# `rm -rf build-newest` is safe at any time.
#
# NEWEST_SUITE: which Debian, forky if it is not set. NEWEST_MIRROR: from where.
set -uo pipefail
cd "$(dirname "$0")/.."

suite=${NEWEST_SUITE:-forky}
mirror=${NEWEST_MIRROR:-http://deb.debian.org/debian}
folder=build-newest
root=$folder/root

die() {
    echo "newest.sh: $*" >&2
    exit 1
}

# ---- outside -------------------------------------------------------------------------------------------------------

outside() {
    [ "$(id -u)" = 0 ] || die "this needs root, for debootstrap and mounts: run it as root, or 'sudo make newest'"
    command -v debootstrap >/dev/null || tools/deps.sh newest || exit 1
    mkdir -p $folder
    exec 9>$folder/lock
    flock -n 9 || die "another one runs in $PWD/$folder"
    # The kernel kills unshare if this shell is killed, the first process of the namespace if unshare is, and all others with that one.
    # In the background, so that the shell obeys its signals at once; in there they have their defaults.
    trap 'kill -KILL $namespace 2>/dev/null' EXIT
    trap 'exit 130' INT TERM HUP
    env --default-signal=INT,QUIT,TERM,HUP,PIPE \
        setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
        tools/newest.sh --in-namespace "$@" <&0 9>&- &
    namespace=$!
    wait $namespace
    exit
}

# ---- in the namespace: the folder, and what is mounted in it -----------------------------------------------------

bootstrap() {
    local script=/usr/share/debootstrap/scripts/$suite
    [ -f "$script" ] || script=${script%/*}/sid # one for all newer ones
    echo "debootstrap $suite"
    rm -rf $root $folder/new
    debootstrap --variant=minbase --include=ca-certificates "$suite" $folder/new "$mirror" "$script" >$folder/debootstrap.log 2>&1 || {
        tail -n 20 $folder/debootstrap.log
        die "debootstrap $suite failed, see $folder/debootstrap.log"
    }
    printf '#!/bin/sh\nexit 101\n' >$folder/new/usr/sbin/policy-rc.d # no service is started by an installation
    chmod +x $folder/new/usr/sbin/policy-rc.d
    echo force-unsafe-io >$folder/new/etc/dpkg/dpkg.cfg.d/unsafe
    printf 'deb %s %s main\ndeb-src %s %s main\n' "$mirror" "$suite" "$mirror" "$suite" >$folder/new/etc/apt/sources.list
    echo 'Acquire::Check-Valid-Until "false"; // a mirror may be weeks behind' >$folder/new/etc/apt/apt.conf.d/newest
    echo "$suite" >$folder/new/newest-suite
    mv $folder/new $root
}

mounted() {
    mount --bind $root $root &&
        mount -t proc proc $root/proc &&
        mount --rbind /dev $root/dev &&
        mount -t tmpfs tmpfs $root/dev/shm &&
        mount -t tmpfs tmpfs $root/tmp &&
        mount -t tmpfs tmpfs $root/run &&
        cp /etc/resolv.conf $root/etc/resolv.conf
}

# The files that git knows, as they lie here, and those that it has not been told of yet; the tests make a repository of it.
copied() {
    local source=$root/bough
    mkdir -p $source
    find $source -mindepth 1 -maxdepth 1 ! -name 'build*' -exec rm -rf {} +
    git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
        tar --null --files-from=- --ignore-failed-read -cf - 2>/dev/null | tar -C $source --no-same-owner -xf -
}

# Not chroot: a process whose root is not that of its mount namespace can't make namespaces, as a test does.
in_namespace() {
    [ "$(cat $root/newest-suite 2>/dev/null)" = "$suite" ] || bootstrap
    mounted || die "could not mount in $root"
    copied || die "could not copy the source"
    mkdir -p $root/outside
    cd $root || exit 1
    pivot_root . outside || die "could not make $root the root"
    umount -l /outside
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" DEBIAN_FRONTEND=noninteractive \
        NEWEST_SUITE="$suite" T_SCALE="${T_SCALE:-}" BOUGH_LOSS="${BOUGH_LOSS:-}" /bough/tools/newest.sh --in-root "$@"
}

# ---- in the newer Debian ---------------------------------------------------------------------------------------------

versions="3.13 3.14 3.15"
free_threaded=/opt/python-free-threaded
skips=()

skip() {
    skips+=("$1 is skipped: $2")
}

is_available() {
    apt-cache show "$1" >/dev/null 2>&1
}

install() {
    apt-get -qq -o Acquire::Retries=3 install -y --no-install-recommends "$@" >/newest-apt.log 2>&1 || {
        tail -n 20 /newest-apt.log
        die "could not install $*"
    }
}

# The interpreters that there are, and what the tests need.
install_all() {
    local version wanted=(git)
    apt-get -qq update || apt-get -qq update || die "could not update the package lists"
    for version in $versions; do
        if is_available "python$version-dev"; then
            wanted+=("python$version-dev" "python$version-venv")
        else
            skip "$version" "Debian $suite has no package python$version-dev"
        fi
        if is_available "python$version-dbg"; then
            wanted+=("python$version-dbg")
        else
            skip "${version}d" "Debian $suite has no package python$version-dbg"
        fi
    done
    install "${wanted[@]}"
    tools/deps.sh build python >/newest-apt.log 2>&1 || {
        tail -n 20 /newest-apt.log
        die "could not install what tools/packages names"
    }
}

# Debian builds none, so one is built of Debian's source: of the newest version whose source can be had.
build_free_threaded() {
    local version
    [ -d $free_threaded/bin ] && return
    install dpkg-dev zlib1g-dev libffi-dev libssl-dev libsqlite3-dev libreadline-dev libncurses-dev liblzma-dev libbz2-dev
    rm -rf /opt/source
    mkdir -p /opt/source
    for version in $(printf '%s\n' $versions | sort -rV); do
        (cd /opt/source && apt-get -qq source "python$version" >/newest-source.log 2>&1) && break
        echo "free-threaded: the source of python$version can't be had: $(grep -m1 ^E: /newest-source.log)"
        version=
    done
    [ -n "$version" ] || {
        skip free-threaded "Debian $suite has no package of such an interpreter, and its source can't be had"
        return
    }
    echo "free-threaded: building python$version, for Debian $suite has no package of such an interpreter"
    (
        set -e
        cd /opt/source/python"$version"-*/
        ./configure --quiet --prefix=$free_threaded --disable-gil --disable-test-modules --without-ensurepip
        make -s -j"$(nproc)"
        make -s install DESTDIR=/opt/source/installed
        mv /opt/source/installed$free_threaded $free_threaded
    ) >/newest-free-threaded.log 2>&1 ||
        skip free-threaded "it could not be built, see $folder/root/newest-free-threaded.log"
    rm -rf /opt/source
}

# `bough tree`, which a test runs.
build_command() {
    [ -f build/build.ninja ] || meson setup build -Dtests=false -Dexamples=false >/newest-command.log 2>&1
    ninja -C build cli/bough >/newest-command.log 2>&1 || echo "newest.sh: the command bough is not built, see $folder/root/newest-command.log"
}

# The source distribution has what git knows.
make_repository() {
    command -v git >/dev/null || return # before the first installation
    git config --global --replace-all safe.directory '*'
    git init -q . 2>/dev/null
    git add -A >/dev/null 2>&1
}

in_root() {
    cd /bough || exit 1
    [ -n "$T_SCALE" ] || unset T_SCALE
    [ -n "$BOUGH_LOSS" ] || unset BOUGH_LOSS
    export PATH="$PATH:$free_threaded/bin"
    if [ "${1:-}" = -- ]; then
        shift
        make_repository
        exec "$@"
    fi
    install_all
    make_repository
    [[ $# -gt 0 && "$*" != *t* ]] || build_free_threaded
    build_command
    PYTHONS="$*" tools/legs.sh python
    local status=$?
    [ ${#skips[@]} = 0 ] || printf '%s\n' "${skips[@]}"
    exit $status
}

case ${1:-} in
--in-namespace) shift && in_namespace "$@" ;;
--in-root) shift && in_root "$@" ;;
*) outside "$@" ;;
esac
