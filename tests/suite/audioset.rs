//! mAP of fine-tuned encoders, measured on labelled clips.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use ndarray::Array2;
use serde_json::Value;

use crate::extract::{array, extract, texts, tone};
use crate::import::{TINY, checkpoint, random_network};
use crate::program::{Answer, Bench};

/// Clips in the folder `clips`, and a fine-tuned checkpoint.
struct Set {
    bench: Bench,
    checkpoint: PathBuf,
    /// Classes of each clip.
    classes: Vec<Vec<usize>>,
    /// AudioSet's ids of the checkpoint's classes.
    mids: Vec<String>,
    /// Probabilities that the checkpoint gives each clip's classes.
    said: Array2<f32>,
}

const IDS: [&str; 6] =
    ["-0Gj8-vB1q4", "--4gqARaEJE", "abcdefghijk", "Yabcdefghij", "0123456789_", "zZ-_zZ-_zZ-"];
/// One convention each.
const FILES: [&str; 6] = [
    "-0Gj8-vB1q4.wav",
    "Y--4gqARaEJE.wav",
    "deep/abcdefghijk_30.wav",
    "Yabcdefghij_30.000_40.000.wav",
    "0123456789__30000_40000.wav",
    "zZ-_zZ-_zZ-_000030.wav",
];

impl Set {
    /// Nothing where there is no such checkpoint.
    fn of(family: &str, name: &str) -> Option<Self> {
        let checkpoint = checkpoint(family, name)?;
        let bench = Bench::empty();
        fs::create_dir_all(bench.path("clips/deep")).unwrap();
        for (n, name) in FILES.iter().enumerate() {
            tone(&bench.path("clips").join(name), 0.6 + 0.2 * n as f64, 16_000);
        }
        let paths = FILES.map(|name| format!("clips/{name}"));
        let arguments: Vec<&str> =
            [checkpoint.to_str().unwrap()].into_iter().chain(paths.iter().map(String::as_str)).collect();
        extract(&bench, &arguments).fine();
        let npz = bench.path("out.npz");
        let said: Array2<f32> = array(&npz, "probabilities");
        let count = said.ncols();
        assert!(count >= 3, "a few classes");
        let classes = (0..FILES.len()).map(|n| if n % 2 == 0 { vec![0, 1] } else { vec![n % 3] }).collect();
        let mids = match family {
            "beats" => texts(&npz, "label"),
            _ => (0..count).map(|class| format!("/m/{class:04}")).collect(),
        };
        Some(Self { bench, checkpoint, classes, mids, said })
    }

    /// AudioSet's form.
    fn segments(&self) -> String {
        let mut text =
            "# Segments csv created\n# YTID, start_seconds, end_seconds, positive_labels\n".to_owned();
        for (id, classes) in IDS.iter().zip(&self.classes) {
            let mids: Vec<&str> = classes.iter().map(|&class| self.mids[class].as_str()).collect();
            writeln!(text, "{id}, 30.000, 40.000, \"{}\"", mids.join(",")).unwrap();
        }
        text
    }

    /// Mean over classes of Σ precision at each positive / positives, for probabilities without ties.
    fn map(&self) -> f64 {
        let of_class = |class: usize| {
            let mut ranked: Vec<(f32, bool)> = self
                .said
                .column(class)
                .iter()
                .copied()
                .zip(self.classes.iter().map(|of| of.contains(&class)))
                .collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            assert!(ranked.windows(2).all(|pair| pair[0].0 != pair[1].0), "a tie");
            let hits: Vec<usize> = (0..ranked.len()).filter(|&n| ranked[n].1).collect();
            let sum: f64 = hits.iter().enumerate().map(|(n, at)| (n + 1) as f64 / (at + 1) as f64).sum();
            (!hits.is_empty()).then(|| sum / hits.len() as f64)
        };
        let values: Vec<f64> = (0..self.said.ncols()).filter_map(of_class).collect();
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn eval(&self, options: &[&str]) -> Answer {
        let base = ["eval", self.checkpoint.to_str().unwrap(), "--device", "cpu", "--format", "json"];
        self.bench.run(&[&base[..], options].concat())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.bench.path(name), text).unwrap();
    }

    #[track_caller]
    fn assert_measured(&self, answer: &Answer) -> Value {
        let document = answer.json();
        let one = document["models"][0].clone();
        let map = one["map"].as_f64().unwrap_or_else(|| panic!("{document}"));
        // Sums of a few fractions in f64.
        assert!((map - self.map()).abs() < 1e-12, "{map} {}", self.map());
        one
    }
}

