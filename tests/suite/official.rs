//! Score and decision files of every year, whole and damaged, through the library and the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use asdbench::official::{
    self, Error, Measure, OfficialReport, ScoredClip, Submission, Year, evaluate, write_submission,
};
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

/// A folder of files made in a test.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn read(&self) -> Result<Submission, Error> {
        official::read(self.path(), None, None)
    }

    #[track_caller]
    fn report(&self) -> OfficialReport {
        evaluate(&self.read().unwrap_or_else(|e| panic!("{e}")))
    }

    /// Fails the test unless reading fails with a message that has all of `words`.
    #[track_caller]
    fn refused(&self, words: &[&str]) {
        let message = self.read().expect_err("an error").to_string();
        for word in words {
            assert!(message.contains(word), "`{word}` is not in: {message}");
        }
    }
}

const SCORES: &str = "anomaly_score_fan_section_00_test.csv";
const DECISIONS: &str = "decision_result_fan_section_00_test.csv";

/// Two normals and two anomalies of each domain. By hand: AUC(source) = normals 1, 3 against anomalies 2, 5, 4, 7 =
/// (4 + 3) / 8; AUC(target) = normals 6, 0 against the same = (1 + 4) / 8.
const ROWS: [(&str, f64, u8); 8] = [
    ("section_00_source_test_normal_0000_a_1.wav", 1.0, 0),
    ("section_00_source_test_normal_0001_a_1.wav", 3.0, 1),
    ("section_00_source_test_anomaly_0000_a_1.wav", 2.0, 0),
    ("section_00_source_test_anomaly_0001_a_1.wav", 5.0, 1),
    ("section_00_target_test_normal_0000_a_2.wav", 6.0, 1),
    ("section_00_target_test_normal_0001_a_2.wav", 0.0, 0),
    ("section_00_target_test_anomaly_0000_a_2.wav", 4.0, 1),
    ("section_00_target_test_anomaly_0001_a_2.wav", 7.0, 1),
];

fn scores() -> String {
    ROWS.iter().map(|(file, score, _)| format!("{file},{score}\n")).collect()
}

fn decisions() -> String {
    ROWS.iter().map(|(file, _, decision)| format!("{file},{decision}\n")).collect()
}

fn fan() -> Folder {
    Folder::new(&[(SCORES, &scores()), (DECISIONS, &decisions())])
}

#[track_caller]
fn assert_close(found: Option<f64>, expected: f64) {
    let found = found.expect("a value");
    // A handful of roundings.
    assert!((found - expected).abs() < 1e-14, "{found} against {expected}");
}

#[test]
fn metrics_counted_by_hand() {
    let report = fan().report();
    let metrics = &report.machines[0].sections[0].metrics;
    assert_close(metrics.get(Measure::AucSource), 7.0 / 8.0);
    assert_close(metrics.get(Measure::AucTarget), 5.0 / 8.0);
    // Up to a false-positive rate of 0.1 the ROC is flat at the one anomaly above all normals (7): A = 0.1 / 4.
    assert_close(metrics.get(Measure::Pauc), 0.5 * (1.0 + (0.025 - 0.005) / (0.1 - 0.005)));
    assert_close(metrics.get(Measure::PrecisionSource), 1.0 / 2.0);
    assert_close(metrics.get(Measure::RecallSource), 1.0 / 2.0);
    assert_close(metrics.get(Measure::PrecisionTarget), 2.0 / 3.0);
    assert_close(metrics.get(Measure::RecallTarget), 1.0);
    assert_close(metrics.get(Measure::F1Target), 0.8);
    assert_eq!(metrics.why(), None);
    let pauc = metrics.get(Measure::Pauc).expect("a pAUC");
    assert_close(report.official_score, 3.0 / (8.0 / 7.0 + 8.0 / 5.0 + 1.0 / pauc));
}

