# venus.sh: a root folder that looks like Venus OS, with the real svscan on its /service and a real D-Bus of its
# own with a fleet of packs. Sourced by the tests; needs $build and $tmp.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154

services=
say() { echo "   $*"; }

fail() {
    echo "FAILED: $*" >&2
    [ ! -f "$tmp/said" ] || sed 's/^/   said: /' "$tmp/said" >&2
    for file in "$ROOT"/var/log/*/current; do
        [ ! -f "$file" ] || tail -n 20 "$file" | sed 's/^/   log: /' >&2
    done
    exit 1
}

# until_true WHAT COMMAND...: polls with a generous ceiling.
until_true() {
    what=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || fail "never: $what"
        sleep 0.2
    done
}

# ---- the root ----

# The busybox of Debian has an svc of its own (of runit) and prefers what it has to what is in PATH; that of Venus
# OS has none. So names of applets are changed to others of the same length and order.
copy_busybox() {
    LC_ALL=C sed "$1" "$(command -v busybox)" >"$ROOT/bin/busybox.new"
    chmod 755 "$ROOT/bin/busybox.new"
    mv "$ROOT/bin/busybox.new" "$ROOT/bin/busybox"
    if "$ROOT/bin/busybox" --list | grep -qx svc; then fail "this busybox keeps its own svc"; fi
}

# All that a firmware brings: everything but /data.
make_firmware() {
    mkdir -p "$ROOT/bin" "$ROOT/tmp" "$ROOT/service" "$ROOT/var/log" "$ROOT/opt/victronenergy"
    printf 'v3.70\nVictron Energy\n20251101\n' >"$ROOT/opt/victronenergy/version"
    copy_busybox 's/\x00svc\x00svok\x00/\x00sv_\x00sv_k\x00/'
    for applet in $("$ROOT/bin/busybox" --list); do
        case $applet in
            busybox | dpkg | dpkg-deb | rpm) ;; # no package manager there
            *) ln -s busybox "$ROOT/bin/$applet" ;;
        esac
    done
    for program in svc svok svstat multilog supervise tai64nlocal; do
        ln -s "$(command -v $program)" "$ROOT/bin/$program"
    done
}

new_root() {
    ROOT=$(mktemp -d "$tmp/root.XXXXXX")
    export ROOT
    [ $# -eq 0 ] || "$@" # what must stand under it first
    mkdir -p "$ROOT/data"
    make_firmware
    start_svscan
}

start_svscan() {
    (cd "$ROOT/service" && exec env -i PATH="$ROOT/bin" ROOT="$ROOT" DBUS_SESSION_BUS_ADDRESS="$DBUS_SESSION_BUS_ADDRESS" \
        "$(command -v svscan)" . >"$tmp/svscan.log" 2>&1) &
    svscan=$!
}

# svscan first, or it starts anew what ends; then every supervise that it left.
stop_svscan() {
    kill "$svscan"
    wait "$svscan" 2>/dev/null || true
    for folder in "$ROOT"/service/* "$ROOT"/service/.[!.]* "$ROOT"/data/apps/*/service "$ROOT"/data/*/service; do
        [ ! -e "$folder/supervise" ] || svc -dx "$folder" "$folder/log" 2>/dev/null || true
    done
    until_true "all services end" no_supervise
}
no_supervise() {
    for folder in "$ROOT"/service/* "$ROOT"/data/apps/*/service "$ROOT"/data/*/service; do
        [ ! -e "$folder" ] || ! svstat "$folder" | grep -q ': up\|: down' || return 1
    done
}

end_root() {
    stop_svscan
    [ $# -eq 0 ] || "$@"
    rm -rf "$ROOT"
}

# In this root, with nothing but busybox and daemontools: a command, its words to $tmp/said. Its exit status.
venus() {
    env -i PATH="$ROOT/bin" HOME=/ ROOT="$ROOT" DBUS_SESSION_BUS_ADDRESS="$DBUS_SESSION_BUS_ADDRESS" \
        "$ROOT/bin/busybox" "$@" >"$tmp/said" 2>&1 </dev/null
}

# answers WORD COMMAND...: the same on a terminal, where somebody types this.
answers() {
    word=$1
    shift
    echo "$word" | env -i PATH="$ROOT/bin" HOME=/ ROOT="$ROOT" DBUS_SESSION_BUS_ADDRESS="$DBUS_SESSION_BUS_ADDRESS" \
        "$(command -v script)" -qec "$ROOT/bin/busybox $*" /dev/null >"$tmp/said" 2>&1
}

said() { grep -q -e "$1" "$tmp/said" || fail "it did not say '$1'"; }

installs() { venus sh "$@" || fail "sh $* failed"; }

# ---- the bus ----

start_bus() {
    dbus-daemon --session --nofork --nopidfile --address="unix:path=$tmp/bus" >"$tmp/bus.log" 2>&1 &
    services="$! $services"
    DBUS_SESSION_BUS_ADDRESS=unix:path=$tmp/bus
    export DBUS_SESSION_BUS_ADDRESS
    until_true "the bus listens" [ -S "$tmp/bus" ]
    mkfifo "$tmp/orders"
    "$build/battery-fleet" --packs 3 --quiet --ready <"$tmp/orders" >"$tmp/fleet.log" 2>&1 &
    services="$! $services"
    exec 8>"$tmp/orders"
    until_true "the fleet is ready" grep -q ready "$tmp/fleet.log"
}

fleet() { echo "$*" >&8; }

aggregate=com.victronenergy.battery.aggregate
on_bus() {
    dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
        "string:$aggregate" | grep -q 'boolean true'
}
off_bus() { ! on_bus; }

# value SERVICE PATH: a number, as text.
value() {
    dbus-send --session --print-reply=literal "--dest=$1" "$2" com.victronenergy.BusItem.GetValue |
        sed 's/.* //'
}
has_value() { [ "$(value "$1" "$2")" = "$3" ]; }
feed_in_is() { has_value com.victronenergy.settings /Settings/CGwacs/OvervoltageFeedIn "$1"; }

stop_bus() {
    exec 8>&-
    for pid in $services; do kill "$pid" 2>/dev/null || true; done
}
