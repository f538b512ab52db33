//! Comparisons of small made-up systems.

use super::*;
use crate::files::{Durability, make_folder, write};

const SETTINGS: Settings = Settings { seed: 1, resamples: 200, level: 0.95, method: Method::Bca };

fn options() -> Options {
    Options { settings: SETTINGS, ..Options::default() }
}

/// Names of a section's 24 clips: 6 of each domain and label.
fn clips(section: &str) -> Vec<String> {
    let of = |domain: &'static str, label: &'static str| {
        (0..6).map(move |clip| format!("_{domain}_test_{label}_{clip:04}.wav"))
    };
    let all =
        ["source", "target"].into_iter().flat_map(|domain| of(domain, "normal").chain(of(domain, "anomaly")));
    all.map(|rest| format!("section_{section}{rest}")).collect()
}

/// A score that separates the labels the better the smaller `noise` is.
fn score(name: &str, noise: u32) -> f64 {
    let hash = name.bytes().fold(noise, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    f64::from(u8::from(name.contains("anomaly"))) + f64::from(noise * (hash >> 8 & 1023)) / 1024.0
}

/// A folder of score files with two machines of two sections, rows as `order` leaves them.
fn submission(root: &Path, name: &str, noise: u32, order: fn(&mut Vec<String>)) -> PathBuf {
    let folder = root.join(name);
    make_folder(&folder).unwrap();
    for machine in ["fan", "valve"] {
        for section in ["00", "01"] {
            let mut names = clips(section);
            order(&mut names);
            let lines: String = names.iter().map(|clip| format!("{clip},{}\n", score(clip, noise))).collect();
            let file = folder.join(format!("anomaly_score_{machine}_section_{section}_test.csv"));
            write(&file, lines.as_bytes(), Durability::Cached).unwrap();
        }
    }
    folder
}

/// A run of `machine` with the scores of the submission above.
fn a_run(root: &Path, system: &str, machine: &str, seed: u64, noise: u32) -> PathBuf {
    let folder = root.join(system).join(machine).join(format!("seed-{seed}"));
    make_folder(&folder).unwrap();
    let manifest = serde_json::json!({
        "schema": 1, "family": "autoencoder", "config": system.replace('/', "-"), "config_hash": "", "data_fingerprint": "",
        "learnt": [machine], "machine": machine, "seed": seed, "resumed": [], "clips": 1, "skipped": [],
        "started": { "unix_s": 0, "asdbench": "", "burn": "", "argv": [], "git": null, "device": "" },
    });
    write(&folder.join("manifest.json"), manifest.to_string().as_bytes(), Durability::Cached).unwrap();
    let mut text = "clip,section,domain,label,mahalanobis\n".to_owned();
    for section in ["00", "01"] {
        for clip in clips(section) {
            let word = |words: [&'static str; 2]| if clip.contains(words[0]) { words[0] } else { words[1] };
            let (domain, label) = (word(["source", "target"]), word(["anomaly", "normal"]));
            text += &format!("{machine}/test/{clip},{section},{domain},{label},{}\n", score(&clip, noise));
        }
    }
    write(&folder.join("scores.csv"), text.as_bytes(), Durability::Cached).unwrap();
    // As an evaluation of before there were hashes.
    write(&folder.join("eval.json"), b"{}", Durability::Cached).unwrap();
    folder
}

fn refusal(a: &Path, b: &Path) -> String {
    compare(a, b, &options()).unwrap_err().to_string()
}

#[test]
fn values_are_those_of_the_official_evaluation() {
    let root = tempfile::tempdir().unwrap();
    let a = submission(root.path(), "a", 2, |_| ());
    let b = submission(root.path(), "b", 4, |_| ());
    let found = compare(&a, &b, &options()).unwrap();
    for (folder, side) in [(&a, 0), (&b, 1)] {
        let official = official::evaluate(&official::read(folder, None, None).unwrap());
        let of = |difference: &Difference| [difference.a, difference.b][side].unwrap();
        // The sums may be taken in another order.
        assert!((of(&found.overall.omega) - official.official_score.unwrap()).abs() < 1e-14, "{found:?}");
        let pauc = official.arithmetic_mean.get(official::Measure::Pauc).unwrap();
        assert!((of(&found.overall.pauc) - pauc).abs() < 1e-14);
        for machine in &official.machines {
            let pauc = machine.arithmetic_mean.get(official::Measure::Pauc).unwrap();
            assert!((of(&found.machines[&machine.machine].summary.pauc) - pauc).abs() < 1e-14);
        }
    }
    let omega = &found.overall.omega;
    assert_eq!(omega.difference, omega.a.zip(omega.b).map(|(a, b)| a - b));
    let interval = omega.interval.unwrap();
    assert!(interval.low < interval.high && interval.contains(omega.difference.unwrap()), "{omega:?}");
    // The mean of the sections' AUCs is the machine's.
    let fan = &found.machines["fan"];
    let mean = fan.sections.iter().map(|section| section.auc_a.unwrap()).sum::<f64>() / 2.0;
    assert!((fan.summary.auc.a.unwrap() - mean).abs() < 1e-15);
}

#[test]
fn holm_adjusts_over_the_whole_table() {
    let root = tempfile::tempdir().unwrap();
    let a = submission(root.path(), "a", 2, |_| ());
    let b = submission(root.path(), "b", 4, |_| ());
    let found = compare(&a, &b, &options()).unwrap();
    let sections: Vec<&SectionComparison> =
        found.machines.values().flat_map(|machine| &machine.sections).collect();
    let p: Vec<f64> = sections.iter().map(|section| section.p.unwrap()).collect();
    let adjusted: Vec<f64> = sections.iter().map(|section| section.p_holm.unwrap()).collect();
    assert_eq!(adjusted, stats::holm(&p).unwrap());
    assert_eq!(p.len(), 4);
}

#[test]
fn the_order_of_rows_does_not_matter_and_the_sides_mirror_each_other() {
    let root = tempfile::tempdir().unwrap();
    let a = submission(root.path(), "a", 2, |_| ());
    let b = submission(root.path(), "b", 4, |_| ());
    let reversed = submission(root.path(), "r", 4, |names| names.reverse());
    let found = compare(&a, &b, &options()).unwrap();
    let other = compare(&a, &reversed, &options()).unwrap();
    assert_eq!((&found.overall, &found.machines), (&other.overall, &other.machines));
    let swapped = compare(&b, &a, &options()).unwrap().overall.omega;
    let straight = &found.overall.omega;
    assert_eq!((swapped.a, swapped.interval_a), (straight.b, straight.interval_b));
    assert_eq!(swapped.difference, straight.difference.map(|difference| -difference));
    let (s, t) = (swapped.interval.unwrap(), straight.interval.unwrap());
    // Quantiles of mirrored replicates are interpolated from the other side.
    assert!((s.low + t.high).abs() < 1e-12 && (s.high + t.low).abs() < 1e-12, "{s:?} {t:?}");
}

#[test]
fn a_system_does_not_differ_from_itself() {
    let root = tempfile::tempdir().unwrap();
    let a = submission(root.path(), "a", 3, |_| ());
    let found = compare(&a, &a, &options()).unwrap();
    for one in [&found.overall.auc, &found.overall.pauc, &found.overall.omega] {
        let interval = one.interval.unwrap();
        assert_eq!((one.difference, interval.low, interval.high), (Some(0.0), 0.0, 0.0));
    }
    assert!(
        found.machines.values().flat_map(|m| &m.sections).all(|s| (s.p, s.p_holm) == (Some(1.0), Some(1.0)))
    );
}

#[test]
fn runs_and_score_files_of_the_same_scores_agree() {
    let root = tempfile::tempdir().unwrap();
    let files = submission(root.path(), "files", 4, |_| ());
    let b = submission(root.path(), "b", 2, |_| ());
    for machine in ["fan", "valve"] {
        a_run(root.path(), "runs", machine, 3, 4);
    }
    let of_files = compare(&files, &b, &options()).unwrap();
    let of_runs = compare(&root.path().join("runs"), &b, &options()).unwrap();
    assert_eq!((of_runs.a.kind, of_runs.year), (SystemKind::Runs, 2022));
    assert_eq!(of_files.overall, of_runs.overall);
    assert_eq!(of_runs.machines["fan"].sections[0].seed, Some(3));
}

#[test]
fn runs_are_paired_by_machine_and_seed() {
    let root = tempfile::tempdir().unwrap();
    for (seed, noise) in [(0, 2), (1, 3)] {
        a_run(root.path(), "a", "fan", seed, noise);
        a_run(root.path(), "b", "fan", seed, noise + 2);
    }
    let [a, b] = ["a", "b"].map(|name| root.path().join(name));
    let both = compare(&a, &b, &options()).unwrap();
    let each = [0, 1].map(|seed| {
        let of = |system: &Path| system.join("fan").join(format!("seed-{seed}"));
        compare(&of(&a), &of(&b), &options()).unwrap()
    });
    let seeds: Vec<Option<u64>> = both.machines["fan"].sections.iter().map(|section| section.seed).collect();
    assert_eq!(seeds, [Some(0), Some(1), Some(0), Some(1)]);
    let mean = each.iter().map(|one| one.overall.auc.difference.unwrap()).sum::<f64>() / 2.0;
    assert!((both.overall.auc.difference.unwrap() - mean).abs() < 1e-15);

    a_run(root.path(), "b", "fan", 7, 3);
    let why = refusal(&a, &b);
    assert!(why.contains("only the second has fan seed 7"), "{why}");
    // Two single runs are a pair whatever their seeds.
    let why = compare(&a.join("fan/seed-0"), &b.join("fan/seed-7"), &options());
    assert!(why.is_ok(), "{why:?}");
    a_run(root.path(), "a/other", "fan", 0, 3);
    let why = refusal(&a, &b);
    assert!(why.contains("both of fan seed 0") && why.contains("other"), "{why}");
}

#[test]
fn sides_that_do_not_pair_up_are_named() {
    let root = tempfile::tempdir().unwrap();
    let a = submission(root.path(), "a", 2, |_| ());
    let b = submission(root.path(), "b", 4, |names| drop(names.remove(3)));
    let why = refusal(&a, &b);
    assert!(
        why.contains("machine fan, section 00: the clips differ: only the first has section_00_source"),
        "{why}"
    );
    std::fs::remove_file(b.join("anomaly_score_fan_section_01_test.csv")).unwrap();
    let why = refusal(&a, &b);
    assert!(why.contains("machine fan: the sections differ: only the first has 01"), "{why}");
    let why = refusal(&a, root.path());
    assert!(why.contains("neither score files"), "{why}");
    let why = refusal(&a, &root.path().join("none"));
    assert!(why.contains("none") && why.contains("failed to"), "{why}");
    let mut few = options();
    few.settings.resamples = 1;
    assert!(matches!(compare(&a, &a, &few), Err(Error::Bootstrap(_))));
}

#[test]
fn scores_of_an_evaluation_that_was_not_finished_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|system| a_run(root.path(), system, "fan", 0, 3));
    compare(&a, &b, &options()).unwrap();
    std::fs::remove_file(b.join("eval.json")).unwrap();
    for why in [refusal(&a, &b), refusal(&b, &a)] {
        let named = why.contains(&*b.to_string_lossy()) && why.contains("not judged to the end");
        assert!(named && why.contains("asdbench eval"), "{why}");
    }
}

