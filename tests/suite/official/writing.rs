//! Submissions that we write.

use std::fs;

use asdbench::official::{self, ScoredClip, Year, write_submission};

use super::{DECISIONS, Folder, ROWS, SCORES};

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
