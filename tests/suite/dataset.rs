//! Data sets through the library: every layout from fake trees of empty files (an index opens no clip), what is
//! refused and how, the audit of bad clips, fingerprints, and the synthetic machines.

use std::path::{Path, PathBuf};

use asdbench::audio::{ChannelChoice, SampleFormat, write_wav};
use asdbench::config::{DataConfig, Layout};
use asdbench::dataset::synth::{Preset, SynthSpec, generate};
use asdbench::dataset::{ClipIndex, Domain, Error, ProblemKind, Split, audit, index};
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

fn refused(config: &DataConfig) -> (Error, String) {
    let error = index(config).unwrap_err();
    let message = error.to_string();
    (error, message)
}

fn count(index: &ClipIndex, split: Split, anomalous: Option<bool>) -> usize {
    index.clips().iter().filter(|entry| entry.split == split && entry.anomalous == anomalous).count()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

const FAN_2022: [&str; 6] = [
    "fan/train/section_00_source_train_normal_0000_m-n_W.wav",
    "fan/train/section_00_target_train_normal_0007_m-n_Z.wav",
    "fan/train/section_03_source_train_normal_0001_m-n_W.wav",
    "fan/test/section_00_source_test_normal_0000_m-n_X.wav",
    "fan/test/section_00_target_test_anomaly_0003_m-n_Z.wav",
    "fan/test/section_03_0000.wav",
];

#[test]
fn dcase2022_is_detected_and_read() {
    let root = tree(&FAN_2022);
    let index = found(root.path());
    assert_eq!(index.layout(), Layout::Dcase2022);
    assert_eq!(index.machines(), ["fan"]);
    assert!(index.problems().is_empty(), "{:?}", index.problems());
    let training = index.training("fan").unwrap();
    assert_eq!(training.clips.len(), 3);
    assert_eq!(training.clips[1].domain, Some(Domain::Target));
    assert_eq!(training.clips[1].attributes, pairs(&[("m-n", "Z")]));
    assert_eq!(training.clips[2].section, "03");
    let labels: Vec<_> = index.evaluation("fan").unwrap().clips.iter().map(|clip| clip.anomalous).collect();
    assert_eq!(labels, [Some(false), Some(true), None]);
}

/// The root may be the machine's own folder, or lie above several folders that hold the same machine.
#[test]
fn roots_at_any_height_find_the_same_machine() {
    let above: Vec<String> = FAN_2022
        .iter()
        .enumerate()
        .map(|(n, file)| {
            let part = if n % 2 == 0 { "dev data/raw/fan" } else { "ergänzung" };
            format!("{part}/{file}")
        })
        .collect();
    let root = tree(&above.iter().map(String::as_str).collect::<Vec<_>>());
    let index = found(root.path());
    assert_eq!(index.machines(), ["fan"]);
    assert_eq!(index.training("fan").unwrap().clips.len(), 3);
    assert_eq!(index.evaluation("fan").unwrap().clips.len(), 3);

    let flat = tree(&FAN_2022);
    let inside = found(&flat.path().join("fan"));
    assert_eq!(inside.machines(), ["fan"]);
    assert_eq!(inside.training("fan").unwrap().clips.len(), 3);
}

#[test]
fn dcase2020_has_ids_for_sections_and_no_domains() {
    let root = tree(&[
        "pump/train/normal_id_00_00000000.wav",
        "pump/train/normal_id_02_00000001.wav",
        "pump/test/normal_id_00_00000000.wav",
        "pump/test/anomaly_id_00_00000000.wav",
        "pump/test/id_01_00000000.wav",
    ]);
    let index = found(root.path());
    assert_eq!(index.layout(), Layout::Dcase2020);
    assert_eq!(count(&index, Split::Train, Some(false)), 2);
    assert_eq!(count(&index, Split::Test, Some(true)), 1);
    assert_eq!(count(&index, Split::Test, None), 1);
    let evaluation = index.evaluation("pump");
    // `normal_id_00_00000000.wav` is in both splits, as in the real set, whose names start anew in each.
    let sections: Vec<String> = evaluation.unwrap().clips.into_iter().map(|clip| clip.clip.section).collect();
    assert_eq!(sections, ["00", "01", "00"]);
    assert!(index.clips().iter().all(|entry| entry.clip.domain.is_none()));
}

#[test]
fn dcase2021_reads_the_domain_from_the_test_folder() {
    let root = tree(&[
        "valve/train/section_00_source_train_normal_0000_pat_00.wav",
        "valve/train/section_00_target_train_normal_0000_pat_00.wav",
        "valve/source_test/section_00_source_test_normal_0000.wav",
        "valve/target_test/section_00_target_test_anomaly_0000.wav",
        "valve/target_test/section_03_0001.wav",
        "valve/attributes_00.csv",
    ]);
    put(
        root.path(),
        "valve/attributes_00.csv",
        "file_name,d1p,d1v,d2p,d2v\n\
         valve/target_test/section_00_target_test_anomaly_0000.wav,pat,05,panel,open\n\
         section_00_source_train_normal_0000,pat,99,,\n",
    );
    let index = found(root.path());
    assert_eq!(index.layout(), Layout::Dcase2021);
    let evaluation = index.evaluation("valve").unwrap();
    let domains: Vec<_> = evaluation.clips.iter().map(|clip| clip.clip.domain).collect();
    assert_eq!(domains, [Some(Domain::Source), Some(Domain::Target), Some(Domain::Target)]);
    assert_eq!(evaluation.clips[1].clip.attributes, pairs(&[("pat", "05"), ("panel", "open")]));
    // The table's row lacks folder, extension and the name's own attributes, and still wins.
    assert_eq!(index.training("valve").unwrap().clips[0].attributes, pairs(&[("pat", "99")]));
}

#[test]
fn later_years_differ_by_what_they_add() {
    let train = "ToyPet/train/section_00_source_train_normal_0001_noAttribute.wav";
    let test = "ToyPet/test/section_00_source_test_anomaly_0001_noAttribute.wav";
    let index_2023 = found(tree(&[train, test]).path());
    assert_eq!(index_2023.layout(), Layout::Dcase2023);
    assert!(index_2023.training("ToyPet").unwrap().clips[0].attributes.is_empty());

    let root =
        tree(&[train, test, "ToyPet/supplemental/section_00_noise_0001.wav", "ToyPet/supplemental/room.wav"]);
    let index_2025 = found(root.path());
    assert_eq!(index_2025.layout(), Layout::Dcase2025);
    assert_eq!(index_2025.supplemental("ToyPet").unwrap().len(), 2);
    assert_eq!(index_2025.training("ToyPet").unwrap().clips.len(), 1);

    for file in [train, test] {
        stereo(&root.path().join(file));
    }
    assert_eq!(found(root.path()).layout(), Layout::Dcase2026);
}

/// Eight frames of two channels at 16 kHz, 16 bit.
fn stereo(path: &Path) {
    let mut bytes = b"RIFF\x44\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
    bytes.extend(16_000u32.to_le_bytes());
    bytes.extend(64_000u32.to_le_bytes());
    bytes.extend(b"\x04\0\x10\0data\x20\0\0\0");
    bytes.extend((0..32).collect::<Vec<u8>>());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn mimii_splits_as_its_baseline_does() {
    let mut files = Vec::new();
    for id in ["id_00", "id_02"] {
        files.extend((0..5).map(|n| format!("0_dB_fan/fan/{id}/normal/{n:08}.wav")));
        files.extend((0..2).map(|n| format!("0_dB_fan/fan/{id}/abnormal/{n:08}.wav")));
    }
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let index = found(tree(&names).path());
    assert_eq!(index.layout(), Layout::Mimii);
    let training = index.training("fan").unwrap();
    assert_eq!(training.clips.len(), 6);
    assert!(training.clips[0].path.ends_with("id_00/normal/00000002.wav"), "{:?}", training.clips[0].path);
    assert_eq!(training.clips[0].attributes, pairs(&[("snr", "0_dB")]));
    let evaluation = index.evaluation("fan").unwrap();
    assert_eq!(evaluation.clips.len(), 8);
    assert_eq!(evaluation.clips.iter().filter(|clip| clip.anomalous == Some(true)).count(), 4);
}

#[test]
fn mimii_at_several_noise_levels_is_several_machines() {
    let mut files = Vec::new();
    for snr in ["-6_dB", "6dB"] {
        for condition in ["normal", "abnormal"] {
            files.push(format!("{snr}/pump/id_04/{condition}/00000000.wav"));
        }
        files.push(format!("{snr}/pump/id_04/normal/00000001.wav"));
    }
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let index = found(tree(&names).path());
    assert_eq!(index.machines(), ["-6_dB_pump", "6dB_pump"]);
    assert_eq!(index.training("6dB_pump").unwrap().clips.len(), 1);
}

#[test]
fn published_ground_truth_fills_in_what_names_hide() {
    let root = tree(&[&FAN_2022[..], &["fan/test/section_03_0001.wav"]].concat());
    let name = "ground_truth_fan_section_03_test.csv";
    put(
        root.path(),
        &format!("gt/ground_truth_data/{name}"),
        "section_03_0000.wav,1\nsection_03_0001.wav,0\n",
    );
    put(
        root.path(),
        &format!("gt/ground_truth_domain/{name}"),
        "section_03_0000.wav,0\nsection_03_0001.wav,1\n",
    );
    let index = found(root.path());
    let evaluation = index.evaluation("fan").unwrap();
    let of = |name: &str| evaluation.clips.iter().find(|clip| clip.clip.file_name() == name).unwrap();
    assert_eq!(of("section_03_0000.wav").anomalous, Some(true));
    assert_eq!(of("section_03_0000.wav").clip.domain, Some(Domain::Source));
    assert_eq!(of("section_03_0001.wav").anomalous, Some(false));
    assert_eq!(of("section_03_0001.wav").clip.domain, Some(Domain::Target));
    assert!(index.problems().is_empty(), "{:?}", index.problems());

    put(root.path(), &format!("gt/ground_truth_data/{name}"), "section_03_0000.wav,yes\n");
    let kinds: Vec<_> = found(root.path()).problems().iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::BadTable]);
}