#[test]
fn domains_of_2021_are_judged_apart() {
    let of = |domain: &str| {
        ROWS.iter()
            .filter(|(file, ..)| file.contains(domain))
            .map(|(file, score, _)| format!("{},{score}\n", file.replace("_a_1", "").replace("_a_2", "")))
            .collect::<String>()
    };
    let folder = Folder::new(&[
        ("anomaly_score_fan_section_00_source_test.csv", &of("source")),
        ("anomaly_score_fan_section_00_target_test.csv", &of("target")),
    ]);
    let report = folder.report();
    assert_eq!((report.year, report.detected), (Year::Y2021, true));
    let metrics = &report.machines[0].sections[0].metrics;
    // Normals 1, 3 against anomalies 2, 5; normals 6, 0 against anomalies 4, 7.
    assert_close(metrics.get(Measure::AucSource), 3.0 / 4.0);
    assert_close(metrics.get(Measure::AucTarget), 3.0 / 4.0);
    let half = 0.5 * (1.0 + (0.05 - 0.005) / (0.1 - 0.005));
    assert_close(metrics.get(Measure::PaucSource), half);
    assert_close(metrics.get(Measure::PaucTarget), half);
    assert_eq!(metrics.get(Measure::Pauc), None);
    assert_close(report.arithmetic_mean.get(Measure::Auc), 0.75);
    assert_close(report.official_score, 4.0 / (2.0 / 0.75 + 2.0 / half));
    assert!(metrics.why().expect("no decisions").contains("no decision file"));

    // The same names and scores in one file, under the rules of 2022.
    let as_2022 = official::read(folder.path(), None, Some(Year::Y2022)).expect("the same files");
    let as_2022 = evaluate(&as_2022);
    assert_close(as_2022.machines[0].sections[0].metrics.get(Measure::AucSource), 7.0 / 8.0);
}

#[test]
fn machine_ids_of_2020_have_plain_metrics_and_no_official_score() {
    let id = |anomaly: f64| {
        format!(
            "normal_id_01_00000000.wav,1\nnormal_id_01_00000001.wav,3\nanomaly_id_01_00000000.wav,{anomaly}\n"
        )
    };
    let folder = Folder::new(&[
        ("anomaly_score_ToyCar_id_01.csv", &id(2.0)),
        ("anomaly_score_ToyCar_id_02.csv", &id(9.0).replace("id_01", "id_02")),
    ]);
    let report = folder.report();
    assert_eq!(report.year, Year::Y2020);
    let machine = &report.machines[0];
    assert_close(machine.sections[0].metrics.get(Measure::Auc), 0.5);
    assert_close(machine.sections[1].metrics.get(Measure::Auc), 1.0);
    assert_close(machine.arithmetic_mean.get(Measure::Auc), 0.75);
    assert_eq!(report.official_score, None);
    assert!(report.why.expect("a reason").contains("2020"));
}

#[test]
fn the_years_of_the_names() {
    let baseline = |seed: &str| format!("anomaly_score_DCASE2024T2fan_section_00_test_seed{seed}_id(0_).csv");
    let folder = Folder::new(&[(&baseline("13711"), &scores())]);
    folder.write(&baseline("13711").replace("anomaly_score", "decision_result"), &decisions());
    let report = folder.report();
    assert_eq!((report.year, report.machines[0].machine.as_str()), (Year::Y2024, "fan"));
    assert_eq!(report.machines[0].sections[0].metrics, fan().report().machines[0].sections[0].metrics);

    folder.write(&baseline("2"), &scores());
    folder.refused(&["seed13711_id(0_)", "seed2_id(0_)", "choose one"]);

    let folder = Folder::new(&[(SCORES, &scores())]);
    assert_eq!(folder.report().year, Year::Y2023);
    folder.write("anomaly_score_fan_section_01_test.csv", &scores().replace("section_00", "section_01"));
    assert_eq!(folder.report().year, Year::Y2022);
    folder.write("anomaly_score_fan_id_03.csv", "normal_id_03_0.wav,1\n");
    folder.refused(&["2020", "--year"]);
}

#[test]
fn a_value_that_cannot_be_had_is_null_with_its_reason() {
    let source: String =
        scores().lines().filter(|line| line.contains("source")).map(|l| format!("{l}\n")).collect();
    let folder = Folder::new(&[(SCORES, &source)]);
    let report = folder.report();
    let metrics = &report.machines[0].sections[0].metrics;
    assert_eq!(metrics.get(Measure::AucTarget), None);
    assert!(metrics.get(Measure::AucSource).is_some() && metrics.get(Measure::Pauc).is_some());
    assert_eq!(report.official_score, None);
    let json = serde_json::to_value(&report).expect("JSON");
    let section = &json["machines"]["fan"]["sections"]["00"];
    assert!(section["auc_target"].is_null() && section["precision_source"].is_null());
    let why = section["why"].as_str().expect("a reason");
    assert!(why.contains("auc_target") && why.contains("no clip of the target domain"), "{why}");
    assert!(why.contains("precision_source") && why.contains("no decision file"), "{why}");
    assert!(json["why"].as_str().is_some_and(|why| why.contains("fan section 00")), "{json}");

    let normal: String =
        scores().lines().filter(|line| line.contains("normal")).map(|l| format!("{l}\n")).collect();
    let why = Folder::new(&[(SCORES, &normal)]).report().machines[0].sections[0].metrics.why();
    assert!(why.expect("a reason").contains("no anomalous clip"));
}

