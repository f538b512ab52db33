"""Times of NumPy, SciPy and scikit-learn for what `benches/stats.rs` times of asdbench, on the arrays that it wrote.

    stats.py {omega,spearman,mahalanobis} FOLDER

Prints a JSON list, one object per way of doing it: name, milliseconds, and a value that both sides must agree on.
With ASDBENCH_PEER_QUICK=1 ways that take more than ten seconds are left out.
"""

import itertools
import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np

RESAMPLES = 2000
MAX_FPR = 0.1
QUICK = os.environ.get("ASDBENCH_PEER_QUICK") == "1"


def way(name, call, scale=1.0):
    start = time.perf_counter()
    value = call()
    return {"name": name, "ms": 1e3 * scale * (time.perf_counter() - start), "value": float(value)}


def labels(clips):
    quarter = np.arange(clips) // (clips // 4)
    return quarter % 2 == 1, quarter >= 2  # anomalous, target


def omega_loop(scores, resamples, seed=0):
    """As such code is commonly written: indices drawn, roc_auc_score called."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    anomalous, target = labels(scores.shape[1])
    strata = [np.flatnonzero((anomalous == a) & (target == t)) for a in (False, True) for t in (False, True)]

    def omega(index):
        terms = []
        for section, rows in zip(scores, index):
            y, s, t = anomalous[rows], section[rows], target[rows]
            for domain in (False, True):
                chosen = (t == domain) | y
                terms.append(roc_auc_score(y[chosen], s[chosen]))
            terms.append(roc_auc_score(y, s, max_fpr=MAX_FPR))
        return len(terms) / np.sum(1 / np.maximum(terms, np.finfo(float).eps))

    everything = np.tile(np.arange(scores.shape[1]), (len(scores), 1))
    estimate = omega(everything)
    replicates = [
        omega([np.concatenate([rng.choice(s, len(s)) for s in strata]) for _ in scores]) for _ in range(resamples)
    ]
    np.percentile(replicates, [2.5, 97.5])
    return estimate


def omega_vectorised(scores, resamples, seed=0):
    """All resamples of a section at once, as weights of clips that are sorted once. Scores without ties."""
    rng = np.random.default_rng(seed)
    anomalous, target = labels(scores.shape[1])
    strata = [np.flatnonzero((anomalous == a) & (target == t)) for a in (False, True) for t in (False, True)]
    sums = np.zeros(resamples + 1)
    for section in scores:
        weights = np.zeros((resamples + 1, scores.shape[1]))
        weights[0] = 1  # the clips themselves
        for rows in strata:
            weights[1:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
        order = np.argsort(-section, kind="stable")
        weights, y, t = weights[:, order], anomalous[order], target[order]
        hits = np.cumsum(weights * y, axis=1)
        anomalies = hits[:, -1:]
        for domain in (False, True):
            normal = weights[:, ~y & (t == domain)]
            above = hits[:, ~y & (t == domain)]
            auc = (normal * above).sum(axis=1) / (anomalies[:, 0] * normal.sum(axis=1))
            sums += 1 / np.maximum(auc, np.finfo(float).eps)
        # Each normal clip is a step to the right at its height; steps beyond the limit are cut.
        normal, above = weights[:, ~y], hits[:, ~y]
        limit = MAX_FPR * normal.sum(axis=1, keepdims=True)
        before = np.cumsum(normal, axis=1) - normal
        width = np.clip(limit - before, 0, normal)
        area = (width * above).sum(axis=1) / (anomalies[:, 0] * normal.sum(axis=1))
        chance = MAX_FPR**2 / 2
        partial = 0.5 * (1 + (area - chance) / (MAX_FPR - chance))
        sums += 1 / np.maximum(partial, np.finfo(float).eps)
    omega = 3 * len(scores) / sums
    np.percentile(omega[1:], [2.5, 97.5])
    return omega[0]


def omega(folder):
    scores = np.load(folder / "scores.npy")
    ways = [way("NumPy, vectorised over resamples", lambda: omega_vectorised(scores, RESAMPLES))]
    few = 20
    omega_loop(scores, 2)  # imports what it needs, which the scaled time must not count
    # Linear in the resamples: 2,000 would take minutes.
    loop = way("NumPy and scikit-learn loop (timed on 20 resamples)", lambda: omega_loop(scores, few), RESAMPLES / few)
    return ways + [loop]


def spearman(folder):
    from scipy.stats import permutation_test, rankdata, spearmanr

    x, y = np.load(folder / "pairs.npy")
    ranks_x, ranks_y = rankdata(x), rankdata(y)
    centred = ranks_y - ranks_y.mean()

    def absolute(x, axis=-1):
        # |Σ xᵢ yᵢ| orders pairings as |ρ| does, at a fraction of the cost of spearmanr.
        return np.abs((x * centred).sum(axis=axis))

    def test(vectorized_statistic, batch):
        return permutation_test(
            (ranks_x,), vectorized_statistic, permutation_type="pairings", n_resamples=np.inf, alternative="greater",
            vectorized=True, batch=batch,
        ).pvalue

    def enumerated():
        # NumPy alone: all orders as one array.
        orders = np.array(list(itertools.permutations(range(len(x)))))
        sums = np.abs(ranks_x[orders] @ centred)
        observed = abs(ranks_x @ centred)
        return np.mean(sums >= observed - 1e-9)

    def documented():
        # As SciPy's documentation of spearmanr shows it.
        return permutation_test(
            (x,), lambda x: abs(spearmanr(x, y).statistic), permutation_type="pairings", n_resamples=np.inf,
            alternative="greater", vectorized=False,
        ).pvalue

    ways = [
        way("NumPy, all orders", enumerated),
        way("scipy.stats.permutation_test, exact, vectorised", lambda: test(absolute, 100_000)),
    ]
    if not QUICK and math.factorial(len(x)) < 1_000_000:
        ways.append(way("scipy.stats.permutation_test with spearmanr, exact", documented))
    return ways


def mahalanobis(folder):
    from sklearn.covariance import LedoitWolf

    features = np.load(folder / "features.npy")

    def products():
        model = LedoitWolf().fit(features)
        centred = features - model.location_
        return np.einsum("ij,ij->i", centred @ model.precision_, centred).mean()

    def library():
        return LedoitWolf().fit(features).mahalanobis(features).mean()

    ways = [way("LedoitWolf().fit and matrix products", products)]
    if not QUICK:
        ways.append(way("LedoitWolf().fit().mahalanobis()", library))
    return ways


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("omega", "spearman", "mahalanobis"):
        sys.exit(__doc__)
    print(json.dumps(globals()[sys.argv[1]](Path(sys.argv[2]))))


if __name__ == "__main__":
    main()
