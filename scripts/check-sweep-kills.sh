#!/usr/bin/env bash
# The toy study, swept once undisturbed and once killed with SIGKILL five times on the way: the results must be the same bytes.
#
# Usage: scripts/check-sweep-kills.sh [FOLDER]
# FOLDER takes the recordings and both sets of runs; a temporary one that goes again by default. ASDBENCH names the program,
# by default that of the release build. Takes about twice as long as the toy study.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
program=${ASDBENCH:-${CARGO_TARGET_DIR:-$repository/target}/release/asdbench}
program=$(realpath "$program")
study=$repository/configs/study-micro.toml
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    folder=$1
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
cd "$folder"
rm -rf whole cut

[ -d data ] || "$program" synth data --preset tiny --machines fan,valve -q
mkdir -p checkpoints
for seed in 1 2; do
    for network in beats-tiny eat-tiny; do
        file=checkpoints/$network-$seed.safetensors
        [ -e "$file" ] || "$program" import --random "$network" --seed "$seed" -o "$file" -q >/dev/null
    done
done

sweep=("$program" sweep "$study" --set data.root=data --device cpu --no-progress)

echo "undisturbed"
started=$SECONDS
"${sweep[@]}" --runs whole -q >/dev/null
took=$((SECONDS - started))
echo "took $took s"

for kill in 1 2 3 4 5; do
    "${sweep[@]}" --runs cut -q >/dev/null 2>&1 &
    pid=$!
    # Eighths of the whole and a little, so that no two kills fall on the same work.
    sleep "$(awk -v t="$took" -v k="$kill" 'BEGIN { print t / 8 + k * 0.37 }')"
    if ! kill -KILL "$pid" 2>/dev/null; then
        echo "error: the sweep was over before kill $kill" >&2
        exit 1
    fi
    wait "$pid" 2>/dev/null || true
    echo "killed $kill: $(find cut -name eval.json | wc -l) trials done"
done
echo "to the end"
"${sweep[@]}" --runs cut >/dev/null

# All but what says when and by whom.
list() { (cd "$1" && find . -path ./.cache -prune -o -path ./.studies -prune -o -type f \
    ! -name manifest.json ! -name metrics.jsonl ! -name lock -print | sort); }
diff <(list whole) <(list cut)
count=0
while read -r file; do
    cmp "whole/$file" "cut/$file"
    count=$((count + 1))
done < <(list whole)

for runs in whole cut; do
    {
        "${sweep[@]}" -q --runs "$runs" --format csv
        "$program" correlate "$runs" -q --format json
    } | sed "s#$runs/#RUNS/#g" >"$runs.tables"
done
cmp whole.tables cut.tables
echo "the same: $count files and all tables"
