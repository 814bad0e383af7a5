#!/bin/sh
# test_system.sh: proves make install and uninstall, the systemd unit with its sandbox, and the D-Bus policy, in folders and on
# a bus of its own; nothing of this system is touched.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
work=$(mktemp -d)
pids=
export LC_ALL=C

finish() {
    trap - EXIT INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

ok() {
    echo "  ok  $1"
}

fail() {
    echo "  FAILED  $1" >&2
    [ ! -s "$work/log" ] || sed 's/^/  | /' "$work/log" >&2
    exit 1
}

await() {
    tries=0
    until eval "$1" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || fail "never true: $1"
        sleep 0.1
    done
}

the_programs_are_hardened() {
    for program in battery-aggregator battery-fleet; do
        packaging/check_hardening.sh "$build/$program" || fail "$program is not hardened"
    done
    if [ "$(uname -m)" = x86_64 ]; then
        objdump --disassemble=main "$build/battery-aggregator" | grep -q endbr64 || fail "no control flow protection"
    fi
    echo 'int main(void) { return 0; }' >"$work/bare.c"
    cc -fno-stack-protector -no-pie -z norelro -z execstack "$work/bare.c" -o "$work/bare"
    said=$(packaging/check_hardening.sh "$work/bare" 2>&1) && fail "a bare program was let through"
    [ "$(echo "$said" | wc -l)" -eq 6 ] || fail "said of a bare program: $said"
    ok "the programs are hardened, and a bare one would be noticed"
}

what_is_installed_is_uninstalled() {
    export DESTDIR="$work/root" PREFIX=/usr SYSCONFDIR=/etc
    packaging/system.sh install
    for file in usr/bin/battery-aggregator usr/share/man/man1/battery-aggregator.1 etc/battery-aggregator/settings.ini \
        usr/share/man/man5/battery-aggregator-settings.5 usr/lib/systemd/system/battery-aggregator.service \
        usr/share/dbus-1/system.d/battery-aggregator.conf usr/lib/sysusers.d/battery-aggregator.conf; do
        [ -s "$work/root/$file" ] || fail "$file is not installed"
    done
    "$work/root/usr/bin/battery-aggregator" check "$work/root/etc/battery-aggregator/settings.ini" >"$work/said" ||
        fail "the settings do not pass: $(cat "$work/said")"
    ! grep '@[A-Z]*@' "$work/root/usr/lib/systemd/system/battery-aggregator.service" || fail "a place is not filled in"

    echo 'NR_OF_BATTERIES = 2' >"$work/root/etc/battery-aggregator/settings.ini"
    packaging/system.sh install
    grep -q '^NR_OF_BATTERIES = 2' "$work/root/etc/battery-aggregator/settings.ini" || fail "settings were overwritten"
    packaging/system.sh uninstall >"$work/said"
    grep -q 'Kept: .*settings.ini' "$work/said" || fail "it does not say that the settings are kept"
    left=$(find "$work/root" -type f)
    [ "$left" = "$work/root/etc/battery-aggregator/settings.ini" ] || fail "left behind: $left"
    rm "$left"
    packaging/system.sh install
    packaging/system.sh uninstall
    left=$(find "$work/root" -type f)
    [ -z "$left" ] || fail "left behind: $left"
    ok "make install and uninstall: all there, changed settings kept, nothing left"
    unset DESTDIR PREFIX SYSCONFDIR
}

the_unit_is_right_and_shut_in() {
    PREFIX="$work/usr" SYSCONFDIR="$work/etc" packaging/system.sh install >/dev/null
    unit=$work/usr/lib/systemd/system/battery-aggregator.service
    systemd-analyze verify --man=no "$unit" >"$work/said" 2>&1 || fail "systemd-analyze verify: $(cat "$work/said")"
    [ ! -s "$work/said" ] || fail "systemd-analyze verify: $(cat "$work/said")"
    systemd-analyze security --offline=true --no-pager --threshold=10 "$unit" >"$work/said" 2>&1 ||
        fail "exposed to more than 1.0 of 10: $(tail -n 2 "$work/said")"
    ok "the unit is right; $(sed -n 's/.*\(Overall.*[0-9.]* [A-Z]*\).*/\1/p' "$work/said")"

    mkdir -p "$work/sysroot/etc"
    systemd-sysusers --root="$work/sysroot" "$PWD/packaging/battery-aggregator.sysusers.conf" 2>"$work/said" ||
        fail "systemd-sysusers: $(cat "$work/said")"
    grep -q '^battery-aggregator:.*:/var/lib/battery-aggregator:.*nologin' "$work/sysroot/etc/passwd" || fail "no user is made"
    ok "systemd-sysusers makes its user"
}

# bus POLICY...: a bus like Debian's system bus, closed but for these policy files and for the simulated house.
bus() {
    {
        echo '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
        echo ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
        echo "<busconfig><type>system</type><listen>unix:path=$work/bus</listen><auth>EXTERNAL</auth>"
        echo '<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>'
        echo '<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>'
        echo '<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>'
        echo '<allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>'
        echo '<allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>'
        echo '<allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>'
        for class in battery.ttyUSB0 battery.ttyUSB1 vebus solarcharger settings system; do
            echo "<allow own_prefix=\"com.victronenergy.$class\"/>"
        done
        echo '</policy>'
        for policy in "$@"; do
            echo "<include>$policy</include>"
        done
        echo '</busconfig>'
    } >"$work/bus.conf"
    rm -f "$work/bus"
    dbus-daemon --config-file="$work/bus.conf" --nofork --nopidfile 2>>"$work/bus.log" &
    bus_pid=$!
    pids="$pids $bus_pid"
    await "[ -S $work/bus ]"
    export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$work/bus"
}

start() {
    "$@" </dev/null >>"$work/log" 2>&1 &
    pids="$pids $!"
}

own() {
    gdbus call --address "$DBUS_SYSTEM_BUS_ADDRESS" --dest org.freedesktop.DBus --object-path /org/freedesktop/DBus \
        --method org.freedesktop.DBus.RequestName "$1" 0 2>&1
}

# Our policy, for the user who runs this test.
the_policy_opens_what_the_daemon_needs_and_no_more() {
    unset DBUS_SESSION_BUS_ADDRESS || true
    mkdir "$work/data"
    bus
    own com.victronenergy.battery.aggregate | grep -q AccessDenied || fail "the name is free without a policy too"
    kill "$bus_pid"
    # The user named there becomes this user, who has no other right, be he root.
    sed -e '/user="root"/,/<\/policy>/d' -e "s/user=\"battery-aggregator\"/user=\"$(id -un)\"/" \
        packaging/battery-aggregator.dbus.conf >"$work/policy.conf"
    bus "$work/policy.conf"
    own com.victronenergy.battery.aggregate | grep -q '(uint32 1,)' || fail "the name cannot be owned"
    own com.victronenergy.battery.mine | grep -q AccessDenied || fail "other names can be owned too"
    : >"$work/log"
    : >"$work/bus.log"
    start "$build/battery-fleet" --bus "$DBUS_SYSTEM_BUS_ADDRESS" --packs 2 --mppts 1
    start strace -f -qq -s 4096 -o "$work/trace" "$work/usr/bin/battery-aggregator" \
        --settings "$work/etc/battery-aggregator/settings.ini" --data "$work/data"
    await "$build/battery-aggregator status --bus $DBUS_SYSTEM_BUS_ADDRESS | grep -q '2 packs'"
    await "grep -q '/Settings/' $work/trace" # it has talked to the settings service too
    ! grep 'Rejected' "$work/bus.log" || fail "the bus refuses what the daemon says"
    ok "the D-Bus policy lets the daemon be a battery, and nothing else"
}

# calls GROUP...: the system calls of systemd's groups, sorted.
calls() {
    for group in "$@"; do
        for entry in $(systemd-analyze syscall-filter --no-pager "$group" | sed -e 1d -e '/^ *#/d'); do
            case $entry in
            @*) calls "$entry" ;;
            *) echo "$entry" ;;
            esac
        done
    done | sort -u
}

