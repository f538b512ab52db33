use ndarray::Array2;
use serde_json::json;

use super::*;
use crate::report::NpzWriter;
use crate::report::figure::Theme;

/// A run's folder as an evaluation of `clips` clips leaves it, half of them anomalous.
fn evaluated(clips: usize) -> (tempfile::TempDir, RunFolder) {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::at(place.path().to_owned());
    let aucs = |auc: f64| json!({"auc": auc, "sections": {"00": auc}});
    let mahalanobis = json!({"auc": 0.6415, "sections": {"00": 0.6415}, "estimator": "ledoit-wolf",
        "condition": 10.0, "rank": 6});
    let evaluation = json!({
        "schema": 1,
        "path": "autoencoder/h16/gearbox/seed-3",
        "family": "autoencoder",
        "config": "h16",
        "machine": "gearbox",
        "seed": 3,
        "proxy": {"name": "mae", "value": 0.1, "higher_is_better": false},
        "linear_probe": {"in_domain": aucs(0.75), "out_domain": aucs(0.5)},
        "mahalanobis": mahalanobis,
        "official": crate::study::OfficialMetrics::missing("none".into()),
        "clips": {"train": 4, "test_normal": clips / 2, "test_anomalous": clips - clips / 2, "test_unlabelled": 0,
            "skipped": 0},
        "settings": crate::config::EvalConfig::default(),
        "model": "m",
        "test_fingerprint": "t",
    });
    folder.write_json("eval.json", &evaluation).unwrap();
    let name = |row: usize| format!("gearbox/test/clip_{row:03}.wav");
    let test = Array2::from_shape_fn((clips, 6), |(row, column)| {
        let far = if row % 2 == 1 { 4.0 } else { 0.0 };
        far + ((3 * row + 7 * column) as f32).sin()
    });
    let mut npz = NpzWriter::default();
    npz.matrix("train", Array2::zeros((4, 6)).view());
    npz.matrix("test", test.view());
    npz.texts("test_clip", &(0..clips).map(name).collect::<Vec<_>>());
    std::fs::write(folder.file("features.npz"), npz.finish().unwrap()).unwrap();
    let row = |row: usize| {
        let (label, domain) = (["normal", "anomaly"][row % 2], ["source", "target", ""][row % 3]);
        format!("{},00,{domain},{label},{row}.5,1\n", name(row))
    };
    let table: String = (0..clips).map(row).collect();
    std::fs::write(
        folder.file("scores.csv"),
        format!("clip,section,domain,label,mahalanobis,decision\n{table}"),
    )
    .unwrap();
    (place, folder)
}

#[test]
fn a_map_has_every_clip_and_the_aucs_of_the_evaluation() {
    let (_place, folder) = evaluated(40);
    let found = map(&folder).unwrap();
    assert_eq!((found.machine.as_str(), found.seed, found.clips.len()), ("gearbox", 3, 40));
    assert_eq!((found.mahalanobis, found.in_domain, found.out_domain), (Some(0.6415), Some(0.75), Some(0.5)));
    let clip = &found.clips[4];
    assert_eq!((clip.clip.as_str(), clip.anomalous), ("gearbox/test/clip_004.wav", Some(false)));
    assert_eq!((clip.domain, found.clips[2].domain), (Some(Domain::Target), None));
    // Labels are apart by 4 in every one of six features: the first component tells them apart.
    let signs: Vec<bool> =
        found.clips.iter().map(|clip| (clip.pca[0] > 0.0) == (clip.anomalous == Some(true))).collect();
    assert!(signs.iter().all(|sign| *sign == signs[0]));
    assert!(found.explained[0] > 0.5 && found.explained[0] > found.explained[1]);
    assert!(found.remark.is_none() && found.clips.iter().all(|clip| clip.tsne.is_some()));
    assert_eq!(found, map(&folder).unwrap());
    let svg = figure::map(&found.figure()).svg(Theme::Light);
    for text in ["MD AUC 64.15 %", "in-domain LP AUC 75.00 %", ">t-SNE<", "anomalous, target"] {
        assert!(svg.contains(text), "no {text}");
    }
}

#[test]
fn few_clips_have_no_neighbourhoods_and_the_map_says_so() {
    let (_place, folder) = evaluated(4);
    let found = map(&folder).unwrap();
    assert_eq!(found.remark.as_deref(), Some("no t-SNE: 4 clips are too few"));
    assert!(found.clips.iter().all(|clip| clip.tsne.is_none() && clip.pca != [0.0; 2]));
    assert!(figure::map(&found.figure()).svg(Theme::Light).contains("no t-SNE: 4 clips are too few"));
    let (_place, folder) = evaluated(1);
    assert_eq!(map(&folder).unwrap().remark.as_deref(), Some("1 test clip(s) cannot be projected"));
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let (_place, folder) = evaluated(10);
    let message = |folder: &RunFolder| map(folder).unwrap_err().to_string();
    let table = std::fs::read_to_string(folder.file("scores.csv")).unwrap();
    let shorter: String = table.lines().take(6).map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.file("scores.csv"), shorter).unwrap();
    let found = message(&folder);
    assert!(
        found.contains("scores.csv") && found.contains("5 rows") && found.contains("asdbench eval"),
        "{found}"
    );
    std::fs::write(folder.file("scores.csv"), table).unwrap();
    std::fs::write(folder.file("features.npz"), b"PK").unwrap();
    let found = message(&folder);
    assert!(found.contains("features.npz") && found.contains("asdbench eval"), "{found}");
    std::fs::remove_file(folder.file("features.npz")).unwrap();
    assert!(message(&folder).contains("features.npz"));
    std::fs::remove_file(folder.file("eval.json")).unwrap();
    assert!(message(&folder).contains("is evaluated"), "{}", message(&folder));
}
