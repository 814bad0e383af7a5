#!/bin/sh
# need.sh PACKAGE...: installs those Debian packages that are missing, and says which.
set -eu

find_missing() {
    missing=
    for package in "$@"; do
        case "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)" in
        *' installed') ;;
        *) missing="$missing $package" ;;
        esac
    done
}

find_missing "$@"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "Missing:$missing. These are Debian's names; install what your system calls them." >&2
    exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
    if ! command -v sudo >/dev/null; then
        echo "Missing:$missing. Install them as root: apt-get install$missing" >&2
        exit 1
    fi
fi
# One at a time: make -j may want two lists at once.
exec 9<"$0"
flock 9
find_missing "$@"
[ -n "$missing" ] || exit 0
echo "Installing what is missing, through apt:$missing"
$as_root apt-get update -qq || echo "apt-get update failed; trying with the lists that are here" >&2
# shellcheck disable=SC2086 # one word a package; a new machine may be installing updates of its own just now
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
    --no-install-recommends $missing >/dev/null
