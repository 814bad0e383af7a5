#!/bin/sh
# install.sh: puts battery-aggregator on a Venus OS device, brings it up to date, or takes it away again
# (--help). Prepares and checks everything beside what runs, and goes back to that when something fails.
# Nothing happens before the last line, so that half a download does nothing.
# shellcheck disable=SC2317 # much of it is called by the trap only
set -u

usage() {
    cat <<'END'
Usage: sh install.sh [OPTION...] [ARCHIVE]
       wget -O - ADDRESS/install.sh | sh -s -- [OPTION...] ADDRESS/battery-aggregator-VERSION.tar.gz
Installs battery-aggregator to /data/apps/battery-aggregator and starts it, now and at every boot.
ARCHIVE is a file or an address; without it, it is the folder that install.sh is in.
  --replace        stop dbus-aggregate-batteries for good without asking
  --no-takeover    do not take over the settings of a Python aggregator
  --settings FILE  begin with these settings (when there are none yet)
  --wait SECONDS   how long to wait until the battery is on the bus (60)
  --force          install although this is no Venus OS; uninstall although DC feed-in is still owed
  --uninstall      return DC feed-in if it is owed, stop and remove the program; ask about settings and charge
  --purge          with --uninstall: remove those too, without asking
ROOT in the environment stands before every path, for trying it out.
END
}

say() { echo "$*"; }
warn() { echo "Attention: $*" >&2; }
die() {
    echo "install.sh: $*" >&2
    exit 1
}

# ---- what was changed so far, and the way back ----

# What lies beside the program is another's while another has the lock.
tidy() {
    [ -n "$locked" ] || return 0
    rm -rf "$stage" "$old" "$rc.new"
    [ -z "$work" ] || rm -rf "$work"
    [ -z "$made_apps" ] || rmdir "$apps" 2>/dev/null
    rm -rf "$lock"
    work='' locked=''
}

restore_rc() {
    [ -n "$rc_changed" ] || return 0
    if [ -f "$work/rc.local" ]; then
        cp -p "$work/rc.local" "$rc.new" && mv -f "$rc.new" "$rc"
    else
        rm -f "$rc"
    fi
}

roll_back() {
    if [ -n "$fresh" ]; then
        [ -z "$linked" ] || remove_service
        rm -rf "$home"
    elif [ -n "$swapping" ]; then
        for file in $files; do
            if [ -e "$old/$file" ]; then
                mv -f "$old/$file" "$home/$file"
            elif [ ! -e "$stage/$file" ]; then
                rm -f "$home/$file"
            fi
        done
        [ -z "$restarted" ] || svc -t "$service"
    fi
    [ -z "$linked" ] || remove_service
    restore_rc
    if [ -n "$python_stopped" ]; then
        [ ! -e "$python_aside" ] || mv "$python_aside" "$python"
        [ ! -e "$python" ] || svc -u "$python"
    fi
    rm -rf "$old"
}

# Of every way out of the installation, the good one too.
leave() {
    status=$?
    trap '' INT TERM HUP PIPE
    trap - EXIT
    if [ -z "$finished" ]; then
        [ "$status" -ne 0 ] || status=1
        if [ -n "$fresh$swapping$linked$rc_changed$python_stopped" ]; then
            roll_back
            echo "install.sh: not installed; what ran before runs on." >&2
        else
            echo "install.sh: nothing was changed." >&2
        fi
    fi
    tidy
    exit "$status"
}

# ---- daemontools ----

# The process of a service, empty when it does not run.
pid_of() { svstat "$1" 2>/dev/null | sed -n 's/.*: up (pid \([0-9]*\)).*/\1/p'; }

# await SECONDS COMMAND...: until the command is true.
await() {
    left=$1
    shift
    while ! "$@"; do
        left=$((left - 1))
        [ "$left" -ge 0 ] || return 1
        sleep 1
    done
}

is_supervised() { svstat "$1" 2>/dev/null | grep -q ': up\|: down'; }
# On a full disk supervise cannot write its status: a process that is gone is down all the same.
is_down() {
    pid=$(pid_of "$1")
    [ -z "$pid" ] || ! kill -0 "$pid" 2>/dev/null
}
is_on_bus() { "$program" status >/dev/null 2>&1; }
is_off_bus() { ! is_on_bus; }

