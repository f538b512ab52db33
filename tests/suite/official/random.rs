//! Random submissions.

use std::path::PathBuf;

use asdbench::official::Measure;
use proptest::prelude::*;

use super::{DECISIONS, Folder, SCORES, scores};

/// Labelled clips of one section with ties, both classes in both domains.
fn clips() -> impl Strategy<Value = Vec<(String, i32)>> {
    prop::collection::vec((any::<bool>(), any::<bool>(), -5_i32..5), 0..40).prop_map(|mut clips| {
        clips.extend([(false, false, 0), (false, true, 1), (true, false, 2), (true, true, 0)]);
        let word = |flag: bool, yes: &'static str, no: &'static str| if flag { yes } else { no };
        clips
            .into_iter()
            .enumerate()
            .map(|(index, (target, anomalous, score))| {
                let domain = word(target, "target", "source");
                let label = word(anomalous, "anomaly", "normal");
                (format!("section_00_{domain}_test_{label}_{index:04}"), score)
            })
            .collect()
    })
}

fn file(clips: &[(String, i32)]) -> String {
    clips.iter().map(|(clip, score)| format!("{clip}.wav,{score}\n")).collect()
}

const PARTS: [Measure; 3] = [Measure::AucSource, Measure::AucTarget, Measure::Pauc];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_rows_and_files_changes_nothing(clips in clips(), turn in 0_usize..40) {
        let other = "anomaly_score_valve_section_00_test.csv";
        let straight = Folder::new(&[(SCORES, &file(&clips)), (other, &scores()), (DECISIONS, &file(&clips_as_decisions(&clips)))]);
        let mut turned = clips.clone();
        turned.rotate_left(turn % clips.len());
        let mut reversed = clips_as_decisions(&clips);
        reversed.reverse();
        let shuffled = Folder::new(&[(DECISIONS, &file(&reversed)), (other, &scores()), (SCORES, &file(&turned))]);
        let (mut one, mut two) = (straight.report(), shuffled.report());
        (one.folder, two.folder) = (PathBuf::new(), PathBuf::new());
        prop_assert_eq!(one, two);
    }

    #[test]
    fn swapped_labels_turn_the_auc_round(clips in clips()) {
        // One domain, so that its anomalies are all anomalies.
        let source: Vec<(String, i32)> =
            clips.iter().map(|(clip, score)| (clip.replace("target", "source"), *score)).collect();
        let swapped: Vec<(String, i32)> = source
            .iter()
            .map(|(clip, score)| {
                let clip = clip.replace("normal", "?").replace("anomaly", "normal").replace('?', "anomaly");
                (clip, *score)
            })
            .collect();
        let auc = |clips: &[(String, i32)]| {
            let report = Folder::new(&[(SCORES, &file(clips))]).report();
            report.machines[0].sections[0].metrics.get(Measure::AucSource).expect("both classes")
        };
        prop_assert!((auc(&source) + auc(&swapped) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn the_official_score_lies_between_its_parts_and_below_their_mean(clips in clips()) {
        let report = Folder::new(&[
            (SCORES, &file(&clips)),
            ("anomaly_score_valve_section_00_test.csv", &scores()),
        ]).report();
        let sections = report.machines.iter().flat_map(|machine| &machine.sections);
        let parts: Vec<f64> =
            sections.flat_map(|section| PARTS.map(|part| section.metrics.get(part).expect("a value"))).collect();
        let score = report.official_score.expect("an official score");
        let greatest = parts.iter().copied().fold(0.0, f64::max);
        let least = parts.iter().copied().fold(1.0, f64::min);
        let mean = parts.iter().sum::<f64>() / parts.len() as f64;
        // The slack is the rounding of six values' sum.
        prop_assert!(score <= greatest + 1e-15 && score <= mean + 1e-15, "{score} of {parts:?}");
        prop_assert!(score >= least - 1e-15, "{score} of {parts:?}");
    }
}

fn clips_as_decisions(clips: &[(String, i32)]) -> Vec<(String, i32)> {
    clips.iter().map(|(clip, score)| (clip.clone(), i32::from(*score > 0))).collect()
}
