#!/bin/sh
# demo.sh: a private dbus-daemon, simulated packs and the daemon, shown live for a minute or until
# Ctrl-C. Stops all it started.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
seconds=${DEMO_SECONDS:-60}
folder=$(mktemp -d)
pids=

stop() {
    trap - EXIT INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    # shellcheck disable=SC2086 # a list of pids
    [ -z "$pids" ] || wait $pids 2>/dev/null || true
    echo
    echo "Stopped. The log of the daemon was:"
    sed 's/^/  /' "$folder/daemon.log" 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 0' INT TERM

dbus-daemon --session --nofork --nopidfile --address="unix:path=$folder/bus" >"$folder/bus.log" 2>&1 &
pids="$!"
DBUS_SESSION_BUS_ADDRESS="unix:path=$folder/bus"
export DBUS_SESSION_BUS_ADDRESS
tries=0
until [ -S "$folder/bus" ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { cat "$folder/bus.log"; exit 1; }
    sleep 0.05
done

"$build/battery-fleet" --packs 3 --mppts 2 --hour 11 --soc 70 --speed 60 </dev/null >"$folder/fleet.log" 2>&1 &
pids="$! $pids"
cp settings.ini "$folder/settings.ini"
"$build/battery-aggregator" --data "$folder" >"$folder/daemon.log" 2>&1 &
pids="$! $pids"

echo "Three simulated packs, a MultiPlus and two MPPTs on a private D-Bus, 60 times as fast as life."
echo "Ctrl-C ends it; it ends by itself after $seconds s."
timeout --foreground "$seconds" "$build/battery-aggregator" status --table --watch || true
