#!/usr/bin/env bash
# Training and evaluation of one machine (300 train and 180 test clips of 10 s, 3 epochs): asdbench, then the DCASE
# baseline's way in PyTorch, on the same clips, one after the other.
#
#   ASDBENCH_PEER_PYTHON=.peers/bin/python scripts/peers/baseline.sh [ASDBENCH]
#
# ASDBENCH: the program (default: target/release/asdbench, or below CARGO_TARGET_DIR).
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
program=${1:-${CARGO_TARGET_DIR:-$here/target}/release/asdbench}
python=${ASDBENCH_PEER_PYTHON:?name a Python with PyTorch and librosa; scripts/peers/setup.sh makes one}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$program" synth "$work/clips" --preset smoke --machines fan -q >&2

# Wall seconds and the peak of resident memory of a command, by the kernel's own account.
measure() {
    "$python" - "$@" <<'PY'
import json, resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
seconds = time.perf_counter() - start
peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"seconds": round(seconds, 2), "peak_rss_mb": round(peak_kib / 1024, 1)}))
PY
}

ours=$(measure sh -c '
    "$0" train "$1/configs/ae.toml" --set data.root="$2/clips" --set train.epochs=3 --runs "$2/runs" --device cpu -q &&
    "$0" eval "$2/runs" --device cpu -q' "$program" "$here" "$work")
echo "asdbench: $ours"
theirs=$("$python" "$here/scripts/peers/ae_baseline.py" "$work/clips" fan)
echo "PyTorch:  $theirs"
"$python" - "$ours" "$theirs" <<'PY'
import json, sys
ours, theirs = map(json.loads, sys.argv[1:])
print(f"time: {theirs['seconds'] / ours['seconds']:.1f}x faster, target 5; "
      f"memory: 1/{theirs['peak_rss_mb'] / ours['peak_rss_mb']:.1f}, target 1/10")
PY
