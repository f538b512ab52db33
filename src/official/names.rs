//! The names of score, decision and ground-truth files.
//!
//! | year | name after `anomaly_score_`, `decision_result_` or `ground_truth_` |
//! |---|---|
//! | 2020 | `<machine>_id_NN.csv` |
//! | 2021 | `<machine>_section_NN_{source,target}_test.csv` |
//! | 2022–2026 | `<machine>_section_NN_test.csv` |
//! | the baseline since 2023 | `DCASE2023T2<machine>_section_00_test_seed<seed>_<tag>[_Eval].csv` |
//!
//! As with clips, tokens are matched, never positions: a machine's name may hold `_`.

use super::Year;
use crate::dataset::{Domain, Split, is_number};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Scores,
    Decisions,
    Truth,
}

/// The prefix of each kind.
const PREFIXES: [(Kind, &str); 3] =
    [(Kind::Scores, "anomaly_score_"), (Kind::Decisions, "decision_result_"), (Kind::Truth, "ground_truth_")];

/// What a file's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileName {
    pub kind: Kind,
    pub machine: String,
    /// At least two digits: `00`.
    pub section: String,
    /// In 2021's naming.
    pub domain: Option<Domain>,
    /// In the naming of 2020, where the machine's ID plays the section's role.
    pub is_id: bool,
    /// The year, where the baseline's prefix says it.
    pub year: Option<Year>,
    /// The baseline's seed and tag, e.g. `seed13711_id(0_)`; else empty.
    pub variant: String,
}

/// Takes a file's name apart. `None`: it is something else. `Some(Err)`: it is meant as one of ours and cannot be read.
pub(super) fn parse(file: &str) -> Option<Result<FileName, String>> {
    parse_of(file, Split::Test)
}

/// As [`parse`], where the clips of the file are of `split`: files of training clips say `train` where others say `test`.
pub(super) fn parse_of(file: &str, split: Split) -> Option<Result<FileName, String>> {
    let cut = file.len().checked_sub(4).filter(|cut| file.is_char_boundary(*cut))?;
    let stem = file[cut..].eq_ignore_ascii_case(".csv").then(|| &file[..cut])?;
    let (kind, prefix, rest) =
        PREFIXES.iter().find_map(|(kind, prefix)| Some((*kind, *prefix, stem.strip_prefix(prefix)?)))?;
    let tokens: Vec<&str> = rest.split('_').collect();
    // A machine's name stands before it, and may itself hold such a pair: that is why 2020's `id` is the second choice.
    let pair = |word: &str| {
        (1..tokens.len().saturating_sub(1)).find(|at| tokens[*at] == word && is_number(tokens[at + 1]))
    };
    let Some(at) = pair("section").or_else(|| pair("id")) else {
        return Some(Err(format!(
            "the name is not {prefix}<machine>_section_NN_test.csv ({prefix}<machine>_id_NN.csv in 2020); rename the \
             file, or move it elsewhere"
        )));
    };
    let (year, machine) = baseline_prefix(&tokens[..at].join("_"));
    let mut domain = None;
    let mut trained = false;
    let mut tail = &tokens[at + 2..];
    while let Some((token, after)) = tail.split_first() {
        match *token {
            "source" => domain = Some(Domain::Source),
            "target" => domain = Some(Domain::Target),
            "test" => {}
            "train" => trained = true,
            _ => break,
        }
        tail = after;
    }
    // Scores of training clips are no part of a submission, nor those of test clips scores to normalise by.
    if trained != (split == Split::Train) {
        return None;
    }
    if let Some(("Eval", before)) = tail.split_last().map(|(last, before)| (*last, before)) {
        tail = before;
    }
    Some(Ok(FileName {
        kind,
        machine,
        section: section(tokens[at + 1]),
        domain,
        is_id: tokens[at] == "id",
        year,
        variant: tail.join("_"),
    }))
}

/// A section's number with at least two digits and no needless ones, so that `0`, `00` and `000` are one section.
pub(crate) fn section(digits: &str) -> String {
    format!("{:0>2}", digits.trim_start_matches('0'))
}

/// `DCASE2023T2ToyCar` as 2023 and `ToyCar`; other names as they are.
fn baseline_prefix(machine: &str) -> (Option<Year>, String) {
    let named = machine.strip_prefix("DCASE").and_then(|rest| {
        let (year, name) = rest.split_once("T2")?;
        Some((year.parse().ok()?, name)).filter(|(_, name)| !name.is_empty())
    });
    named.map_or_else(|| (None, machine.to_owned()), |(year, name)| (Some(year), name.to_owned()))
}