#[test]
fn decisions_of_some_sections_leave_the_others_without() {
    let folder = fan();
    folder.write("anomaly_score_fan_section_01_test.csv", &scores().replace("section_00", "section_01"));
    let report = folder.report();
    let machine = &report.machines[0];
    assert!(machine.sections[0].metrics.get(Measure::F1Source).is_some());
    assert_eq!(machine.sections[1].metrics.get(Measure::F1Source), None);
    assert_eq!(machine.arithmetic_mean.get(Measure::F1Source), None);
    assert!(machine.arithmetic_mean.why().expect("a reason").contains("section 01: no decision file"));
    assert!(report.official_score.is_some());
}

/// Other spellings of the same submission are the same submission.
#[test]
fn spellings_make_no_difference() {
    type Change = fn(&str) -> String;
    let expected = fan().read().expect("a submission").machines;
    let spellings: [(&str, Change); 8] = [
        ("windows", |text| text.replace('\n', "\r\n")),
        ("byte-order mark", |text| format!("\u{feff}{text}")),
        ("header", |text| format!("file_name,value\n{text}")),
        ("blank lines", |text| text.replace('\n', "\n\n \n")),
        ("spaces", |text| text.replace(',', " , ").replace('\n', "  \n")),
        ("folders", |text| text.replace("section", "raw/fan/test/section")),
        ("no extension", |text| text.replace(".wav", "")),
        ("semicolons and quotes", |text| text.replace("section", "\"section").replace(".wav,", ".wav\";")),
    ];
    for (name, change) in spellings {
        let folder = Folder::new(&[(SCORES, &change(&scores())), (DECISIONS, &change(&decisions()))]);
        folder.write("result.csv", "not,ours\n");
        folder.write("notes/anomaly_score_fan_section_00_test.csv", "not,read\n");
        folder.write(".hidden.csv", "");
        assert_eq!(folder.read().unwrap_or_else(|e| panic!("{name}: {e}")).machines, expected, "{name}");
    }
    let words = decisions().replace(",0\n", ",false\n").replace(",1\n", ",1.0\n");
    let folder = Folder::new(&[(SCORES, &scores()), (DECISIONS, &words)]);
    assert_eq!(folder.read().expect("a submission").machines, expected);
}

#[test]
fn faults_name_file_and_row() {
    let third = "section_00_source_test_anomaly_0000_a_1.wav";
    let changed = |from: &str, to: &str| {
        let text = scores();
        assert!(text.contains(from));
        text.replacen(from, to, 1)
    };
    let line = format!("{third},2\n");
    let cases: [(String, &[&str]); 9] = [
        (changed(&line, &format!("{third},nan\n")), &[SCORES, "row 3", "nan", "anomaly_0000"]),
        (changed(&line, &format!("{third},-inf\n")), &[SCORES, "row 3"]),
        (changed(&line, &format!("{third},\n")), &[SCORES, "row 3", "missing"]),
        (changed(&line, &format!("{third},high\n")), &[SCORES, "row 3", "high"]),
        (changed(&line, &format!("{line}{line}")), &[SCORES, "row 4", "row 3", "anomaly_0000"]),
        (changed(&line, &format!("2,{third}\n")), &[SCORES, "row 3", "swapped"]),
        (changed(&line, &line.replace("section_00", "section_01")), &[SCORES, "row 3", "section 00"]),
        (changed(&line, &line.replace("test_anomaly", "train_normal")), &[SCORES, "row 3", "test clip"]),
        (changed(&line, "section_00_source_test_0000.wav,2\n"), &[SCORES, "row 3", "--truth"]),
    ];
    for (text, words) in cases {
        Folder::new(&[(SCORES, &text)]).refused(words);
    }
    Folder::new(&[(SCORES, "")]).refused(&[SCORES, "no rows"]);
    Folder::new(&[(SCORES, &scores().replace(',', ""))]).refused(&[SCORES, "row 1", "column"]);
}

