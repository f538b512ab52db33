//! `asdbench fuse` as users and scripts see it: score files of made-up systems in, a folder of results out.

mod inputs;
mod results;
mod sources;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{Answer, Bench};

/// The sections of the made-up challenge.
const SECTIONS: [&str; 2] = ["00", "01"];

/// A number in 0..1 that looks random, of a clip and a system.
fn noise(text: &str) -> f64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of this hash are poor.
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1_u64 << 24) as f64
}

/// A system's scores of two machines: anomalies lie `shift` higher; `system` is what makes its noise.
fn scores(folder: &Path, system: &str, shift: f64, scale: f64) {
    fs::create_dir_all(folder).unwrap();
    for machine in ["fan", "valve"] {
        for section in SECTIONS {
            let mut rows = String::new();
            for domain in ["source", "target"] {
                for label in ["normal", "anomaly"] {
                    for clip in 0..20 {
                        let name = format!("section_{section}_{domain}_test_{label}_{clip:04}_a.wav");
                        let signal = if label == "anomaly" { shift } else { 0.0 };
                        let score = scale * (signal + noise(&format!("{system}{machine}{name}")));
                        rows += &format!("{name},{score}\n");
                    }
                }
            }
            fs::write(folder.join(format!("anomaly_score_{machine}_section_{section}_test.csv")), rows)
                .unwrap();
        }
    }
}

/// Scores of normal training clips.
fn training(folder: &Path, system: &str, scale: f64) {
    fs::create_dir_all(folder).unwrap();
    for machine in ["fan", "valve"] {
        for section in SECTIONS {
            let row = |clip: usize| {
                let name = format!("section_{section}_source_train_normal_{clip:04}_a.wav");
                format!("{name},{}\n", scale * noise(&format!("{system}{machine}{name}")))
            };
            let rows: String = (0..30).map(row).collect();
            let file = format!("anomaly_score_{machine}_section_{section}_train.csv");
            fs::write(folder.join(file), rows).unwrap();
        }
    }
}

/// Training scores for both systems of the configuration.
fn with_training(bench: &Bench) {
    training(&bench.path("a-train"), "a", 1.0);
    training(&bench.path("b-train"), "b", 1000.0);
    let systems = fs::read_to_string(bench.path("fusion.toml")).unwrap();
    let systems = systems
        .replace("scores = \"a\"", "scores = \"a\"\ntraining_scores = \"a-train\"")
        .replace("scores = \"b\"", "scores = \"b\"\ntraining_scores = \"b-train\"");
    fs::write(bench.path("fusion.toml"), systems).unwrap();
}

/// Two systems of like worth and unlike noise, and the second one's scale is a thousand times that of the first.
fn bench(more: &str) -> Bench {
    let bench = Bench::empty();
    scores(&bench.path("a"), "a", 0.3, 1.0);
    scores(&bench.path("b"), "b", 0.35, 1000.0);
    configure(&bench, more);
    bench
}

fn configure(bench: &Bench, more: &str) {
    let systems = "[[system]]\nname = \"a\"\nscores = \"a\"\n[[system]]\nname = \"b\"\nscores = \"b\"\n";
    fs::write(bench.path("fusion.toml"), format!("{systems}{more}")).unwrap();
}

const FEW: [&str; 4] = ["--set", "tune.evaluations=30", "--set", "validate.resamples=100"];

fn fuse(bench: &Bench, options: &[&str]) -> Answer {
    bench.run(&[&["fuse", "fusion.toml", "--format", "json"], &FEW[..], options].concat())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// All files of a folder, with their content.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push((path.display().to_string(), fs::read(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

/// Valve's clips without labels in their names, and their ground truth; `turned` gives every clip the other label.
fn hide_labels(bench: &Bench, turned: bool) {
    for (system, shift, scale) in [("a", 0.3, 1.0), ("b", 0.35, 1000.0)] {
        for section in SECTIONS {
            let (mut rows, mut truth, mut domains) = (String::new(), String::new(), String::new());
            for clip in 0..40 {
                let name = format!("section_{section}_{clip:04}.wav");
                let anomalous = clip % 2 == 1;
                let signal = if anomalous { shift } else { 0.0 };
                rows += &format!("{name},{}\n", scale * (signal + noise(&format!("{system}{name}"))));
                truth += &format!("{name},{}\n", u8::from(anomalous != turned));
                domains += &format!("{name},{}\n", u8::from(clip >= 20));
            }
            let put = |path: String, text: &str| {
                let path = bench.path(&path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            };
            put(format!("{system}/anomaly_score_valve_section_{section}_test.csv"), &rows);
            let table = format!("ground_truth_valve_section_{section}_test.csv");
            put(format!("gt/ground_truth_data/{table}"), &truth);
            put(format!("gt/ground_truth_domain/{table}"), &domains);
        }
    }
}