/// The name of a file of a submission.
pub(super) fn write(kind: Kind, year: Year, machine: &str, section: &str, domain: Option<Domain>) -> String {
    let prefix = PREFIXES.iter().find(|(of, _)| *of == kind).map_or("", |(_, prefix)| prefix);
    match (year, domain) {
        (Year::Y2020, _) => format!("{prefix}{machine}_id_{section}.csv"),
        (Year::Y2021, Some(domain)) => {
            format!("{prefix}{machine}_section_{section}_{}_test.csv", domain.token())
        }
        _ => format!("{prefix}{machine}_section_{section}_test.csv"),
    }
}

/// The name of a file with the scores of training clips.
pub(super) fn write_training(year: Year, machine: &str, section: &str) -> String {
    match year {
        Year::Y2020 => format!("anomaly_score_{machine}_id_{section}_train.csv"),
        _ => format!("anomaly_score_{machine}_section_{section}_train.csv"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(file: &str) -> FileName {
        parse(file).expect("one of ours").expect("readable")
    }

    #[test]
    fn the_naming_of_every_year() {
        let file = read("anomaly_score_ToyCar_id_01.csv");
        assert_eq!((file.machine.as_str(), file.section.as_str(), file.is_id), ("ToyCar", "01", true));
        let file = read("decision_result_fan_section_00_target_test.csv");
        assert_eq!((file.kind, file.domain, file.is_id), (Kind::Decisions, Some(Domain::Target), false));
        let file = read("anomaly_score_slider_section_05_test.csv");
        assert_eq!((file.section.as_str(), file.domain, file.variant.as_str()), ("05", None, ""));
        let file = read("anomaly_score_DCASE2023T2ToyCar_section_00_test_seed13711_id(0_).csv");
        assert_eq!((file.machine.as_str(), file.year), ("ToyCar", Some(Year::Y2023)));
        assert_eq!(file.variant, "seed13711_id(0_)");
        let evaluation = read("anomaly_score_DCASE2024T2HairDryer_section_00_test_seed13711_id(0_)_Eval.csv");
        assert_eq!((evaluation.machine.as_str(), evaluation.variant), ("HairDryer", file.variant));
        let file = read("ground_truth_3DPrinter_section_00_test.CSV");
        assert_eq!((file.kind, file.machine.as_str()), (Kind::Truth, "3DPrinter"));
    }

    #[test]
    fn digits_and_underscores_do_not_matter() {
        let file = read("anomaly_score_0_dB_fan_section_0_test.csv");
        assert_eq!((file.machine.as_str(), file.section.as_str()), ("0_dB_fan", "00"));
        assert_eq!(section("010"), "10");
        assert_eq!(read("anomaly_score_DCASE_section_00_test.csv").machine, "DCASE");
        assert_eq!(read("anomaly_score_DCASE2030T2x_section_00_test.csv").machine, "DCASE2030T2x");
    }

    #[test]
    fn a_machine_may_be_named_like_a_section() {
        for (name, machine, section, is_id) in [
            ("anomaly_score_id_05_section_00_test.csv", "id_05", "00", false),
            ("anomaly_score_fan_id_02_section_01_test.csv", "fan_id_02", "01", false),
            ("anomaly_score_section_03_section_00_test.csv", "section_03", "00", false),
            ("anomaly_score_id_05_id_00.csv", "id_05", "00", true),
        ] {
            let file = read(name);
            assert_eq!(
                (file.machine.as_str(), file.section.as_str(), file.is_id),
                (machine, section, is_id),
                "{name}"
            );
        }
    }

    #[test]
    fn other_files_are_other_files() {
        for file in ["result.csv", "anomaly_score_fan_section_00_test.csv.bak", "a.csv", "", ".csv", "é.c"] {
            assert_eq!(parse(file), None, "{file}");
        }
        assert_eq!(parse("anomaly_score_fan_section_00_train.csv"), None);
        for file in ["anomaly_score_fan.csv", "anomaly_score_section_00_test.csv", "decision_result_.csv"] {
            assert!(parse(file).unwrap().unwrap_err().contains("section_NN"), "{file}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for year in Year::ALL {
            let domain = (year == Year::Y2021).then_some(Domain::Source);
            let file = read(&write(Kind::Scores, year, "ToyCar", "03", domain));
            assert_eq!((file.machine.as_str(), file.section.as_str(), file.domain), ("ToyCar", "03", domain));
            assert_eq!(file.is_id, year == Year::Y2020);
            let train = write_training(year, "ToyCar", "03");
            let read = parse_of(&train, Split::Train).expect("one of ours").expect("readable");
            assert_eq!((read.machine.as_str(), read.section.as_str()), ("ToyCar", "03"));
            assert_eq!(parse(&train), None);
            assert_eq!(parse_of(&write(Kind::Scores, year, "ToyCar", "03", domain), Split::Train), None);
        }
    }
}
