#!/bin/sh
# system.sh install|uninstall: puts the daemon on a Debian or Raspberry Pi OS (not on Venus OS: that is install.sh), under
# DESTDIR, below PREFIX and SYSCONFDIR. BUILD is where the programs were built. Settings that exist are kept; so is the
# data in /var/lib/battery-aggregator.
set -eu
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
sysconfdir=${SYSCONFDIR:-/etc}
build=${BUILD:-build}
root=${DESTDIR:-}
name=battery-aggregator
settings=$root$sysconfdir/$name/settings.ini
unit=$root${UNITDIR:-$prefix/lib/systemd/system}/$name.service
# dbus-daemon looks below /usr and /etc only.
case $prefix in
/usr) policy=$root/usr/share/dbus-1/system.d/$name.conf ;;
*) policy=$root$sysconfdir/dbus-1/system.d/$name.conf ;;
esac
default=$root$prefix/share/$name/settings.ini

put() {
    install -d "$(dirname "$3")"
    install -m "$1" "$2" "$3"
}

case ${1:-} in
install)
    put 755 "$build/battery-aggregator" "$root$prefix/bin/battery-aggregator"
    put 755 "$build/battery-fleet" "$root$prefix/bin/battery-fleet"
    for page in man/*.[15]; do
        put 644 "$page" "$root$prefix/share/man/man${page##*.}/${page#man/}"
    done
    put 644 settings.ini "$default"
    [ -e "$settings" ] || put 644 settings.ini "$settings"
    put 644 packaging/battery-aggregator.service.in "$unit"
    sed -i -e "s,@BINDIR@,$prefix/bin,g" -e "s,@SYSCONFDIR@,$sysconfdir,g" "$unit"
    put 644 packaging/battery-aggregator.dbus.conf "$policy"
    put 644 packaging/battery-aggregator.sysusers.conf "$root$prefix/lib/sysusers.d/$name.conf"
    [ -z "$root" ] || exit 0
    echo "Installed. To start it now and at each boot, as root:"
    echo "  systemd-sysusers && systemctl daemon-reload && systemctl reload dbus && systemctl enable --now $name"
    ;;
uninstall)
    if cmp -s "$default" "$settings"; then
        rm -f "$settings"
        rmdir "$(dirname "$settings")" 2>/dev/null || true
    elif [ -e "$settings" ]; then
        echo "Kept: $settings"
    fi
    rm -f "$root$prefix/bin/battery-aggregator" "$root$prefix/bin/battery-fleet" "$default" "$unit" "$policy" \
        "$root$prefix/lib/sysusers.d/$name.conf"
    for page in man/*.[15]; do
        rm -f "$root$prefix/share/man/man${page##*.}/${page#man/}"
    done
    rmdir "$root$prefix/share/$name" 2>/dev/null || true
    ;;
*)
    echo "system.sh: install or uninstall?" >&2
    exit 2
    ;;
esac
