#!/usr/bin/env bash
# A device that runs out of memory in the middle of a sweep: the trial that needs too much fails with the remedy, those after
# it are done, by a fresh worker, and the same command mends nothing else.
#
# Usage: scripts/check-device-memory.sh [DEVICE]
# DEVICE is gpu by default. On the CPU the workers' memory is limited to LIMIT_KIB kibibytes, 3,000,000 by default, and it is the
# system that ends the worker. ASDBENCH names the program, by default that of the release build.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
program=${ASDBENCH:-${CARGO_TARGET_DIR:-$repository/target}/release/asdbench}
program=$(realpath "$program")
device=${1:-gpu}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# A backtrace is for those who look for a fault.
export RUST_BACKTRACE=0

"$program" synth data --machines fan,valve --duration-s 30 --train-per-section 4 --test-per-section 4 -q
cat >memory.toml <<END
[study]
name = "memory"
seeds = [0]

[common]
data.root = "data"
data.machines = ["fan"]
train.epochs = 1

[[family]]
config = "$repository/configs/micro/ae.toml"
[family.grid]
"task.autoencoder.hidden" = [16]

# The attention of 30 s in one piece: frames by frames, for every band of every mixture.
[[family]]
config = "$repository/configs/separation.toml"
[family.override]
task.separation.segment_s = 30.0
train.batch_size = 12
train.accumulate = 1
[family.grid]
"task.separation.blocks" = [4]

[[family]]
config = "$repository/configs/micro/ce.toml"
[family.override]
task.classification.width = 4
[family.grid]
"task.classification.backbone" = ["resnet18"]
END

ended=0
(
    [ "$device" != cpu ] || ulimit -v "${LIMIT_KIB:-3000000}"
    exec "$program" sweep memory.toml --device "$device" --jobs 1 --no-progress --format json >swept.json 2>swept.log
) || ended=$?
cat swept.log
fail() {
    echo "error: $1" >&2
    exit 1
}
[ "$ended" = 6 ] || fail "the sweep ended with $ended and not with 6, some runs failed"
! grep -q panicked swept.log || fail "a panic was printed"
grep -q '1 failed' swept.log || fail "not exactly one trial failed"
grep -q 'separation/.* failed: .*train.accumulate.*train.batch_size' swept.log || fail "the failure does not name its remedy"
[ "$(find runs -name eval.json | wc -l)" = 2 ] || fail "the other two trials are not done"
[ "$(find runs/separation -name status -exec head -n 1 {} +)" = failed ] || fail "the run does not say that it failed"
echo "out of memory on $device: one trial failed and names the remedy, two are done"
