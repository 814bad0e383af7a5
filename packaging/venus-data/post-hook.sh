#!/bin/sh
# Venus OS runs this when it has unpacked venus-data*.tar.gz over /data, early at boot: no D-Bus yet, no services. So the
# installer runs beside the boot and waits for them. What it said is in /data/log, and on the stick for who has no SSH.
set -u
root=${ROOT:-}
version=@VERSION@
unpacked=$root/data/apps/battery-aggregator-$version
log=$root/data/log/battery-aggregator-install.log

# The services' supervisor is the last that install.sh needs.
await_services() {
    waited_s=0
    until pidof svscan >/dev/null 2>&1 || [ "$waited_s" -ge "${VENUS_WAIT_S:-300}" ]; do
        sleep 1
        waited_s=$((waited_s + 1))
    done
}

install_unpacked() {
    echo "battery-aggregator $version from venus-data-battery-aggregator.tar.gz"
    if [ "$1" = extraction-failed ] || ! (cd "$unpacked" && sha256sum -c SHA256SUMS >/dev/null 2>&1); then
        echo "The archive could not be unpacked whole: is the disk full, or the file damaged? Nothing was changed."
        return 1
    fi
    await_services
    sh "$unpacked/install.sh" --replace
}

to_stick() {
    for folder in "$root"/media/*; do
        for archive in "$folder"/venus-data.t*gz "$folder"/venus-data-battery-aggregator*.t*gz; do
            if [ -f "$archive" ]; then
                cp "$log" "$folder/battery-aggregator-install.log" 2>/dev/null && sync
                return
            fi
        done
    done
}

mkdir -p "$root/data/log"
(
    install_unpacked "${1:-success}" >"$log" 2>&1 </dev/null
    status=$?
    [ $status -eq 0 ] && echo "Installed." >>"$log" || echo "Not installed (status $status)." >>"$log"
    rm -rf "$unpacked"
    to_stick
) >/dev/null 2>&1 </dev/null &
