//! `conformance/stats` and the SI-SDR cases of `conformance/signal`: metrics against scikit-learn, torchmetrics and the
//! formulas of Wang and Isola. Tolerances are those of the folders' READMEs; sizes, settings and case names are read from
//! the files.

use std::path::Path;

use asdbench::metric::{
    Ranked, SiSdr, Undefined, alignment, auc, average_precision, macro_f1, macro_f1_of,
    mean_average_precision, partial_auc, si_sdr, uniformity,
};
use ndarray::{Array1, Array2};
use ndarray_npy::read_npy;
use serde_json::Value;

use super::{folder, json, report};

/// Both sides are f64 with a handful of roundings.
const COUNTED: f64 = 1e-12;
/// What the README gives for alignment and uniformity.
const EMBEDDINGS: f64 = 1e-9;
/// dB against the columns computed in f64, whose epsilon is the library's.
const SI_SDR_F64: f64 = 0.01;
/// dB against the library itself, which computes in f32.
const SI_SDR_F32: f64 = 0.02;
/// Above this many dB only epsilon and rounding are left, which the README says not to compare.
const SI_SDR_CLEAN: f64 = 60.0;

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// The cases of a file; at least one.
fn cases(file: &Value) -> &[Value] {
    let cases = list(file);
    assert!(!cases.is_empty(), "a file without cases");
    cases
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

fn labels(value: &Value) -> Vec<bool> {
    numbers(value).into_iter().map(|label| label > 0.5).collect()
}

/// A table given by rows.
fn table(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = list(value).iter().map(numbers).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let shape = (rows.len(), columns);
    Array2::from_shape_vec(shape, rows.into_iter().flatten().collect()).expect("rows of one length")
}

/// The value of every key that begins with `prefix` and ends in a number, with that number.
fn by_parameter<'a>(case: &'a Value, prefix: &str) -> Vec<(f64, &'a Value)> {
    let case = case.as_object().unwrap_or_else(|| panic!("{case} is no object"));
    let parameter = |key: &str| key.strip_prefix(prefix)?.parse().ok();
    case.iter().filter_map(|(key, value)| Some((parameter(key)?, value))).collect()
}

/// The largest error so far of one kind of value; a larger one than the tolerance fails.
struct Agreement {
    what: &'static str,
    tolerance: f64,
    largest: f64,
    compared: usize,
}

impl Agreement {
    fn new(what: &'static str, tolerance: f64) -> Self {
        Self { what, tolerance, largest: 0.0, compared: 0 }
    }

    /// A reference of null is a value that cannot be had: ours must not be one either.
    #[track_caller]
    fn compare(&mut self, found: Result<f64, Undefined>, expected: &Value, case: &str) {
        let Self { what, tolerance, .. } = self;
        let Some(expected) = expected.as_f64() else {
            assert!(found.is_err(), "{case}: {what} {found:?}, of which the reference has none");
            return;
        };
        let found = found.unwrap_or_else(|why| panic!("{case}: {what}: {why}"));
        let error = (found - expected).abs();
        assert!(error <= *tolerance, "{case}: {what} {found} instead of {expected}: {error:e} off");
        self.largest = self.largest.max(error);
        self.compared += 1;
    }

    fn report(self) {
        assert!(self.compared > 0, "nothing to compare: {}", self.what);
        report(self.what, self.largest, self.tolerance);
    }
}

#[test]
fn roc_areas_agree_with_scikit_learn() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let mut whole = Agreement::new("auc", COUNTED);
    let mut partial = Agreement::new("partial auc", COUNTED);
    let mut raw = Agreement::new("partial area", COUNTED);
    for case in cases(&json(&folder.join("auc.json"))) {
        let name = case["case"].as_str().expect("a case has a name");
        let (scores, anomalous) = (numbers(&case["score"]), labels(&case["y"]));
        let ranked = Ranked::new(&scores, &anomalous);
        whole.compare(auc(&scores, &anomalous), &case["auc"], name);
        whole.compare(ranked.clone().map(|ranked| ranked.auc()), &case["auc"], name);
        for (max_fpr, expected) in by_parameter(case, "auc_max_fpr_") {
            partial.compare(partial_auc(&scores, &anomalous, max_fpr), expected, name);
            let once_each = vec![1; scores.len()];
            let weighted = ranked.clone().map(|ranked| {
                ranked.weighted_partial_auc(&once_each, max_fpr).expect("both classes have weight")
            });
            partial.compare(weighted, expected, name);
        }
        for (p, expected) in by_parameter(case, "raw_partial_area_") {
            // McClish's formula, solved for the area.
            let chance = p * p / 2.0;
            let area = |value: f64| chance + (2.0 * value - 1.0) * (p - chance);
            raw.compare(partial_auc(&scores, &anomalous, p).map(area), expected, name);
        }
    }
    for agreement in [whole, partial] {
        agreement.report();
    }
    // The same number again; a folder may be without it.
    if raw.compared > 0 {
        raw.report();
    }
}

