//! What is passed over, kept from training, or refused with a remedy.

use std::path::Path;

use asdbench::config::{DataConfig, Layout};
use asdbench::dataset::{Error, ProblemKind, index};
use tempfile::TempDir;

use super::{FAN_2022, config, found, put, tree};

fn refused(config: &DataConfig) -> (Error, String) {
    let error = index(config).unwrap_err();
    let message = error.to_string();
    (error, message)
}

#[test]
fn anomalous_train_clips_never_reach_training() {
    let bad = "fan/train/section_00_source_train_anomaly_0009.wav";
    let root = tree(&[&FAN_2022[..], &[bad, "fan/train/section_00_source_test_normal_0010.wav"]].concat());
    let index = found(root.path());
    let training = index.training("fan").unwrap();
    assert_eq!(training.clips().len(), 3);
    assert!(training.clips().iter().all(|clip| clip.path != Path::new(bad)));
    assert_eq!(index.evaluation("fan").unwrap().clips.len(), 3);
    let kinds: Vec<_> = index.problems().iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::Contradiction, ProblemKind::AnomalousTraining]);
}

#[test]
fn hidden_and_foreign_files_are_passed_over() {
    let foreign =
        ["fan/train/._section_00_source_train_normal_0000.wav", "fan/readme.txt", ".cache/x.wav", "notes"];
    let root = tree(&[&FAN_2022[..], &foreign].concat());
    let index = found(root.path());
    assert_eq!(index.clips().len(), 6);
    assert_eq!(index.other_files().values().sum::<usize>(), 2);
    assert!(index.problems().is_empty(), "{:?}", index.problems());
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_never_in_circles() {
    use std::os::unix::fs::symlink;
    let store = tree(&FAN_2022);
    let root = TempDir::new().unwrap();
    symlink(store.path().join("fan"), root.path().join("fan")).unwrap();
    symlink(root.path(), root.path().join("again")).unwrap();
    symlink(root.path().parent().unwrap(), root.path().join("above")).unwrap();
    symlink(store.path().join("fan"), store.path().join("fan/train/back")).unwrap();
    symlink("nowhere", root.path().join("broken.wav")).unwrap();
    let index = found(root.path());
    assert_eq!(index.clips().len(), 6);
    let kinds: Vec<_> = index.problems().iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::Unreachable]);
}

#[test]
fn folders_that_hold_no_data_set_are_refused_with_a_remedy() {
    let (error, message) = refused(&DataConfig::default());
    assert!(matches!(error, Error::NoRoot) && message.contains("data.root"), "{message}");

    let root = TempDir::new().unwrap();
    let (error, message) = refused(&config(root.path().join("nothing")));
    assert!(matches!(error, Error::MissingRoot { .. }), "{message}");
    assert!(message.contains("nothing") && message.contains("data.root"), "{message}");

    let (error, message) = refused(&config(root.path()));
    assert!(matches!(error, Error::EmptyRoot { .. }), "{message}");

    put(root.path(), "dev_fan.zip", "");
    let (error, message) = refused(&config(root.path()));
    assert!(matches!(error, Error::NoWav { .. }), "{message}");
    assert!(message.contains("1 .zip") && message.contains("unpack"), "{message}");

    let (error, message) = refused(&config(root.path().join("dev_fan.zip")));
    assert!(matches!(error, Error::NotAFolder { .. }) && message.contains("unpack"), "{message}");

    put(root.path(), "sounds/door.wav", "");
    let (error, message) = refused(&config(root.path()));
    assert!(matches!(error, Error::UnknownLayout { .. }), "{message}");
    assert!(message.contains("sounds/door.wav") && message.contains("dcase2022"), "{message}");
}

#[test]
fn a_wrong_layout_says_which_would_fit() {
    let root = tree(&["pump/train/normal_id_00_00000000.wav", "pump/test/anomaly_id_00_00000000.wav"]);
    let (error, message) = refused(&DataConfig { layout: Layout::Dcase2022, ..config(root.path()) });
    assert!(matches!(error, Error::LayoutMismatch { .. }), "{message}");
    assert!(message.contains("they fit dcase2020"), "{message}");
}

#[test]
fn machines_are_chosen_by_name_and_missed_with_a_hint() {
    let root = tree(&[&FAN_2022[..], &["ToyCar/train/section_00_source_train_normal_0000.wav"]].concat());
    let chosen = DataConfig { machines: vec!["ToyCar".to_owned()], ..config(root.path()) };
    let index = index(&chosen).unwrap();
    assert_eq!(index.machines(), ["ToyCar"]);
    assert_eq!(index.clips().len(), 1);
    let error = index.evaluation("ToyCar").unwrap_err();
    assert!(matches!(error, Error::NoTest { .. }), "{error}");
    assert!(error.to_string().contains("`test` folder"), "{error}");

    let (error, message) =
        refused(&DataConfig { machines: vec!["toycar".to_owned()], ..config(root.path()) });
    assert!(matches!(error, Error::UnknownMachine { .. }), "{message}");
    assert!(message.contains("did you mean `ToyCar`?") && message.contains("ToyCar, fan"), "{message}");
}

#[test]
fn a_machine_without_train_clips_cannot_be_trained() {
    let index = found(tree(&FAN_2022[3..]).path());
    let error = index.training("fan").unwrap_err();
    assert!(matches!(error, Error::NoTraining { .. }), "{error}");
    assert!(error.to_string().contains("3 test clips"), "{error}");
}

#[test]
fn two_copies_of_a_machine_are_refused() {
    let copies: Vec<String> =
        FAN_2022.iter().flat_map(|file| [format!("raw/{file}"), format!("copy/{file}")]).collect();
    let index = found(tree(&copies.iter().map(String::as_str).collect::<Vec<_>>()).path());
    let error = index.training("fan").unwrap_err();
    assert!(matches!(error, Error::SameName { .. }), "{error}");
    assert_eq!(index.problems().len(), 6);
}
