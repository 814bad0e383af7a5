#!/bin/sh
# test_deb.sh VERSION: proves what `make deb` made: lintian has nothing to say, all is where it belongs, and what the
# package brings starts from its own folder.
set -eu
cd "$(dirname "$0")/.."
version=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

ok() {
    echo "  ok  $1"
}

fail() {
    echo "  FAILED  $1" >&2
    exit 1
}

echo "== deb"
set -- "build/deb/battery-aggregator_${version}_"*.deb
deb=$1
[ -f "$deb" ] || fail "there is no package"
lintian --allow-root --fail-on error,warning --tag-display-limit 0 build/deb/*.changes >"$work/said" 2>&1 ||
    fail "lintian: $(cat "$work/said")"
! grep -q '^[EW]:' "$work/said" || fail "lintian: $(cat "$work/said")"
ok "lintian: no error, no warning"

[ "$(dpkg-deb -f "$deb" Version)" = "$version" ] || fail "the version is $(dpkg-deb -f "$deb" Version)"
for library in libc6 libdbus-1-3 libuv1 libinih1; do
    dpkg-deb -f "$deb" Depends | grep -q "$library " || fail "does not depend on $library"
done
dpkg-deb -e "$deb" "$work/control"
[ "$(cat "$work/control/conffiles")" = /etc/battery-aggregator/settings.ini ] || fail "the settings are no conffile"
grep -q 'systemd-sysusers.* battery-aggregator.conf' "$work/control/postinst" || fail "postinst makes no user"
grep -q 'battery-aggregator.service' "$work/control/postinst" || fail "postinst does not start the service"

root=$work/root
dpkg-deb -x "$deb" "$root"
for file in usr/bin/battery-aggregator usr/bin/battery-fleet usr/share/man/man1/battery-aggregator.1.gz \
    usr/share/man/man5/battery-aggregator-settings.5.gz lib/systemd/system/battery-aggregator.service \
    usr/share/dbus-1/system.d/battery-aggregator.conf usr/lib/sysusers.d/battery-aggregator.conf \
    usr/share/doc/battery-aggregator/copyright usr/share/doc/battery-aggregator/README.md.gz; do
    [ -s "$root/$file" ] || fail "$file is missing"
done
[ "$("$root/usr/bin/battery-aggregator" --version)" = "battery-aggregator $version" ] || fail "tells another version"
"$root/usr/bin/battery-aggregator" check "$root/etc/battery-aggregator/settings.ini" >"$work/said" ||
    fail "the settings do not pass: $(cat "$work/said")"
ok "$(basename "$deb"): all in its place, depends on its libraries, starts and takes its own settings"
