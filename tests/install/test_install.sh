#!/bin/sh
# test_install.sh [PART...]: install.sh, restart.sh and the service in a root that looks like Venus OS, with real
# daemontools and a real bus. Every part ends as it began: nothing runs, nothing is left. With RELEASE, an archive of
# `make dist`, that is what is installed first, instead of a small one like it.
set -eu
cd "$(dirname "$0")/../.."
build=$PWD/${BUILD:-build}
tmp=$(mktemp -d)
here=$PWD/tests/install
svscan=
mounted=
# shellcheck source=tests/install/venus.sh
. "$here/venus.sh"

leave() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$svscan" ] && kill -0 "$svscan" 2>/dev/null; then (stop_svscan) || true; fi
    stop_bus
    [ -z "$mounted" ] || unmount "$mounted"
    rm -rf "$tmp"
    exit $status
}
trap leave EXIT
trap 'exit 1' INT TERM

# ---- what is looked at ----

app() { echo "$ROOT/data/apps/battery-aggregator/$1"; }
service() { echo "$ROOT/service/$1"; }
pid_of() { svstat "$(service "$1")" 2>/dev/null | sed -n 's/.*: up (pid \([0-9]*\)).*/\1/p'; }
same() { cmp -s "$1" "$2" || fail "$1 differs from $2"; }
lines() { grep -cxF "$1" "$2" || true; }

# Every file that matters, with its sum: not what daemon and supervise write by themselves.
picture() {
    (cd "$ROOT" && find data service ! -path '*/supervise*' ! -name 'charge*' ! -name 'state.ini*' | LC_ALL=C sort |
        while read -r file; do
            if [ -L "$file" ]; then
                echo "$file -> $(readlink "$file")"
            elif [ -f "$file" ]; then
                sha256sum "$file"
            else
                echo "$file"
            fi
        done)
}

expect_installed() {
    until_true "the aggregate is on the bus" on_bus
    [ -x "$(app battery-aggregator)" ] || fail "no program"
    [ "$(readlink "$(service battery-aggregator)")" = "$(app service)" ] || fail "no link in /service"
    [ -x "$ROOT/data/rc.local" ] || fail "rc.local is not executable"
    [ "$(lines "ln -sfn $(app service) $(service battery-aggregator)" "$ROOT/data/rc.local")" = 1 ] ||
        fail "rc.local has not our line once"
    [ ! -e "$ROOT/data/apps/.battery-aggregator.new" ] || fail "the stage is left"
    [ ! -e "$ROOT/data/apps/.battery-aggregator.old" ] || fail "the way back is left"
    [ -z "$(ls "$ROOT/tmp")" ] || fail "temporary files are left"
}

# Refused, and nothing else: the words, the same files, the same process.
expect_refused() {
    words=$1
    shift
    picture >"$tmp/before"
    pid=$(pid_of battery-aggregator)
    if venus "$@"; then fail "it was not refused: $*"; fi
    said "$words"
    picture >"$tmp/after"
    diff "$tmp/before" "$tmp/after" || fail "refused, but files were changed: $*"
    [ "$(pid_of battery-aggregator)" = "$pid" ] || fail "refused, but the daemon was restarted: $*"
    [ -z "$(ls "$ROOT/tmp")" ] || fail "temporary files are left"
}

installed_root() {
    new_root "$@"
    installs "$one/install.sh"
    expect_installed
}

# ---- the parts ----

part_syntax() {
    say "dash and busybox ash read the scripts"
    for script in install.sh restart.sh service/run service/log/run; do
        dash -n $script
        busybox ash -n $script
    done
}

part_first() {
    say "first install, from the unpacked archive"
    new_root
    installs "$one/install.sh"
    said "Venus OS v3.70"
    said "On the bus: "
    said "Battery monitor"
    said "Controlling BMS"
    expect_installed
    same "$one/settings.ini" "$(app settings.ini)"
    same "$one/settings.ini" "$(app settings.default.ini)"
    until_true "multilog writes the log" grep -q 'On the bus as' "$ROOT/var/log/battery-aggregator/current"

    say "again: nothing is doubled"
    picture >"$tmp/before"
    installs "$one/install.sh"
    picture >"$tmp/after"
    diff "$tmp/before" "$tmp/after" || fail "the second time changed something"
    expect_installed

    say "killed: supervise brings it back"
    pid=$(pid_of battery-aggregator)
    kill -9 "$pid"
    until_true "a new process" another_pid "$pid"
    until_true "the aggregate is on the bus again" on_bus

    say "SIGTERM reaches the daemon"
    svc -d "$(service battery-aggregator)"
    until_true "the name is given back" off_bus
    grep -q 'saved, leaving the bus' "$ROOT/var/log/battery-aggregator/current" || fail "it did not end by itself"
    svc -u "$(service battery-aggregator)"
    until_true "the aggregate is on the bus again" on_bus
    end_root
}
another_pid() {
    now=$(pid_of battery-aggregator)
    [ -n "$now" ] && [ "$now" != "$1" ]
}