/// The number of classes where a case's name says that they are fixed: `labels_fixed_6_…`.
fn fixed_classes(name: &str) -> Option<u64> {
    let (_, rest) = name.split_once("labels_fixed_")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some(digits.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

#[test]
fn macro_f1_agrees_with_scikit_learn() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let mut agreement = Agreement::new("macro F1", COUNTED);
    for case in cases(&json(&folder.join("f1.json"))) {
        let name = case["case"].as_str().expect("a case has a name");
        let classes = |key: &str| -> Vec<u64> {
            list(&case[key]).iter().map(|label| label.as_u64().expect("a class")).collect()
        };
        let (actual, predicted) = (classes("y_true"), classes("y_pred"));
        let found = match fixed_classes(name) {
            Some(count) => macro_f1_of(&(0..count).collect::<Vec<_>>(), &predicted, &actual),
            None => macro_f1(&predicted, &actual),
        };
        agreement.compare(found.map(|found| found.macro_f1), &case["macro_f1"], name);
    }
    agreement.report();
}

#[test]
fn mean_average_precision_agrees_with_scikit_learn() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let file = json(&folder.join("map.json"));
    let (scores, positive) = (table(&file["score"]), table(&file["y"]).mapv(|label| label > 0.5));
    let mut per_class = Agreement::new("average precision", COUNTED);
    let expected = list(&file["per_class_ap"]);
    assert_eq!(scores.ncols(), expected.len());
    for (class, expected) in expected.iter().enumerate() {
        let found = average_precision(&scores.column(class).to_vec(), &positive.column(class).to_vec());
        per_class.compare(found, expected, &format!("class {class}"));
    }
    let mut mean = Agreement::new("mean average precision", COUNTED);
    let found = mean_average_precision(scores.view(), positive.view());
    mean.compare(found.map(|found| found.mean), &file["mAP"], "map.json");
    for agreement in [per_class, mean] {
        agreement.report();
    }
}

fn embeddings(path: &Path) -> Array2<f64> {
    read_npy(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The parameter and the rest of keys such as `uniformity_t2_all_pairs_incl_self`.
fn uniformity_key(key: &str) -> Option<(f64, &str)> {
    let (t, pairs) = key.strip_prefix("uniformity_t")?.split_once('_')?;
    Some((t.parse().ok()?, pairs))
}

#[test]
fn alignment_and_uniformity_agree_with_their_formulas() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let file = json(&folder.join("au.json"));
    let (a, b) = (embeddings(&folder.join("au_a.npy")), embeddings(&folder.join("au_b.npy")));
    let mut aligned = Agreement::new("alignment", EMBEDDINGS);
    for (alpha, expected) in by_parameter(&file, "alignment_alpha") {
        aligned.compare(alignment(a.view(), b.view(), alpha), expected, &format!("alpha {alpha}"));
    }
    let mut uniform = Agreement::new("uniformity", EMBEDDINGS);
    for (key, expected) in file.as_object().expect("an object") {
        let Some((t, pairs)) = uniformity_key(key) else { continue };
        let found = uniformity(a.view(), t);
        let found = match pairs {
            "pairs_i_lt_j" => found,
            // Every pair twice, and each clip with itself at distance 0.
            "all_pairs_incl_self" => found.map(|found| {
                let n = a.nrows() as f64;
                ((n * (n - 1.0) * found.exp() + n) / (n * n)).ln()
            }),
            _ => continue,
        };
        uniform.compare(found, expected, key);
    }
    for agreement in [aligned, uniform] {
        agreement.report();
    }
}

/// Which column of a case is meant: how the mean is treated and whether an epsilon is added.
fn si_sdr_column(column: &str) -> Option<(SiSdr, f64)> {
    let epsilon = f64::from(f32::EPSILON);
    let settings = |zero_mean, epsilon| SiSdr { zero_mean, epsilon };
    match column {
        "torchmetrics_zero_mean_false" => Some((settings(false, epsilon), SI_SDR_F32)),
        "torchmetrics_zero_mean_true" | "torchmetrics_si_snr" => Some((settings(true, epsilon), SI_SDR_F32)),
        "float64_zero_mean_false" => Some((settings(false, epsilon), SI_SDR_F64)),
        "float64_zero_mean_true" => Some((settings(true, epsilon), SI_SDR_F64)),
        "float64_no_eps_zero_mean_true" => Some((settings(true, 0.0), SI_SDR_F64)),
        _ => None,
    }
}

#[test]
fn si_sdr_agrees_with_torchmetrics() {
    let Some(folder) = folder("signal") else {
        return;
    };
    let file = json(&folder.join("sisdr.json"));
    let path = folder.join("sisdr_target.npy");
    let target: Array1<f32> = read_npy(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let target: Vec<f64> = target.iter().copied().map(f64::from).collect();
    let estimates = super::matrix(&folder.join("sisdr_estimates.npy"));
    let cases = cases(&file["cases"]);
    assert_eq!(estimates.nrows(), cases.len());
    let mut library = Agreement::new("SI-SDR in dB, against torchmetrics", SI_SDR_F32);
    let mut exact = Agreement::new("SI-SDR in dB, against f64", SI_SDR_F64);
    for (case, estimate) in cases.iter().zip(estimates.rows()) {
        let estimate: Vec<f64> = estimate.iter().copied().map(f64::from).collect();
        for (column, expected) in case.as_object().expect("an object") {
            let Some((settings, tolerance)) = si_sdr_column(column) else { continue };
            let name = format!("{} {column}", case["case"]);
            let found = si_sdr(&estimate, &target, settings);
            match expected.as_f64() {
                Some(db) if db <= SI_SDR_CLEAN => {
                    let agreement = if tolerance == SI_SDR_F32 { &mut library } else { &mut exact };
                    agreement.compare(found, expected, &name);
                }
                // Clean beyond comparing, or a quotient by nothing.
                _ => assert!(found.map_or(true, |db| db > SI_SDR_CLEAN), "{name}: {found:?}"),
            }
        }
    }
    for agreement in [library, exact] {
        agreement.report();
    }
}
