#!/bin/sh
# release.sh FOLDER VERSION [PROGRAM]: a small release archive in FOLDER as `make dist` makes it, of the program
# in the build folder (or PROGRAM) for this processor and of files that are only the beginning of a program for
# the others. Prints the archive's path. Leaves the unpacked folder beside it, for tests that spoil it.
set -eu
cd "$(dirname "$0")/../.."
folder=$1
version=$2
program=${3:-${BUILD:-build}/battery-aggregator}
top=$folder/battery-aggregator-$version

rm -rf "$top"
mkdir -p "$top/bin/armv7" "$top/bin/aarch64" "$top/bin/x86_64"
tests/install/elf_header.sh "$top/bin/armv7/battery-aggregator" 001 050 004
tests/install/elf_header.sh "$top/bin/aarch64/battery-aggregator" 002 267 000
tests/install/elf_header.sh "$top/bin/x86_64/battery-aggregator" 002 076 000
case $(uname -m) in
    x86_64) native=x86_64 ;;
    aarch64) native=aarch64 ;;
    *) native=armv7 ;;
esac
cp "$program" "$top/bin/$native/battery-aggregator"
strip "$top/bin/$native/battery-aggregator"
cp -r install.sh restart.sh settings.ini charge service man README.md LICENSE CHANGELOG.md "$top"
echo "This is release $version." >>"$top/README.md"
tests/install/seal.sh "$top"