part_restart() {
    say "restart.sh says that it came back"
    installed_root
    pid=$(pid_of battery-aggregator)
    venus sh "$(app restart.sh)" || fail "restart.sh failed"
    said "Back on the bus: "
    another_pid "$pid" || fail "it was not restarted"

    say "restart.sh does not restart into wrong settings"
    pid=$(pid_of battery-aggregator)
    echo 'MAX_CEL_VOLTAGE = 3.4' >>"$(app settings.ini)"
    if venus sh "$(app restart.sh)"; then fail "restart.sh took wrong settings"; fi
    said "Did you mean MAX_CELL_VOLTAGE"
    [ "$(pid_of battery-aggregator)" = "$pid" ] || fail "it was restarted"
    cp "$one/settings.ini" "$(app settings.ini)"

    say "restart.sh says when the packs are missing, and when the service is"
    for pack in 1 2 3; do fleet remove pack $pack; done
    if venus sh "$(app restart.sh)" 3; then fail "restart.sh saw a bank where there are no packs"; fi
    said "not on the bus"
    said "Waiting"
    for pack in 1 2 3; do fleet return pack $pack; done
    until_true "the aggregate is on the bus again" on_bus
    venus sh "$(app install.sh)" --uninstall || fail "not uninstalled"
    if venus sh "$one/restart.sh" 1; then fail "restart.sh restarted what is not there"; fi
    said "Is it installed"
    end_root
}

part_upgrade() {
    say "upgrade: settings, charge and instance are kept"
    installed_root
    printf '[charge control]\nMAX_CHARGE_CURRENT = 50\n' >"$(app settings.ini)"
    cp "$(app settings.ini)" "$tmp/settings.ini"
    svc -d "$(service battery-aggregator)"
    until_true "the name is given back" off_bus
    echo 321 >"$(app charge)"
    cp "$(app state.ini)" "$tmp/state.ini"
    svc -u "$(service battery-aggregator)"
    until_true "the aggregate is on the bus" on_bus
    pid=$(pid_of battery-aggregator)
    mkdir "$tmp/a stick"
    cp "$two.tar.gz" "$tmp/a stick/the release.tar.gz"
    cp "$two.tar.gz.sha256" "$tmp/a stick/the release.tar.gz.sha256"
    cp "$one/install.sh" "$tmp/a stick"
    installs "$tmp/a stick/install.sh" "$tmp/a stick/the release.tar.gz"
    expect_installed
    another_pid "$pid" || fail "it was not restarted"
    same "$tmp/settings.ini" "$(app settings.ini)"
    same "$two/README.md" "$(app README.md)"
    same "$two/settings.ini" "$(app settings.default.ini)"
    grep -q '^321' "$(app charge)" || fail "the charge was lost: $(cat "$(app charge)")"
    grep -qxF "$(grep device_instance "$tmp/state.ini")" "$(app state.ini)" || fail "the instance was lost"
    until_true "the setting acts" has_value $aggregate /Info/MaxChargeCurrent 50

    say "settings that the new version refuses stop the upgrade"
    echo 'MAX_CEL_VOLTAGE = 3.4' >>"$(app settings.ini)"
    expect_refused "Did you mean MAX_CELL_VOLTAGE" sh "$one/install.sh"

    say "a daemon that was stopped is started by an upgrade"
    cp "$tmp/settings.ini" "$(app settings.ini)"
    svc -d "$(service battery-aggregator)"
    until_true "the name is given back" off_bus
    installs "$one/install.sh"
    expect_installed
    end_root
}

part_rc_local() {
    say "rc.local of others is kept, and our line comes before its exit"
    new_root
    printf '#!/bin/bash\necho other >>%s/other\nexit 0\n' "$ROOT" >"$ROOT/data/rc.local"
    chmod 644 "$ROOT/data/rc.local"
    cp "$ROOT/data/rc.local" "$tmp/rc.local"
    installs "$one/install.sh"
    expect_installed
    grep -vF battery-aggregator "$ROOT/data/rc.local" | diff - "$tmp/rc.local" || fail "rc.local of others changed"

    say "a firmware update: all but /data is new, rc.local runs"
    stop_svscan
    for folder in bin tmp service var opt; do rm -rf "${ROOT:?}/$folder"; done
    make_firmware
    start_svscan
    bash "$ROOT/data/rc.local"
    [ -f "$ROOT/other" ] || fail "the line of others did not run"
    expect_installed

    say "what the user interface renames is said"
    mv "$ROOT/data/rc.local" "$ROOT/data/rc.local.disabled"
    installs "$one/install.sh"
    said "custom scripts are turned off"

    say "rc.local comes back to what it was when we go"
    mv "$ROOT/data/rc.local.disabled" "$ROOT/data/rc.local"
    venus sh "$(app install.sh)" --uninstall || fail "not uninstalled"
    diff "$ROOT/data/rc.local" "$tmp/rc.local" || fail "rc.local is not as it was"
    : >"$ROOT/data/rc.local"
    installs "$one/install.sh"
    expect_installed
    end_root
}

