#!/bin/sh
# sysroot.sh ARCH...: fills build/sysroot/ARCH with headers and libraries of Debian 11, whose glibc 2.31 and
# D-Bus 1.12 are those of Venus OS 3.0: what is linked there runs there. Fetched by apt from the mirror that
# this machine uses (or from DIST_MIRROR), its signatures checked, and only unpacked: nothing is installed, no
# foreign architecture is added to this system.
set -eu
cd "$(dirname "$0")/.."
suite=bullseye
folder=${SYSROOT:-build/sysroot}
# To link with (libuv and inih as archives), and what libdbus-1.so.3 itself needs, to run.
packages="libc6 libc6-dev linux-libc-dev libcrypt1 libdbus-1-3 libdbus-1-dev libuv1-dev libinih-dev
 libgcc-s1 libsystemd0 liblz4-1 libzstd1 liblzma5 libgcrypt20 libgpg-error0 libcap2"

# shellcheck disable=SC2016 # apt-get's own
mirror=${DIST_MIRROR:-$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    sed -n 's/^Debian //p' | head -n 1)}
[ -n "$mirror" ] || { echo "sysroot: apt knows no mirror of Debian; name one in DIST_MIRROR" >&2; exit 1; }

# apt with lists, cache and status of its own.
private_apt() {
    architecture=$1 work=$2
    shift 2
    (cd "$work/debs" && apt-get -qq -o "Dir=$work" -o "Dir::State::status=$work/status" \
        -o Dir::Etc::main=/dev/null -o Dir::Etc::parts=/dev/null -o "Dir::Etc::sourcelist=$work/sources" \
        -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User="$(id -un)" \
        -o "APT::Architecture=$architecture" -o "APT::Architectures::=$architecture" \
        -o Acquire::Languages=none "$@")
}

fill() {
    architecture=$(packaging/arch.sh "$1" debian)
    root=$folder/$1
    stamp=$(cksum <packaging/sysroot.sh)
    [ "$(cat "$root/.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    echo "Fetching and unpacking into $root: Debian 11's packages for $architecture"
    rm -rf "$root"
    mkdir -p "$root"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM
    mkdir -p "$work/debs" "$work/etc/apt/preferences.d" "$work/var/lib/apt/lists/partial" \
        "$work/var/cache/apt/archives/partial"
    : >"$work/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources"
    private_apt "$architecture" "$work" update || {
        echo "sysroot: no Debian 11 on $mirror? Name a mirror that has it in DIST_MIRROR" >&2
        exit 1
    }
    # shellcheck disable=SC2086 # a list
    private_apt "$architecture" "$work" download $packages
    for deb in "$work"/debs/*.deb; do
        dpkg-deb -x "$deb" "$root"
    done
    # A link to /lib means the sysroot's, not this system's.
    find "$root" -type l -lname '/*' | while read -r link; do
        ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$root$(readlink "$link")")" "$link"
    done
    # shellcheck disable=SC2016 # dpkg-deb's own
    for deb in "$work"/debs/*.deb; do
        dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb"
    done | LC_ALL=C sort >"$root/.packages"
    echo "$stamp" >"$root/.stamp"
    rm -rf "$work"
    trap - EXIT INT TERM
}

for arch in "$@"; do
    fill "$arch"
done
