#!/usr/bin/env bash
# Set up, build, test: the CPU-only build with all tests, then the build with GPU support and its smoke test on
# whatever adapter there is, Mesa's software one included.
#
# ASDBENCH_SKIP_GPU=1 leaves the second part out.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh

say "formatting"
if cargo fmt --version >/dev/null 2>&1; then cargo fmt --check; else echo "rustfmt is not installed: skipped"; fi

# Property tests draw the same cases each time: what fails here fails again.
export PROPTEST_RNG_SEED=1
say "CPU-only build: unit, integration and conformance tests"
cargo test --release --locked --no-default-features --lib --bins --tests

if [ "${ASDBENCH_SKIP_GPU:-}" = 1 ]; then
    say "GPU smoke test skipped (ASDBENCH_SKIP_GPU=1)"
    exit 0
fi

# Vulkan's loader, and a software driver for machines without a GPU.
install_missing libvulkan1 mesa-vulkan-drivers
say "build with GPU support, and its smoke test"
ASDBENCH_TEST_GPU=${ASDBENCH_TEST_GPU:-gpu:0} cargo test --release --locked --test suite gpu:: -- --nocapture