# A copy of release 1 to spoil.
spoil() {
    rm -rf "$tmp/spoilt" && mkdir "$tmp/spoilt"
    cp -r "$one" "$one.tar.gz" "$one.tar.gz.sha256" "$tmp/spoilt"
    spoilt=$tmp/spoilt/${one##*/}
}

part_spoilt() {
    installed_root
    say "a truncated archive changes nothing"
    spoil
    rm "$spoilt.tar.gz.sha256"
    for part in 0 100 4000 100000; do
        head -c $part "$one.tar.gz" >"$spoilt.tar.gz"
        expect_refused "cannot be unpacked\|no folder\|no SHA256SUMS" sh "$one/install.sh" "$spoilt.tar.gz"
    done

    say "a wrong checksum changes nothing"
    spoil
    head -c 100000 "$one.tar.gz" >"$spoilt.tar.gz"
    expect_refused "checksum" sh "$one/install.sh" "$spoilt.tar.gz"
    echo "no sum" >"$spoilt.tar.gz.sha256"
    expect_refused "no SHA-256 sum" sh "$one/install.sh" "$spoilt.tar.gz"

    say "a file that differs from its sum changes nothing"
    spoil
    echo >>"$spoilt/service/run"
    expect_refused "service/run: FAILED" sh "$spoilt/install.sh"

    say "a program that is missing, and a sum that is missing, change nothing"
    spoil
    rm "$spoilt/bin/$native/battery-aggregator"
    expect_refused "battery-aggregator: FAILED" sh "$spoilt/install.sh"
    "$here/seal.sh" "$spoilt" >/dev/null
    expect_refused "has no bin/$native/battery-aggregator" sh "$spoilt/install.sh" "$spoilt.tar.gz"
    spoil
    sed -i '/battery-aggregator$/d' "$spoilt/SHA256SUMS"
    expect_refused "no sum of" sh "$spoilt/install.sh"

    say "a program for another processor changes nothing"
    spoil
    for other in "$one"/bin/*; do
        [ "${other##*/}" = "$native" ] || cp "$other/battery-aggregator" "$spoilt/bin/$native/"
    done
    "$here/seal.sh" "$spoilt" >/dev/null
    expect_refused "is no program for $native" sh "$spoilt/install.sh" "$spoilt.tar.gz"

    say "a version that does not stay up is taken back, and the one before runs on"
    install_crasher "$one/install.sh"
    same "$tmp/program" "$(app battery-aggregator)"
    same "$one/README.md" "$(app README.md)"
    expect_installed

    say "the same when nobody reads any more what is said"
    venus sh -c "sh $crasher/install.sh 2>&1 | sed '/for $native/q'" || fail "the reader failed"
    same "$tmp/program" "$(app battery-aggregator)"
    expect_installed
    say "nobody reads from the first word on: nothing is changed, nothing is left"
    picture >"$tmp/before"
    mkfifo "$tmp/unread"
    if venus sh -c "exec 3<>$tmp/unread 4>$tmp/unread 3>&-; sh $two/install.sh >&4 2>&1"; then fail "installed"; fi
    picture >"$tmp/after"
    diff "$tmp/before" "$tmp/after" || fail "files were changed"
    [ -z "$(ls "$ROOT/tmp")" ] || fail "temporary files are left"
    end_root

    say "the same at the first install: nothing is left"
    new_root
    mkdir -p "$ROOT/data/apps"
    picture >"$tmp/before"
    if venus sh "$crasher/install.sh"; then fail "a crashing version was installed"; fi
    picture >"$tmp/after"
    diff "$tmp/before" "$tmp/after" || fail "files are left"
    off_bus || fail "something is on the bus"
    end_root
}

# Answers as a good program does, but does not run.
make_crasher() {
    cat >"$tmp/crasher.c" <<'END'
#include <string.h>
#include <unistd.h>
int main(int argc, char *argv[])
{
    if (argc > 1 && strcmp(argv[1], "--data") != 0)
        execv(REAL, argv);
    return 1;
}
END
    "${CC:-cc}" -DREAL="\"$build/battery-aggregator\"" "$tmp/crasher.c" -o "$tmp/crasher"
    crasher=$("$here/release.sh" "$tmp" 3 "$tmp/crasher")
    crasher=${crasher%.tar.gz}
}

