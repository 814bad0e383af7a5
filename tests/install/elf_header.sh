#!/bin/sh
# elf_header.sh FILE CLASS MACHINE FLAGS: the first bytes of an ELF program of another processor, in octal numbers.
# FLAGS is the byte at 37, which tells how 32-bit ARM passes floating point numbers.
set -eu
zeros='\000\000\000\000\000\000\000\000'
printf '%b' "\\0177ELF\\0$2\\01\\01\\0$zeros" "\\02\\0\\0$3\\0$zeros$zeros\\0\\0$4\\0\\05" >"$1"
chmod 755 "$1"
