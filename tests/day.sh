#!/bin/sh
# day.sh: a simulated day in half a minute, with packs that come and go, and the daemon under valgrind.
# Fails when valgrind finds an error or a leak, or the daemon is not on the bus in the end.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
folder=$(mktemp -d)
pids=
# shellcheck disable=SC2317 # called by the traps
stop() {
    trap - EXIT INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 1' INT TERM

dbus-daemon --session --nofork --nopidfile --address="unix:path=$folder/bus" >/dev/null 2>&1 &
pids="$!"
until [ -S "$folder/bus" ]; do sleep 0.05; done
DBUS_SESSION_BUS_ADDRESS="unix:path=$folder/bus"
export DBUS_SESSION_BUS_ADDRESS

# 24 rounds of an hour: a pack goes, comes back, freezes, thaws.
{
    for hour in $(seq 24); do
        pack=$((hour % 4 + 1))
        echo "remove pack $pack"
        sleep 0.4
        echo "return pack $pack as com.victronenergy.battery.ttyUSB$((10 + hour))"
        sleep 0.4
        echo "freeze pack $pack"
        sleep 0.3
        echo "thaw pack $pack"
        sleep 0.15
    done
} | "$build/battery-fleet" --packs 4 --mppts 2 --speed 2880 --period 200 >/dev/null 2>&1 &
pids="$! $pids"

printf 'OWN_CHARGE_PARAMETERS = True\nOWN_SOC = True\nSEND_CELL_VOLTAGES = True\n' >"$folder/settings.ini"
valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=9 \
    "$build/battery-aggregator" --data "$folder" >"$folder/log" 2>"$folder/valgrind" &
daemon=$!
sleep 33
shown=$("$build/battery-aggregator" status) || { cat "$folder/log"; exit 1; }
kill "$daemon"
status=0
wait "$daemon" || status=$?
cat "$folder/valgrind"
echo "After a day: $shown"
echo "valgrind: status $status, $(wc -l <"$folder/log") lines in the log"
exit "$status"
