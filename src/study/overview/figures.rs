//! The figures of a report: what each shows, from the document and the runs' own files.

mod curves;
mod histograms;
mod pictures;
mod scatter;

use std::collections::BTreeMap;

use serde::Serialize;

use super::scan::{Judged, Scan};
use super::{Family, Overview, ReportRequest};
use crate::report::figure::Figure;

/// A figure, as the document has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FigureNote {
    /// Name of its files in `figures/`, without the extension.
    pub name: String,
    /// Where in the page it stands.
    pub part: String,
    /// A heading.
    pub title: String,
    /// What it shows, and which runs.
    pub caption: String,
    /// For who cannot see it.
    pub alt: String,
    /// Folders of the runs whose files it shows, below that of all runs.
    pub runs: Vec<String>,
    /// AUCs that are printed in it.
    pub aucs: Vec<AucNote>,
}

/// An AUC in a figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AucNote {
    /// Of what.
    pub name: String,
    /// As a fraction.
    pub auc: Option<f64>,
}

impl AucNote {
    fn in_words(&self) -> String {
        let auc = self.auc.map_or("unknown".to_owned(), |auc| format!("{:.1} %", 100.0 * auc));
        format!("{} {auc}", self.name)
    }
}

/// A figure and what is said of it.
pub(super) struct Drawn {
    pub note: FigureNote,
    pub figure: Figure,
}

/// All figures that a report has, and why others are missing: a report without them is better than none.
pub(super) fn draw(
    overview: &Overview,
    scan: &Scan,
    request: &ReportRequest<'_>,
) -> (Vec<Drawn>, Vec<String>) {
    let ReportRequest { places, device, ui, .. } = *request;
    let (mut drawn, mut missing) = (scatter::draw(overview), Vec::new());
    let bar = ui.bar("figures", overview.families.len() as u64, "families");
    for family in &overview.families {
        let runs = Runs::of(family, scan);
        drawn.extend(curves::draw(family, &runs));
        drawn.extend(histograms::draw(family, &runs));
        if let Some(run) = runs.shown(family) {
            for (what, pictures) in [
                ("map", pictures::map(family, run)),
                ("example", pictures::examples(family, run, places, device)),
            ] {
                match pictures {
                    Ok(pictures) => drawn.extend(pictures),
                    Err(error) => missing.push(format!(
                        "There is no {what} of {}: {}",
                        run.path,
                        scan.below(&error.to_string())
                    )),
                }
            }
        }
        bar.add(1);
    }
    bar.clear();
    (drawn, missing)
}

/// The judged runs of a family.
struct Runs<'a>(Vec<&'a Judged>);

impl<'a> Runs<'a> {
    fn of(family: &Family, scan: &'a Scan) -> Self {
        let own = |run: &&Judged| run.evaluation.family == family.correlation.family;
        Self(scan.judged.iter().filter(own).collect())
    }

    /// Those of one configuration with the lowest seed of each machine type, sorted by machine type.
    fn lowest_seeds(&self, config: &str) -> Vec<&'a Judged> {
        let mut lowest: BTreeMap<&str, &Judged> = BTreeMap::new();
        for run in self.0.iter().filter(|run| run.evaluation.config == config) {
            let known = lowest.entry(&run.evaluation.machine).or_insert(run);
            if run.evaluation.seed < known.evaluation.seed {
                *known = run;
            }
        }
        lowest.into_values().collect()
    }

    /// The run of the family's single pictures.
    fn shown(&self, family: &Family) -> Option<&'a Judged> {
        let shown = family.shown.as_ref()?;
        self.lowest_seeds(&shown.best).into_iter().find(|run| run.evaluation.machine == shown.machine)
    }
}

fn paths(runs: &[&Judged]) -> Vec<String> {
    runs.iter().map(|run| run.path.clone()).collect()
}
