#!/bin/sh
# run.sh search|keep TARGET: lets libFuzzer search with a target for FUZZ_SECONDS; or keeps a small corpus
# that reaches every branch that the old one and what was found reach. Inputs that break something lie in
# $FUZZ_BUILD/found.
set -eu
cd "$(dirname "$0")/../.."
what=$1
target=$2
program=$FUZZ_BUILD/fuzz_$target
corpus=tests/fuzz/corpus/$target
new=$FUZZ_BUILD/new/$target
found=$FUZZ_BUILD/found
mkdir -p "$corpus" "$new" "$found"
# Logging is a part of the targets, its lines are not asked for; libFuzzer and the sanitizers keep a stderr.
set -- -close_fd_mask=3 -timeout=60 -rss_limit_mb=2048 -artifact_prefix="$found/$target-"
dictionary=tests/fuzz/$target.dict
[ ! -f "$dictionary" ] || set -- "$@" -dict="$dictionary"

case $what in
search)
    log=$FUZZ_BUILD/$target.log
    begun=$(date +%s)
    if ! "$program" "$@" -max_len=4096 -max_total_time="${FUZZ_SECONDS:-600}" -print_final_stats=1 \
        "$new" "$corpus" >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "fuzz_$target: something does not hold; the input is in $found, the log in $log" >&2
        exit 1
    fi
    echo "fuzz_$target: $(($(date +%s) - begun)) s," \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, nothing found"
    ;;
keep)
    # What we wrote has a name and stays; what was found is named by its hash, and chosen anew.
    old=$FUZZ_BUILD/old/$target
    rm -rf "$old"
    mkdir -p "$old"
    find "$corpus" -type f | grep -E '/[0-9a-f]{40}$' | xargs -r -I '{}' mv '{}' "$old"
    "$program" "$@" -set_cover_merge=1 -use_counters=0 "$corpus" "$old" "$new" >"$FUZZ_BUILD/$target.merge.log" 2>&1
    echo "fuzz_$target: $(find "$corpus" -type f | wc -l) files, $(du -sb "$corpus" | cut -f 1) bytes"
    ;;
esac
