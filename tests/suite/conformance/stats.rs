//! `conformance/stats`: rank correlation, covariance estimators and logistic regression against SciPy and scikit-learn.
//! Tolerances are those of the folder's README; sizes, settings and case names are read from its files.

use std::path::Path;

use asdbench::linalg::{Estimator, Gaussian, moments};
use asdbench::metric;
use asdbench::score::logistic;
use asdbench::stats::{EXACT_MAX, Spearman, spearman};
use ndarray::{Array, Array1, Array2, Dimension};
use ndarray_npy::{ReadableElement, read_npy};
use serde_json::Value;

use super::{files_ending, folder, json, report};

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap_or_else(|| panic!("{value} is no list"));
    list.iter().map(number).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn array<A: ReadableElement, D: Dimension>(path: &Path) -> Array<A, D> {
    read_npy(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The largest error of one kind of comparison, none of which may exceed the tolerance.
struct Margin {
    what: &'static str,
    tolerance: f64,
    largest: f64,
}

impl Margin {
    fn new(what: &'static str, tolerance: f64) -> Self {
        Self { what, tolerance, largest: 0.0 }
    }

    #[track_caller]
    fn absolute(&mut self, found: f64, expected: f64, case: &str) {
        self.note((found - expected).abs(), found, expected, case);
    }

    /// Element by element, relative to the expected value.
    #[track_caller]
    fn relative(&mut self, found: &[f64], expected: &[f64], case: &str) {
        assert_eq!(found.len(), expected.len(), "{case}: {}", self.what);
        for (f, e) in found.iter().zip(expected) {
            self.note((f - e).abs() / e.abs(), *f, *e, case);
        }
    }

    #[track_caller]
    fn note(&mut self, error: f64, found: f64, expected: f64, case: &str) {
        let Self { what, tolerance, .. } = self;
        assert!(
            error <= *tolerance,
            "{case}: {what} {found} against {expected}: {error:e} above {tolerance:e}"
        );
        self.largest = self.largest.max(error);
    }

    fn report(self) {
        report(self.what, self.largest, self.tolerance);
    }
}

/// Compares with the counts of a full enumeration where ours enumerates too, with its p where ours samples.
#[track_caller]
fn assert_permutations(found: &Spearman, expected: &Value, case: &str) {
    let p = number(&expected["p_two_sided"]);
    assert_eq!(found.exact, found.n <= EXACT_MAX, "{case}");
    if found.exact {
        assert_eq!(found.permutations, expected["n_perm"], "{case}");
        assert_eq!(found.extreme, expected["count_two_sided"], "{case}");
        assert!((found.p - p).abs() < 1e-15, "{case}: {} against {p}", found.p);
    } else {
        // The draws are seeded, so this passes always or never; 5 standard errors are a chance of one in two million.
        let error = found.standard_error.expect("a sampled p has a standard error");
        assert!((found.p - p).abs() < 5.0 * error, "{case}: {} ± {error} against {p}", found.p);
    }
}

#[test]
fn spearman_agrees_with_scipy_and_with_enumeration() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let cases = json(&folder.join("spearman.json"));
    let cases = cases.as_array().expect("a list of cases");
    assert!(!cases.is_empty());
    let mut rho = Margin::new("spearman rho", 1e-12);
    for case in cases {
        let name = case["case"].as_str().expect("a case has a name");
        let found =
            spearman(&numbers(&case["x"]), &numbers(&case["y"])).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(found.n, case["n"], "{name}");
        rho.absolute(found.rho, number(&case["rho"]), name);
        assert_permutations(&found, &case["exact"], name);
    }
    rho.report();
}

#[test]
fn the_studys_tables_correlate_as_recomputed() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let file = json(&folder.join("paper_tables_spearman.json"));
    let results = file["result"].as_object().expect("results by family");
    assert!(!results.is_empty());
    let mut rho = Margin::new("rho of the study's tables", 1e-12);
    for (family, measures) in results {
        for (measure, expected) in measures.as_object().expect("results by measure") {
            let case = format!("{family} {measure}");
            let table = &file["tables"][family];
            let found = spearman(&numbers(&table["proxy"]), &numbers(&table[measure]))
                .unwrap_or_else(|e| panic!("{case}: {e}"));
            rho.absolute(found.rho, number(&expected["rho"]), &case);
            assert_permutations(&found, expected, &case);
        }
    }
    rho.report();
}

/// One `cov_<case>` of the folder.
struct Covariance {
    case: String,
    training: Array2<f64>,
    queries: Array2<f64>,
    /// scikit-learn's Ledoit-Wolf covariance.
    shrunk: Array2<f64>,
    expected: Value,
}

impl Covariance {
    /// Every case of the folder; at least one.
    fn all(folder: &Path) -> Vec<Self> {
        let cases: Vec<Self> = files_ending(folder, "_X.npy")
            .into_iter()
            .filter(|(case, _)| case.starts_with("cov_"))
            .map(|(case, path)| Self {
                training: array(&path),
                queries: array(&folder.join(format!("{case}_Q.npy"))),
                shrunk: array(&folder.join(format!("{case}_lw.npy"))),
                expected: json(&folder.join(format!("{case}.json"))),
                case,
            })
            .collect();
        assert!(!cases.is_empty(), "no cov_*_X.npy in {}", folder.display());
        cases
    }

    fn fit(&self, estimator: Estimator) -> Gaussian {
        Gaussian::fit(self.training.view(), estimator).unwrap_or_else(|e| panic!("{}: {e}", self.case))
    }
}

