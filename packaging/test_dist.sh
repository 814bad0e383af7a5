#!/bin/sh
# test_dist.sh VERSION: proves what `make dist` made: the programs are for the devices they are meant for and start there, the
# archive is whole, a commit gives the same bytes in two folders, and the USB archive installs once.
set -eu
cd "$(dirname "$0")/.."
version=$1
name=battery-aggregator-$version
dist=$PWD/build/dist
arches=$(packaging/arch.sh all list)
export LC_ALL=C
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

# The checker itself must be able to say no: to this system's newer glibc, to another machine, to another library.
the_checker_refuses() {
    echo '#include <stdio.h>
#include <pthread.h>
static void *f(void *p) { return p; }
int main(void) { pthread_t t; char b[9]; return pthread_create(&t, 0, f, 0) + (fgets(b, 9, stdin) != 0); }' >"$work/new.c"
    gcc -O2 -pie -fPIE -s "$work/new.c" -o "$work/new"
    said=$(packaging/check_program.sh x86_64 "$work/new" 2>&1) && fail "a program for a newer glibc was let through"
    echo "$said" | grep -q 'needs GLIBC_2.34, Venus OS 3.0 has 2.31' || fail "said of a newer glibc: $said"
    said=$(packaging/check_program.sh aarch64 "$dist/armv7/battery-aggregator" 2>&1) && fail "ARMv7 passed for AArch64"
    echo "$said" | grep -q 'is not for aarch64' || fail "said of the wrong machine: $said"
    echo "$said" | grep -q 'is not stripped' || fail "said of symbols: $said"
    echo "$said" | grep -q 'bytes, fewer than 400000 are allowed' || fail "said of the size: $said"
    echo 'int uv_version(void); int main(void) { return uv_version() == 0; }' >"$work/uv.c"
    gcc -O2 -s "$work/uv.c" -luv -o "$work/uv"
    said=$(packaging/check_program.sh x86_64 "$work/uv" 2>&1) && fail "a program that needs libuv was let through"
    echo "$said" | grep -q 'needs libuv.so.1' || fail "said of another library: $said"
    ok "the checker refuses a newer glibc, another machine, another library, symbols, too many bytes"
}

the_archive_is_whole() {
    (cd "$dist" && sha256sum --quiet -c "$name.tar.gz.sha256" && sha256sum --quiet -c venus-data-battery-aggregator.tar.gz.sha256)
    mkdir "$work/here"
    busybox tar xzf "$dist/$name.tar.gz" -C "$work/here"
    (cd "$work/here/$name" && busybox sha256sum -c SHA256SUMS >/dev/null) || fail "SHA256SUMS do not fit"
    files=$(cd "$work/here/$name" && find . -type f ! -name SHA256SUMS | wc -l)
    [ "$files" -eq "$(wc -l <"$work/here/$name/SHA256SUMS")" ] || fail "a file has no checksum"
    for file in settings.ini charge service/run service/log/run LICENSE README.md CHANGELOG.md man/battery-aggregator.1 \
        licenses/libuv1 licenses/libinih BUILDINFO; do
        [ -s "$work/here/$name/$file" ] || fail "$file is missing"
    done
    for file in install.sh restart.sh service/run service/log/run; do
        [ ! -f "$file" ] || [ -x "$work/here/$name/$file" ] || fail "$file cannot be run"
    done
    ok "the archive is whole, busybox unpacks it, each file has its checksum"
}

# Under the glibc 2.31 and libdbus 1.12 of the sysroot, not this system's.
the_programs_fit_and_start() {
    for arch in $arches; do
        program=$work/here/$name/bin/$arch/battery-aggregator
        packaging/check_program.sh "$arch" "$program" || fail "$arch"
        run="$(packaging/arch.sh "$arch" wrap) $program"
        [ "$($run --version)" = "battery-aggregator $version" ] || fail "$arch does not tell its version"
        $run check settings.ini | grep -q '0 errors' || fail "$arch does not read the settings"
        ok "$arch needs no more than Venus OS 3.0 has, starts there, $(wc -c <"$program") bytes"
    done
}

# The firmwares of today have a newer glibc than 2.31; here it is this system's, 2.36, with the sysroot's libdbus.
the_programs_start_with_a_newer_glibc_too() {
    "$work/here/$name/bin/x86_64/battery-aggregator" check settings.ini | grep -q '0 errors' || fail "x86_64, newer glibc"
    for arch in armv7 aarch64; do
        triplet=$(packaging/arch.sh "$arch" triplet)
        mkdir -p "$work/newer/$arch"
        ln -s "/usr/$triplet/lib" "$work/newer/$arch/lib"
        mkdir "$work/newer/$arch.dbus"
        libraries=${SYSROOT:-build/sysroot}/$arch
        for library in dbus-1 systemd lzma lz4 zstd gcrypt gpg-error; do
            find "$libraries/lib" "$libraries/usr/lib" -name "lib$library.so.[0-9]*" -exec cp {} "$work/newer/$arch.dbus" \;
        done
        qemu=$(packaging/arch.sh "$arch" wrap | sed 's/ .*//')
        "$qemu" -L "$work/newer/$arch" -E "LD_LIBRARY_PATH=/usr/$triplet/lib:$work/newer/$arch.dbus" -E LD_DEBUG=libs \
            "$work/here/$name/bin/$arch/battery-aggregator" check settings.ini >"$work/said" 2>&1 || fail "$arch: $(tail -n 3 "$work/said")"
        grep -q '0 errors' "$work/said" || fail "$arch does not read the settings with a newer glibc"
        grep -q "calling init: /usr/$triplet/lib/libc.so.6" "$work/said" || fail "$arch: that was another glibc"
    done
    ok "they start with a newer glibc as well"
}