#[test]
fn anomalous_train_clips_never_reach_training() {
    let bad = "fan/train/section_00_source_train_anomaly_0009.wav";
    let root = tree(&[&FAN_2022[..], &[bad, "fan/train/section_00_source_test_normal_0010.wav"]].concat());
    let index = found(root.path());
    let training = index.training("fan").unwrap();
    assert_eq!(training.clips.len(), 3);
    assert!(training.clips.iter().all(|clip| clip.path != Path::new(bad)));
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

/// 0.1 s of a tone, different for each `pitch`.
fn tone(root: &Path, file: &str, pitch: f32) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let samples: Vec<f32> = (0..1600).map(|n| 0.3 * (n as f32 * pitch).sin()).collect();
    write_wav(&path, &samples, 16_000, SampleFormat::Pcm16).unwrap();
}

#[test]
fn an_audit_goes_on_past_every_bad_clip() {
    let root = TempDir::new().unwrap();
    for (n, file) in FAN_2022.iter().enumerate() {
        tone(root.path(), file, 0.1 + 0.05 * n as f32);
    }
    let clip = |n: usize| root.path().join(format!("fan/train/section_00_source_train_normal_1{n:03}.wav"));
    std::fs::write(clip(0), "this is text").unwrap();
    std::fs::write(clip(1), "").unwrap();
    write_wav(&clip(2), &[0.0; 800], 16_000, SampleFormat::Pcm16).unwrap();
    write_wav(&clip(3), &[0.1, -0.1, 0.1], 44_100, SampleFormat::Pcm24).unwrap();
    let whole = std::fs::read(root.path().join(FAN_2022[0])).unwrap();
    std::fs::write(clip(4), &whole[..whole.len() / 2]).unwrap();
    std::fs::copy(
        root.path().join(FAN_2022[1]),
        root.path().join("fan/test/section_00_target_test_normal_0009.wav"),
    )
    .unwrap();

    let index = found(root.path());
    let calls = std::sync::atomic::AtomicU64::new(0);
    let audit = audit(&index, ChannelChoice::First, &|_| {
        calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(audit.clips, 12);
    assert_eq!(calls.into_inner(), 12);
    assert_eq!(audit.counts.iter().map(|row| row.clips).sum::<usize>(), 12);
    let of = |kind| audit.problems.iter().filter(move |problem| problem.kind == kind).count();
    assert_eq!(of(ProblemKind::BadClip), 3, "{:?}", audit.problems);
    assert_eq!(of(ProblemKind::Silent), 1);
    assert_eq!(of(ProblemKind::MixedRates), 1);
    assert_eq!(of(ProblemKind::Leak), 1);
    assert_eq!(audit.duplicates.len(), 1);
    assert_eq!(audit.duplicates[0].paths.len(), 2);
    let machine = &audit.machines[0];
    assert_eq!(machine.median_s, Some(0.1));
    assert_eq!(machine.rates_hz.get(&44_100), Some(&1));
    assert_eq!(machine.formats.get("PCM 24"), Some(&1));
    serde_json::to_string(&audit).unwrap();
}

#[test]
fn an_audit_names_gaps_that_spoil_an_evaluation() {
    let root = tree(&[
        "fan/train/section_00_source_train_normal_0000.wav",
        "fan/test/section_00_source_test_normal_0000.wav",
        "fan/test/section_00_target_test_normal_0000.wav",
        "pump/train/section_00_source_train_normal_0000.wav",
        "pump/train/section_00_target_train_normal_0000.wav",
    ]);
    let audit = audit(&found(root.path()), ChannelChoice::First, &|_| {});
    let gaps: Vec<_> = audit
        .problems
        .iter()
        .filter(|problem| problem.kind != ProblemKind::BadClip)
        .map(|problem| (problem.kind, problem.machine.as_deref().unwrap()))
        .collect();
    let expected = [
        (ProblemKind::OneClassTest, "fan"),
        (ProblemKind::MissingDomain, "fan"),
        (ProblemKind::MissingSplit, "pump"),
    ];
    assert_eq!(gaps, expected);
}

#[test]
fn fingerprints_follow_content_and_names_but_not_the_place() {
    let make = || {
        let root = TempDir::new().unwrap();
        for (n, file) in FAN_2022.iter().enumerate() {
            tone(root.path(), file, 0.1 + 0.05 * n as f32);
        }
        root
    };
    let training = |root: &Path| found(root).training("fan").unwrap().fingerprint().unwrap();
    let evaluation = |root: &Path| found(root).evaluation("fan").unwrap().fingerprint().unwrap();
    let (one, two) = (make(), make());
    let (trained, evaluated) = (training(one.path()), evaluation(one.path()));
    assert_eq!(trained.len(), 64);
    assert_eq!(training(two.path()), trained);
    assert_eq!(evaluation(two.path()), evaluated);

    put(two.path(), "ground_truth_data/ground_truth_fan_section_03_test.csv", "section_03_0000.wav,1\n");
    assert_eq!(training(two.path()), trained);
    assert_ne!(evaluation(two.path()), evaluated);

    tone(two.path(), FAN_2022[0], 0.11);
    assert_ne!(training(two.path()), trained);
    let renamed = FAN_2022[2].replace("0001", "0002");
    std::fs::rename(one.path().join(FAN_2022[2]), one.path().join(renamed)).unwrap();
    assert_ne!(training(one.path()), trained);
    std::fs::remove_file(one.path().join(FAN_2022[0])).unwrap();
    let broken = found(one.path()).training("fan").unwrap();
    std::fs::remove_file(one.path().join(FAN_2022[1])).unwrap();
    let error = broken.fingerprint().unwrap_err().to_string();
    assert!(error.contains("section_00_target_train_normal_0007"), "{error}");
}

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
        assert_eq!(training.clips.len(), 18);
        assert_eq!(training.clips.iter().filter(|clip| clip.domain == Some(Domain::Target)).count(), 9);
        assert!(training.clips.iter().all(|clip| !clip.attributes.is_empty()));
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
            .clips
            .iter()
            .filter(|clip| clip.section == section && clip.domain == Some(Domain::Target))
            .count()
    };
    for section in ["00", "01", "02", "03", "04", "05"] {
        assert_eq!(target(section), 10, "section {section}");
    }
    assert_eq!(index.evaluation("bearing").unwrap().clips.len(), 600);
}
