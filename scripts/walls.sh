#!/bin/sh
# walls.sh: who may include whom. core/ includes nobody but itself; bus/ only libdbus and libuv; venus/
# core and bus; sim/plant only core; nobody but main.c the daemon.
set -eu
cd "$(dirname "$0")/.."
broken=0

# forbid FILES PATTERN WHY: no include in FILES may match PATTERN.
forbid() {
    # shellcheck disable=SC2086 # FILES is a list of globs
    if grep -nE "^#include [<\"]($2)" $1; then
        echo "walls: $3" >&2
        broken=1
    fi
}

forbid 'src/core/*.[ch]' 'bus/|venus/|sim/|commands/|dbus/|uv\.h|ini\.h|log\.h|state\.h|settings\.h|time\.h|unistd\.h|sys/' \
    'core/ decides: no bus, no loop, no files, no clock'
forbid 'src/bus/*.[ch]' 'core/|venus/|sim/|commands/|log\.h|state\.h|settings\.h' \
    'bus/ knows nothing about batteries'
forbid 'src/venus/*.[ch]' 'sim/|commands/|daemon\.h|uv\.h' 'venus/ knows core/ and bus/ only'
forbid 'src/sim/plant.[ch] src/sim/weather.[ch] src/sim/chance.[ch] src/sim/sensors.[ch] src/sim/reference.[ch] src/sim/year.[ch]' \
    'bus/|venus/|commands/|dbus/|uv\.h|time\.h|log\.h' 'what is simulated is pure'
forbid 'src/*.c src/venus/*.c src/commands/*.c' 'sim/fleet' 'only the fleet knows the fleet'
exit $broken