#[test]
fn segments_and_tables_give_the_same_and_numbers_by_audioset_s_table() {
    let Some(set) = Set::of("beats", "tiny_finetuned.pt") else { return };
    set.write("clips/eval.csv", &set.segments());
    let one = set.assert_measured(&set.eval(&["--labels", "clips/eval.csv"]).fine());
    assert_eq!((&one["clips"], &one["classes"]), (&6.into(), &set.said.ncols().into()));
    assert_eq!(one["missing"]["count"], 0);
    let positives = |class: usize| set.classes.iter().filter(|of| of.contains(&class)).count();
    let with_positives = (0..set.said.ncols()).filter(|&class| positives(class) > 0).count();
    assert_eq!(one["classes_with_positives"], with_positives);
    let classes = one["per_class"].as_array().unwrap();
    assert_eq!(classes.len(), with_positives);
    for class in classes {
        let number = class["class"].as_u64().unwrap() as usize;
        assert_eq!(class["positives"], positives(number));
        assert_eq!(class["label"], *set.mids[number]);
        assert!(class["average_precision"].is_f64(), "{class}");
    }

    let mut table = "labels,clip\n".to_owned();
    // AudioSet's order is another than the network's own.
    let count = set.mids.len();
    let mut audioset = "index,mid,display_name\n".to_owned();
    for (n, mid) in set.mids.iter().rev().enumerate() {
        writeln!(audioset, "{n},{mid},Sound {n}").unwrap();
    }
    set.write("class_labels_indices.csv", &audioset);
    let mut numbers = "clip,labels\n".to_owned();
    for (file, classes) in FILES.iter().zip(&set.classes) {
        let mids: Vec<&str> = classes.iter().map(|&class| set.mids[class].as_str()).collect();
        writeln!(table, "{},{file}", mids.join(";")).unwrap();
        let classes: Vec<String> = classes.iter().map(|class| (count - 1 - class).to_string()).collect();
        writeln!(numbers, "{},\"{}\"", file.trim_end_matches(".wav"), classes.join(",")).unwrap();
    }
    set.write("table.csv", &table);
    set.write("numbers.csv", &numbers);
    set.assert_measured(&set.eval(&["--labels", "table.csv", "--clips", "clips"]).fine());
    let by_number = ["--labels", "numbers.csv", "--clips", "clips"];
    set.eval(&by_number).refused(4, &["is a number", "--classes class_labels_indices.csv"]);
    let with_table = [&by_number[..], &["--classes", "class_labels_indices.csv"]].concat();
    set.assert_measured(&set.eval(&with_table).fine());
    // For people.
    let text = set
        .bench
        .run(&["eval", set.checkpoint.to_str().unwrap(), "--labels", "clips/eval.csv", "--device", "cpu"])
        .fine();
    assert!(
        text.out.contains("mAP %") && text.out.contains(&format!("{:.2}", 100.0 * set.map())),
        "{}",
        text.out
    );
}

#[test]
fn missing_clips_and_unknown_labels_are_counted_and_named() {
    let Some(set) = Set::of("beats", "tiny_finetuned.pt") else { return };
    let text = set.segments() + "missing____, 0, 10, \"/m/0\"\nmissing___2, 0, 10, \"/m/0\"\n";
    set.write("eval.csv", &text.replace("30.000, 40.000, \"", "30.000, 40.000, \"/m/none,/m/none,"));
    let labels = ["--labels", "eval.csv", "--clips", "clips"];
    set.eval(&labels).refused(4, &["2 of 8 clips", "missing____", "--missing skip"]);
    let answer = set.eval(&[&labels[..], &["--missing", "skip"]].concat()).fine();
    let one = set.assert_measured(&answer);
    assert_eq!((&one["missing"]["count"], one["missing"]["clips"].as_array().unwrap().len()), (&2.into(), 2));
    assert_eq!(one["unknown_labels"], serde_json::json!([{ "label": "/m/none", "clips": 6 }]));
    for words in ["2 of 8 clips are not there", "1 labels are unknown", "/m/none (6 clips)"] {
        assert!(answer.err.contains(words), "{words}: {}", answer.err);
    }

    set.write("unknown.csv", "clip,labels\n-0Gj8-vB1q4,/m/none\n");
    set.eval(&["--labels", "unknown.csv", "--clips", "clips"]).refused(4, &["none of the labels", "/m/none"]);
    set.write("twice.csv", "clip,labels\n-0Gj8-vB1q4,0\n-0Gj8-vB1q4.wav,1\n");
    set.eval(&["--labels", "twice.csv", "--clips", "clips"])
        .refused(4, &["lines 2 and 3", "-0Gj8-vB1q4.wav"]);
    set.write("bad.csv", "clip;labels\na;b\n");
    set.eval(&["--labels", "bad.csv", "--clips", "clips"]).refused(4, &["bad.csv, line 1"]);
    set.eval(&["--labels", "none.csv"]).refused(4, &["none.csv"]);
    set.eval(&["--clips", "clips"]).refused(2, &["--labels"]);
    set.eval(&["--missing", "skip"]).refused(2, &["--labels"]);
    set.eval(&["--batch", "4"]).refused(2, &["--labels"]);
    set.eval(&["--labels", "eval.csv", "--set", "eval.linear_probe.swap=true"]).refused(2, &["--set"]);
}