# The sandbox refuses what is outside of the filter: none of what the daemon does may be.
it_calls_nothing_that_the_sandbox_forbids() {
    daemon=$(sed -n '1s/ .*//p' "$work/trace")
    kill -HUP "$daemon"
    await "grep -q 'Settings are read again' $work/log"
    kill "$daemon"
    await "! kill -0 $daemon"
    filter=packaging/battery-aggregator.service.in
    # shellcheck disable=SC2046 # lists of groups
    calls @default $(sed -n 's/^SystemCallFilter=\([^~]\)/\1/p' $filter) >"$work/allowed"
    # shellcheck disable=SC2046
    calls $(sed -n 's/^SystemCallFilter=~//p' $filter) >"$work/forbidden"
    # But for its own execve, which is systemd's.
    sed -n 's/^[0-9]* *\([a-z_0-9]*\)(.*/\1/p' "$work/trace" | grep -v '^execve$' | sort -u >"$work/called"
    [ "$(wc -l <"$work/called")" -gt 20 ] || fail "the trace is empty"
    refused=$({
        comm -23 "$work/called" "$work/allowed"
        comm -12 "$work/called" "$work/forbidden"
    } | tr '\n' ' ')
    [ -z "$refused" ] || fail "it calls what the sandbox forbids: $refused"
    ! grep 'socket(' "$work/trace" | grep -v AF_UNIX || fail "it opens other sockets than AF_UNIX"
    ! grep -E 'PROT_WRITE\|PROT_EXEC' "$work/trace" || fail "it maps memory writable and executable"
    ok "of the $(wc -l <"$work/called") system calls that it makes none is forbidden by the sandbox"
}

echo "== system"
the_programs_are_hardened
what_is_installed_is_uninstalled
the_unit_is_right_and_shut_in
the_policy_opens_what_the_daemon_needs_and_no_more
it_calls_nothing_that_the_sandbox_forbids
