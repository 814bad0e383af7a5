#!/bin/sh
# run.sh [--under COMMAND] TEST...: runs the test programs side by side, JOBS at a time, in the order in which
# they are named; under a command such as valgrind. What each says is shown when it ends. In the end says how many
# failed, and which.
set -u
# Of its own for each job: how it ended is a file, so that one that could not even be started has failed too.
if [ "${1-}" = --one ]; then
    folder=$2
    number=${3%% *}
    test=${3#* }
    began=$(date +%s)
    # shellcheck disable=SC2086 # a command and its options
    $RUNNER "$test" >"$folder/$number.said" 2>&1 </dev/null && : >"$folder/$number.passed"
    status=$?
    [ $status -eq 0 ] || echo "${test##*/tests/} ended with status $status" >>"$folder/$number.said"
    echo "$number $(($(date +%s) - began)) $test"
    exit 0 # xargs shall go on
fi

RUNNER=
if [ "${1-}" = --under ]; then
    RUNNER=$2
    shift 2
fi
export RUNNER
# Those on a bus wait more than they compute.
jobs=${JOBS:-$((3 * $(nproc)))}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

number=0
for test in "$@"; do
    number=$((number + 1))
    printf '%s\0' "$number $test"
done | xargs -0 -r -n 1 -P "$jobs" "$0" --one "$folder" | while read -r number seconds test; do
    echo "== ${test##*/tests/} ($seconds s)"
    cat "$folder/$number.said"
done

passed=0
failures=
number=0
for test in "$@"; do
    number=$((number + 1))
    if [ -e "$folder/$number.passed" ]; then
        passed=$((passed + 1))
    else
        failures="$failures ${test##*/tests/}"
    fi
done
echo
[ -z "$failures" ] || echo "Failed:$failures"
echo "$passed passed, $(($# - passed)) failed"
[ -z "$failures" ] && [ $passed -gt 0 ]