install_crasher() {
    cp "$(app battery-aggregator)" "$tmp/program"
    if venus sh "$crasher/install.sh"; then fail "a crashing version was installed"; fi
    said "does not stay up"
    said "what ran before runs on"
}

# Filled to the last byte, but for what is given back: a real one, or a cp that fails as on one.
mount_data() {
    mkdir -p "$ROOT/data"
    if mount -t tmpfs -o size=3m none "$ROOT/data" 2>/dev/null; then
        mounted=$ROOT/data
    else
        say "(nothing can be mounted here: a cp that fails stands in)"
    fi
}
fill_data() {
    if [ -n "$mounted" ]; then
        dd if=/dev/zero of="$ROOT/data/full" bs=1k 2>/dev/null || true
    else
        copy_busybox 's/\x00svc\x00svok\x00/\x00sv_\x00sv_k\x00/; s/\x00cp\x00cpio\x00/\x00co\x00cpio\x00/'
        rm "$ROOT/bin/cp"
        cat >"$ROOT/bin/cp" <<END
#!$ROOT/bin/sh
head -c 4096 "\$1" >"\$2"
echo "cp: No space left on device" >&2
exit 1
END
        chmod 755 "$ROOT/bin/cp"
    fi
}
# free KB: what there is room for.
leave_free() {
    [ -z "$mounted" ] || dd if=/dev/null of="$ROOT/data/full" bs=1k seek=$(($(stat -c %s "$ROOT/data/full") / 1024 - $1)) 2>/dev/null
}
# Who was just stopped there may still be on the way out.
unmount() {
    tries=0
    until umount "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || { umount "$1"; return 1; }
        sleep 0.1
    done
}

umount_data() {
    [ -z "$mounted" ] || unmount "$mounted"
    mounted=
}

part_full_disk() {
    say "a full disk changes nothing"
    installed_root mount_data
    fill_data
    expect_refused "disk full" sh "$two/install.sh"
    for room in 8 40 200; do
        fill_data
        leave_free $room
        expect_refused "disk full" sh "$two/install.sh"
    done
    [ -z "$mounted" ] || until_it_fits

    say "it can be uninstalled from a full disk, and rc.local of others is whole"
    { cat "$ROOT/data/rc.local" && yes "# of others" | head -n 1000; } >"$tmp/rc.local"
    cp "$tmp/rc.local" "$ROOT/data/rc.local"
    fill_data
    venus sh "$(app install.sh)" --uninstall || fail "not uninstalled"
    grep -vF battery-aggregator "$tmp/rc.local" | diff - "$ROOT/data/rc.local" >/dev/null || fail "rc.local of others changed"
    [ ! -e "$(app battery-aggregator)" ] || fail "the program is left"

    [ -z "$mounted" ] || full_tmp
    end_root umount_data

    say "the same at the first install"
    new_root mount_data
    fill_data
    if venus sh "$two/install.sh"; then fail "installed on a full disk"; fi
    said "cannot write\|disk full"
    [ ! -e "$(app .)" ] || fail "a half installation is left"
    [ -z "$mounted" ] || until_it_fits
    end_root umount_data
}

full_tmp() {
    say "a full /tmp is told"
    rmdir "$ROOT/tmp"
    mkdir "$ROOT/data/tmp"
    ln -s data/tmp "$ROOT/tmp"
    fill_data
    expect_refused "tmp is full.*No space left" sh "$two/install.sh" "$two.tar.gz"
}

# A little more room each time, so that it fails at each step, also at those that touch what runs.
until_it_fits() {
    rm "$ROOT/data/full"
    picture >"$tmp/before"
    room=300
    fill_data
    leave_free $room
    until venus sh "$two/install.sh"; do
        [ $room -lt 1000 ] || fail "does not fit into $room KiB"
        rm "$ROOT/data/full"
        picture >"$tmp/after"
        diff "$tmp/before" "$tmp/after" || fail "with room for $room KiB something was changed"
        room=$((room + 8))
        fill_data
        leave_free $room
    done
    say "(it fits into $room KiB)"
    rm "$ROOT/data/full"
    expect_installed
    same "$two/README.md" "$(app README.md)"
}

# Every file of the program is of the same release, $1.
is_all_of() {
    for file in README.md install.sh service/run man/battery-aggregator.1; do
        cmp -s "$1/$file" "$(app $file)" || return 1
    done
    cmp -s "$1/bin/$native/battery-aggregator" "$(app battery-aggregator)"
}

