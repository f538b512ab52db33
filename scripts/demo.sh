#!/usr/bin/env bash
# Set up, build, run the main job: synthetic machines, nine autoencoders on two of them, scores, a Spearman table.
#
# Builds for the CPU where no GPU driver is found: 5 minutes on two cores instead of 15 to 20.
# ASDBENCH_BUILD=gpu or ASDBENCH_BUILD=cpu decides otherwise. Arguments go to `asdbench demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
. scripts/setup.sh

# A device node is what a real GPU has and a software adapter has not.
gpu_present() { ls /dev/nvidia[0-9]* /dev/dri/renderD* >/dev/null 2>&1; }

build=${ASDBENCH_BUILD:-auto}
if [ "$build" = auto ]; then
    if gpu_present; then build=gpu; else build=cpu; fi
fi
if [ "$build" = cpu ]; then
    say "building for the CPU (no GPU found); for GPUs: ASDBENCH_BUILD=gpu scripts/demo.sh, or cargo build --release"
    cargo build --release --locked --no-default-features
else
    say "building with GPU support through wgpu; CPU only, in a third of the time: ASDBENCH_BUILD=cpu scripts/demo.sh"
    cargo build --release --locked
fi

say "running asdbench demo"
"$CARGO_TARGET_DIR/release/asdbench" demo --output "$here/asdbench-demo" "$@"
