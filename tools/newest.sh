#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# newest.sh [NAME...]: runs the tests of the Python package with the interpreters of a newer Debian, all or those with
# these names: 3.13 3.14 3.15, 3.13d ... (a debug build), t (a free-threaded one, of any version that can be built).
# newest.sh -- COMMAND...: runs a command there instead, in the copy of the source.
#
# The newer Debian is in build-newest/root, made by debootstrap. It is mounted only in a mount namespace, which the
# kernel removes with its last process; and all processes in it end with this script, even if it is killed. So nothing
# has to be unmounted, and `rm -rf build-newest` is safe at any time.
#
# NEWEST_SUITE: the Debian release, by default forky. NEWEST_MIRROR: where to get it.
set -uo pipefail
cd "$(dirname "$0")/.."

suite=${NEWEST_SUITE:-forky}
mirror=${NEWEST_MIRROR:-http://deb.debian.org/debian}
folder=build-newest
root=$folder/root
needed=5 # GB
versions="3.13 3.14 3.15"
within= # the prefix by which a path in the newer Debian can be found from outside

die() {
    echo "newest.sh: $*" >&2
    exit 1
}

# long WHAT LOG COMMAND...: runs a long command, and reports its progress each half a minute.
long() {
    local what=$1 log=$2 begin=$SECONDS said=$SECONDS
    shift 2
    echo "newest.sh: $what"
    "$@" >"$log" 2>&1 &
    while kill -0 $! 2>/dev/null; do
        sleep 0.2
        [ $((SECONDS - said)) -lt 30 ] || {
            said=$SECONDS
            echo "newest.sh: $what, $((said - begin)) s: $(tail -n 1 "$log" | cut -c 1-100)"
        }
    done
    wait $! && return
    tail -n 20 "$log"
    echo "newest.sh: $what: failed, see $within$log" >&2
    return 1
}

# ---- outside -------------------------------------------------------------------------------------------------------

# The names, up to a COMMAND.
check_names() {
    local name
    for name in "$@"; do
        [ "$name" != -- ] || return
        [[ $name = t || " $versions ${versions// /d }d " = *" $name "* ]] ||
            die "there is no interpreter '$name': give some of $versions, these with a d, and t, or nothing for all; or -- COMMAND"
    done
}

outside() {
    local free
    check_names "$@"
    [ "$(id -u)" = 0 ] || die "this needs root, for debootstrap and mounts: run it as root, or 'sudo make newest'"
    command -v debootstrap >/dev/null || tools/deps.sh newest
    command -v debootstrap >/dev/null || die "there is no debootstrap: install the package of that name"
    unshare --mount --pid --fork true 2>/dev/null ||
        die "this system allows no mount namespace, as a container often does not: run it where root may mount"
    mkdir -p $folder
    free=$(df --output=avail --block-size=1G $folder | tail -n 1)
    [ -d $root ] || [ "$free" -ge $needed ] || die "there are $free GB free in $PWD/$folder, $needed GB are needed"
    exec 9>$folder/lock
    flock -n 9 || die "another newest.sh runs in $PWD/$folder"
    # If this shell is killed, the kernel kills unshare, then the first process of the namespace, then all others in it.
    # The command runs in the background, so that the shell's traps run at once; inside, signals have their defaults.
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
    [ -f "$script" ] || script=${script%/*}/sid # debootstrap's script for each newer release
    rm -rf $root $folder/new
    long "debootstrap $suite from $mirror" $folder/debootstrap.log \
        debootstrap --variant=minbase --include=ca-certificates "$suite" $folder/new "$mirror" "$script" ||
        die "no Debian $suite: is there a network, and is $mirror a mirror that has it? NEWEST_MIRROR names another one"
    printf '#!/bin/sh\nexit 101\n' >$folder/new/usr/sbin/policy-rc.d # installing a package starts no service
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

# Copies the files that git does not ignore; make_repository() tracks them. A file that differs from the last copy gets
# the present time, because its time here may be older than that of the build. Other files keep their times.
copied() {
    local source=$root/bough fresh=$root/bough-fresh file
    rm -rf $fresh
    mkdir -p $source $fresh
    git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
        tar --null --files-from=- --ignore-failed-read -cf - 2>/dev/null | tar -C $fresh --no-same-owner -xmf - || return
    while IFS= read -r -d '' file; do
        if cmp -s "$source/$file" "$fresh/$file"; then touch -r "$source/$file" "$fresh/$file"; fi
    done < <(cd $fresh && find . -type f -print0)
    find $source -mindepth 1 -maxdepth 1 ! -name 'build*' -exec rm -rf {} +
    find $fresh -mindepth 1 -maxdepth 1 -exec mv -t $source {} + && rmdir $fresh || return
    [ ! -d dist ] || cp -r dist $source/ # wheels to be tried
}

# pivot_root, because a process in a chroot can't create user namespaces, which a test needs.
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

free_threaded=/opt/python-free-threaded
skips=()

skip() {
    skips+=("$1 is skipped: $2")
}

is_available() {
    apt-cache show "$1" >/dev/null 2>&1
}

update() {
    long "updating the package lists" /newest-update.log apt-get -q update ||
        long "updating the package lists once more" /newest-update.log apt-get -q update ||
        die "could not update the package lists: is there a network?"
}

install() {
    long "installing $1" /newest-apt.log apt-get -q -o Acquire::Retries=3 install -y --no-install-recommends "${@:2}" ||
        die "could not install $1"
}

# The interpreters that there are, and what the tests need.
install_all() {
    local version wanted=(git)
    update
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
    install "the interpreters" "${wanted[@]}"
    long "installing what tools/packages names" /newest-apt.log tools/deps.sh build python ||
        die "could not install what tools/packages names"
    touch /newest-installed
}

configured() (
    set -e
    cd /opt/source/python3.*/
    ./configure --quiet --prefix=$free_threaded --disable-gil --disable-test-modules --without-ensurepip
    make -j"$(nproc)"
    make -s install DESTDIR=/opt/source/installed
    mv /opt/source/installed$free_threaded $free_threaded
)

# Debian has no free-threaded interpreter, so this builds one from the newest of its Python sources that can be fetched.
build_free_threaded() {
    local version
    [ -d $free_threaded/bin ] && return
    install "what a free-threaded interpreter is built with" dpkg-dev zlib1g-dev libffi-dev libssl-dev libsqlite3-dev libreadline-dev libncurses-dev liblzma-dev libbz2-dev
    rm -rf /opt/source
    mkdir -p /opt/source
    for version in $(printf '%s\n' $versions | sort -rV); do
        (cd /opt/source && apt-get -qq source "python$version" >/newest-source.log 2>&1) && break
        echo "free-threaded: the source of python$version can't be fetched: $(grep -m1 ^E: /newest-source.log)"
        version=
    done
    [ -n "$version" ] || {
        skip free-threaded "Debian $suite has no package of such an interpreter, and its source can't be fetched"
        return
    }
    long "building a free-threaded python$version, because Debian $suite has no package of it" /newest-free-threaded.log configured ||
        skip free-threaded "it could not be built"
    rm -rf /opt/source
}

# A test runs `bough tree`.
build_command() {
    [ -f build/build.ninja ] || meson setup build -Dtests=false -Dexamples=false >/newest-command.log 2>&1
    long "building the command bough" /newest-command.log ninja -C build cli/bough
}

# The source distribution contains the tracked files.
make_repository() {
    command -v git >/dev/null || return # before the first installation
    git config --global --replace-all safe.directory '*'
    git init -q . 2>/dev/null
    git add -A >/dev/null 2>&1
}

# Replaces t by the version of the free-threaded interpreter.
named() {
    local name
    for name in "$@"; do
        [ "$name" != t ] || name=$(find $free_threaded/bin -name 'python3*t' -printf '%f' 2>/dev/null)
        name=${name#python}
        echo "${name:-t}"
    done
}

in_root() {
    cd /bough || exit 1
    [ -n "$T_SCALE" ] || unset T_SCALE
    [ -n "$BOUGH_LOSS" ] || unset BOUGH_LOSS
    export PATH="$PATH:$free_threaded/bin"
    within=$folder/root
    if [ "${1:-}" = -- ]; then
        shift
        [ -f /newest-installed ] || install_all
        make_repository
        exec "$@"
    fi
    install_all
    make_repository
    [[ $# -gt 0 && " $* " != *" t "* ]] || build_free_threaded
    build_command
    echo "newest.sh: building and testing the package, with one interpreter after another"
    PYTHONS="$(named "$@")" tools/legs.sh python
    local status=$?
    [ ${#skips[@]} = 0 ] || printf '%s\n' "${skips[@]}"
    exit $status
}

case ${1:-} in
--in-namespace) shift && in_namespace "$@" ;;
--in-root) shift && in_root "$@" ;;
*) outside "$@" ;;
esac
