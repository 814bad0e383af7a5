#!/bin/sh
# check_program.sh ARCH FILE: does this program of the release run on every Venus OS since 3.0? Read from the file
# itself: its machine, the libraries and symbol versions that it needs, its size and its hardening. Says each fault;
# status 1 if there is one.
set -eu
cd "$(dirname "$0")/.."
arch=$1
file=$2
glibc_newest=2.31
size_most=400000
export LC_ALL=C
faults=0

fault() {
    echo "$file: $*" >&2
    faults=$((faults + 1))
}

header=$(readelf -hW "$file")
segments=$(readelf -lW "$file")
dynamic=$(readelf -dW "$file")

case $arch in
armv7) machine='ARM' class=ELF32 loader=ld-linux-armhf.so.3 ;;
aarch64) machine='AArch64' class=ELF64 loader=ld-linux-aarch64.so.1 ;;
x86_64) machine='Advanced Micro Devices X86-64' class=ELF64 loader=ld-linux-x86-64.so.2 ;;
*) fault "unknown architecture $arch" && exit 1 ;;
esac
echo "$header" | grep -q "Machine: *$machine\$" || fault "is not for $arch"
echo "$header" | grep -q "Class: *$class\$" || fault "is not $class"
echo "$segments" | grep -q "program interpreter: .*/$loader]" || fault "is not started by $loader"

if [ "$arch" = armv7 ]; then
    attributes=$(readelf -A "$file")
    echo "$attributes" | grep -q 'Tag_CPU_arch: v7$' || fault "is for another ARM than v7"
    echo "$attributes" | grep -q 'Tag_FP_arch: VFPv3-D16$' || fault "needs another FPU than VFPv3 with 16 registers"
    echo "$attributes" | grep -q 'Tag_ABI_VFP_args: VFP registers$' || fault "is not hard float"
    ! echo "$attributes" | grep -q Tag_Advanced_SIMD_arch || fault "uses NEON"
    ! echo "$attributes" | grep -q Tag_DIV_use || fault "divides in hardware, which a Cortex-A8 or A9 cannot"
fi

# Libraries: no more than a Venus device has.
for library in $(echo "$dynamic" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $library in
    libc.so.6 | libm.so.6 | libpthread.so.0 | libdbus-1.so.3 | "$loader") ;;
    *) fault "needs $library" ;;
    esac
done
! echo "$dynamic" | grep -q -E 'RPATH|RUNPATH' || fault "carries a search path for libraries"

# Versions: of glibc up to 2.31, of libdbus only what is public.
versions=$(readelf -VW "$file" | sed -n 's/.*Name: \([A-Za-z_0-9.]*\)  Flags.*/\1/p' | sort -u)
[ -n "$versions" ] || fault "needs no symbol version at all: not linked dynamically?"
for version in $versions; do
    case $version in
    GLIBC_[0-9]*)
        newest=$(printf '%s\n' "$glibc_newest" "${version#GLIBC_}" | sort -V | tail -n 1)
        [ "$newest" = "$glibc_newest" ] || fault "needs $version, Venus OS 3.0 has $glibc_newest"
        ;;
    LIBDBUS_1_3) ;;
    *) fault "needs $version" ;;
    esac
done

# Small and stripped.
size=$(wc -c <"$file")
[ "$size" -lt $size_most ] || fault "has $size bytes, fewer than $size_most are allowed"
! readelf -SW "$file" | grep -q -E ' \.(symtab|debug_info) ' || fault "is not stripped"
packaging/check_hardening.sh "$file" || faults=$((faults + 1))
[ $faults -eq 0 ]
