//! Training curves of a family.

use super::{Drawn, FigureNote, Runs, paths};
use crate::report::figure::{self, Curve, Curves, Scale};
use crate::study::overview::Family;
use crate::study::overview::scan::Judged;
use crate::train::epochs_in;

/// Epochs of a curve, at most: more than a picture has room for are files of megabytes.
const EPOCHS: usize = 60;

/// The losses of the shown configurations; none where nothing was trained.
pub(super) fn draw(family: &Family, runs: &Runs<'_>) -> Option<Drawn> {
    let shown = family.shown.as_ref()?;
    let (mut lines, mut drawn, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for (config, what) in shown.configurations() {
        for run in runs.lowest_seeds(config) {
            let points = thinned(losses(run));
            if points.is_empty() {
                continue;
            }
            if let (Some(first), Some(last)) = (points.first(), points.last()) {
                words.push(format!(
                    "{config} on {} from {:.3} to {:.3}",
                    run.evaluation.machine, first.1, last.1
                ));
            }
            let name = format!("{}, seed {}", run.evaluation.machine, run.evaluation.seed);
            lines.push(Curve { group: format!("{config} ({what})"), name, points });
            drawn.push(run);
        }
    }
    let y_scale = match lines.iter().flat_map(|line: &Curve| &line.points).all(|(_, loss)| *loss > 0.0) {
        true => Scale::Log,
        false => Scale::Linear,
    };
    let title = format!("{}: training loss", family.label);
    let curves = Curves {
        title: title.clone(),
        x_label: "Epoch".to_owned(),
        y_label: "Training loss".to_owned(),
        y_scale,
        lines,
    };
    let figure = (!drawn.is_empty()).then(|| figure::curves(&curves))?;
    let note = FigureNote {
        name: format!("curves-{}", family.slug),
        part: family.part(),
        title,
        caption: "Mean training loss of each epoch, while the weights moved; one light line a machine type, and their median."
            .to_owned(),
        alt: format!("Training loss over epochs: {}.", words.join(", ")),
        runs: paths(&drawn),
        aucs: Vec::new(),
    };
    Some(Drawn { note, figure })
}

/// (epoch, loss); none where they cannot be read.
fn losses(run: &Judged) -> Vec<(f64, f64)> {
    let bytes = match run.folder.read_sound("metrics.jsonl", &run.manifest.artefacts) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::warn!("no curve: {error}");
            return Vec::new();
        }
    };
    epochs_in(&bytes).iter().map(|line| (line.epoch as f64, line.loss)).collect()
}

/// Evenly chosen points, the first and the last among them.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let n = points.len();
    if n <= EPOCHS {
        return points;
    }
    (0..EPOCHS).map(|index| points[index * (n - 1) / (EPOCHS - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_curve_keeps_its_ends() {
        let points = |n: usize| (1..=n).map(|epoch| (epoch as f64, 1.0 / epoch as f64)).collect::<Vec<_>>();
        assert_eq!(thinned(points(EPOCHS)), points(EPOCHS));
        let long = thinned(points(200));
        assert_eq!(long.len(), EPOCHS);
        assert_eq!((long[0].0, long[EPOCHS - 1].0), (1.0, 200.0));
        assert!(long.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(thinned(Vec::new()).is_empty());
    }
}
