#!/bin/sh
# dist.sh VERSION EPOCH_S: the release in build/dist/: the archive for install.sh, the archive for a USB stick, and
# their checksums. All times in it are EPOCH_S, so that a commit gives the same bytes wherever it is built.
set -eu
cd "$(dirname "$0")/.."
version=$1
epoch_s=$2
out=${DIST:-build/dist}
name=battery-aggregator-$version
stage=$out/stage
arches=$(packaging/arch.sh all list)
# Nothing that nobody calls, no texts that only the documents show, and no tables for unwinding: the debugger finds
# them in the programs with symbols that stay in build/dist/ARCH/.
small=-DNO_MEANINGS
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH="$epoch_s"
unset MAKEFLAGS MAKELEVEL MFLAGS || true

# The daemon for one architecture: this system's compiler, the sysroot's headers and libraries. Dynamic is only what
# Venus OS has; -nostdinc, because the cross compiler would take its own, newer headers first.
build_program() {
    triplet=$(packaging/arch.sh "$1" triplet)
    root=$PWD/${SYSROOT:-build/sysroot}/$1
    libraries=$root/usr/lib/$triplet
    compiler="$triplet-gcc --sysroot=$root -B$libraries/"
    headers="-nostdinc -isystem $("$triplet-gcc" -print-file-name=include)"
    for folder in "$root/usr/include/$triplet" "$root/usr/include" "$root/usr/include/dbus-1.0" \
        "$libraries/dbus-1.0/include"; do
        headers="$headers -isystem $folder"
    done
    flags="$(packaging/arch.sh "$1" flags) -g -ffile-prefix-map=$PWD=. $small"
    mkdir -p "$out/$1" "$stage/$name/bin/$1"
    # shellcheck disable=SC2086 # lists of options
    $compiler $headers $flags -fPIE -Wall -Wextra -Werror -c packaging/libuv_unused.c \
        -o "$out/$1/libuv_unused.o"
    # libuv and inih as Debian built them, without their tables for unwinding.
    for library in libuv_a.a libinih.a; do
        "$triplet-objcopy" --remove-section=.eh_frame --remove-section=.rela.eh_frame \
            --remove-section=.rel.eh_frame "$libraries/$library" "$out/$1/$library"
    done
    make -s -j"$(nproc)" "BUILD=$out/$1" CC="$compiler" AR="$triplet-ar" CFLAGS="$flags" PACKAGES_CFLAGS="$headers" \
        LDFLAGS="-L$out/$1 -L$libraries -Wl,--build-id=sha1 -static-libgcc -Wl,--no-eh-frame-hdr $(packaging/arch.sh "$1" link)" \
        LIBS="$out/$1/libuv_unused.o -l:libuv_a.a -l:libinih.a -ldbus-1 -lpthread -lm" \
        "$out/$1/battery-aggregator" >/dev/null
    "$triplet-strip" --strip-all --remove-section=.comment -o "$stage/$name/bin/$1/battery-aggregator" \
        "$out/$1/battery-aggregator"
    chmod 755 "$stage/$name/bin/$1/battery-aggregator"
}

# What a file of ours becomes in the archive; what does not exist yet is left out.
put() {
    mode=$1
    shift
    for file in "$@"; do
        [ -f "$file" ] || continue
        mkdir -p "$stage/$name/$(dirname "$file")"
        install -m "$mode" "$file" "$stage/$name/$file"
    done
}

# Which compilers and libraries made it, and the licences of what is linked in.
put_origins() {
    {
        echo "battery-aggregator $version, $(date -u -d "@$epoch_s" +%Y-%m-%dT%H:%M:%SZ)"
        for arch in $arches; do
            echo
            echo "$arch: $("$(packaging/arch.sh "$arch" triplet)-gcc" --version | head -n 1)"
            sed -n '/^libc6 \|^libdbus-1-3 \|^libuv1-dev \|^libinih-dev /s/^/  /p' \
                "${SYSROOT:-build/sysroot}/$arch/.packages"
        done
    } >"$stage/$name/BUILDINFO"
    mkdir -p "$stage/$name/licenses"
    for package in libuv1 libinih; do
        install -m 644 "${SYSROOT:-build/sysroot}/x86_64/usr/share/doc/$package-dev/copyright" \
            "$stage/$name/licenses/$package"
    done
}

# archive FILE FOLDER MEMBER...
archive() {
    file=$1
    shift
    tar --create --format=ustar --sort=name --mtime="@$epoch_s" --owner=0 --group=0 --numeric-owner \
        --directory "$@" | gzip -9 -n >"$out/$file"
    (cd "$out" && sha256sum "$file" >"$file.sha256")
}

# shellcheck disable=SC2086 # a list
packaging/sysroot.sh $arches
rm -rf "$out"
mkdir -p "$stage/$name"
for arch in $arches; do
    build_program "$arch"
done
put 755 install.sh restart.sh service/run service/log/run
put 644 settings.ini charge README.md CHANGELOG.md LICENSE man/*.1 man/*.5 docs/*.md
put_origins
(cd "$stage/$name" && find . -type f | sed 's,^\./,,' | sort | xargs sha256sum) >"$out/SHA256SUMS"
install -m 644 "$out/SHA256SUMS" "$stage/$name/SHA256SUMS"
chmod 644 "$stage/$name/BUILDINFO"
find "$stage" -type d -exec chmod 755 {} +
archive "$name.tar.gz" "$stage" "$name"

# For a USB stick: Venus unpacks apps/ over /data, and runs what is in rc/. Named without ./ before it, for rc is
# looked for by that name; apps/ itself is no member, for it exists and stays as it is.
mkdir -p "$stage/rc" "$stage/apps"
for hook in pre-hook post-hook; do
    sed "s/@VERSION@/$version/g" "packaging/venus-data/$hook.sh" >"$stage/rc/$hook.sh"
done
chmod 755 "$stage/rc/pre-hook.sh" "$stage/rc/post-hook.sh"
chmod 755 "$stage/rc" "$stage/apps"
mv "$stage/$name" "$stage/apps/$name"
archive venus-data-battery-aggregator.tar.gz "$stage" rc "apps/$name"
rm -rf "$stage"
ls -l "$out"/*.tar.gz
