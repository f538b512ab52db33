//! The synthetic machines as a data set.

use std::path::{Path, PathBuf};

use asdbench::audio::ChannelChoice;
use asdbench::config::Layout;
use asdbench::dataset::synth::{Preset, SynthSpec, generate};
use asdbench::dataset::{Domain, Error, audit};
use tempfile::TempDir;

use super::{found, tree};

fn small(machines: &[&str]) -> SynthSpec {
    SynthSpec {
        machines: machines.iter().map(|machine| (*machine).to_owned()).collect(),
        duration_s: Some(1.0),
        train_per_section: Some(6),
        test_per_section: Some(8),
        ..SynthSpec::default()
    }
}

fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            (entry.path().strip_prefix(root).unwrap().to_owned(), std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn synthetic_data_has_the_same_bytes_on_any_number_of_threads() {
    let (one, four, fan) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let spec = small(&[]);
    on_threads(1, || generate(&spec, one.path(), &|_, _| {})).unwrap();
    on_threads(4, || generate(&spec, four.path(), &|_, _| {})).unwrap();
    let all = contents(one.path());
    assert!(all == contents(four.path()), "bytes differ between thread counts");
    // A clip keeps its bytes when fewer machines are made around it.
    generate(&small(&["fan"]), fan.path(), &|_, _| {}).unwrap();
    for (path, bytes) in contents(&fan.path().join("fan")) {
        let twin = all.iter().find(|(other, _)| *other == Path::new("fan").join(&path)).unwrap();
        assert!(twin.1 == bytes, "{} differs", path.display());
    }
    let (other, reseeded) = (TempDir::new().unwrap(), SynthSpec { seed: 1, ..spec });
    generate(&reseeded, other.path(), &|_, _| {}).unwrap();
    let same = all.iter().zip(contents(other.path())).filter(|(a, b)| a.1 == b.1).count();
    assert_eq!(same, 0, "a seed changes every file");
}

#[test]
fn synthetic_data_is_a_dcase2022_data_set() {
    let root = TempDir::new().unwrap();
    let report = generate(&small(&[]), root.path(), &|_, _| {}).unwrap();
    assert_eq!((report.train_clips, report.test_clips), (7 * 3 * 6, 7 * 3 * 8));
    let index = found(root.path());
    assert_eq!(index.layout(), Layout::Dcase2022);
    assert_eq!(index.machines(), ["ToyCar", "ToyTrain", "bearing", "fan", "gearbox", "slider", "valve"]);
    for machine in index.machines() {
        let evaluation = index.evaluation(machine).unwrap();
        for section in ["00", "01", "02"] {
            for domain in [Domain::Source, Domain::Target] {
                for anomalous in [false, true] {
                    let is_of_kind = |entry: &&asdbench::dataset::LabelledClip| {
                        entry.clip.section == section
                            && entry.clip.domain == Some(domain)
                            && entry.anomalous == Some(anomalous)
                    };
                    assert_eq!(evaluation.clips.iter().filter(is_of_kind).count(), 2, "{machine} {section}");
                }
            }
        }
        let training = index.training(machine).unwrap();
        assert_eq!(training.clips().len(), 18);
        assert_eq!(training.clips().iter().filter(|clip| clip.domain == Some(Domain::Target)).count(), 9);
        assert!(training.clips().iter().all(|clip| !clip.attributes.is_empty()));
    }
    let audit = audit(&index, ChannelChoice::First, &|_| {});
    assert!(audit.problems.is_empty(), "{:?}", audit.problems);
    assert!(audit.duplicates.is_empty(), "{:?}", audit.duplicates);
    assert!(audit.machines.iter().all(|machine| machine.min_s == Some(1.0) && machine.max_s == Some(1.0)));
}

#[test]
fn synthetic_data_completes_itself_and_spares_other_folders() {
    let root = TempDir::new().unwrap();
    let spec = small(&["valve"]);
    generate(&spec, root.path(), &|_, _| {}).unwrap();
    let before = contents(root.path());
    let lost = before.iter().find(|(path, _)| path.extension().is_some_and(|e| e == "wav")).unwrap();
    std::fs::remove_file(root.path().join(&lost.0)).unwrap();
    generate(&spec, root.path(), &|_, _| {}).unwrap();
    assert!(before == contents(root.path()));

    let harder = SynthSpec { difficulty: 0.9, ..spec.clone() };
    let error = generate(&harder, root.path(), &|_, _| {}).unwrap_err().to_string();
    assert!(error.contains("difficulty: 0.5 there, 0.9 asked for"), "{error}");
    assert!(before == contents(root.path()), "a refusal writes nothing");

    let foreign = tree(&["thesis.txt"]);
    let error = generate(&spec, foreign.path(), &|_, _| {}).unwrap_err();
    assert!(matches!(error, Error::SynthFolder { .. }), "{error}");
    assert_eq!(contents(foreign.path()).len(), 1);
    let error = generate(&spec, &foreign.path().join("thesis.txt"), &|_, _| {}).unwrap_err();
    assert!(error.to_string().contains("is a file"), "{error}");
}

#[test]
fn impossible_synthetic_data_is_refused() {
    let root = TempDir::new().unwrap();
    let bad = [
        (SynthSpec { difficulty: 1.5, ..SynthSpec::default() }, "0 to 1"),
        (SynthSpec { difficulty: f64::NAN, ..SynthSpec::default() }, "0 to 1"),
        (SynthSpec { duration_s: Some(0.0), ..SynthSpec::default() }, "0.5 to 60 s"),
        (SynthSpec { test_per_section: Some(0), ..SynthSpec::default() }, "4 to 10000"),
        (SynthSpec { machines: vec!["Fan".to_owned()], ..SynthSpec::default() }, "did you mean `fan`?"),
    ];
    for (spec, remedy) in bad {
        let error = generate(&spec, root.path(), &|_, _| {}).unwrap_err().to_string();
        assert!(error.contains(remedy), "{error}");
    }
    assert!(contents(root.path()).is_empty());
}

/// Presets differ in counts alone: the study's are 990 + 10 train and 4 × 50 test clips per section.
#[test]
fn the_study_preset_has_the_studys_counts() {
    let root = TempDir::new().unwrap();
    let spec = SynthSpec {
        preset: Preset::Study,
        machines: vec!["bearing".to_owned()],
        duration_s: Some(0.5),
        rate_hz: 4_000,
        ..SynthSpec::default()
    };
    let report = generate(&spec, root.path(), &|_, _| {}).unwrap();
    assert_eq!((report.sections, report.train_clips, report.test_clips), (6, 6000, 600));
    let index = found(root.path());
    let training = index.training("bearing").unwrap();
    let target = |section: &str| {
        training
            .clips()
            .iter()
            .filter(|clip| clip.section == section && clip.domain == Some(Domain::Target))
            .count()
    };
    for section in ["00", "01", "02", "03", "04", "05"] {
        assert_eq!(target(section), 10, "section {section}");
    }
    assert_eq!(index.evaluation("bearing").unwrap().clips.len(), 600);
}
