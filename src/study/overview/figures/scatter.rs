//! Proxy against detection: the study's Figs. 2 to 4.

use super::{Drawn, FigureNote};
use crate::config::ProtocolConfig;
use crate::report::Cell;
use crate::report::figure::{self, Point, Scatter};
use crate::study::correlation::Configuration;
use crate::study::overview::{Family, Overview};
use crate::study::results::Detection;

/// One figure a detection metric.
pub(super) fn draw(overview: &Overview) -> Vec<Drawn> {
    Detection::ALL.into_iter().zip(2..).map(|(which, number)| one(overview, which, number)).collect()
}

fn one(overview: &Overview, which: Detection, number: usize) -> Drawn {
    let title = format!("Proxy against {}", which.label());
    let families: Vec<figure::Family> =
        overview.families.iter().map(|family| points(family, which, &overview.protocol)).collect();
    let counts: Vec<String> = families
        .iter()
        .map(|family| {
            let trend = family.trend.as_ref().map_or(String::new(), |trend| format!(" ({trend})"));
            format!("{} {} points{trend}", family.name, family.points.len())
        })
        .collect();
    let figure = figure::scatter(&Scatter {
        title: title.clone(),
        x_label: format!("{} AUC (%)", which.label()),
        y_label: "Normalised proxy (1 = best)".to_owned(),
        families,
    });
    let caption = format!(
        "As the study's Fig. {number}: each point is a configuration, averaged over seeds and machine types. Proxy metrics have \
         different units, so each family is stretched to its own range, with its best at the top. A dashed line is drawn where \
         {} < {}.",
        overview.protocol.p_value.label(),
        overview.protocol.significance
    );
    let alt = format!("Scatter plot of proxy performance over {} AUC: {}.", which.label(), counts.join(", "));
    let note = FigureNote {
        name: format!("proxy-{}", which.key().replace('_', "-")),
        part: "correlation".to_owned(),
        title,
        caption,
        alt,
        runs: Vec::new(),
        aucs: Vec::new(),
    };
    Drawn { note, figure }
}

fn points(family: &Family, which: Detection, protocol: &ProtocolConfig) -> figure::Family {
    let correlation = &family.correlation;
    let known = |one: &Configuration| Some((one.proxy?, detection(one, which)?, one.config.clone()));
    let known: Vec<(f64, f64, String)> = correlation.configurations.iter().filter_map(known).collect();
    // Upwards is better.
    let sign = if correlation.higher_is_better { 1.0 } else { -1.0 };
    let heights = figure::normalised(&known.iter().map(|(proxy, ..)| sign * proxy).collect::<Vec<_>>());
    let points = known
        .into_iter()
        .zip(heights)
        .map(|((_, auc, label), y)| Point { x: 100.0 * auc, y, label })
        .collect();
    // Of the p that the verdict rests on: a line beside "no evidence" would contradict it.
    let judged = family.stages.correlation.against.get(which);
    let trend = match (judged.rho, judged.p) {
        (Some(rho), Some(p)) if p < protocol.significance => {
            let (rho, p) = (Cell::number(rho, 2), Cell::p_value(p));
            Some(format!("ρ = {}, {} = {}", rho.text(), protocol.p_value.label(), p.text()))
        }
        _ => None,
    };
    figure::Family { name: family.label.clone(), points, trend }
}

fn detection(one: &Configuration, which: Detection) -> Option<f64> {
    match which {
        Detection::InDomainLp => one.in_domain_lp,
        Detection::OutDomainLp => one.out_domain_lp,
        Detection::Mahalanobis => one.mahalanobis,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::PValue;
    use crate::study::correlation::correlate_by;
    use crate::study::overview::{Counts, Settings};
    use crate::study::protocol::{Curves, stages};
    use crate::study::study_rows;

    /// Of the study's own tables.
    fn trend(family: &str, p_value: PValue) -> Option<String> {
        let protocol = ProtocolConfig { p_value, ..ProtocolConfig::default() };
        let rows = study_rows().unwrap();
        let mut all = correlate_by(&rows, &protocol).into_iter();
        let correlation = all.find(|one| one.family == family).unwrap();
        let family = Family {
            label: family.to_owned(),
            slug: family.to_owned(),
            trials: Counts::default(),
            seeds: BTreeSet::new(),
            stages: stages(&correlation, &rows, &Curves::default(), &protocol),
            correlation,
            printed: None,
            shown: None,
            settings: Settings::default(),
        };
        points(&family, Detection::Mahalanobis, &protocol).trend
    }

    #[test]
    fn a_trend_is_drawn_by_the_p_that_the_verdict_rests_on() {
        let exact = trend("autoencoder", PValue::Exact).unwrap();
        assert!(exact.starts_with("ρ = ") && exact.contains(", p = 0.018"), "{exact}");
        assert_eq!(trend("autoencoder", PValue::Holm), None);
        let adjusted = trend("separation", PValue::Holm).unwrap();
        assert!(adjusted.contains(", Holm p = "), "{adjusted}");
    }
}
