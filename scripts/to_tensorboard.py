# /// script
# requires-python = ">=3.11"
# dependencies = ["tensorboardX>=2.6", "numpy>=1.24"]
# ///
"""asdbench's runs for TensorBoard: curves by epoch, judged numbers beside the settings, features in the projector.

    uv run scripts/to_tensorboard.py runs -o tensorboard
    uvx tensorboard --logdir tensorboard

Each run becomes a folder of the same path below the output, with its events written anew each time.
"""

import argparse
import csv
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

# More clips than these make the projector slow.
MAX_CLIPS = 5000


def find(above):
    """The folders of all runs at or below a folder, sorted. Folders that begin with a point hold caches and plans."""
    manifests = above.rglob("manifest.json")
    below = (path for path in manifests if not any(part.startswith(".") for part in path.relative_to(above).parts))
    return sorted(path.parent for path in below)


def flat(value, prefix=""):
    """Nested tables as one, with names of parts between slashes, by which TensorBoard groups: {"a": {"b": 1}} is {"a/b": 1}."""
    if isinstance(value, list) and value and all(isinstance(entry, dict) and "name" in entry for entry in value):
        # Such as other_proxies: each by its name.
        value = {entry["name"]: {k: v for k, v in entry.items() if k != "name"} for entry in value}
    if not isinstance(value, dict):
        return {prefix: value}
    entries = {}
    for key, inner in value.items():
        entries.update(flat(inner, f"{prefix}/{key}" if prefix else key))
    return entries


def numbers(entries):
    return {k: float(v) for k, v in entries.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def read_epochs(path):
    """The epochs of metrics.jsonl. The last line may be torn, where a run was killed while it wrote."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    epochs = []
    for number, line in enumerate(lines, start=1):
        try:
            epochs.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise ValueError(f"{path}:{number}: not a line of JSON") from None
    return epochs


def write_features(writer, run):
    """The test clips' features, named and coloured by label, domain and section."""
    if not (run / "features.npz").exists() or not (run / "scores.csv").exists():
        return
    with np.load(run / "features.npz", allow_pickle=False) as arrays:
        clips, features = arrays["test_clip"][:MAX_CLIPS], arrays["test"][:MAX_CLIPS]
    with open(run / "scores.csv", newline="", encoding="utf-8") as file:
        facts = {row["clip"]: row for row in csv.DictReader(file)}
    columns = ["label", "domain", "section"]
    rows = [[facts.get(str(clip), {}).get(column, "") for column in columns] + [str(clip)] for clip in clips]
    writer.add_embedding(features, metadata=rows, metadata_header=[*columns, "clip"], tag="test")


def write(run, folder, features):
    """One run's events."""
    manifest, judged = read_json(run / "manifest.json"), numbers(flat(read_json(run / "eval.json")))
    time_s = float(manifest.get("started", {}).get("unix_s", 0))
    # Names that TensorBoard shows beside each other: sections are too many.
    hidden = ("schema", "seed", "settings/", "clips/")
    judged = {k: v for k, v in judged.items() if "/sections/" not in k and not k.startswith(hidden)}
    with SummaryWriter(str(folder)) as writer:
        for epoch in read_epochs(run / "metrics.jsonl"):
            time_s += epoch.get("seconds", 0)
            for key, value in numbers(flat(epoch)).items():
                if key != "epoch":
                    writer.add_scalar(f"train/{key}", value, epoch["epoch"], walltime=time_s)
        settings = {"family": manifest.get("family"), "machine": manifest.get("machine"), "seed": manifest.get("seed")}
        if (run / "config.toml").exists():
            settings |= flat(tomllib.loads((run / "config.toml").read_text(encoding="utf-8")))
        settings = {k: v if isinstance(v, (bool, int, float)) else str(v) for k, v in settings.items() if v is not None}
        if judged:
            judged = {f"eval/{key}": value for key, value in judged.items()}
            # Its own add_hparams would write them as a run beside this one.
            for summary in hparams(settings, judged):
                writer.file_writer.add_summary(summary)
            for key, value in judged.items():
                writer.add_scalar(key, value, 0, walltime=time_s)
        if features:
            write_features(writer, run)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="a folder above some runs")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="TensorBoard's log folder")
    parser.add_argument("--features", action="store_true", help="write features for the projector: they are large")
    args = parser.parse_args()

    runs = find(args.runs)
    if not runs:
        parser.error(f"no run below {args.runs}")
    for run in runs:
        folder = args.output / run.relative_to(args.runs)
        # Of two event files in a folder TensorBoard would draw both.
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        write(run, folder, args.features)
    print(f"{args.output}: {len(runs)} runs; look at them with: tensorboard --logdir {args.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
