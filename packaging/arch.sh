#!/bin/sh
# arch.sh ARCH WHAT: what the release needs to know of armv7, aarch64 or x86_64. WHAT is one of
#   debian    Debian's name for it          triplet   of its compiler and its folders
#   flags     for the compiler              wrap      what runs its programs with the libraries of the sysroot
#   link      for the linker                list      (ARCH all) all of them
set -eu

sysroot=${SYSROOT:-build/sysroot}/$1
link=
case $1 in
armv7)
    debian=armhf triplet=arm-linux-gnueabihf qemu=qemu-arm
    # What every Venus device has: the ABI's 16 double registers, no NEON.
    flags='-O2 -march=armv7-a -mfpu=vfpv3-d16 -mfloat-abi=hard'
    ;;
aarch64)
    debian=arm64 triplet=aarch64-linux-gnu qemu=qemu-aarch64
    flags='-Os -march=armv8-a'
    # Pages have 4 or 16 KiB on every Venus device; aligned to 64 the file would be padded.
    link=-Wl,-z,max-page-size=16384
    ;;
x86_64)
    debian=amd64 triplet=x86_64-linux-gnu qemu=
    flags='-Os -march=x86-64'
    ;;
all) ;;
*)
    echo "arch.sh: $1 is none of armv7, aarch64, x86_64" >&2
    exit 1
    ;;
esac

case $2 in
list) echo armv7 aarch64 x86_64 ;;
debian) echo "$debian" ;;
triplet) echo "$triplet" ;;
flags) echo "$flags" ;;
link) echo "$link" ;;
wrap)
    case $sysroot in /*) ;; *) sysroot=$PWD/$sysroot ;; esac
    if [ -n "$qemu" ]; then
        echo "$qemu -L $sysroot"
    else
        echo "$sysroot/lib64/ld-linux-x86-64.so.2 --library-path $sysroot/lib/$triplet:$sysroot/usr/lib/$triplet"
    fi
    ;;
*)
    echo "arch.sh: $2?" >&2
    exit 1
    ;;
esac