part_killed() {
    say "an upgrade that is interrupted leaves the old or the new, and it runs"
    installed_root
    for moment in 0.2 0.5 0.8 1.1 1.5 2 3 4; do
        installs "$one/install.sh"
        env -i PATH="$ROOT/bin" ROOT="$ROOT" DBUS_SESSION_BUS_ADDRESS="$DBUS_SESSION_BUS_ADDRESS" \
            "$ROOT/bin/busybox" sh "$two/install.sh" >"$tmp/said" 2>&1 </dev/null &
        sleep $moment
        kill -TERM $! 2>/dev/null || true
        wait $! || true
        is_all_of "$one" || is_all_of "$two" || fail "after $moment s: a mixture"
        expect_installed
    done

    say "one that is killed is made good by the next"
    for moment in 0.3 0.7 1.0 1.4; do
        installs "$one/install.sh"
        env -i PATH="$ROOT/bin" ROOT="$ROOT" DBUS_SESSION_BUS_ADDRESS="$DBUS_SESSION_BUS_ADDRESS" \
            "$ROOT/bin/busybox" sh "$two/install.sh" >"$tmp/said" 2>&1 </dev/null &
        sleep $moment
        kill -KILL $! 2>/dev/null || true
        wait $! 2>/dev/null || true
        until_true "the aggregate is on the bus" on_bus
        installs "$two/install.sh"
        rm -rf "$ROOT"/tmp/battery-aggregator.??????
        expect_installed
        is_all_of "$two" || fail "after $moment s: not made good"
    done
    end_root
}

part_arch() {
    say "the processor is read from the system's own programs"
    new_root
    rm "$ROOT/bin/sh"
    for arch in armv7 aarch64 x86_64; do
        cp "$one/bin/$arch/battery-aggregator" "$ROOT/bin/sh"
        [ "$arch" = "$native" ] || expect_refused "the program for $arch does not run here" ash "$one/install.sh"
    done
    say "a soft-float system and an unknown processor are refused"
    "$here/elf_header.sh" "$ROOT/bin/sh" 001 050 002
    expect_refused "without hardware floating point" ash "$one/install.sh"
    "$here/elf_header.sh" "$ROOT/bin/sh" 001 010 000
    expect_refused "no program for this processor" ash "$one/install.sh"
    "$here/elf_header.sh" "$ROOT/bin/sh" 001 076 000
    expect_refused "no program for this processor" ash "$one/install.sh"

    say "without a tool to look into it: said by its name"
    ln -sf busybox "$ROOT/bin/sh"
    cp "$ROOT/bin/busybox" "$tmp/busybox"
    copy_busybox 's/\x00svc\x00svok\x00/\x00sv_\x00sv_k\x00/; s/\x00od\x00openvt\x00/\x00oe\x00openvt\x00/
        s/\x00hexdump\x00/\x00hexdumq\x00/'
    rm "$ROOT/bin/od" "$ROOT/bin/hexdump"
    expect_refused "od is missing" sh "$one/install.sh"
    mv "$tmp/busybox" "$ROOT/bin/busybox"

    say "a script in the place of /bin/sh: the next program decides"
    rm "$ROOT/bin/sh"
    printf '#!/bin/busybox sh\n' >"$ROOT/bin/sh"
    installs "$one/install.sh"
    expect_installed
    end_root
}

part_foreign() {
    say "no Venus OS: refused, and --force"
    new_root
    rm -r "$ROOT/opt/victronenergy"
    expect_refused "force" sh "$one/install.sh"
    installs "$one/install.sh" --force
    expect_installed

    say "another installation at the same time: refused, and what it has prepared is left alone"
    lock=$ROOT/tmp/battery-aggregator.lock
    mkdir "$lock" "$ROOT/data/apps/.battery-aggregator.new" "$ROOT/data/apps/.battery-aggregator.old"
    echo new >"$ROOT/data/rc.local.new"
    picture >"$tmp/before"
    for holder in '' $$; do
        [ -z "$holder" ] || echo "$holder" >"$lock/pid"
        if venus sh "$one/install.sh" --force; then fail "two at a time"; fi
        said "another install.sh runs"
        if venus sh "$(app install.sh)" --uninstall; then fail "uninstalled under an installation"; fi
        said "another install.sh runs"
    done
    picture >"$tmp/after"
    diff "$tmp/before" "$tmp/after" || fail "what the other has prepared was changed"
    say "one that was killed holds nobody up"
    sh -c 'exit 0' &
    gone=$!
    wait $gone
    echo $gone >"$lock/pid"
    installs "$one/install.sh" --force
    expect_installed
    [ ! -e "$ROOT/data/rc.local.new" ] || fail "what the killed one left is still there"

    say "packs that are missing: installed, and what it waits for is said"
    for pack in 1 2 3; do fleet remove pack $pack; done
    installs "$one/install.sh" --force --wait 2
    said "not on the bus yet"
    said "Waiting"
    for pack in 1 2 3; do fleet return pack $pack; done
    until_true "the aggregate is on the bus" on_bus

    say "wrong options and wrong files: refused"
    expect_refused "unknown option" sh "$one/install.sh" --frce
    expect_refused "no file" sh "$one/install.sh" --force /nowhere.tar.gz
    expect_refused "no SHA256SUMS" sh "$(app install.sh)" --force
    end_root

    say "another program with the name on the bus: refused"
    new_root
    mkdir "$tmp/other"
    "$build/battery-aggregator" --data "$tmp/other" >"$tmp/other/log" 2>&1 &
    other=$!
    until_true "the other is on the bus" on_bus
    expect_refused "another program has the name" sh "$one/install.sh"
    kill $other
    wait $other || true
    end_root
}