#[test]
fn ledoit_wolf_agrees_with_scikit_learn() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let mut mean = Margin::new("mean", 1e-12);
    let mut shrunk = Margin::new("ledoit-wolf covariance and shrinkage", 1e-9);
    let mut distance = Margin::new("ledoit-wolf distance (relative)", 1e-6);
    for of in Covariance::all(&folder) {
        let case = of.case.as_str();
        assert_eq!(of.training.nrows(), of.expected["n"], "{case}");
        assert_eq!(of.training.ncols(), of.expected["p"], "{case}");
        let moments = moments(of.training.view()).unwrap_or_else(|e| panic!("{case}: {e}"));
        let reference = numbers(&of.expected["mu"]);
        assert_eq!(moments.mean.len(), reference.len(), "{case}");
        for (found, expected) in moments.mean.iter().zip(&reference) {
            mean.absolute(*found, *expected, case);
        }
        let (covariance, shrinkage) = moments.ledoit_wolf();
        shrunk.absolute(shrinkage, number(&of.expected["shrinkage"]), case);
        assert_eq!(covariance.dim(), of.shrunk.dim(), "{case}");
        for (found, expected) in covariance.iter().zip(&of.shrunk) {
            shrunk.absolute(*found, *expected, case);
        }
        let model = of.fit(Estimator::LedoitWolf);
        assert_eq!(model.shrinkage, Some(shrinkage), "{case}");
        let found = model.squared_distances(of.queries.view()).unwrap_or_else(|e| panic!("{case}: {e}"));
        distance.relative(&found, &numbers(&of.expected["maha2_lw"]), case);
    }
    for margin in [mean, shrunk, distance] {
        margin.report();
    }
}

#[test]
fn the_pseudo_inverse_agrees_with_numpy() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let mut full = Margin::new("pinv distance at full rank (relative)", 1e-6);
    // A rank-deficient covariance leaves the reference itself fewer digits.
    let mut deficient = Margin::new("pinv distance below full rank (relative)", 1e-4);
    for of in Covariance::all(&folder) {
        let case = of.case.as_str();
        let model = of.fit(Estimator::Pinv);
        assert_eq!(model.rank, of.expected["pinv_rank"], "{case}");
        let distance = if model.rank == model.dim() { &mut full } else { &mut deficient };
        for (features, key) in
            [(&of.queries, "maha2_pinv_unbiased_cov"), (&of.training, "maha2_pinv_train_rows")]
        {
            let found = model.squared_distances(features.view()).unwrap_or_else(|e| panic!("{case}: {e}"));
            distance.relative(&found, &numbers(&of.expected[key]), case);
        }
    }
    for margin in [full, deficient] {
        margin.report();
    }
}

#[test]
fn the_ridge_agrees_with_numpy() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let mut distance = Margin::new("ridge distance (relative)", 1e-6);
    for of in Covariance::all(&folder) {
        let case = of.case.as_str();
        let mut ridges = 0;
        for (key, expected) in of.expected.as_object().expect("an object") {
            // The amount is in the key's name.
            let amount = key.strip_prefix("maha2_ridge_").and_then(|k| k.strip_suffix("_unbiased"));
            let Some(amount) = amount else { continue };
            let ridge = amount.parse().unwrap_or_else(|e| panic!("{case} {key}: {e}"));
            let model = of.fit(Estimator::Ridge { ridge });
            let found = model.squared_distances(of.queries.view()).unwrap_or_else(|e| panic!("{case}: {e}"));
            distance.relative(&found, &numbers(expected), case);
            ridges += 1;
        }
        assert!(ridges > 0, "{case}: no maha2_ridge_*_unbiased");
    }
    distance.report();
}

#[test]
fn logistic_regression_agrees_with_scikit_learn() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let features: Array2<f64> = array(&folder.join("logreg_X.npy"));
    let labels: Array1<i64> = array(&folder.join("logreg_y.npy"));
    let labels: Vec<bool> = labels.iter().map(|&y| y == 1).collect();
    let cases = json(&folder.join("logreg.json"));
    let cases = cases.as_array().expect("a list of cases");
    assert!(!cases.is_empty());
    let mut coefficient = Margin::new("logistic coefficients and intercept", 1e-5);
    let mut probability = Margin::new("logistic probability", 1e-6);
    let mut auc = Margin::new("logistic training auc", 1e-12);
    for case in cases {
        let c = number(&case["C"]);
        let name = format!("C = {c}");
        // An error in a coefficient is at most C·n times the gradient per sample: below 1e-5 for C·n up to a million.
        let found =
            logistic::minimise(features.view(), &labels, c, 1e-11).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(found.converged, "{name}: gradient {:e} after {}", found.gradient, found.iterations);
        let expected = numbers(&case["coef"]);
        assert_eq!(found.linear.weights.len(), expected.len(), "{name}");
        for (weight, reference) in found.linear.weights.iter().zip(&expected) {
            coefficient.absolute(*weight, *reference, &name);
        }
        coefficient.absolute(found.linear.intercept, number(&case["intercept"]), &name);
        let log_odds = found.linear.log_odds(features.view()).to_vec();
        let expected = numbers(&case["proba1"]);
        assert_eq!(log_odds.len(), expected.len(), "{name}");
        for (z, reference) in log_odds.iter().zip(&expected) {
            probability.absolute(logistic::probability(*z), *reference, &name);
        }
        let found = metric::auc(&log_odds, &labels).unwrap_or_else(|e| panic!("{name}: {e}"));
        auc.absolute(found, number(&case["train_auc"]), &name);
    }
    for margin in [coefficient, probability, auc] {
        margin.report();
    }
}
