#!/usr/bin/env bash
# Fuzzes everything that reads other people's files, with coverage as its guide: cargo-fuzz, on the CPU.
#
# Usage: scripts/check-fuzz.sh [SECONDS [TARGET…]]
# SECONDS (60) for each of the targets, by default all: wav names config study scores tables npz checkpoint metrics manifest.
# Needs a nightly toolchain and cargo-fuzz (cargo install cargo-fuzz); the first build of the library with a sanitizer takes long
# and goes to fuzz/target, or FUZZ_TARGET_DIR. An input that breaks something is left in fuzz/artifacts/TARGET; put it into
# tests/fixtures/found/TARGET, where `cargo test` reads it from then on.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift $(($# > 0 ? 1 : 0))
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(wav names config study scores tables npz checkpoint metrics manifest)
failed=()
for target in "${targets[@]}"; do
    seeds=fuzz/seeds/$target
    [ -d "$seeds" ] || { echo "error: there is no target $target" >&2; exit 2; }
    corpus=fuzz/corpus/$target
    mkdir -p "$corpus" "fuzz/artifacts/$target" "tests/fixtures/found/$target"
    echo "$target: $seconds s"
    ASDBENCH_FUZZ_TARGET=$target cargo +nightly fuzz run --no-default-features ${FUZZ_TARGET_DIR:+--target-dir "$FUZZ_TARGET_DIR"} \
        any "$corpus" "$seeds" "tests/fixtures/found/$target" -- \
        -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=1024 \
        -artifact_prefix="fuzz/artifacts/$target/" -print_final_stats=1 2>"fuzz/artifacts/$target.log" || failed+=("$target")
    grep -E "number_of_executed_units|peak_rss_mb|cov: " "fuzz/artifacts/$target.log" | tail -n 3 || true
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "error: broken: ${failed[*]} (inputs in fuzz/artifacts)" >&2
    exit 1
fi
echo "nothing broke: ${targets[*]}"