part_pipe() {
    installed_root
    mkdir "$tmp/www"
    cp "$two.tar.gz" "$two.tar.gz.sha256" "$two/install.sh" "$tmp/www"
    serve
    say "through a pipe, a wrong checksum and an address that is wrong change nothing"
    echo "$(printf '%064d' 1)  x" >"$tmp/www/battery-aggregator-2.tar.gz.sha256"
    expect_refused "checksum" sh -c "wget -q -O - $address/install.sh | sh -s -- $address/battery-aggregator-2.tar.gz"
    expect_refused "cannot download" sh -c "wget -q -O - $address/install.sh | sh -s -- $address/no.tar.gz"
    expect_refused "which archive" sh -c "wget -q -O - $address/install.sh | sh"

    say "half a script does nothing"
    size=$(wc -c <"$two/install.sh")
    for part in 25 50 75 90 99; do
        head -c $((size * part / 100)) "$two/install.sh" >"$tmp/www/half.sh"
        picture >"$tmp/before"
        venus sh -c "wget -q -O - $address/half.sh | sh -s -- $address/battery-aggregator-2.tar.gz" || true
        picture >"$tmp/after"
        diff "$tmp/before" "$tmp/after" || fail "half a script did something"
    done

    say "through a pipe"
    cp "$two.tar.gz.sha256" "$tmp/www"
    venus sh -c "wget -q -O - $address/install.sh | sh -s -- $address/battery-aggregator-2.tar.gz" ||
        fail "not installed through a pipe"
    expect_installed
    same "$two/README.md" "$(app README.md)"
    kill "$httpd"
    end_root
}

serve() {
    port=$((20000 + $$ % 20000))
    while :; do
        busybox httpd -f -p "127.0.0.1:$port" -h "$tmp/www" 2>/dev/null &
        httpd=$!
        address=http://127.0.0.1:$port
        tries=0
        while kill -0 $httpd 2>/dev/null && [ $tries -lt 50 ]; do
            ! busybox wget -q -O /dev/null "$address/install.sh" 2>/dev/null || break 2
            tries=$((tries + 1))
            sleep 0.1
        done
        kill $httpd 2>/dev/null || true
        port=$((port + 1))
    done
    services="$httpd $services"
}

# A Python aggregator's part is played by a shell that holds the name and saves its charge at the end.
make_python() {
    folder=$1
    mkdir -p "$folder/service"
    cat >"$folder/service/run" <<END
#!/bin/sh
cd "$folder"
mkdir -p bus
"$build/battery-aggregator" --data bus >/dev/null 2>&1 &
trap 'echo 432.1 >charge; kill \$!; wait \$!; exit' TERM
wait \$!
END
    chmod 755 "$folder/service/run"
    echo 99 >"$folder/charge"
    echo 123 >"$folder/last_balancing"
    ln -s "$folder/service" "$(service dbus-aggregate-batteries)"
    until_true "the Python aggregator is on the bus" on_bus
}

python_runs() { [ -n "$(pid_of dbus-aggregate-batteries)" ]; }
expect_python() {
    until_true "the Python aggregator runs" python_runs
    until_true "the Python aggregator is on the bus" on_bus
    ! grep '^#battery-aggregator#' "$ROOT/data/rc.local" || fail "its line in rc.local is turned off"
}

