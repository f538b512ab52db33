//! DCASE 2021 to 2026: `section_00_target_test_anomaly_0003_<attributes>.wav`; evaluation clips say less
//! (`section_03_0000.wav`). In 2021 the test folders are `source_test` and `target_test`, later one `test`; 2025
//! adds `supplemental`.
//!
//! Between the section and the clip's index stand, in any number, the domain (`source`, `target`), the split
//! (`train`, `test`) and the label (`normal`, `anomaly`). What follows the index are attributes.

use super::{Misfit, Parsed, Place, is_number, label};
use crate::dataset::clip::{Domain, Split};

/// Which folders hold the splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folders {
    /// DCASE 2021: `train`, `source_test`, `target_test`.
    TestPerDomain,
    /// DCASE 2022 and later: `train`, `test`, `supplemental`.
    OneTest,
}

impl Folders {
    fn of(folder: &str) -> Option<(Option<Self>, Split, Option<Domain>)> {
        match folder {
            "train" => Some((None, Split::Train, None)),
            "test" => Some((Some(Self::OneTest), Split::Test, None)),
            "supplemental" => Some((Some(Self::OneTest), Split::Supplemental, None)),
            "source_test" => Some((Some(Self::TestPerDomain), Split::Test, Some(Domain::Source))),
            "target_test" => Some((Some(Self::TestPerDomain), Split::Test, Some(Domain::Target))),
            _ => None,
        }
    }
}

/// What the tokens of a file name say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameFacts {
    pub section: String,
    pub domain: Option<Domain>,
    pub split: Option<Split>,
    pub anomalous: Option<bool>,
    pub attributes: Vec<(String, String)>,
}

/// Reads a file name without its extension; `None` where it has no `section_NN`.
pub(crate) fn name_facts(stem: &str) -> Option<NameFacts> {
    let tokens: Vec<&str> = stem.split('_').collect();
    let at = tokens.windows(2).position(|pair| pair[0] == "section" && is_number(pair[1]))?;
    let mut facts = NameFacts { section: tokens[at + 1].to_owned(), ..NameFacts::default() };
    let mut rest = &tokens[at + 2..];
    while let Some((&token, after)) = rest.split_first() {
        match token {
            "source" => facts.domain = Some(Domain::Source),
            "target" => facts.domain = Some(Domain::Target),
            "train" => facts.split = Some(Split::Train),
            "test" => facts.split = Some(Split::Test),
            "supplemental" => facts.split = Some(Split::Supplemental),
            index if is_number(index) => {
                rest = after;
                break;
            }
            other => match label(other) {
                Some(anomalous) => facts.anomalous = Some(anomalous),
                None => break,
            },
        }
        rest = after;
    }
    facts.attributes = pair_up(rest);
    Some(facts)
}

/// Attribute tokens as (key, value): they come in pairs, `car_A1_spd_28V`. A last token without a partner is kept
/// under the key `tag` (`strength_1_ambient` → `strength = 1`, `tag = ambient`); `noAttribute` says nothing.
fn pair_up(tokens: &[&str]) -> Vec<(String, String)> {
    let tokens: Vec<&str> =
        tokens.iter().copied().filter(|token| !token.is_empty() && !is_no_attribute(token)).collect();
    tokens
        .chunks(2)
        .map(|pair| match pair {
            [key, value] => ((*key).to_owned(), (*value).to_owned()),
            lone => ("tag".to_owned(), lone.concat()),
        })
        .collect()
}

pub(in crate::dataset) fn is_no_attribute(token: &str) -> bool {
    token.eq_ignore_ascii_case("noAttribute")
}

pub(super) fn parse(place: &Place, folders: Folders) -> Result<Parsed, Misfit> {
    let folder = place.nearest(Folders::of);
    if let Some((at, (Some(other), ..))) = folder
        && other != folders
    {
        let seen = place.folders[at];
        return Err(Misfit::Unmatched(format!("lies in a `{seen}` folder, which this layout does not have")));
    }
    let folder_split = folder.map(|(_, (_, split, _))| split);
    let facts = match name_facts(place.stem) {
        Some(facts) => facts,
        // What supplemental clips are called is not settled between years; the folder says enough.
        None if folder_split == Some(Split::Supplemental) => {
            NameFacts { section: "00".to_owned(), ..NameFacts::default() }
        }
        None => return Err(Misfit::Unmatched("has no `section_NN` in its name".to_owned())),
    };
    let split = match (folder_split, facts.split) {
        (Some(folder), Some(name)) if folder != name && folder != Split::Supplemental => {
            let message = format!("is named `{}` but lies in the {} folder", name.token(), folder.token());
            return Err(Misfit::Contradiction(message));
        }
        (Some(split), _) | (None, Some(split)) => split,
        (None, None) => {
            return Err(Misfit::Unmatched(
                "says neither in its folder nor in its name whether it is train or test".to_owned(),
            ));
        }
    };
    let domain = match (folder.and_then(|(_, (.., domain))| domain), facts.domain) {
        (Some(folder), Some(name)) if folder != name => {
            let message =
                format!("is named `{}` but lies in the {}_test folder", name.token(), folder.token());
            return Err(Misfit::Contradiction(message));
        }
        (folder, name) => folder.or(name),
    };
    let anomalous = if split == Split::Train { facts.anomalous.or(Some(false)) } else { facts.anomalous };
    // Clips that lie in no split's folder are taken to lie right in their machine's.
    let machine = place.above(folder.map_or(place.folders.len(), |(at, _)| at));
    Ok(Parsed { machine, section: facts.section, domain, split, anomalous, attributes: facts.attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_full_name_says_everything() {
        let facts = name_facts("section_02_target_test_anomaly_0003_volt_1.5_wt_50").unwrap();
        assert_eq!(facts.section, "02");
        assert_eq!(facts.domain, Some(Domain::Target));
        assert_eq!(facts.split, Some(Split::Test));
        assert_eq!(facts.anomalous, Some(true));
        assert_eq!(facts.attributes, pairs(&[("volt", "1.5"), ("wt", "50")]));
    }

    #[test]
    fn digits_may_be_few_or_many_and_parts_may_lack() {
        let facts = name_facts("section_3_000000000042").unwrap();
        assert_eq!((facts.section.as_str(), facts.domain, facts.anomalous), ("3", None, None));
        assert!(facts.attributes.is_empty());
        assert_eq!(name_facts("section_00_source_train_normal").unwrap().split, Some(Split::Train));
    }

    /// Words that are labels before the index are plain values after it.
    #[test]
    fn attributes_are_not_mistaken_for_labels() {
        let facts = name_facts("section_00_source_test_normal_0001_mode_anomaly_dir_target").unwrap();
        assert_eq!(facts.anomalous, Some(false));
        assert_eq!(facts.domain, Some(Domain::Source));
        assert_eq!(facts.attributes, pairs(&[("mode", "anomaly"), ("dir", "target")]));
    }

    #[test]
    fn a_lone_attribute_is_a_tag_and_no_attribute_is_none() {
        let facts = name_facts("section_00_source_train_normal_0000_strength_1_ambient").unwrap();
        assert_eq!(facts.attributes, pairs(&[("strength", "1"), ("tag", "ambient")]));
        assert!(name_facts("section_00_source_train_normal_0000_noAttribute").unwrap().attributes.is_empty());
    }

    #[test]
    fn other_names_are_not_sections() {
        for name in ["normal_id_00_00000000", "section", "section_aa_0000", "sections_00_0000", ""] {
            assert_eq!(name_facts(name), None, "{name}");
        }
    }
}
