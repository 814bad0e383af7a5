#!/bin/sh
# run.sh [--under COMMAND] TEST...: runs the test programs one by one, under a command such as valgrind, and
# says at the end how many failed.
set -u
runner=
if [ "${1-}" = --under ]; then
    runner=$2
    shift 2
fi
passed=0
failed=0
failures=
for test in "$@"; do
    echo "== ${test##*/tests/}"
    # shellcheck disable=SC2086 # a command and its options
    if $runner "$test"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        failures="$failures ${test##*/tests/}"
    fi
done
echo
[ $failed -eq 0 ] || echo "Failed:$failures"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
