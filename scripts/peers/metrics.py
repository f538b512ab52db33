"""Times of scikit-learn's ROC metrics, the peer of asdbench's own.

Takes the scores and labels from .npy files, so that both sides compute the same number, and prints it with the times.
The partial AUC (max_fpr) and the AUC of a short list, one call per resample, are what a bootstrap with scikit-learn costs.
Prints one JSON object.
"""

import argparse
import json
import statistics
import time

import numpy as np
import sklearn
from sklearn.metrics import roc_auc_score


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", help=".npy of f64, higher means more anomalous")
    parser.add_argument("labels", help=".npy of bool, true for anomalous")
    parser.add_argument("--repeats", type=int, default=5, help="calls on all scores that are timed")
    parser.add_argument("--clips", type=int, default=200, help="length of the short list")
    parser.add_argument("--resamples", type=int, default=50, help="calls on the short list that are timed")
    parser.add_argument("--max-fpr", type=float, default=0.1, help="of the partial AUC")
    return parser.parse_args()


def timed(call, repeats):
    """The median time of a call in seconds, and its result."""
    times_s = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        times_s.append(time.perf_counter() - start)
    return statistics.median(times_s), result


def main():
    args = arguments()
    scores, labels = np.load(args.scores), np.load(args.labels)
    roc_auc_score(labels[: args.clips], scores[: args.clips])  # imports and caches
    all_s, auc = timed(lambda: roc_auc_score(labels, scores), args.repeats)
    all_partial_s, partial_auc = timed(lambda: roc_auc_score(labels, scores, max_fpr=args.max_fpr), args.repeats)

    # As a bootstrap does it: the rows are drawn, then measured.
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, args.clips, args.clips) for _ in range(args.resamples)]
    turn = iter(2 * drawn)

    def resample(**settings):
        rows = next(turn)
        return roc_auc_score(labels[rows], scores[rows], **settings)

    short_s, _ = timed(resample, args.resamples)
    short_partial_s, _ = timed(lambda: resample(max_fpr=args.max_fpr), args.resamples)
    print(json.dumps({
        "auc": auc,
        "partial_auc": partial_auc,
        "auc_ms": 1e3 * all_s,
        "partial_auc_ms": 1e3 * all_partial_s,
        "resampled_auc_us": 1e6 * short_s,
        "resampled_partial_auc_us": 1e6 * short_partial_s,
        "scores": len(scores),
        "clips": args.clips,
        "scikit_learn": sklearn.__version__,
    }))


if __name__ == "__main__":
    main()
