#!/bin/sh
# Venus OS runs this before it unpacks venus-data*.tar.gz from a USB stick or SD card; a status other than 0 and it
# does not. The stick may stay where it is: what is installed is neither installed again at each boot nor made older.
set -u
root=${ROOT:-}
version=@VERSION@

# numbers VERSION: one number to compare by.
numbers() {
    echo "$1" | awk -F '[.+-]' '{ printf "%.0f", ($1 * 10000 + $2) * 10000 + $3 }'
}

installed=$("$root/data/apps/battery-aggregator/battery-aggregator" --version 2>/dev/null) || exit 0
installed=${installed#battery-aggregator }
if [ "$installed" = "$version" ] || [ "$(numbers "$installed")" -gt "$(numbers "$version")" ]; then
    echo "battery-aggregator $installed is installed already; the stick has $version: nothing to do"
    exit 1
fi