# A new process that stays for three seconds; the one before it was $pid_before.
has_settled() {
    pid=$(pid_of "$service")
    if [ -z "$pid" ] || [ "$pid" = "$pid_before" ]; then
        settled=0
    elif [ "$pid" = "$pid_seen" ]; then
        settled=$((settled + 1))
    else
        settled=0
    fi
    pid_seen=$pid
    [ "$settled" -ge 3 ]
}

# Without the link svscan starts it no more; x ends supervise.
remove_service() {
    if [ -e "$service" ]; then
        folder=$(cd -P "$service" && pwd) || folder=$home/service
        rm -rf "$service"
        svc -dx "$folder" "$folder/log" 2>/dev/null
        await 20 is_gone "$folder"
    fi
    rm -f "$service"
}
is_gone() { ! is_supervised "$1" && ! is_supervised "$1/log"; }

show_log() {
    [ -f "$log/current" ] || return 0
    say "The last lines of its log ($log/current):"
    tail -n 8 "$log/current" | sed 's/^@[0-9a-f]* /  /'
}

# ---- what is to be installed ----

download() {
    if command -v wget >/dev/null; then
        wget -q -O "$2" "$1"
    else
        curl -fsSL -o "$2" "$1"
    fi || die "cannot download $1"
}

check_sum() {
    expected=$(sed 's/[^0-9a-f].*//;q' "$2")
    [ "${#expected}" -eq 64 ] || die "$2 holds no SHA-256 sum"
    found=$(sha256sum "$1") || die "cannot read $1"
    [ "$expected" = "${found%% *}" ] ||
        die "the checksum of $1 is wrong (it is ${found%% *}, should be $expected). Download it again"
}

unpack() {
    said=$(tar -xzf "$1" -C "$work" 2>&1) || die "$1 cannot be unpacked: it is no .tar.gz, or cut off, or" \
        "$root/tmp is full: $(echo "$said" | head -n 1)"
    for folder in "$work"/battery-aggregator-*/; do
        from=${folder%/}
    done
    [ -d "$from" ] || die "$1 has no folder battery-aggregator-VERSION in it"
}

