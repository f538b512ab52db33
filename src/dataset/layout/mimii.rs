//! MIMII as published: `<snr>/<machine>/id_00/{normal,abnormal}/00000000.wav`, eight channels, no split.
//!
//! The split is the published baseline's: per machine ID, as many normals as there are abnormal clips, the first
//! by name, are test clips with all the abnormal ones; the other normals are the train split.
//! Source: Purohit et al., "MIMII Dataset", DCASE Workshop 2019, and its baseline.

use std::collections::{BTreeMap, BTreeSet};

use super::{Misfit, Parsed, Place, is_number, label};
use crate::dataset::clip::Split;

/// All clips at once, as the split of one depends on how many others there are. `places` are sorted by path.
pub(super) fn read(places: Vec<Place>) -> Vec<Result<Parsed, Misfit>> {
    let mut answers: Vec<_> = places.iter().map(parse).collect();
    name_by_snr(&mut answers);

    let mut abnormal: BTreeMap<(String, String), usize> = BTreeMap::new();
    for clip in answers.iter().flatten().filter(|clip| clip.anomalous == Some(true)) {
        *abnormal.entry((clip.machine.clone(), clip.section.clone())).or_default() += 1;
    }
    for clip in answers.iter_mut().flatten().filter(|clip| clip.anomalous == Some(false)) {
        match abnormal.get_mut(&(clip.machine.clone(), clip.section.clone())) {
            Some(left) if *left > 0 => {
                *left -= 1;
                clip.split = Split::Test;
            }
            _ => clip.split = Split::Train,
        }
    }
    answers
}

fn parse(place: &Place) -> Result<Parsed, Misfit> {
    let id = |folder: &str| folder.strip_prefix("id_").filter(|digits| is_number(digits)).map(str::to_owned);
    let condition = place.folders.last().and_then(|folder| label(folder));
    let (Some(anomalous), Some((at, section))) = (condition, place.nearest(id)) else {
        return Err(Misfit::Unmatched("lies in no `id_NN/normal` or `id_NN/abnormal` folder".to_owned()));
    };
    let snr = at.checked_sub(2).and_then(|above| snr(place.folders[above]));
    Ok(Parsed {
        machine: place.above(at),
        section,
        domain: None,
        split: Split::Test,
        anomalous: Some(anomalous),
        attributes: snr.map(|snr| ("snr".to_owned(), snr.to_owned())).into_iter().collect(),
    })
}

/// `0_dB`, `-6dB` or `6_dB_fan` as the part up to `dB`.
fn snr(folder: &str) -> Option<&str> {
    let end = folder.to_ascii_lowercase().find("db")? + 2;
    folder.starts_with(['-', '+', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).then(|| &folder[..end])
}

/// Where one root holds a machine at several signal-to-noise ratios, these are machines of their own, named as the
/// published archives are: `0_dB_fan`.
fn name_by_snr(answers: &mut [Result<Parsed, Misfit>]) {
    let mut levels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for clip in answers.iter().flatten() {
        let snr = clip.attributes.first().map(|(_, snr)| snr.clone()).unwrap_or_default();
        levels.entry(clip.machine.clone()).or_default().insert(snr);
    }
    for clip in answers.iter_mut().flatten() {
        if let Some((_, snr)) = clip.attributes.first()
            && levels.get(&clip.machine).is_some_and(|seen| seen.len() > 1)
        {
            clip.machine = format!("{snr}_{}", clip.machine);
        }
    }
}
