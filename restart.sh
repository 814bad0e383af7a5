#!/bin/sh
# restart.sh: restarts battery-aggregator, and says whether it came back. For settings alone a SIGHUP is enough:
# svc -h /service/battery-aggregator.
set -u
root=${ROOT:-}
service=$root/service/battery-aggregator
home=$root/data/apps/battery-aggregator
log=$root/var/log/battery-aggregator/current
patience=${1:-60}

pid_of_service() { svstat "$service" 2>/dev/null | sed -n 's/.*: up (pid \([0-9]*\)).*/\1/p'; }

fail() {
    echo "restart.sh: $*" >&2
    [ ! -f "$log" ] || tail -n 8 "$log" | sed 's/^@[0-9a-f]* /  /' >&2
    exit 1
}

case $patience in
    *[!0-9]*)
        echo "Usage: restart.sh [SECONDS]: how long to wait until the battery is on the bus again (60)" >&2
        exit 2
        ;;
esac
svstat "$service" 2>/dev/null | grep -q ': up\|: down' || fail "the service $service does not run. Is it installed?"
"$home/battery-aggregator" check "$home/settings.ini" >/dev/null ||
    { "$home/battery-aggregator" check "$home/settings.ini" >&2; fail "not restarted: correct the settings first"; }
before=$(pid_of_service)
if [ -n "$before" ]; then svc -t "$service"; else svc -u "$service"; fi

while [ "$patience" -gt 0 ]; do
    now=$(pid_of_service)
    if [ -n "$now" ] && [ "$now" != "$before" ] && line=$("$home/battery-aggregator" status 2>/dev/null); then
        echo "Back on the bus: $line"
        exit 0
    fi
    sleep 1
    patience=$((patience - 1))
done
now=$(pid_of_service)
if [ -z "$now" ] || [ "$now" = "$before" ]; then fail "it did not restart. The last lines of its log:"; fi
fail "it runs again, but the battery is not on the bus. The last lines of its log:"