#[test]
fn decisions_must_be_about_the_scored_clips() {
    let folder = fan();
    let (first, rest) =
        decisions().split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("rows");
    folder.write(DECISIONS, &rest);
    folder.refused(&[SCORES, "row 1", "no decision", "normal_0000"]);
    folder.write(DECISIONS, &format!("{first}\n{rest}section_00_source_test_normal_0009.wav,1\n"));
    folder.refused(&[DECISIONS, "row 9", "no score", "normal_0009"]);
    folder.write(DECISIONS, &format!("{}\n{rest}", first.replace(",0", ",2")));
    folder.refused(&[DECISIONS, "row 1", "neither 0 nor 1"]);
    fs::remove_file(folder.path().join(SCORES)).expect("the score file");
    folder.write("anomaly_score_fan_section_01_test.csv", &scores().replace("section_00", "section_01"));
    folder.refused(&[DECISIONS, "anomaly_score"]);
}

#[test]
fn folders_that_are_no_submission() {
    Folder::new(&[]).refused(&["no score file"]);
    Folder::new(&[("result.csv", "a,b\n")]).refused(&["no score file"]);
    Folder::new(&[(&format!("team_1/{SCORES}"), &scores())]).refused(&["team_1", "below"]);
    Folder::new(&[("anomaly_score_fan.csv", &scores())]).refused(&["anomaly_score_fan.csv", "section_NN"]);
    let twice = Folder::new(&[(SCORES, &scores()), ("anomaly_score_fan_section_0_test.csv", &scores())]);
    twice.refused(&["section 00", SCORES, "anomaly_score_fan_section_0_test.csv"]);
    assert!(official::read(Path::new("/no/such/folder"), None, None).is_err());
}

/// An evaluation set: names without labels, ground truth in folders.
fn evaluation() -> (Folder, Folder) {
    let bare = |index: usize| format!("section_00_{index:04}.wav");
    let rows = |value: &dyn Fn(usize) -> String| -> String {
        (0..ROWS.len()).map(|index| format!("{},{}\n", bare(index), value(index))).collect()
    };
    let flag = |word: &'static str| move |index: usize| u8::from(ROWS[index].0.contains(word)).to_string();
    let submission = Folder::new(&[
        (SCORES, &rows(&|index| ROWS[index].1.to_string())),
        (DECISIONS, &rows(&|index| ROWS[index].2.to_string())),
    ]);
    let truth = Folder::new(&[
        ("ground_truth_data/ground_truth_fan_section_00_test.csv", &rows(&flag("anomaly"))),
        ("ground_truth_domain/ground_truth_fan_section_00_test.csv", &rows(&flag("target"))),
    ]);
    (submission, truth)
}

