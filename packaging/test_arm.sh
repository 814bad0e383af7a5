#!/bin/sh
# test_arm.sh [ARCH...]: the bus tests (BUS_TESTS, built for this system) with the release's daemons in the place of
# this system's, each under qemu and under the glibc and libdbus of Venus OS 3.0; the bus stays this system's. x86_64
# runs without qemu.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- armv7 aarch64 x86_64
failed=
for arch in "$@"; do
    program=build/test-arm/$arch/battery-aggregator
    mkdir -p "build/test-arm/$arch"
    cat >"$program" <<END
#!/bin/sh
exec $(packaging/arch.sh "$arch" wrap) $PWD/build/dist/$arch/battery-aggregator "\$@"
END
    chmod +x "$program"
    echo "==== $arch: $("$program" --version) on $(packaging/arch.sh "$arch" wrap | cut -d ' ' -f 1 | sed 's,.*/,,')"
    # HARNESS_WRAP tells the tests that all is slower here; env itself changes nothing.
    # shellcheck disable=SC2086 # a list
    AGGREGATOR=$PWD/$program HARNESS_WRAP=env tests/run.sh $BUS_TESTS || failed="$failed $arch"
done
[ -z "$failed" ] || { echo "Failed on:$failed" >&2; exit 1; }