#[test]
fn a_network_without_names_takes_them_from_audioset_s_table() {
    let Some(set) = Set::of("eat", "tiny_finetuned.pt") else { return };
    set.write("eval.csv", &set.segments());
    let labels = ["--labels", "eval.csv", "--clips", "clips"];
    set.eval(&labels).refused(4, &["does not name", "--classes class_labels_indices.csv"]);
    let mut table = "index,mid,display_name\n".to_owned();
    for (n, mid) in set.mids.iter().enumerate() {
        writeln!(table, "{n},{mid},\"Sound {n}, loud\"").unwrap();
    }
    set.write("class_labels_indices.csv", &table);
    let one = set.assert_measured(
        &set.eval(&[&labels[..], &["--classes", "class_labels_indices.csv"]].concat()).fine(),
    );
    assert_eq!(one["per_class"][0]["name"], "Sound 0, loud");
    set.write("short.csv", "index,mid,display_name\n0,/m/0,a\n");
    set.eval(&[&labels[..], &["--classes", "short.csv"]].concat()).refused(4, &["--classes has 1"]);
}

#[test]
fn a_network_that_names_its_classes_in_words_is_joined_by_the_table() {
    let Some(set) = Set::of("ced", "hf/model.safetensors") else { return };
    let words = texts(&set.bench.path("out.npz"), "label");
    set.write("eval.csv", &set.segments());
    let labels = ["--labels", "eval.csv", "--clips", "clips"];
    set.eval(&labels).refused(4, &[words[0].as_str(), set.mids[0].as_str(), "--classes"]);
    // In another order than the network's.
    let mut table = "index,mid,display_name\n".to_owned();
    for (n, (mid, word)) in set.mids.iter().zip(&words).rev().enumerate() {
        writeln!(table, "{n},{mid},\"{word}\"").unwrap();
    }
    set.write("class_labels_indices.csv", &table);
    let one = set.assert_measured(
        &set.eval(&[&labels[..], &["--classes", "class_labels_indices.csv"]].concat()).fine(),
    );
    assert_eq!(
        (&one["per_class"][0]["label"], &one["architecture"]),
        (&words[0].as_str().into(), &"CED".into())
    );

    // The words themselves, some with a comma.
    let mut table = "clip,labels\n".to_owned();
    for (file, classes) in FILES.iter().zip(&set.classes) {
        let words: Vec<&str> = classes.iter().map(|&class| words[class].as_str()).collect();
        writeln!(table, "{file},\"{};\"", words.join(";")).unwrap();
    }
    set.write("words.csv", &table);
    set.assert_measured(&set.eval(&["--labels", "words.csv", "--clips", "clips"]).fine());
}

#[test]
fn a_network_without_classes_has_no_map_and_leaves_others_theirs() {
    let Some(set) = Set::of("beats", "tiny_finetuned.pt") else { return };
    set.write("eval.csv", &set.segments());
    let bench = &set.bench;
    random_network(bench, TINY[0], "net.safetensors");
    let measure = |targets: &[&str]| {
        let options = ["--labels", "eval.csv", "--clips", "clips", "--device", "cpu", "--format", "json"];
        bench.run(&[&["eval"], targets, &options[..]].concat())
    };
    measure(&["net.safetensors"]).refused(4, &["net.safetensors", "tells no classes apart"]);
    let both = measure(&["net.safetensors", set.checkpoint.to_str().unwrap()]);
    both.refused(6, &["1 of 2", "tells no classes apart"]);
    set.assert_measured(&both);
    assert_eq!(both.json()["failed"][0]["path"], "net.safetensors");
    measure(&["none.pt"]).refused(4, &["none.pt"]);
}
