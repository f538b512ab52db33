"""Times of scikit-learn for what `benches/detectors.rs` times of asdbench, on the arrays that it wrote.

    detectors.py {knn-cosine,knn-euclidean,knn-density,lof,kmeans,mixture} FOLDER

Prints a JSON object: milliseconds of the fit and of the scores, and the mean score.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

CALLS = 5


def median_ms(call):
    times = []
    call()
    for _ in range(CALLS):
        start = time.perf_counter()
        value = call()
        times.append(1e3 * (time.perf_counter() - start))
    return sorted(times)[len(times) // 2], value


def neighbours(k, metric):
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute")


def knn(metric):
    return lambda bank: neighbours(5, metric).fit(bank), lambda model, queries: model.kneighbors(queries)[0].mean(axis=1)


def density():
    def fit(bank):
        model = neighbours(len(bank), "cosine").fit(bank)
        return model, model.kneighbors(n_neighbors=4)[0].mean(axis=1)

    def score(fitted, queries):
        from sklearn.metrics.pairwise import cosine_distances

        model, scale = fitted
        return (cosine_distances(queries, model._fit_X) / scale).min(axis=1)

    return fit, score


def lof():
    from sklearn.neighbors import LocalOutlierFactor

    model = LocalOutlierFactor(n_neighbors=20, metric="cosine", algorithm="brute", novelty=True)
    return model.fit, lambda model, queries: -model.score_samples(queries)


def kmeans():
    from sklearn.cluster import KMeans
    from sklearn.metrics.pairwise import cosine_distances
    from sklearn.preprocessing import normalize

    model = KMeans(n_clusters=16, n_init=10, tol=0, random_state=0)
    return (
        lambda bank: model.fit(normalize(bank)),
        lambda model, queries: cosine_distances(queries, model.cluster_centers_).min(axis=1),
    )


def mixture():
    from sklearn.mixture import GaussianMixture

    def fit(bank):
        added = 0.01 * bank.var(axis=0).mean()
        return GaussianMixture(2, covariance_type="diag", reg_covar=added, tol=1e-6, max_iter=200, random_state=0).fit(bank)

    return fit, lambda model, queries: -model.score_samples(queries)


WAYS = {
    "knn-cosine": lambda: knn("cosine"),
    "knn-euclidean": lambda: knn("euclidean"),
    "knn-density": density,
    "lof": lof,
    "kmeans": kmeans,
    "mixture": mixture,
}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in WAYS:
        sys.exit(__doc__)
    folder = Path(sys.argv[2])
    bank, queries = np.load(folder / "bank.npy"), np.load(folder / "queries.npy")
    fit, score = WAYS[sys.argv[1]]()
    fit_ms, fitted = median_ms(lambda: fit(bank))
    score_ms, scores = median_ms(lambda: score(fitted, queries))
    print(json.dumps({"fit_ms": fit_ms, "score_ms": score_ms, "value": float(scores.mean())}))


if __name__ == "__main__":
    main()
