#!/bin/sh
# check_hardening.sh FILE: does the program carry what Debian hardens with? Says what it lacks; status 1 then.
set -eu
file=$1
export LC_ALL=C
faults=0

fault() {
    echo "$file: $*" >&2
    faults=$((faults + 1))
}

header=$(readelf -hW "$file")
segments=$(readelf -lW "$file")
dynamic=$(readelf -dW "$file")
symbols=$(readelf --dyn-syms -W "$file")

echo "$header" | grep -q 'Type: *DYN' || fault "is not position independent"
echo "$segments" | grep -q GNU_RELRO || fault "has no RELRO"
echo "$dynamic" | grep -q 'FLAGS_1.*NOW' || fault "does not bind at its start"
echo "$segments" | grep -q 'GNU_STACK.* RW ' || fault "has an executable stack"
echo "$symbols" | grep -q '__stack_chk_fail' || fault "has no stack protector"
echo "$symbols" | grep -q '_chk@' || fault "was not built with _FORTIFY_SOURCE"
[ $faults -eq 0 ]
