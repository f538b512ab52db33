//! Data sets through the library: every layout from fake trees of empty files (an index opens no clip), what is
//! refused and how, the audit of bad clips, fingerprints, and the synthetic machines.

mod audit;
mod layouts;
mod refusals;
mod synth;

use std::path::{Path, PathBuf};

use asdbench::config::DataConfig;
use asdbench::dataset::{ClipIndex, index};
use tempfile::TempDir;

fn tree(files: &[&str]) -> TempDir {
    let root = TempDir::new().unwrap();
    for file in files {
        put(root.path(), file, "");
    }
    root
}

fn put(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn config(root: impl Into<PathBuf>) -> DataConfig {
    DataConfig { root: Some(root.into()), ..DataConfig::default() }
}

fn found(root: &Path) -> ClipIndex {
    index(&config(root)).unwrap()
}

const FAN_2022: [&str; 6] = [
    "fan/train/section_00_source_train_normal_0000_m-n_W.wav",
    "fan/train/section_00_target_train_normal_0007_m-n_Z.wav",
    "fan/train/section_03_source_train_normal_0001_m-n_W.wav",
    "fan/test/section_00_source_test_normal_0000_m-n_X.wav",
    "fan/test/section_00_target_test_anomaly_0003_m-n_Z.wav",
    "fan/test/section_03_0000.wav",
];
