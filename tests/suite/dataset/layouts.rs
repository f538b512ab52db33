//! The layouts of all years, detected and read.

use std::path::Path;

use asdbench::config::Layout;
use asdbench::dataset::{ClipIndex, Domain, ProblemKind, Split};

use super::{FAN_2022, found, put, tree};

fn count(index: &ClipIndex, split: Split, anomalous: Option<bool>) -> usize {
    index.clips().iter().filter(|entry| entry.split == split && entry.anomalous == anomalous).count()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn dcase2022_is_detected_and_read() {
    let root = tree(&FAN_2022);
    let index = found(root.path());
    assert_eq!(index.layout(), Layout::Dcase2022);
    assert_eq!(index.machines(), ["fan"]);
    assert!(index.problems().is_empty(), "{:?}", index.problems());
    let training = index.training("fan").unwrap();
    assert_eq!(training.clips().len(), 3);
    assert_eq!(training.clips()[1].domain, Some(Domain::Target));
    assert_eq!(training.clips()[1].attributes, pairs(&[("m-n", "Z")]));
    assert_eq!(training.clips()[2].section, "03");
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
    assert_eq!(index.training("fan").unwrap().clips().len(), 3);
    assert_eq!(index.evaluation("fan").unwrap().clips.len(), 3);

    let flat = tree(&FAN_2022);
    let inside = found(&flat.path().join("fan"));
    assert_eq!(inside.machines(), ["fan"]);
    assert_eq!(inside.training("fan").unwrap().clips().len(), 3);
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
    assert_eq!(index.training("valve").unwrap().clips()[0].attributes, pairs(&[("pat", "99")]));
}

#[test]
fn later_years_differ_by_what_they_add() {
    let train = "ToyPet/train/section_00_source_train_normal_0001_noAttribute.wav";
    let test = "ToyPet/test/section_00_source_test_anomaly_0001_noAttribute.wav";
    let index_2023 = found(tree(&[train, test]).path());
    assert_eq!(index_2023.layout(), Layout::Dcase2023);
    assert!(index_2023.training("ToyPet").unwrap().clips()[0].attributes.is_empty());

    let root =
        tree(&[train, test, "ToyPet/supplemental/section_00_noise_0001.wav", "ToyPet/supplemental/room.wav"]);
    let index_2025 = found(root.path());
    assert_eq!(index_2025.layout(), Layout::Dcase2025);
    assert_eq!(index_2025.supplemental("ToyPet").unwrap().len(), 2);
    assert_eq!(index_2025.training("ToyPet").unwrap().clips().len(), 1);

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
    assert_eq!(training.clips().len(), 6);
    assert!(
        training.clips()[0].path.ends_with("id_00/normal/00000002.wav"),
        "{:?}",
        training.clips()[0].path
    );
    assert_eq!(training.clips()[0].attributes, pairs(&[("snr", "0_dB")]));
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
    assert_eq!(index.training("6dB_pump").unwrap().clips().len(), 1);
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
