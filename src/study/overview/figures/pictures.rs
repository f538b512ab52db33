//! Pictures of one run: where its clips lie in the space of its features, and what its network makes of a clip.

use super::{AucNote, Drawn, FigureNote};
use crate::config::TaskConfig;
use crate::device::OpenDevice;
use crate::report::figure;
use crate::study::overview::Family;
use crate::study::overview::scan::Judged;
use crate::study::trained_run::read_run;
use crate::study::{Error, examples, maps};

/// Maps of the run's test features.
pub(super) fn map(family: &Family, run: &Judged) -> Result<Vec<Drawn>, Error> {
    let map = maps::map(&run.folder)?;
    let picture = map.figure();
    let aucs: Vec<AucNote> =
        picture.aucs.iter().map(|one| AucNote { name: one.name.clone(), auc: one.auc }).collect();
    let words: Vec<String> = aucs.iter().map(AucNote::in_words).collect();
    let note = FigureNote {
        name: format!("map-{}", family.slug),
        part: family.part(),
        title: picture.title.clone(),
        caption: format!(
            "The features of the {} test clips on {} in the plane: along their first two principal components, and by t-SNE \
             of the first fifty. A map is a picture and no measure; the AUCs in it are measured.",
            map.clips.len(),
            map.machine
        ),
        alt: format!(
            "Two scatter plots of clips, normal and anomalous, source and target: {}.",
            words.join(", ")
        ),
        runs: vec![run.path.clone()],
        aucs,
    };
    Ok(vec![Drawn { note, figure: figure::map(&picture) }])
}

/// What the network makes of test clips, which `places` may say to be elsewhere now; nothing of families whose networks make
/// no sound or spectrogram, or without a device.
pub(super) fn examples(
    family: &Family,
    run: &Judged,
    places: &[String],
    device: Option<&OpenDevice>,
) -> Result<Vec<Drawn>, Error> {
    let Some(device) = device else { return Ok(Vec::new()) };
    let (experiment, _) = read_run(&run.folder, places)?;
    let caption = match &experiment.task {
        TaskConfig::Autoencoder(_) => "A test clip as the network hears it, and as it reconstructs it.",
        TaskConfig::Separation(_) => {
            "A mixture of held-out clips, the machine in it, and the network's estimate of it."
        }
        TaskConfig::Classification(_) | TaskConfig::Contrastive(_) | TaskConfig::Pretrained(_) => {
            return Ok(Vec::new());
        }
    };
    let drawn = |(number, maps): (usize, figure::HeatMaps)| {
        let panels: Vec<&str> = maps.panels.iter().map(|panel| panel.title.as_str()).collect();
        let note = FigureNote {
            name: format!("example-{}-{}", family.slug, number + 1),
            part: family.part(),
            title: maps.title.clone(),
            caption: caption.to_owned(),
            alt: format!("Spectrograms, one below the other: {}.", panels.join("; ")),
            runs: vec![run.path.clone()],
            aucs: Vec::new(),
        };
        Drawn { note, figure: figure::heatmaps(&maps) }
    };
    Ok(examples::of(&run.folder, places, device)?.into_iter().enumerate().map(drawn).collect())
}
