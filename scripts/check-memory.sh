#!/usr/bin/env bash
# Host memory and open files of a long sweep, sampled: 2,000 trials of the smallest autoencoder on one machine type.
# Fails where the memory of the sweep or of its workers grows with the trials, or where files stay open.
#
# Usage: scripts/check-memory.sh [TRIALS [FOLDER]]
# FOLDER takes the recordings, the runs and the curve, curve.csv; a temporary one that goes again by default. ASDBENCH names
# the program, by default that of the release build. JOBS is the number of workers, 2 by default.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
program=${ASDBENCH:-${CARGO_TARGET_DIR:-$repository/target}/release/asdbench}
program=$(realpath "$program")
trials=${1:-2000}
jobs=${JOBS:-2}
# Kibibytes of a process's memory that a trial may leave behind, where its features alone are 60: two, and what a megabyte
# of the allocator's own is to so few trials.
allowed_kib=$(awk -v n="$trials" 'BEGIN { printf "%.1f", 2 + 1024 / n }')
# Files that a process may have open at any time.
allowed_files=64
if [ $# -gt 1 ]; then
    mkdir -p "$2"
    folder=$2
else
    folder=$(mktemp -d)
    own=$folder
fi
# The sweep ends with this script, whatever ends it; its workers end with the sweep.
leave() {
    [ -z "${sweep:-}" ] || kill -KILL "$sweep" 2>/dev/null || true
    [ -z "${own:-}" ] || { sleep 1; rm -rf "$own"; }
}
trap leave EXIT
cd "$folder"
rm -rf runs curve.csv

[ -d data ] || "$program" synth data --machines fan --duration-s 0.6 --train-per-section 4 --test-per-section 4 -q
# Five sizes, and as many seeds as it takes.
seeds=$(seq -s ', ' 0 $((trials / 5 - 1)))
cat >many.toml <<END
[study]
name = "many"
seeds = [$seeds]

[common]
data.root = "data"
train.epochs = 1

[[family]]
config = "$repository/configs/micro/ae.toml"
[family.override]
train.batch_size = 256
[family.grid]
"task.autoencoder.hidden" = [4, 5, 6, 7, 8]
END

started=$SECONDS
"$program" sweep many.toml --device cpu --jobs "$jobs" --no-progress -q --format json >swept.json 2>swept.log &
sweep=$!
echo "seconds,done,role,pid,resident_kib,files" >curve.csv
count_done() { { find runs/autoencoder -name eval.json 2>/dev/null || true; } | wc -l; }
sample() {
    local done_now pid role resident files
    done_now=$(count_done)
    for pid in $sweep $(cat "/proc/$sweep/task/$sweep/children" 2>/dev/null); do
        role=worker
        [ "$pid" = "$sweep" ] && role=sweep
        resident=$(awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status" 2>/dev/null) || continue
        files=$({ find "/proc/$pid/fd" -mindepth 1 2>/dev/null || true; } | wc -l)
        [ -n "$resident" ] && echo "$((SECONDS - started)),$done_now,$role,$pid,$resident,$files" >>curve.csv
    done
    return 0
}
while kill -0 "$sweep" 2>/dev/null; do
    sample
    sleep 1
done
ended=0
wait "$sweep" || ended=$?
sweep=
if [ "$ended" != 0 ]; then
    tail -n 20 swept.log >&2
    echo "error: the sweep failed" >&2
    exit 1
fi
count=$(count_done)
echo "$count trials in $((SECONDS - started)) s with $jobs workers"

# The slope of a least-squares line through memory over trials, from a tenth of the trials on: the first ones fill the
# allocator's pools and the device's.
awk -F, -v all="$count" -v allowed="$allowed_kib" -v most="$allowed_files" '
NR > 1 && $2 >= all / 10 {
    key = $3 " " $4
    n[key]++; x[key] += $2; y[key] += $5; xx[key] += $2 * $2; xy[key] += $2 * $5
    if (!(key in low) || $5 < low[key]) low[key] = $5
    if ($5 > high[key]) high[key] = $5
    if ($6 > files[key]) files[key] = $6
}
END {
    printf "%-8s %8s %8s %12s %12s %14s %6s\n", "process", "pid", "samples", "least MiB", "most MiB", "KiB per trial", "files"
    failed = 0; judged = 0
    for (key in n) {
        split(key, of, " ")
        spread = n[key] * xx[key] - x[key] * x[key]
        if (n[key] < 10 || spread <= 0) { printf "%-8s %8s %8d: too few to judge\n", of[1], of[2], n[key]; continue }
        slope = (n[key] * xy[key] - x[key] * y[key]) / spread
        verdict = ""
        if (slope > allowed) { verdict = "  grows"; failed = 1 }
        if (files[key] > most) { verdict = verdict "  too many files"; failed = 1 }
        printf "%-8s %8s %8d %12.1f %12.1f %14.3f %6d%s\n", of[1], of[2], n[key], low[key] / 1024, high[key] / 1024, slope, files[key], verdict
        judged++
    }
    if (judged < 2) { print "error: neither a sweep nor a worker lived long enough to be judged"; exit 1 }
    if (failed) { printf "error: more than %s KiB per trial, or more than %s files\n", allowed, most; exit 1 }
    printf "flat: no process leaves more than %s KiB per trial behind, nor has more than %s files open\n", allowed, most
}' curve.csv
