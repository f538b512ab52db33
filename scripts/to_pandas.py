# /// script
# requires-python = ">=3.11"
# dependencies = ["pandas>=2.0", "numpy>=1.24", "pyarrow>=14"]
# ///
"""asdbench's runs as pandas tables: results, epochs, clips' scores and, where asked for, features.

On the command line it writes them as files:

    uv run scripts/to_pandas.py runs -o tables --format parquet --features

In a notebook it gives DataFrames:

    from to_pandas import find, results, epochs, scores, features
    table = results(find("runs"))
    table.groupby("family")[["proxy.value", "linear_probe.in_domain.auc"]].corr(method="spearman")
"""

import argparse
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

# What names a run; every table has these columns first.
KEYS = ["family", "config", "machine", "seed"]


def find(*above):
    """The folders of all runs at or below some folders, sorted. Folders that begin with a point hold caches and plans."""
    runs = set()
    for folder in map(Path, above):
        for manifest in folder.rglob("manifest.json"):
            below = manifest.relative_to(folder).parts
            if not any(part.startswith(".") for part in below):
                runs.add(manifest.parent)
    return sorted(runs)


def flat(value, prefix=""):
    """Nested tables as one, with dotted keys: {"a": {"b": 1}} is {"a.b": 1}."""
    if isinstance(value, list) and value and all(isinstance(entry, dict) and "name" in entry for entry in value):
        # Such as other_proxies: each by its name.
        value = {entry["name"]: {k: v for k, v in entry.items() if k != "name"} for entry in value}
    if not isinstance(value, dict):
        return {prefix: value}
    entries = {}
    for key, inner in value.items():
        entries.update(flat(inner, f"{prefix}.{key}" if prefix else key))
    return entries


def read_json(path):
    """A JSON file, or an empty table where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def read_lines(path):
    """The objects of a .jsonl file. The last line may be torn, where a run was killed while it wrote."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    objects = []
    for number, line in enumerate(lines, start=1):
        try:
            objects.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise ValueError(f"{path}:{number}: not a line of JSON") from None
    return objects


def status(run):
    """`done`, `running`, `interrupted` or `failed`."""
    path = run / "status"
    words = path.read_text(encoding="utf-8").split(maxsplit=1) if path.exists() else []
    return words[0] if words else "unknown"


def name(run):
    """What names a run, from its manifest."""
    manifest = read_json(run / "manifest.json")
    return {key: manifest.get(key) for key in KEYS}


def results(runs, settings=True):
    """One row a run: its status, the numbers of eval.json and, with `settings`, those of config.toml below `config.`.

    A run that was not judged has a row without numbers; a number that cannot be had is missing, and `….why` says why.
    """
    rows = []
    for run in runs:
        row = name(run) | {"path": str(run), "status": status(run)}
        judged = flat(read_json(run / "eval.json"))
        row |= {key: value for key, value in judged.items() if key not in {*KEYS, "path", "schema"}}
        if settings and (run / "config.toml").exists():
            text = (run / "config.toml").read_text(encoding="utf-8")
            row |= {f"config.{key}": value for key, value in flat(tomllib.loads(text)).items()}
        rows.append({key: json.dumps(value) if isinstance(value, list) else value for key, value in row.items()})
    return pd.DataFrame(rows)


def epochs(runs):
    """One row an epoch of training: loss, learning rate, seconds and the family's own signals below `signals.`."""
    rows = [name(run) | flat(line) for run in runs for line in read_lines(run / "metrics.jsonl")]
    return pd.DataFrame(rows)


def scores(runs):
    """One row a test clip of a run: section, domain, label, score."""
    tables = []
    for run in runs:
        if (run / "scores.csv").exists():
            # Sections are names: 00 is not 0.
            table = pd.read_csv(run / "scores.csv", dtype={"clip": str, "section": str})
            for at, (key, value) in enumerate(name(run).items()):
                table.insert(at, key, value)
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def features(run):
    """A run's features, one row a clip: `split` and `clip` as index, one column a dimension."""
    with np.load(run / "features.npz", allow_pickle=False) as arrays:
        parts = [
            pd.DataFrame(
                arrays[split],
                index=pd.MultiIndex.from_product([[split], arrays[f"{split}_clip"]], names=["split", "clip"]),
                columns=[f"f{n}" for n in range(arrays[split].shape[1])],
            )
            for split in ("train", "test")
            if split in arrays
        ]
    return pd.concat(parts)


def write(table, path, form):
    """Write one table, and say so."""
    if form == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path, index=False)
    print(f"{path}: {len(table)} rows, {len(table.columns)} columns", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="runs, or folders above some")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the tables")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv", help="default: csv")
    parser.add_argument("--features", action="store_true", help="write every run's features too: they are large")
    args = parser.parse_args()

    runs = find(*args.runs)
    if not runs:
        parser.error(f"no run below {', '.join(map(str, args.runs))}")
    args.output.mkdir(parents=True, exist_ok=True)
    for title, table in [("results", results(runs)), ("epochs", epochs(runs)), ("scores", scores(runs))]:
        write(table, args.output / f"{title}.{args.format}", args.format)
    if args.features:
        for run in runs:
            if (run / "features.npz").exists():
                title = "_".join(str(part) for part in name(run).values())
                write(features(run).reset_index(), args.output / f"features_{title}.{args.format}", args.format)


if __name__ == "__main__":
    main()
