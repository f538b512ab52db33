#!/usr/bin/env bash
# A thousand faults by seed: kills, full disks, failing writes, files that go or change, turned bits, second processes. None may
# cost more than time: no panic, no wrong result, every message names its file, the same command again ends with the same bytes.
#
# Usage: scripts/check-faults.sh [COUNT]
# ASDBENCH_FAULT_SEED=N runs fault N alone, ASDBENCH_FAULT_KIND=bit those of one kind. The last line says how many faults there were and how they went by.
set -euo pipefail
cd "$(dirname "$0")/.."
export ASDBENCH_FAULT_COUNT=${1:-1000}
cargo test --release --locked --no-default-features --test suite faults::no_fault_costs_more_than_time -- \
    --exact --nocapture
