//! The audit of clips, and fingerprints of what was found.

use std::path::Path;

use asdbench::audio::{ChannelChoice, SampleFormat, write_wav};
use asdbench::dataset::{ProblemKind, audit};
use tempfile::TempDir;

use super::{FAN_2022, found, put, tree};

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
