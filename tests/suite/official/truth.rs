//! Evaluation sets, whose labels lie in ground-truth files.

use std::fs;
use std::path::Path;

use asdbench::official::{self, Measure, evaluate};

use super::{DECISIONS, Folder, ROWS, SCORES, evaluation, fan, scores};

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
