#!/bin/sh
# Flips bits of judged runs, one at a time, and asks `asdbench verify` what it thinks of it: no flip may go unseen.
#
#   scripts/check-verify.sh [FLIPS [RUNS]]
#
# FLIPS, 1000 if not given, is how many; RUNS a folder of judged runs, which is copied first. Without one, a study of toy size
# is swept on synthetic machines. ASDBENCH names the program (by default that of the release build).
set -eu
flips=${1:-1000}
here=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "${ASDBENCH:-${CARGO_TARGET_DIR:-$here/target}/release/asdbench}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
if [ $# -ge 2 ]; then
    cp -r "$2" "$place/runs"
else
    cd "$place"
    "$program" synth data --machines fan,valve --duration-s 1.2 --train-per-section 6 --test-per-section 8 -q
    mkdir checkpoints
    for network in beats-tiny eat-tiny; do
        for seed in 1 2; do
            "$program" import --random $network --seed $seed -o checkpoints/$network-$seed.safetensors -q >/dev/null
        done
    done
    "$program" sweep "$here/configs/study-micro.toml" --set data.root=data --device cpu --runs runs -q --no-progress
fi
cd "$place"
"$program" verify runs -q > /dev/null
python3 - "$program" "$flips" <<'PYTHON'
import json, pathlib, random, subprocess, sys

program, flips = sys.argv[1], int(sys.argv[2])
random.seed(0)
FILES = {"manifest.json", "config.toml", "metrics.jsonl", "model.safetensors", "eval.json", "features.npz",
         "scores.csv", "training_scores.csv", "mixtures.csv"}
files = sorted(path for path in pathlib.Path("runs").rglob("*") if path.name in FILES and ".cache" not in path.parts and path.stat().st_size)
assert files, "no file of a run"
found, seals, unseen = 0, 0, []
for n in range(flips):
    path = files[n % len(files)]
    whole = path.read_bytes()
    bit = random.randrange(8 * len(whole))
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    path.write_bytes(changed)
    done = subprocess.run([program, "verify", path.parent, "--format", "json", "-q"], capture_output=True, text=True)
    path.write_bytes(whole)
    run = json.loads(done.stdout)["runs"][0]
    named = any(problem["file"] == path.name for problem in run["problems"])
    if done.returncode == 4 and run["state"] == "damaged" and named:
        found += 1
    # The seal itself was hit: every byte of the content is what it was, and the run is no longer called sound.
    elif done.returncode == 0 and run["state"] == "unverifiable" and len(whole) - bit // 8 <= 90:
        seals += 1
    else:
        unseen.append(f"{path}, bit {bit}: exit {done.returncode}, {run['state']}, {run['problems']}")
print(f"{flips} flipped bits in {len(files)} files: {found} found and named, {seals} in a seal alone, {len(unseen)} unseen")
print("\n".join(unseen[:20]))
sys.exit(bool(unseen))
PYTHON
