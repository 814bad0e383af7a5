#!/bin/sh
# soak.sh SECONDS PLAIN SANITIZED: soak.py with both daemons at the same time, each on a bus of its own. The plain
# one shows whether memory grows, the other whether the sanitizers find something. SEED=N chooses other faults.
set -u
cd "$(dirname "$0")/../.." || exit 1
seed=${SEED:-$(($(date +%s) % 100000))}
said=$(mktemp)
trap 'rm -f "$said"' EXIT
tests/bus/soak.py --seconds "$1" --seed "$seed" "$3" >"$said" 2>&1 &
sanitized=$!
tests/bus/soak.py --seconds "$1" --seed "$((seed + 1))" --memory "$2"
status=$?
wait "$sanitized" || status=1
cat "$said"
exit "$status"
