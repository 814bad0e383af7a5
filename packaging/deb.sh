#!/bin/sh
# deb.sh VERSION EPOCH_S: the Debian package for this architecture in build/deb/, from a copy of the sources in which
# packaging/debian is debian/, with what is known elsewhere filled in.
set -eu
cd "$(dirname "$0")/.."
version=$1
epoch_s=$2
out=build/deb
source=$out/battery-aggregator-$version
maintainer=${DEB_MAINTAINER:-$(git log -1 --format='%an <%ae>' 2>/dev/null || true)}
[ -n "$maintainer" ] || { echo "deb.sh: name a DEB_MAINTAINER: Name <mail address>" >&2; exit 1; }

rm -rf "$out"
mkdir -p "$source"
if git rev-parse -q --verify HEAD >/dev/null 2>&1; then
    git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null | tar c -T -
else
    tar c --exclude=./build .
fi | tar x -C "$source"
mv "$source/packaging/debian" "$source/debian"
rm -rf "$source/.ci"
sed -i "s/@MAINTAINER@/$maintainer/" "$source/debian/control"
awk -v copyright="$(sed -n 's/^Copyright (c) //p' LICENSE)" '
    /@LICENSE@/ {
        while ((getline line < "LICENSE") > 0)
            if (line !~ /^Copyright|^MIT License/ && (started || line != "")) {
                print (line == "" ? " ." : " " line)
                started = 1
            }
        next
    }
    { sub(/@COPYRIGHT@/, copyright); print }' packaging/debian/copyright >"$source/debian/copyright"
cat >"$source/debian/changelog" <<END
battery-aggregator ($version) unstable; urgency=medium

  * Version $version. What is new is told in CHANGELOG.md of the sources.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$epoch_s")
END
find "$source" -exec touch -h -d "@$epoch_s" {} +
unset MAKEFLAGS MAKELEVEL MFLAGS || true
if ! (cd "$source" && SOURCE_DATE_EPOCH="$epoch_s" DEB_BUILD_OPTIONS="parallel=$(nproc) ${DEB_BUILD_OPTIONS:-}" \
    dpkg-buildpackage -us -uc) >"$out/log" 2>&1; then
    tail -n 40 "$out/log" >&2
    exit 1
fi
ls -l "$out"/*.deb