part_takeover_4() {
    say "takeover from 4.x: asks first"
    new_root
    printf '#!/bin/bash\nbash %s/enable.sh > %s/startup.log 2>&1 &\n' "$ROOT/data/apps/dbus-aggregate-batteries" \
        "$ROOT/data/apps/dbus-aggregate-batteries" >"$ROOT/data/rc.local"
    make_python "$ROOT/data/apps/dbus-aggregate-batteries"
    python=$ROOT/data/apps/dbus-aggregate-batteries
    printf '[DEFAULT]\nNR_OF_BATTERIES = 3\nBATTERY_PRODUCT_NAME =\nMAX_CHARGE_CURRENT = 60\nREAD_TRIALS = 5\n' \
        >"$python/config.ini"
    expect_refused "--replace" sh "$one/install.sh"
    expect_python
    if answers n sh "$one/install.sh"; then fail "installed over a no"; fi
    said "Stop it for good?"
    expect_python

    say "settings that would not start the daemon leave the Python aggregator running"
    cp "$python/config.ini" "$tmp/config.ini"
    printf 'OWN_CHARGE_PARAMETERS = True\nMAX_CELL_VOLTAGE = 3.40\n' >>"$python/config.ini"
    if venus sh "$one/install.sh" --replace; then fail "wrong settings were taken over"; fi
    said "must be above BALANCING_VOLTAGE"
    said "--settings $ROOT/data/battery-aggregator-settings.ini"
    expect_python
    sed 's/^MAX_CELL_VOLTAGE.*/MAX_CELL_VOLTAGE = 3.50/' "$ROOT/data/battery-aggregator-settings.ini" >"$tmp/mended.ini"
    cp "$tmp/mended.ini" "$ROOT/data/battery-aggregator-settings.ini"
    if venus sh "$one/install.sh" --replace; then fail "wrong settings were taken over"; fi
    said "was there already and is kept"
    same "$tmp/mended.ini" "$ROOT/data/battery-aggregator-settings.ini"
    cp "$tmp/config.ini" "$python/config.ini"
    rm "$ROOT/data/battery-aggregator-settings.ini"

    say "a version that does not stay up leaves the Python aggregator running"
    picture >"$tmp/before"
    if venus sh "$crasher/install.sh" --replace; then fail "a crashing version was installed"; fi
    said "does not stay up"
    picture >"$tmp/after"
    diff "$tmp/before" "$tmp/after" || fail "files were changed"
    expect_python

    say "takeover from 4.x, with --replace"
    installs "$one/install.sh" --replace
    expect_installed
    expect_taken_over "taken      MAX_CHARGE_CURRENT = 60"
    said "not needed READ_TRIALS"
    until_true "the setting acts" has_value $aggregate /Info/MaxChargeCurrent 60

    say "again: the Python aggregator is not asked for any more"
    installs "$one/install.sh"
    expect_installed
    end_root

    say "mended settings, with --settings"
    new_root
    make_python "$ROOT/data/apps/dbus-aggregate-batteries"
    cp "$tmp/config.ini" "$ROOT/data/apps/dbus-aggregate-batteries/config.ini"
    answers y sh "$one/install.sh" --settings "$tmp/mended.ini" || fail "not installed after a yes"
    expect_installed
    same "$tmp/mended.ini" "$(app settings.ini)"
    grep -q '^43[12]' "$(app charge)" || fail "the charge was not taken over"
    end_root
}

# Stopped for good, its settings and what it counted to its end taken.
expect_taken_over() {
    said "$1"
    said "taken      charge: 432.1"
    said "taken      last_balancing: 123"
    grep -q '^43[12]' "$(app charge)" || fail "the charge is $(cat "$(app charge)")"
    [ ! -e "$(service dbus-aggregate-batteries)" ] || fail "the Python service is still there"
    [ ! -e "$(service .dbus-aggregate-batteries)" ] || fail "the Python service is still there, aside"
    until_true "its supervise ends" python_gone
    ! grep '^[^#]*dbus-aggregate' "$ROOT/data/rc.local" || fail "it would come back at the next boot"
    [ -f "$python/charge" ] || fail "its folder was touched"
}
python_gone() { ! svstat "$python/service" | grep -q ': up\|: down'; }

part_takeover_3() {
    say "takeover from 3.x: settings.py is read, not executed"
    new_root
    printf '#!/bin/bash\nln -s %s/service %s\n' "$ROOT/data/dbus-aggregate-batteries" \
        "$(service dbus-aggregate-batteries)" >"$ROOT/data/rc.local"
    make_python "$ROOT/data/dbus-aggregate-batteries"
    python=$ROOT/data/dbus-aggregate-batteries
    cat >"$python/settings.py" <<END
NR_OF_BATTERIES = 3
BATTERY_PRODUCT_NAME = ""
MULTI_KEY_WORD = "com.victronenergy.vebus"
MIN_CELL_VOLTAGE = 2.8
CELL_DISCHARGE_LIMITING_VOLTAGE = [MIN_CELL_VOLTAGE, MIN_CELL_VOLTAGE + 0.1,
    MIN_CELL_VOLTAGE + 0.2]  # three
MAX_CHARGE_CURRENT = 35 * 2
LOGGING = 2
import os; os.system("touch $tmp/executed")
END
    installs "$one/install.sh" --replace
    expect_installed
    expect_taken_over "taken      CELL_DISCHARGE_LIMITING_VOLTAGE = 2.8, 2.9, 3"
    said "not taken  LOGGING"
    [ ! -e "$tmp/executed" ] || fail "settings.py was executed"
    until_true "the setting acts" has_value $aggregate /Info/MaxChargeCurrent 70

    say "and back: the way is told"
    venus sh "$(app install.sh)" --uninstall || fail "not uninstalled"
    said "To go back to dbus-aggregate-batteries"
    sed -i 's/^#battery-aggregator# //' "$ROOT/data/rc.local"
    bash "$ROOT/data/rc.local"
    expect_python
    end_root
}