#[track_caller]
fn refused_with(submission: &Folder, truth: &Path, words: &[&str]) {
    let message = official::read(submission.path(), Some(truth), None).expect_err("an error").to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[test]
fn ground_truth_stands_in_for_names() {
    let (submission, truth) = evaluation();
    submission.refused(&[SCORES, "row 1", "section_00_0000", "--truth"]);
    let expected = fan().report();
    let judge = |root: &Path| {
        let read = official::read(submission.path(), Some(root), None).unwrap_or_else(|e| panic!("{e}"));
        evaluate(&read)
    };
    for root in [truth.path().to_owned(), truth.path().join("ground_truth_data")] {
        let report = judge(&root);
        assert_eq!(report.machines, expected.machines);
        assert_eq!(report.official_score, expected.official_score);
    }
    // The other forms of the same truth.
    let full = |line: fn(usize, &str) -> String| -> String {
        ROWS.iter().enumerate().map(|(index, row)| line(index, row.0.trim_end_matches(".wav"))).collect()
    };
    let names = full(|index, name| format!("section_00_{index:04}.wav,{name}\n"));
    let by_name = Folder::new(&[("ground_truth_attributes/ground_truth_fan_section_00_test.csv", &names)]);
    assert_eq!(judge(by_name.path()).machines, expected.machines);
    let list = full(|index, name| format!("section_00_{index:04}.wav,{name}.wav\r\n"));
    let list = Folder::new(&[("eval_data_list_2023.csv", &format!("fan\r\n{list}"))]);
    assert_eq!(judge(list.path()).machines, expected.machines);
    // A submission under the full names, as the baseline's renamed clips have them.
    let renamed = official::read(fan().path(), Some(by_name.path()), None).expect("a submission");
    assert_eq!(evaluate(&renamed).machines, expected.machines);
    // Without domains, what needs them is missing.
    fs::remove_dir_all(truth.path().join("ground_truth_domain")).expect("the folder");
    let report = judge(truth.path());
    let metrics = &report.machines[0].sections[0].metrics;
    assert!(metrics.get(Measure::AucSource).is_none() && metrics.get(Measure::Pauc).is_some());
    assert!(metrics.why().expect("a reason").contains("domains are unknown"));
}

#[test]
fn ground_truth_and_submission_must_have_the_same_clips() {
    let (submission, truth) = evaluation();
    let text = fs::read_to_string(submission.path().join(SCORES)).expect("scores");
    fs::remove_file(submission.path().join(DECISIONS)).expect("decisions");
    let (first, rest) = text.split_once('\n').expect("rows");
    submission.write(SCORES, rest);
    refused_with(&submission, truth.path(), &[SCORES, "section_00_0000", "row 1", "no score"]);
    submission.write(SCORES, &format!("{first}\n{rest}section_00_0099.wav,1\n"));
    refused_with(&submission, truth.path(), &[SCORES, "row 9", "section_00_0099", "not in the ground truth"]);
    submission.write(SCORES, &text);

    let domains = "ground_truth_domain/ground_truth_fan_section_00_test.csv";
    let whole = fs::read_to_string(truth.path().join(domains)).expect("domains");
    truth.write(domains, whole.split_once('\n').expect("rows").1);
    refused_with(&submission, truth.path(), &[SCORES, "row 1", "domain", "section_00_0000"]);
    truth.write(domains, &whole.replacen(",0", ",x", 1));
    refused_with(&submission, truth.path(), &["ground_truth_fan", "row 1", "neither 0 nor 1"]);
    truth.write(domains, &whole);

    truth.write("ground_truth_data/ground_truth_fan_section_01_test.csv", "section_01_0000.wav,1\n");
    refused_with(&submission, truth.path(), &["section 01", "fan"]);
    fs::remove_file(truth.path().join("ground_truth_data/ground_truth_fan_section_01_test.csv"))
        .expect("a file");
    truth.write("ground_truth_data/ground_truth_valve_section_00_test.csv", "section_00_0000.wav,1\n");
    let read = official::read(submission.path(), Some(truth.path()), None).expect("a submission");
    assert!(read.notes[0].contains("valve"), "{:?}", read.notes);

    let labelled = fan();
    labelled.write(SCORES, &scores());
    refused_with(&labelled, truth.path(), &["row 1", "not in the ground truth"]);
    refused_with(&submission, labelled.path(), &["no ground truth"]);
    refused_with(&submission, Path::new("/no/such/folder"), &["/no/such/folder"]);
}

#[test]
fn what_is_written_reads_back() {
    for year in Year::ALL {
        let folder = Folder::new(&[]);
        let clips = |section: &str| -> Vec<ScoredClip> {
            ROWS.iter()
                .map(|(file, score, decision)| ScoredClip {
                    file: match year {
                        Year::Y2020 => {
                            format!("{}_id_{section}_{score}.wav", &file[23..30].trim_start_matches('_'))
                        }
                        _ => file.replace("section_00", &format!("section_{section}")),
                    },
                    score: score / 3.0,
                    decision: Some(*decision == 1),
                    domain: None,
                })
                .collect()
        };
        for section in ["00", "01"] {
            let written = write_submission(folder.path(), year, "ToyCar", section, &clips(section));
            let written = written.unwrap_or_else(|e| panic!("{year}: {e}"));
            assert_eq!(written.len(), if year == Year::Y2021 { 4 } else { 2 }, "{year}: {written:?}");
        }
        let read = official::read(folder.path(), None, Some(year)).unwrap_or_else(|e| panic!("{year}: {e}"));
        let rows = &read.machines[0].sections[1].rows;
        assert_eq!(rows.len(), ROWS.len(), "{year}");
        let mut expected = clips("01");
        expected.sort_by(|a, b| a.file.cmp(&b.file));
        for (row, clip) in rows.iter().zip(&expected) {
            assert_eq!(
                (&row.file, row.score, row.decision),
                (&clip.file, clip.score, clip.decision),
                "{year}"
            );
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused_and_stale_decisions_go() {
    let clip =
        |file: &str, score: f64, decision| ScoredClip { file: file.into(), score, decision, domain: None };
    let folder = Folder::new(&[]);
    let write = |machine: &str, section: &str, clips: &[ScoredClip]| {
        write_submission(folder.path(), Year::Y2022, machine, section, clips)
    };
    let good = clip("section_00_0000.wav", 1.0, Some(true));
    assert!(write("fan", "00", &[]).is_err());
    assert!(write("fan", "x", std::slice::from_ref(&good)).is_err());
    assert!(write("a/b", "00", std::slice::from_ref(&good)).is_err());
    assert!(write("fan_section_01", "00", std::slice::from_ref(&good)).is_err());
    assert!(write("fan", "00", &[good.clone(), good.clone()]).is_err());
    assert!(write("fan", "00", &[good.clone(), clip("b.wav", f64::NAN, Some(true))]).is_err());
    assert!(write("fan", "00", &[good.clone(), clip("b.wav", 1.0, None)]).is_err());
    assert!(fs::read_dir(folder.path()).expect("the folder").next().is_none());
    let nameless = write_submission(folder.path(), Year::Y2021, "fan", "00", std::slice::from_ref(&good));
    assert!(nameless.expect_err("no domain").to_string().contains("domain"));

    assert_eq!(write("fan", "0", std::slice::from_ref(&good)).expect("two files").len(), 2);
    assert_eq!(write("fan", "0", &[clip("x/section_00_0000", 2.0, None)]).expect("one file").len(), 1);
    assert!(!folder.path().join(DECISIONS).exists());
    assert_eq!(fs::read_to_string(folder.path().join(SCORES)).expect("scores"), "section_00_0000.wav,2.0\n");
}

#[test]
fn a_hundred_thousand_rows_are_quick() {
    let rows: String = (0..100_000)
        .map(|index| {
            let label = if index % 2 == 0 { "normal" } else { "anomaly" };
            let domain = if index % 3 == 0 { "source" } else { "target" };
            format!("section_00_{domain}_test_{label}_{index:06}.wav,{}\n", (index * 7919) % 100_003)
        })
        .collect();
    let folder = Folder::new(&[(SCORES, &rows)]);
    let start = std::time::Instant::now();
    let report = folder.report();
    assert_eq!(report.machines[0].sections[0].clips, 100_000);
    assert!(report.official_score.is_some());
    // An unoptimised build on a busy machine takes a second or two; anything quadratic takes minutes.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

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

/// Runs `asdbench score`.
fn program(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_asdbench")).arg("score").args(arguments).output();
    let output = output.expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8 output");
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn the_program_prints_one_document_in_full_precision() {
    let folder = fan();
    let path = folder.path().to_str().expect("UTF-8");
    let (out, err, code) = program(&[path, "--format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let json: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
    let report = folder.report();
    let metrics = &report.machines[0].sections[0].metrics;
    assert_eq!(json["schema"], 1);
    assert_eq!(json["year"], 2023);
    assert_eq!(
        json["machines"]["fan"]["sections"]["00"]["auc_source"].as_f64(),
        metrics.get(Measure::AucSource)
    );
    assert_eq!(json["machines"]["fan"]["harmonic_mean"]["pauc"].as_f64(), metrics.get(Measure::Pauc));
    assert_eq!(json["arithmetic_mean"]["f1_target"].as_f64(), metrics.get(Measure::F1Target));
    assert_eq!(json["official_score"].as_f64(), report.official_score);
    assert!(err.contains("2023"), "{err}");

    let (out, err, code) = program(&[path, path, "--year", "2022", "--format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let json: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
    let systems = json["systems"].as_array().expect("a list");
    assert_eq!(systems.len(), 2);
    assert_eq!(systems[1]["path"], path);
    assert_eq!(systems[1]["official_score"].as_f64(), report.official_score);
}

#[test]
fn the_program_prints_tables() {
    let folder = fan();
    let path = folder.path().to_str().expect("UTF-8");
    let (out, err, code) = program(&[path]);
    assert_eq!(code, Some(0), "{err}");
    for words in ["fan", "AUC (source)", "0.8750", "harmonic mean", "official score"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    let (out, ..) = program(&[path, "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(out.as_bytes());
    let at = reader.headers().expect("a header").iter().position(|name| name == "official score");
    let last = reader.records().last().expect("rows").expect("a row");
    let score = last.get(at.expect("a column")).expect("a cell").parse().ok();
    assert_eq!(score, folder.report().official_score);
}

#[test]
fn the_program_refuses_with_the_data_code() {
    let (submission, _) = evaluation();
    let (out, err, code) = program(&[submission.path().to_str().expect("UTF-8")]);
    assert_eq!((code, out.as_str()), (Some(4), ""), "{err}");
    assert!(err.contains("--truth") && err.contains("row 1") && !err.contains("panicked"), "{err}");
    let (_, err, code) = program(&["/no/such/folder", "--year", "2019"]);
    assert_eq!(code, Some(2), "{err}");
}