a_commit_gives_the_same_bytes() {
    if ! git rev-parse -q --verify HEAD >/dev/null 2>&1; then
        echo "  no repository here: the two builds are of this folder"
    fi
    for copy in first another/longer/path; do
        mkdir -p "$work/$copy"
        if git rev-parse -q --verify HEAD >/dev/null 2>&1; then
            git clone -q . "$work/$copy/source"
        else
            mkdir "$work/$copy/source"
            tar c --exclude=./build . | tar x -C "$work/$copy/source"
        fi
        mkdir "$work/$copy/source/build"
        cp -a "${SYSROOT:-build/sysroot}" "$work/$copy/source/build/sysroot"
        (cd "$work/$copy/source" && unset MAKEFLAGS MAKELEVEL MFLAGS && umask 0"$((copies * 25 + 2))" &&
            make -s dist >/dev/null)
        copies=$((copies + 1))
    done
    for file in "$name.tar.gz" venus-data-battery-aggregator.tar.gz; do
        cmp "$work/first/source/build/dist/$file" "$work/another/longer/path/source/build/dist/$file" ||
            fail "two builds of a commit differ"
    done
    ok "a commit gives the same bytes in two folders and under two umasks"
}

# What Venus OS does at boot with an archive on a stick; ROOT is the root.
boot_with_stick() {
    hooks=$(mktemp -d "$work/hooks.XXXX")
    busybox tar xzf "$1" -C "$hooks" rc
    if [ -f "$hooks/rc/pre-hook.sh" ]; then
        busybox sh "$hooks/rc/pre-hook.sh" || return 0
    fi
    result=success
    tar xzf "$1" -C "$ROOT/data" --exclude rc || result=extraction-failed
    busybox sh "$hooks/rc/post-hook.sh" $result
    rm -rf "$hooks"
}

await() {
    tries=0
    until eval "$1"; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || fail "never true: $1"
        sleep 0.1
    done
}

# With an installer that only writes down how it was called: install.sh itself is proved elsewhere.
a_stick_installs_once() {
    export ROOT="$work/venus" VENUS_WAIT_S=0
    stick=$ROOT/media/sda1
    mkdir -p "$ROOT/data/apps" "$stick" "$work/repacked"
    tar xzf "$dist/venus-data-battery-aggregator.tar.gz" -C "$work/repacked"
    unpacked=$work/repacked/apps/$name
    cat >"$unpacked/install.sh" <<END
echo "called with \$* in \$(dirname "\$0")"
mkdir -p "$ROOT/data/apps/battery-aggregator"
printf '#!/bin/sh\necho battery-aggregator $version\n' >"$ROOT/data/apps/battery-aggregator/battery-aggregator"
chmod 755 "$ROOT/data/apps/battery-aggregator/battery-aggregator"
END
    rm "$unpacked/SHA256SUMS"
    (cd "$unpacked" && find . -type f | sort | xargs sha256sum) >"$work/sums"
    cp "$work/sums" "$unpacked/SHA256SUMS"
    tar czf "$stick/venus-data-battery-aggregator.tar.gz" -C "$work/repacked" rc "apps/$name"
    log=$stick/battery-aggregator-install.log

    boot_with_stick "$stick/venus-data-battery-aggregator.tar.gz"
    await "grep -q Installed $log 2>/dev/null"
    grep -q "called with --replace in $ROOT/data/apps/$name" "$log" || fail "the installer was not called"
    await "[ ! -e $ROOT/data/apps/$name ]"
    [ ! -e "$ROOT/data/rc" ] || fail "the hooks lie in /data"
    ok "a stick installs at boot, says so on the stick, and leaves nothing unpacked"

    rm "$log"
    boot_with_stick "$stick/venus-data-battery-aggregator.tar.gz" >"$work/said"
    grep -q 'nothing to do' "$work/said" || fail "the second boot said: $(cat "$work/said")"
    [ ! -e "$ROOT/data/apps/$name" ] || fail "the second boot unpacked again"
    program=$ROOT/data/apps/battery-aggregator/battery-aggregator
    printf '#!/bin/sh\necho battery-aggregator 99.0.1\n' >"$program"
    boot_with_stick "$stick/venus-data-battery-aggregator.tar.gz" >"$work/said"
    grep -q '99.0.1 is installed already' "$work/said" || fail "an older stick said: $(cat "$work/said")"
    ok "a stick that stays is not installed again, and makes nothing older"

    printf '#!/bin/sh\necho battery-aggregator 0.0.9\n' >"$program"
    echo spoilt >>"$unpacked/settings.ini"
    tar czf "$stick/venus-data-battery-aggregator.tar.gz" -C "$work/repacked" rc "apps/$name"
    boot_with_stick "$stick/venus-data-battery-aggregator.tar.gz"
    await "grep -q 'Not installed' $log 2>/dev/null"
    grep -q 'Nothing was changed' "$log" || fail "a spoilt archive said: $(cat "$log")"
    ! grep -q 'called with' "$log" || fail "a spoilt archive was installed"
    ok "a spoilt archive on a stick changes nothing and says so on it"
}

copies=0
echo "== dist"
the_archive_is_whole
the_programs_fit_and_start
the_programs_start_with_a_newer_glibc_too
the_checker_refuses
a_stick_installs_once
a_commit_gives_the_same_bytes
