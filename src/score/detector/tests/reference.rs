//! Detectors against scikit-learn's numbers (`tests/fixtures/detectors/make.py`).

use ndarray::Axis;
use serde_json::Value;

use super::*;
use crate::score::detector::lloyd::lloyd;
use crate::score::detector::mixture::Mixture;

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(format!("{FOLDER}/expected.json")).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// What scikit-learn's cosine distances are off by: they are 1 less a product of rows of length 1, which rounds by a few ε, and
/// distances here are as small as 1e-7. Euclidean ones are roots of differences of products near 30² · 6 and keep ten digits.
fn cosine_rounding(metric: DistanceMetric) -> f64 {
    if metric == DistanceMetric::Cosine { 1e-15 } else { 0.0 }
}

#[test]
fn neighbours_are_scikit_learns() {
    let (features, queries, expected) = (training(matrix("features")), matrix("queries"), expected());
    for (metric, name) in METRICS {
        let distances: Vec<Vec<f64>> =
            expected[format!("knn-{name}")].as_array().unwrap().iter().map(numbers).collect();
        for k in [1, 5] {
            let mean: Vec<f64> = distances.iter().map(|d| d[..k].iter().sum::<f64>() / k as f64).collect();
            let last: Vec<f64> = distances.iter().map(|d| d[k - 1]).collect();
            let both: [(_, Vec<f64>); 2] = [(NeighbourReduce::Mean, mean), (NeighbourReduce::Kth, last)];
            for (reduce, expected) in both {
                let config = DetectorConfig::new(DetectorKind::Knn(KnnConfig { reduce, ..knn(k, metric) }));
                assert_within(
                    &scores(&config, &features, &queries),
                    &expected,
                    1e-9,
                    cosine_rounding(metric),
                );
            }
        }
    }
}

#[test]
fn local_outlier_factors_are_scikit_learns() {
    let (features, queries, expected) = (training(matrix("features")), matrix("queries"), expected());
    for (metric, name) in METRICS {
        for k in [5, 20] {
            let config = DetectorConfig::new(DetectorKind::Lof(LofConfig { k, metric }));
            let expected = numbers(&expected[format!("lof-{name}-{k}")]);
            assert_close(&scores(&config, &features, &queries), &expected, 1e-9);
        }
    }
}

#[test]
fn the_density_divides_as_it_is_defined() {
    let (features, queries, expected) = (training(matrix("features")), matrix("queries"), expected());
    for (metric, name) in METRICS {
        let density = Some(DensityConfig { k: 3 });
        let config = DetectorConfig::new(DetectorKind::Knn(KnnConfig { density, ..knn(1, metric) }));
        let expected = numbers(&expected[format!("density-{name}")]);
        // Scales are 1e-4 and more.
        assert_within(&scores(&config, &features, &queries), &expected, 1e-9, 1e4 * cosine_rounding(metric));
    }
}

#[test]
fn clusters_from_the_same_beginning_are_scikit_learns() {
    let expected = expected();
    for (metric, name) in METRICS {
        let features = match metric {
            DistanceMetric::Euclidean => matrix("features"),
            DistanceMetric::Cosine => unit_rows(matrix("features").view()),
        };
        let found = lloyd(features.view(), features.select(Axis(0), &[0, 13, 26, 45]));
        let expected = &expected[format!("kmeans-{name}")];
        let labels: Vec<f64> = found.labels.iter().map(|&label| label as f64).collect();
        assert_eq!(labels, numbers(&expected["labels"]));
        // Products of rows that were not centred: 1e-16 · 30² · 6 for each of 60 clips, of a sum of some hundreds.
        assert_close(&[found.inertia], &[expected["inertia"].as_f64().unwrap()], 1e-9);
        for (centre, expected) in
            found.centres.rows().into_iter().zip(expected["centres"].as_array().unwrap())
        {
            assert_close(&centre.to_vec(), &numbers(expected), 1e-12);
        }
    }
}

#[test]
fn mixtures_from_the_same_beginning_are_scikit_learns() {
    let (features, queries, expected) = (matrix("features"), matrix("queries"), expected());
    for (covariance, name) in [(MixtureCovariance::Full, "full"), (MixtureCovariance::Diagonal, "diagonal")] {
        let expected = &expected[format!("mixture-{name}")];
        let labels: Vec<usize> =
            numbers(&expected["labels"]).into_iter().map(|label| label as usize).collect();
        let share = expected["regularisation"].as_f64().unwrap();
        let found = Mixture::fit(features.view(), &labels, 3, covariance, share).unwrap();
        // The steps are the same ones; their rounding grows by the condition of the covariances, about 1e4, and scikit-learn
        // takes diagonal variances as differences of squares near 900.
        assert_close(&found.score(queries.view()).unwrap(), &numbers(&expected["scores"]), 1e-7);
        assert_close(&found.score(features.view()).unwrap(), &numbers(&expected["training"]), 1e-7);
    }
}

#[test]
fn mahalanobis_is_scikit_learns() {
    let (features, queries, expected) = (training(matrix("features")), matrix("queries"), expected());
    for estimator in [CovarianceEstimator::LedoitWolf, CovarianceEstimator::Oas] {
        let config = MahalanobisConfig { estimator, ..MahalanobisConfig::default() };
        let config = DetectorConfig::new(DetectorKind::Mahalanobis(config));
        let name = if estimator == CovarianceEstimator::Oas { "oas" } else { "ledoit-wolf" };
        let expected = numbers(&expected[format!("mahalanobis-{name}")]);
        // ε times the condition.
        assert_close(&scores(&config, &features, &queries), &expected, 1e-10);
    }
}