part_uninstall() {
    say "uninstall pays a feed-in debt"
    installed_root
    printf '[charge control]\nOWN_CHARGE_PARAMETERS = True\n' >"$(app settings.ini)"
    svc -t "$(service battery-aggregator)"
    make_debt
    fleet remove settings
    if venus sh "$(app install.sh)" --uninstall; then fail "uninstalled with a debt"; fi
    said "still owed"
    until_true "it runs on" on_bus
    [ -x "$(app battery-aggregator)" ] || fail "the program was removed"
    fleet return settings
    until_true "the debt stands" feed_in_is 0
    venus sh "$(app install.sh)" --uninstall || fail "not uninstalled"
    said "DC feed-in is on again"
    feed_in_is 1 || fail "the debt was not paid"
    fleet release pack 2 /System/MaxCellVoltage

    say "uninstall leaves the data, and nothing that runs"
    off_bus || fail "it is still on the bus"
    if [ -e "$(service battery-aggregator)" ] || [ -L "$(service battery-aggregator)" ]; then fail "the link is left"; fi
    [ ! -e "$ROOT/data/rc.local" ] || fail "our rc.local is left"
    for file in settings.ini state.ini charge; do
        [ -f "$(app $file)" ] || fail "$file is gone"
    done
    for file in battery-aggregator install.sh service man; do
        [ ! -e "$(app $file)" ] || fail "$file is left"
    done
    until_true "nothing of it runs" nothing_runs_in "$(app .)"

    say "what is installed over old data has its settings"
    cp "$(app settings.ini)" "$tmp/settings.ini"
    installs "$one/install.sh"
    expect_installed
    same "$tmp/settings.ini" "$(app settings.ini)"
    answers n sh "$(app install.sh)" --uninstall || fail "not uninstalled"
    [ -f "$(app settings.ini)" ] || fail "a no removed the settings"
    installs "$one/install.sh"
    answers y sh "$(app install.sh)" --uninstall || fail "not uninstalled"
    [ ! -e "$(app .)" ] || fail "a yes left something"
    installs "$one/install.sh"
    venus sh "$(app install.sh)" --uninstall --purge || fail "not uninstalled"
    [ ! -e "$(app .)" ] || fail "--purge left something"
    [ ! -e "$ROOT/var/log/battery-aggregator" ] || fail "--purge left the log"
    expect_refused "not installed" sh "$one/install.sh" --uninstall
    end_root
}

# No process has its folder below $1.
nothing_runs_in() {
    for folder in /proc/[0-9]*/cwd; do
        case $(readlink "$folder" 2>/dev/null) in
            "${1%/.}"*) return 1 ;;
        esac
    done
}

# A cell peaks: the guard turns DC feed-in off, and owes it.
make_debt() {
    feed_in_is 1 || fail "feed-in was not on"
    until_true "the daemon is back" on_bus
    fleet set pack 2 /System/MaxCellVoltage 3.6
    until_true "feed-in is off" feed_in_is 0
    until_true "the debt is on disk" grep -q 'feed_in_debt = 1' "$(app state.ini)"
}

# ---- all of them, or those named ----

case $(od -An -tx1 -j18 -N1 "$(command -v busybox)" | tr -d ' \n') in
    3e) native=x86_64 ;;
    b7) native=aarch64 ;;
    *) native=armv7 ;;
esac
if [ -n "${RELEASE:-}" ]; then
    mkdir "$tmp/release"
    cp "$RELEASE" "$RELEASE.sha256" "$tmp/release"
    one=$tmp/release/${RELEASE##*/}
    tar -xzf "$one" -C "$tmp/release"
else
    one=$("$here/release.sh" "$tmp" 1)
fi
one=${one%.tar.gz}
two=$("$here/release.sh" "$tmp" 2) && two=${two%.tar.gz}
make_crasher
start_bus
[ $# -gt 0 ] || set -- syntax first restart upgrade rc_local spoilt full_disk killed arch foreign pipe takeover_4 takeover_3 uninstall
for part in "$@"; do
    echo "== $part"
    "part_$part"
done
echo
echo "$# parts passed"
