# /// script
# requires-python = ">=3.11"
# dependencies = ["mlflow>=2.9"]
# ///
"""asdbench's runs in MLflow: settings as parameters, losses by epoch, judged numbers as metrics, small files as artefacts.

    uv run scripts/to_mlflow.py runs --tracking-uri sqlite:///mlflow.db
    uvx mlflow ui --backend-store-uri sqlite:///mlflow.db

Without --tracking-uri it goes where MLFLOW_TRACKING_URI says, or to MLflow's own default. A run that is there already, as
it is now, is left alone, so that the script may follow a sweep; one that changed since is logged anew.
"""

import argparse
import hashlib
import json
import sys
import tomllib
from pathlib import Path

import mlflow
from mlflow.entities import Metric, Param, RunTag

# What is told apart by in MLflow: the run's path, and what it held when it was logged.
PATH_TAG = "asdbench.path"
STATE_TAG = "asdbench.state"
# Small, and worth a look in a browser.
ARTEFACTS = ["manifest.json", "config.toml", "eval.json", "scores.csv"]
# What a server takes at once.
BATCH_METRICS = 1000
BATCH_PARAMS = 100
MAX_PARAM_CHARS = 500


def find(*above):
    """The folders of all runs at or below some folders, sorted. Folders that begin with a point hold caches and plans."""
    runs = set()
    for folder in map(Path, above):
        for manifest in folder.rglob("manifest.json"):
            if not any(part.startswith(".") for part in manifest.relative_to(folder).parts):
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


def numbers(entries):
    """The entries that are numbers: MLflow's metrics are nothing else."""
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


def state(run):
    """A hash of what would be logged."""
    digest = hashlib.sha256()
    for name in ["status", "metrics.jsonl", *ARTEFACTS]:
        path = run / name
        digest.update(name.encode() + b"\0" + (path.read_bytes() if path.exists() else b"") + b"\0")
    return digest.hexdigest()


def log(client, experiment_id, run, manifest):
    """Log one run under its own times."""
    started_ms = int(manifest.get("started", {}).get("unix_s", 0) * 1000)
    status = (run / "status").read_text(encoding="utf-8").split() if (run / "status").exists() else ["unknown"]
    name = "/".join(str(manifest.get(key)) for key in ("family", "config", "machine", "seed"))
    tags = {
        "mlflow.runName": name,
        PATH_TAG: str(run),
        STATE_TAG: state(run),
        "asdbench.status": status[0],
        **{f"asdbench.{key}": str(manifest.get(key)) for key in ("family", "config", "machine", "config_hash")},
        "asdbench.device": str(manifest.get("started", {}).get("device")),
    }
    run_id = client.create_run(experiment_id, start_time=started_ms, tags=tags, run_name=name).info.run_id

    settings = {"machine": manifest.get("machine"), "seed": manifest.get("seed")}
    if (run / "config.toml").exists():
        settings |= flat(tomllib.loads((run / "config.toml").read_text(encoding="utf-8")))
    params = [Param(key, str(value)[:MAX_PARAM_CHARS]) for key, value in settings.items()]
    for at in range(0, len(params), BATCH_PARAMS):
        client.log_batch(run_id, params=params[at : at + BATCH_PARAMS])

    metrics, time_ms = [], started_ms
    for epoch in read_epochs(run / "metrics.jsonl"):
        time_ms += int(1000 * epoch.get("seconds", 0))
        step = epoch.get("epoch", 0)
        metrics += [Metric(f"epoch.{key}", value, time_ms, step) for key, value in numbers(flat(epoch)).items() if key != "epoch"]
    judged = flat(read_json(run / "eval.json"))
    metrics += [Metric(key, value, time_ms, 0) for key, value in numbers(judged).items() if key not in ("schema", "seed")]
    for at in range(0, len(metrics), BATCH_METRICS):
        client.log_batch(run_id, metrics=metrics[at : at + BATCH_METRICS])

    # Why a number is missing is worth as much as the number.
    whys = [RunTag(f"why.{key.removesuffix('.why')}", str(value)) for key, value in judged.items() if key.endswith(".why")]
    client.log_batch(run_id, tags=whys)
    for file in ARTEFACTS:
        if (run / file).exists():
            client.log_artifact(run_id, str(run / file))
    ended = {"done": "FINISHED", "failed": "FAILED", "running": "RUNNING"}.get(status[0], "KILLED")
    if ended == "RUNNING":
        client.update_run(run_id, status=ended)
    else:
        client.set_terminated(run_id, status=ended, end_time=time_ms)


def known(client, experiment_id):
    """Runs that are there: run id and state by path."""
    runs, token = {}, None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, page_token=token)
        for run in page:
            tags = run.data.tags
            if PATH_TAG in tags:
                runs[tags[PATH_TAG]] = (run.info.run_id, tags.get(STATE_TAG))
        token = page.token
        if not token:
            return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="runs, or folders above some")
    parser.add_argument("--tracking-uri", metavar="URI", help="a server, or a store such as sqlite:///mlflow.db")
    parser.add_argument("--experiment", default="asdbench", metavar="NAME", help="default: asdbench")
    args = parser.parse_args()

    runs = find(*args.runs)
    if not runs:
        parser.error(f"no run below {', '.join(map(str, args.runs))}")
    client = mlflow.MlflowClient(tracking_uri=args.tracking_uri)
    experiment = client.get_experiment_by_name(args.experiment)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(args.experiment)
    there = known(client, experiment_id)
    logged = 0
    for run in runs:
        run_id, before = there.get(str(run), (None, None))
        if before == state(run):
            continue
        log(client, experiment_id, run, read_json(run / "manifest.json"))
        # Deleted last: killed in between, the next time finds two and drops neither's numbers.
        if run_id is not None:
            client.delete_run(run_id)
        logged += 1
    print(f"{logged} runs logged, {len(runs) - logged} were there already", file=sys.stderr)


if __name__ == "__main__":
    main()
