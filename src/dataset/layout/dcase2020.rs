//! DCASE 2020: `<machine>/{train,test}/{normal,anomaly}_id_00_00000000.wav`; evaluation clips carry no label
//! (`id_01_00000000.wav`). Machine IDs play the section's role; there are no domains.

use super::{Misfit, NameFacts, Parsed, Place, is_number, label};
use crate::dataset::clip::Split;

/// Reads a file name without its extension; `None` where it has no `id_NN`.
pub(super) fn name_facts(stem: &str) -> Option<NameFacts> {
    let tokens: Vec<&str> = stem.split('_').collect();
    let at = tokens.windows(2).position(|pair| pair[0] == "id" && is_number(pair[1]))?;
    if tokens.contains(&"section") {
        return None;
    }
    let anomalous = tokens[..at].iter().find_map(|token| label(token));
    Some(NameFacts { section: tokens[at + 1].to_owned(), anomalous, ..NameFacts::default() })
}

pub(super) fn parse(place: &Place) -> Result<Parsed, Misfit> {
    let Some(facts) = name_facts(place.stem) else {
        return Err(Misfit::Unmatched("has no `id_NN` in its name".to_owned()));
    };
    let folder = place.nearest(|folder| match folder {
        "train" => Some(Split::Train),
        "test" => Some(Split::Test),
        _ => None,
    });
    let Some((folder_at, split)) = folder else {
        return Err(Misfit::Unmatched("lies in no `train` or `test` folder".to_owned()));
    };
    let mut anomalous = facts.anomalous;
    if split == Split::Train {
        // The train split is normal by definition; only a name that says otherwise is worth a word.
        anomalous = anomalous.or(Some(false));
    }
    Ok(Parsed {
        machine: place.above(folder_at),
        section: facts.section,
        domain: None,
        split,
        anomalous,
        attributes: Vec::new(),
    })
}