find_source() {
    case $source in
        *://*)
            download "$source.sha256" "$work/archive.sha256"
            download "$source" "$work/archive"
            check_sum "$work/archive" "$work/archive.sha256"
            unpack "$work/archive"
            ;;
        '')
            case $0 in
                */install.sh) from=${0%/*} ;;
                install.sh) from=. ;;
                *) die "which archive? Name its address or file (--help)" ;;
            esac
            ;;
        *)
            [ -f "$source" ] || die "there is no file $source"
            if [ -f "$source.sha256" ]; then
                check_sum "$source" "$source.sha256"
            else
                say "There is no $source.sha256: only the sums inside the archive are checked"
            fi
            unpack "$source"
            ;;
    esac
}

check_source() {
    [ -f "$from/SHA256SUMS" ] || die "$from has no SHA256SUMS: this is no complete release"
    wrong=$(cd "$from" && sha256sum -c SHA256SUMS 2>/dev/null | grep -v ': OK$')
    [ -z "$wrong" ] || die "spoilt, or changed after it was released: $wrong"
    for file in "bin/$arch/battery-aggregator" install.sh restart.sh settings.ini charge service/run \
        service/log/run; do
        [ -f "$from/$file" ] || die "$from has no $file"
        sed 's/^[0-9a-f]*  *[*]\{0,1\}//; s/^[.]\///' "$from/SHA256SUMS" | grep -qxF "$file" ||
            die "$from/SHA256SUMS has no sum of $file"
    done
}

# ---- the device ----

check_venus() {
    [ -n "$root" ] || [ "$(id -u)" -eq 0 ] || die "run this as root"
    if [ -f "$root/opt/victronenergy/version" ]; then
        say "Venus OS $(sed -n 1p "$root/opt/victronenergy/version")"
    elif [ -z "$force" ]; then
        die "this is no Venus OS (there is no /opt/victronenergy/version). To install all the same: --force"
    fi
    for needed in svc svstat sha256sum tar mktemp cmp dd; do
        command -v "$needed" >/dev/null || die "$needed is missing"
    done
    command -v od >/dev/null || command -v hexdump >/dev/null || die "od is missing, and hexdump"
    [ -d "$root/service" ] || die "there is no /service: daemontools do not run here"
    [ -d "$root/data" ] || die "there is no /data"
    if [ -e "$rc.disabled" ]; then
        warn "$rc.disabled shows that custom scripts are turned off: turn them on in the GUI, or" \
            "battery-aggregator is not started at the next boot"
    fi
}

# byte FILE OFFSET, as two hexadecimal digits.
byte() {
    dd if="$1" bs=1 skip="$2" count=1 2>/dev/null |
        { od -An -tx1 2>/dev/null || hexdump -e '1/1 "%02x"'; } | tr -d ' \n'
}

is_elf() { [ "$(byte "$1" 0)$(byte "$1" 1)$(byte "$1" 2)$(byte "$1" 3)" = 7f454c46 ]; }
processor_of() { echo "$(byte "$1" 4)$(byte "$1" 18)"; }

# A 64-bit kernel can carry a 32-bit system: what the system's own programs are decides, not the kernel.
find_arch() {
    for file in bin/sh bin/busybox bin/bash usr/bin/busybox; do
        file=$root/$file
        ! is_elf "$file" || break
        file=''
    done
    [ -n "$file" ] || die "cannot tell what processor this system is for: /bin/sh is no ELF program"
    processor=$(processor_of "$file")
    case $processor in
        0128)
            # a soft-float system (0x02 in its flags) passes numbers in other registers
            case $(byte "$file" 37) in
                ?[2367abef]) die "this is an ARM system without hardware floating point: there is no program for it" ;;
            esac
            arch=armv7
            ;;
        02b7) arch=aarch64 ;;
        023e) arch=x86_64 ;;
        *) die "there is no program for this processor (ELF class and machine $processor)" ;;
    esac
}

# ---- preparing it all beside what runs ----

# put FROM TO: a copy in the stage, read back.
put() {
    { mkdir -p "$stage/${2%/*}" && cp "$from/$1" "$stage/$2" && cmp -s "$from/$1" "$stage/$2"; } ||
        die "cannot write to $apps: is the disk full?"
    files="$files $2"
}

prepare() {
    rm -rf "$stage" "$old"
    mkdir -p "$stage" || die "cannot write to $apps"
    put "bin/$arch/battery-aggregator" ./battery-aggregator
    put settings.ini ./settings.default.ini
    for file in install.sh restart.sh service/run service/log/run; do
        put "$file" "./$file"
    done
    for file in "$from"/README.md "$from"/LICENSE "$from"/CHANGELOG.md "$from"/man/* "$from"/docs/* \
        "$from"/licenses/*; do
        [ ! -f "$file" ] || put "${file#"$from"/}" "./${file#"$from"/}"
    done
    chmod 755 "$stage/battery-aggregator" "$stage/install.sh" "$stage/restart.sh" "$stage/service/run" \
        "$stage/service/log/run" || die "cannot make programs executable in $apps"
    program=$stage/battery-aggregator
    { is_elf "$program" && [ "$(processor_of "$program")" = "$processor" ]; } ||
        die "bin/$arch/battery-aggregator is no program for $arch"
    version=$("$program" --version 2>&1) || die "the program for $arch does not run here: $version"
}

# Where a Python aggregator has its settings, empty if nowhere.
find_python_settings() {
    for folder in data/apps/dbus-aggregate-batteries data/dbus-aggregate-batteries \
        data/setupOptions/BatteryAggregator; do
        folder=$root/$folder
        if [ -f "$folder/config.ini" ] || [ -f "$folder/config.json" ] ||
            { [ -f "$folder/settings.py" ] && [ ! -f "$folder/config.default.ini" ]; }; then
            settings_from=$folder
            return
        fi
    done
}

take_over_settings() {
    say "Taking over settings:"
    if "$program" import "$settings_from" >"$stage/settings.ini"; then
        return
    fi
    [ -s "$stage/settings.ini" ] || die "the settings cannot be taken over (see above). Correct them, or begin" \
        "with the defaults: --no-takeover"
    to_correct=$root/data/battery-aggregator-settings.ini
    # From an earlier attempt: somebody may have begun to correct it.
    if [ -f "$to_correct" ]; then
        say "$to_correct was there already and is kept; to have it made anew, remove it"
    else
        cp "$stage/settings.ini" "$to_correct" || die "cannot write to $root/data: is the disk full?"
    fi
    die "the daemon would not start with these settings (see above). They are in $to_correct:" \
        "correct them there and run install.sh again with --settings $to_correct"
}

prepare_settings() {
    settings=$stage/settings.ini
    [ -f "$home/settings.ini" ] || [ -z "$takeover" ] || find_python_settings
    if [ -f "$home/settings.ini" ]; then
        settings=$home/settings.ini
        [ -z "$given_settings" ] || warn "$given_settings is not used: there are settings already, $settings"
    elif [ -n "$given_settings" ]; then
        cp "$given_settings" "$settings" || die "cannot copy $given_settings"
    elif [ -n "$settings_from" ]; then
        take_over_settings
    else
        cp "$from/settings.ini" "$settings" || die "cannot write to $apps: is the disk full?"
    fi
    found=$("$program" check "$settings") || {
        echo "$found" >&2
        die "the daemon would not start with $settings (see above): correct it first"
    }
    echo "$found" | sed 's/^/  /'
}

# ---- the Python aggregator that has the same name on the bus ----

python_is_here() { [ -e "$python" ] || grep -q '^[^#]*dbus-aggregate-batteries' "$rc" 2>/dev/null; }

ask_to_replace() {
    python_is_here || return 0
    [ -z "$replace" ] || return 0
    [ -t 0 ] || die "dbus-aggregate-batteries runs here and has the same name on the bus. Run this again with" \
        "--replace to stop it for good (its folder stays): sh install.sh --replace, or ... | sh -s -- --replace ADDRESS"
    printf 'dbus-aggregate-batteries has the same name on the bus. Stop it for good? Its folder stays. [y/N] '
    read -r answer
    case $answer in
        [yY]*) ;;
        *) die "then there is no place for battery-aggregator" ;;
    esac
}

stop_python() {
    python_is_here || return 0
    say "Stopping dbus-aggregate-batteries"
    python_stopped=1
    if [ -e "$python" ]; then
        svc -d "$python"
        await 30 is_down "$python" || die "dbus-aggregate-batteries does not stop"
        mv "$python" "$python_aside" || die "cannot remove $python"
    fi
    change_rc 's/^[^#]*dbus-aggregate-batteries/#battery-aggregator# &/'
    say "If DC feed-in is off now though you had it on: dbus-aggregate-batteries forgets to return it when it is" \
        "stopped. Turn it on in the GUI (Settings, ESS)."
}

# What it counted, once it has stopped to count; without it -1, which is to begin with the SoC of the packs.
prepare_charge() {
    [ ! -f "$home/charge" ] || return 0
    cp "$from/charge" "$stage/charge" || die "cannot write to $apps: is the disk full?"
    [ -n "$settings_from" ] || return 0
    if [ -f "$settings_from/storedvalue_charge" ]; then
        copy_number storedvalue_charge charge
    else
        copy_number charge charge
    fi
    if [ -f "$settings_from/storedvalue_last_balancing" ]; then
        copy_number storedvalue_last_balancing last_balancing
    else
        copy_number last_balancing last_balancing
    fi
}

copy_number() {
    [ -f "$settings_from/$1" ] || return 0
    cp "$settings_from/$1" "$stage/$2" || die "cannot write to $apps: is the disk full?"
    say "  taken      $1: $(sed -n 1p "$stage/$2")"
}

# ---- from here on what runs is touched ----

# write_rc COMMAND...: rc.local is what the command prints, read back, or stays as it is.
write_rc() {
    { "$@" >"$rc.new" && "$@" | cmp -s - "$rc.new" && [ -s "$rc.new" ] && chmod 755 "$rc.new" &&
        mv -f "$rc.new" "$rc"; } || die "cannot write $rc: is the disk full?"
}

# change_rc SED: rc.local with this change, or none of it. The copy for the way back is made once.
change_rc() {
    if [ -z "$rc_changed" ] && [ -f "$rc" ]; then
        cp -p "$rc" "$work/rc.local" || die "cannot write to $work"
    fi
    rc_changed=1
    if [ ! -f "$rc" ]; then
        echo '#!/bin/bash' >"$work/rc.first" || die "cannot write to $work"
    else
        cp "$rc" "$work/rc.first" || die "cannot write to $work"
    fi
    write_rc sed "$1" "$work/rc.first"
}

# Behind the first line: what comes later may end with an exit.
add_rc_line() {
    if [ -f "$rc" ] && grep -qxF "$rc_line" "$rc"; then
        [ -x "$rc" ] || chmod 755 "$rc" || die "cannot make $rc executable"
    elif [ ! -f "$rc" ] || head -n 1 "$rc" | grep -q '^#!'; then
        change_rc "1a\\
$rc_line"
    elif [ -s "$rc" ]; then
        change_rc "1i\\
$rc_line"
    else
        rm -f "$rc"
        change_rc "1a\\
$rc_line"
    fi
}

# The first time the whole folder by one rename; later file by file, for daemon and supervise live in it.
swap() {
    if [ ! -d "$home" ]; then
        fresh=1
        mv "$stage" "$home" || die "cannot write to $apps"
        return
    fi
    for file in $files; do
        [ ! -e "$home/$file" ] || { mkdir -p "$old/${file%/*}" && ln "$home/$file" "$old/$file"; } ||
            die "cannot write to $apps: is the disk full?"
        mkdir -p "$home/${file%/*}" || die "cannot write to $home"
    done
    swapping=1
    for file in $files settings.ini charge last_balancing; do
        [ ! -f "$stage/$file" ] || mv -f "$stage/$file" "$home/$file" || die "cannot write to $home"
    done
}

start() {
    pid_before=$(pid_of "$service")
    pid_seen='' settled=0
    if [ ! -e "$service" ]; then
        linked=1
        ln -sfn "$home/service" "$service" || die "cannot write to $root/service"
    fi
    await 20 is_supervised "$service" || die "svscan does not take up $service. Does it run?"
    restarted=1
    if [ -n "$pid_before" ]; then
        svc -t "$service"
    else
        svc -u "$service"
    fi
    await 30 has_settled || {
        show_log
        die "$version does not stay up"
    }
}

report() {
    program=$home/battery-aggregator
    if await "$patience" is_on_bus; then
        say "On the bus: $("$program" status)"
        say "Choose it in the GUI, explicitly (left to itself Venus takes the pack with the lowest instance):"
        say "  Settings, System setup, Battery monitor: Battery Aggregator"
        say "  Settings, DVCC, Controlling BMS:         Battery Aggregator"
    else
        warn "it runs, but the battery is not on the bus yet. Its log says what it waits for."
        show_log
        say "When it is there, choose Battery Aggregator in the GUI: Settings, System setup, Battery monitor," \
            "and Settings, DVCC, Controlling BMS."
    fi
    say "Settings: $home/settings.ini (the defaults, explained: settings.default.ini)." \
        "After a change: $home/restart.sh"
}

# One at a time. A lock that has no process in it yet is one that another is just taking.
take_lock() {
    holder=$(cat "$lock/pid" 2>/dev/null)
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
        rm -rf "$lock" # of one that was killed
    fi
    if ! mkdir "$lock" 2>/dev/null; then
        [ -d "$lock" ] || die "cannot write to $root/tmp"
        die "another install.sh runs (if it does not: rm -r $lock)"
    fi
    locked=1
    echo $$ >"$lock/pid"
}

begin() {
    take_lock
    if [ ! -d "$apps" ]; then
        made_apps=1
        mkdir -p "$apps" || die "cannot write to $root/data"
    fi
    work=$(mktemp -d "$root/tmp/battery-aggregator.XXXXXX") || die "cannot write to $root/tmp"
}

install_it() {
    trap leave EXIT
    trap 'exit 130' INT TERM HUP PIPE
    check_venus
    find_arch
    begin
    find_source
    check_source
    prepare
    say "$version, for $arch"
    prepare_settings
    ask_to_replace
    if [ ! -e "$service" ] && ! python_is_here && is_on_bus; then
        die "another program has the name com.victronenergy.battery.aggregate on the bus. Stop it first"
    fi
    # From here on to the end, also when the connection is lost and nobody reads what is said.
    trap '' HUP PIPE
    sync # what is renamed below must be on the disk before
    stop_python
    [ -e "$service" ] || await 20 is_off_bus || die "the name on the bus is not given free"
    prepare_charge
    swap
    add_rc_line
    start
    finished=1
    if [ -e "$python_aside" ]; then
        svc -dx "$python_aside" "$python_aside/log" 2>/dev/null
        rm -rf "$python_aside"
    fi
    rm -rf "$old"
    sync
    report
}

# ---- taking it away ----

pay() {
    if "$home/battery-aggregator" release --data "$home"; then
        return 0
    elif [ -n "$force" ]; then
        warn "uninstalling all the same: turn DC feed-in on in the GUI (Settings, ESS)"
    else
        [ ! -e "$service" ] || svc -u "$service"
        die "not uninstalled. Try again, or turn DC feed-in on in the GUI and use --force"
    fi
}

remove_rc_line() {
    [ -f "$rc" ] && grep -qxF "$rc_line" "$rc" || return 0
    if grep -vxF "$rc_line" "$rc" | grep -qv '^#!'; then
        write_rc grep -vxF "$rc_line" "$rc"
    else
        rm -f "$rc"
    fi
}

remove_data() {
    if [ -z "$purge" ] && [ -t 0 ]; then
        printf 'Remove settings, charge and what was learned about the battery too? [y/N] '
        read -r answer
        case $answer in
            [yY]*) purge=1 ;;
        esac
    fi
    if [ -n "$purge" ]; then
        rm -rf "$home" "$log"
        say "All of it is removed."
        return
    fi
    for file in battery-aggregator install.sh restart.sh settings.default.ini README.md LICENSE CHANGELOG.md man \
        docs licenses service; do
        rm -rf "${home:?}/$file"
    done
    say "Settings and charge stay in $home. To remove them too: rm -r $home"
}

uninstall_it() {
    [ -x "$home/battery-aggregator" ] || die "battery-aggregator is not installed"
    trap tidy EXIT
    trap 'exit 130' INT TERM
    trap '' HUP PIPE
    take_lock
    if [ -e "$service" ]; then
        svc -d "$service"
        await 30 is_down "$service" || die "the daemon does not stop"
    fi
    pay
    remove_service
    rm -rf "$home/docs" "$home/man" # on a full disk: room for the new rc.local
    remove_rc_line
    remove_data
    say "battery-aggregator is uninstalled. Choose another battery monitor and controlling BMS in the GUI."
    if grep -q '^#battery-aggregator# ' "$rc" 2>/dev/null; then
        say "To go back to dbus-aggregate-batteries take '#battery-aggregator# ' off its line in $rc, and reboot."
    fi
    exit 0
}

main() {
    root=${ROOT:-}
    apps=$root/data/apps
    home=$apps/battery-aggregator
    stage=$apps/.battery-aggregator.new
    old=$apps/.battery-aggregator.old
    service=$root/service/battery-aggregator
    python=$root/service/dbus-aggregate-batteries
    python_aside=$root/service/.dbus-aggregate-batteries
    log=$root/var/log/battery-aggregator
    rc=$root/data/rc.local
    rc_line="ln -sfn $home/service $service"
    lock=$root/tmp/battery-aggregator.lock
    source='' force='' replace='' takeover=1 given_settings='' patience=60 action=install purge=''
    work='' locked='' made_apps='' files='' from='' settings_from=''
    fresh='' swapping='' linked='' restarted='' rc_changed='' python_stopped='' finished=''
    while [ $# -gt 0 ]; do
        case $1 in
            --force) force=1 ;;
            --replace) replace=1 ;;
            --no-takeover) takeover='' ;;
            --uninstall) action=uninstall ;;
            --purge) purge=1 ;;
            --settings | --wait)
                [ $# -gt 1 ] || die "$1 needs a value (--help)"
                if [ "$1" = --wait ]; then patience=$2; else given_settings=$2; fi
                shift
                ;;
            --help | -h)
                usage
                exit 0
                ;;
            -*) die "unknown option $1 (--help)" ;;
            *)
                [ -z "$source" ] || die "one archive at a time"
                source=$1
                ;;
        esac
        shift
    done
    case $patience in
        '' | *[!0-9]*) die "--wait needs a number of seconds" ;;
    esac
    [ -z "$given_settings" ] || [ -f "$given_settings" ] || die "there is no file $given_settings"
    case $action in
        install) install_it ;;
        uninstall) uninstall_it ;;
    esac
}

main "$@"
exit
