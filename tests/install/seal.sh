#!/bin/sh
# seal.sh TOP: SHA256SUMS of the folder TOP, the archive of it beside it, and its checksum. Prints its path.
set -eu
cd "$1/.."
top=${1##*/}
rm -f "$top/SHA256SUMS"
(cd "$top" && find . -type f ! -name SHA256SUMS | sed 's/^..//' | LC_ALL=C sort | xargs sha256sum) >"$top.sums"
mv "$top.sums" "$top/SHA256SUMS"
tar -czf "$top.tar.gz" "$top"
sha256sum "$top.tar.gz" >"$top.tar.gz.sha256"
echo "$PWD/$top.tar.gz"
