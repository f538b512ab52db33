//! Spellings that are read, and faults that are named.

use std::fs;
use std::path::Path;

use asdbench::official;

use super::{DECISIONS, Folder, SCORES, decisions, fan, scores};

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
