//! Score and decision files of every year, whole and damaged, through the library and the program.

mod command;
mod metrics;
mod random;
mod reading;
mod truth;
mod writing;

use std::fs;
use std::path::Path;

use asdbench::official::{self, Error, OfficialReport, Submission, evaluate};
use tempfile::TempDir;

/// A folder of files made in a test.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn read(&self) -> Result<Submission, Error> {
        official::read(self.path(), None, None)
    }

    #[track_caller]
    fn report(&self) -> OfficialReport {
        evaluate(&self.read().unwrap_or_else(|e| panic!("{e}")))
    }

    /// Fails the test unless reading fails with a message that has all of `words`.
    #[track_caller]
    fn refused(&self, words: &[&str]) {
        let message = self.read().expect_err("an error").to_string();
        for word in words {
            assert!(message.contains(word), "`{word}` is not in: {message}");
        }
    }
}

const SCORES: &str = "anomaly_score_fan_section_00_test.csv";
const DECISIONS: &str = "decision_result_fan_section_00_test.csv";

/// Two normals and two anomalies of each domain. By hand: AUC(source) = normals 1, 3 against anomalies 2, 5, 4, 7 =
/// (4 + 3) / 8; AUC(target) = normals 6, 0 against the same = (1 + 4) / 8.
const ROWS: [(&str, f64, u8); 8] = [
    ("section_00_source_test_normal_0000_a_1.wav", 1.0, 0),
    ("section_00_source_test_normal_0001_a_1.wav", 3.0, 1),
    ("section_00_source_test_anomaly_0000_a_1.wav", 2.0, 0),
    ("section_00_source_test_anomaly_0001_a_1.wav", 5.0, 1),
    ("section_00_target_test_normal_0000_a_2.wav", 6.0, 1),
    ("section_00_target_test_normal_0001_a_2.wav", 0.0, 0),
    ("section_00_target_test_anomaly_0000_a_2.wav", 4.0, 1),
    ("section_00_target_test_anomaly_0001_a_2.wav", 7.0, 1),
];

fn scores() -> String {
    ROWS.iter().map(|(file, score, _)| format!("{file},{score}\n")).collect()
}

fn decisions() -> String {
    ROWS.iter().map(|(file, _, decision)| format!("{file},{decision}\n")).collect()
}

fn fan() -> Folder {
    Folder::new(&[(SCORES, &scores()), (DECISIONS, &decisions())])
}

/// An evaluation set: names without labels, ground truth in folders.
fn evaluation() -> (Folder, Folder) {
    let bare = |index: usize| format!("section_00_{index:04}.wav");
    let rows = |value: &dyn Fn(usize) -> String| -> String {
        (0..ROWS.len()).map(|index| format!("{},{}\n", bare(index), value(index))).collect()
    };
    let flag = |word: &'static str| move |index: usize| u8::from(ROWS[index].0.contains(word)).to_string();
    let submission = Folder::new(&[
        (SCORES, &rows(&|index| ROWS[index].1.to_string())),
        (DECISIONS, &rows(&|index| ROWS[index].2.to_string())),
    ]);
    let truth = Folder::new(&[
        ("ground_truth_data/ground_truth_fan_section_00_test.csv", &rows(&flag("anomaly"))),
        ("ground_truth_domain/ground_truth_fan_section_00_test.csv", &rows(&flag("target"))),
    ]);
    (submission, truth)
}