#[test]
fn a_damaged_scores_csv_names_its_row() {
    let root = tempfile::tempdir().unwrap();
    let b = a_run(root.path(), "b", "fan", 0, 3);
    let a = a_run(root.path(), "a", "fan", 0, 3);
    let path = a.join("scores.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let third = text.lines().nth(3).unwrap().to_owned();
    let emptied = format!("{},", third.rsplit_once(',').unwrap().0);
    let cases = [
        (
            text.replace(&third, &emptied),
            "row 4: `fan/test/section_00_source_test_normal_0002.wav` has no finite score",
        ),
        (text.replace(&third, &third.replace(",normal,", ",broken,")), "row 4: the label `broken`"),
        (text.replace(&third, &third.replace(",source,", ",moon,")), "row 4: the domain `moon`"),
        (text.replace(&third, "x,00"), "row 4"),
        (text.replace(&third, &format!("{third}\n{third}")), "is there twice"),
        (text.replace("mahalanobis", "score"), "mahalanobis"),
        ("clip,section,domain,label,mahalanobis\n".to_owned(), "no labelled clip"),
        (
            text.replace(&third, &third.replace(",normal,", ",anomaly,")),
            "normal in the one and anomalous in the other",
        ),
    ];
    // Whatever ends the lines, and however many are blank.
    let spaced = text.replace(&third, &format!("\n{}", third.replace(",normal,", ",broken,")));
    let cases = cases.into_iter().chain([
        (spaced.replace('\n', "\r\n"), "row 5: the label `broken`"),
        (spaced.replace('\n', "\r"), "row 5: the label `broken`"),
        (
            spaced.replace(&third.replace(",normal,", ",broken,"), "x,00"),
            "row 5: 2 values where the header names",
        ),
        (format!("\r\n\r\n{}", text.replace("mahalanobis", "score")), "row 3: there is no column"),
    ]);
    for (damaged, expected) in cases {
        write(&path, damaged.as_bytes(), Durability::Cached).unwrap();
        // Either way round, the damaged one is named.
        for why in [refusal(&a, &b), refusal(&b, &a)] {
            let why = why.replace(
                "anomalous in the one and normal in the other",
                "normal in the one and anomalous in the other",
            );
            assert!(why.contains(expected), "{why}");
        }
    }
    std::fs::remove_file(&path).unwrap();
    assert!(refusal(&a, &b).contains("asdbench eval"));
}

#[test]
fn what_a_section_does_not_allow_is_missing_with_its_reason() {
    let root = tempfile::tempdir().unwrap();
    // No anomalous clips in section 01 of the fan, no target normals in section 00 of the valve.
    let edit = |folder: &Path, file: &str, keep: fn(&str) -> bool| {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let kept: String = text.lines().filter(|line| keep(line)).map(|line| format!("{line}\n")).collect();
        write(&path, kept.as_bytes(), Durability::Cached).unwrap();
    };
    let [a, b] = [("a", 2), ("b", 4)].map(|(name, noise)| {
        let folder = submission(root.path(), name, noise, |_| ());
        edit(&folder, "anomaly_score_fan_section_01_test.csv", |line| !line.contains("anomaly"));
        edit(&folder, "anomaly_score_valve_section_00_test.csv", |line| !line.contains("target_test_normal"));
        folder
    });
    let found = compare(&a, &b, &options()).unwrap();
    let (fan, valve) = (&found.machines["fan"], &found.machines["valve"]);
    assert_eq!((fan.summary.auc.a, fan.summary.omega.difference, fan.sections[1].p), (None, None, None));
    assert!(fan.summary.auc.why.as_ref().is_some_and(|why| why.contains("fan section 01")), "{fan:?}");
    assert!(fan.sections[1].why.is_some() && fan.sections[0].p_holm.is_some());
    assert!(valve.summary.auc.difference.is_some() && valve.summary.auc.why.is_none());
    assert!(valve.summary.omega.a.is_none() && valve.summary.omega.why.is_some(), "{valve:?}");
    assert!(found.overall.auc.why.is_some() && found.overall.auc.interval.is_none());
}
