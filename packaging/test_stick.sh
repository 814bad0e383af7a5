#!/bin/sh
# test_stick.sh VERSION: the USB archive of build/dist with its real installer, in a root that looks like Venus OS, with
# real daemontools and a simulated house on a real bus: booted with the stick, booted again, spoilt.
set -eu
cd "$(dirname "$0")/.."
version=$1
# shellcheck disable=SC2034 # for venus.sh
build=$PWD/${BUILD:-build}
dist=$PWD/build/dist
tmp=$(mktemp -d)
svscan=
# shellcheck source=/dev/null
. tests/install/venus.sh

leave() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$svscan" ] && kill -0 "$svscan" 2>/dev/null; then (stop_svscan) || true; fi
    stop_bus
    rm -rf "$tmp"
    exit $status
}
trap leave EXIT
trap 'exit 1' INT TERM

# What Venus OS does at boot with an archive on a stick.
boot_with_stick() {
    hooks=$(mktemp -d "$tmp/hooks.XXXXXX")
    tar xzf "$stick/$archive" -C "$hooks" rc
    if venus sh "$hooks/rc/pre-hook.sh"; then
        tar xzf "$stick/$archive" -C "$ROOT/data" --exclude rc
        venus sh "$hooks/rc/post-hook.sh" success
    fi
    rm -rf "$hooks"
}

archive=venus-data-battery-aggregator.tar.gz
start_bus
new_root
stick=$ROOT/media/sda1
mkdir -p "$stick"
cp "$dist/$archive" "$stick"
log=$stick/battery-aggregator-install.log
boot_with_stick
until_true "the stick says how it went" grep -q -i '^\(not \)\?installed' "$log"
cp "$log" "$tmp/said"
said '^Installed'
until_true "the aggregate is on the bus" on_bus
[ "$("$ROOT/data/apps/battery-aggregator/battery-aggregator" --version)" = "battery-aggregator $version" ] || fail "the version"
[ ! -e "$ROOT/data/apps/battery-aggregator-$version" ] || fail "the unpacked release is left"
[ -e "$ROOT/service/battery-aggregator" ] || fail "no service"
echo "  ok  a stick installs the release on a device that boots with it"

rm "$log"
boot_with_stick
said 'nothing to do'
[ ! -e "$ROOT/data/apps/battery-aggregator-$version" ] || fail "unpacked again"
on_bus || fail "the aggregate has left the bus"
echo "  ok  the second boot with it changes nothing"
end_root
