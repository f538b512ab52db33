//! The protocol on the study's own tables, which it must find what the study finds in, and on made-up runs.

use std::path::Path;

use super::*;
use crate::study::correlation::correlate_by;
use crate::study::results::Origin;
use crate::study::tables::study_rows;
use crate::task::Proxy;

fn of_study(family: &str, config: &ProtocolConfig) -> Stages {
    let rows = study_rows().unwrap();
    let families = correlate_by(&rows, config);
    let one = families.iter().find(|one| one.family == family).unwrap();
    stages(one, &rows, &Curves::default(), config)
}

fn row(config: &str, machine: &str, proxy: f64, auc: f64) -> ResultRow {
    ResultRow {
        origin: Origin::file(Path::new(&format!("{config}/{machine}/eval.json"))),
        family: "f".into(),
        config: config.into(),
        machine: Some(machine.into()),
        seed: Some(0),
        proxy_name: "macro_f1".into(),
        proxy: Some(proxy),
        proxy_why: None,
        higher_is_better: true,
        other_proxies: Vec::new(),
        in_domain_lp: Some(auc),
        out_domain_lp: Some(auc),
        mahalanobis: Some(auc),
    }
}

const MACHINES: [&str; 4] = ["fan", "gearbox", "pump", "valve"];

/// Five configurations on four machine types; each is better than the one before, in its proxy and by its AUC.
fn five() -> Vec<ResultRow> {
    let of = |n: usize| {
        MACHINES.iter().enumerate().map(move |(m, machine)| {
            row(&format!("c{n}"), machine, 0.5 + 0.05 * n as f64, 0.6 + 0.02 * n as f64 + 0.01 * m as f64)
        })
    };
    (0..5).flat_map(of).collect()
}

fn judge(rows: &[ResultRow], curves: &Curves, config: &ProtocolConfig) -> Stages {
    stages(&correlate_by(rows, config)[0], rows, curves, config)
}

fn plain(rows: &[ResultRow]) -> Stages {
    judge(rows, &Curves::default(), &ProtocolConfig::default())
}

/// Section V and VI of the study: classification is saturated, contrastive learning failed and is at chance by the
/// Mahalanobis distance, the autoencoder is aligned by that alone, separation by everything, four checkpoints are too few.
#[test]
fn the_study_is_found_in_its_own_tables() {
    use AlignmentVerdict as A;
    use HealthVerdict as H;
    use RepresentationVerdict as R;
    let config = ProtocolConfig::default();
    for (family, health, representation, correlation) in [
        ("autoencoder", H::Healthy, R::AboveChance, A::PartlyAligned),
        ("ce", H::Saturated, R::AboveChance, A::NoEvidence),
        ("arcface", H::Saturated, R::AboveChance, A::NoEvidence),
        ("separation", H::Healthy, R::AboveChance, A::Aligned),
        ("simclr", H::Failed, R::Mixed, A::NoEvidence),
        ("simsiam", H::Failed, R::Mixed, A::PartlyAligned),
        ("pretrained", H::Healthy, R::AboveChance, A::CannotBeSignificant),
        // Alignment alone tells nothing: a collapsed network is perfectly aligned.
        ("simsiam-alignment", H::Unknown, R::Mixed, A::Misaligned),
    ] {
        let found = of_study(family, &config);
        assert_eq!(
            (found.health.verdict, found.representation.verdict, found.correlation.verdict),
            (health, representation, correlation),
            "{family}: {:#?}",
            found.in_words()
        );
    }
    let autoencoder = of_study("autoencoder", &config);
    assert_eq!(autoencoder.correlation.with(MetricVerdict::Aligned), [Detection::Mahalanobis]);
    assert_eq!(
        autoencoder.verdict,
        "The proxy task is healthy; its features find anomalies better than chance; a better proxy comes with better \
         detection by Mahalanobis only."
    );
    let simsiam = of_study("simsiam", &config);
    assert_eq!(
        simsiam.representation.with(ChanceVerdict::AtChance),
        [Detection::OutDomainLp, Detection::Mahalanobis]
    );
    assert!(
        simsiam
            .verdict
            .ends_with("by out-domain LP only, which of a failed task says little about alignment.")
    );
}

#[test]
fn numbers_of_the_study_stand_in_the_evidence() {
    let config = ProtocolConfig::default();
    let ce = of_study("ce", &config);
    assert_eq!(
        (ce.health.lowest, ce.health.highest, ce.health.judged),
        (Some(97.40 / 100.0), Some(98.66 / 100.0), 5)
    );
    assert_eq!(
        (ce.health.saturated_at, ce.health.failed_at, ce.health.saturated.len()),
        (Some(0.97), Some(0.2), 5)
    );
    let words = &ce.health.in_words;
    assert!(
        words.starts_with("saturated: `macro_f1` is 97.40 % to 98.66 % over 5 configurations; above 97 %"),
        "{words}"
    );
    assert!(words.contains("5 saturated, 0 failed") && words.contains("no loss curves"), "{words}");
    let best = ce.representation.against.in_domain_lp;
    assert_eq!((best.best_config.as_deref(), best.configurations), (Some("resnet18"), 5));
    let (mean, best) = (best.mean.unwrap(), best.best.unwrap());
    assert!((mean.auc - 0.67168).abs() < 1e-12 && (best.auc - 0.712).abs() < 1e-12, "{mean:?} {best:?}");
    // Printed means have no machine types to draw from.
    assert_eq!((mean.interval, best.interval), (None, None));
    assert!(ce.representation.in_words.contains("there are means only"), "{}", ce.representation.in_words);
    let words = of_study("pretrained", &config).correlation.in_words;
    assert!(
        words.starts_with("cannot be significant: ")
            && words.contains("n = 4 can never give p < 0.05, the smallest is 0.0833"),
        "{words}"
    );
}

#[test]
fn ties_that_forbid_significance_are_not_said_to_be_too_few_configurations() {
    let mut rows = five();
    for row in &mut rows {
        row.proxy = Some(if row.config.as_str() < "c3" { 0.5 } else { 0.6 });
    }
    // Of 10 ways to give two of five configurations the better proxy, one has the largest rho and one the smallest.
    let found = plain(&rows);
    assert_eq!(found.correlation.verdict, AlignmentVerdict::CannotBeSignificant);
    let words = &found.correlation.in_words;
    assert!(words.contains("with its ties no pairing can give p < 0.05, the smallest is 0.2000"), "{words}");
    assert!(
        !words.contains("n = 5") && found.verdict.contains("no outcome of any correlation"),
        "{}",
        found.verdict
    );
}

#[test]
fn thresholds_decide() {
    let of = |change: fn(&mut ProtocolConfig), family: &str| {
        let mut config = ProtocolConfig::default();
        change(&mut config);
        of_study(family, &config)
    };
    assert_eq!(of(|c| c.saturated_f1 = 0.975, "ce").health.verdict, HealthVerdict::Healthy);
    assert_eq!(of(|c| c.failed_uniformity = -0.1, "simsiam").health.verdict, HealthVerdict::Healthy);
    // Three of five have more than -0.5.
    assert_eq!(of(|c| c.failed_uniformity = -0.5, "simsiam").health.verdict, HealthVerdict::Failed);
    let strict = of(|c| (c.failed_uniformity, c.failed_share) = (-0.5, 0.61), "simsiam");
    assert_eq!((strict.health.verdict, strict.health.failed.len()), (HealthVerdict::Healthy, 3));
    assert_eq!(of(|c| c.failed_si_sdri_db = 10.0, "separation").health.verdict, HealthVerdict::Failed);
    assert_eq!(of(|c| c.saturated_error = 5.0, "autoencoder").health.verdict, HealthVerdict::Saturated);
    assert_eq!(
        of(|c| c.chance_margin = 0.1, "autoencoder").representation.with(ChanceVerdict::AtChance),
        [Detection::Mahalanobis]
    );
    let strict = of(|c| c.significance = 0.01, "autoencoder").correlation;
    assert_eq!((strict.verdict, strict.significance), (AlignmentVerdict::NoEvidence, 0.01));
    let adjusted = of(|c| c.p_value = crate::config::PValue::Holm, "autoencoder").correlation;
    assert_eq!(adjusted.verdict, AlignmentVerdict::NoEvidence);
    let exact = of(|_| {}, "autoencoder").correlation.against.mahalanobis;
    assert!(exact.p.unwrap() < 0.05 && adjusted.against.mahalanobis.p.unwrap() > 0.05);
    assert!(exact.in_words.ends_with("aligned, though not among all that were tested"), "{}", exact.in_words);
}

#[test]
fn machine_types_give_intervals() {
    let rows = five();
    let found = plain(&rows).representation;
    assert_eq!(found.verdict, RepresentationVerdict::AboveChance);
    let overall = found.against.mahalanobis.mean.unwrap();
    let interval = overall.interval.unwrap();
    // The machine types are at 0.64, 0.65, 0.66, 0.67.
    assert!((overall.auc - 0.655).abs() < 1e-12, "{overall:?}");
    assert!(
        0.64 <= interval.low && interval.low < 0.65 && 0.66 < interval.high && interval.high <= 0.67,
        "{interval:?}"
    );
    assert!(found.in_words.contains("intervals over 4 machine types"), "{}", found.in_words);
    // One machine type that is far below 0.5 and three that are above: 0.6 on average, and no evidence.
    let mut uneven = rows.clone();
    for row in &mut uneven {
        let auc = if row.machine.as_deref() == Some("fan") { 0.2 } else { 0.73 };
        (row.in_domain_lp, row.out_domain_lp, row.mahalanobis) = (Some(auc), Some(auc), Some(1.0 - auc));
    }
    let found = plain(&uneven).representation;
    assert_eq!(
        (found.verdict, found.with(ChanceVerdict::AtChance).len()),
        (RepresentationVerdict::AtChance, 3)
    );
    // Far below on all of them is told from chance, too.
    let mut inverted = rows.clone();
    inverted.iter_mut().for_each(|row| row.mahalanobis = row.mahalanobis.map(|auc| 1.0 - auc));
    assert_eq!(plain(&inverted).representation.with(ChanceVerdict::BelowChance), [Detection::Mahalanobis]);
    // Two machine types give none.
    let two: Vec<ResultRow> = rows.into_iter().filter(|row| row.machine.as_deref() < Some("h")).collect();
    let found = plain(&two).representation;
    assert_eq!(found.against.mahalanobis.mean.unwrap().interval, None);
    assert!(found.in_words.contains("three machine types and there are 2"), "{}", found.in_words);
}

#[test]
fn percent_and_fractions_say_the_same() {
    let rows = five();
    let mut percent = rows.clone();
    for row in &mut percent {
        for value in [&mut row.proxy, &mut row.in_domain_lp, &mut row.out_domain_lp, &mut row.mahalanobis] {
            *value = value.map(|value| 100.0 * value);
        }
    }
    let (fractions, percent) = (plain(&rows), plain(&percent));
    assert_eq!(fractions.in_words(), percent.in_words());
    let mut mixed = rows;
    mixed[0].in_domain_lp = Some(60.0);
    let found = plain(&mixed).representation;
    assert_eq!(found.verdict, RepresentationVerdict::Unknown);
    assert!(found.in_words.contains("some AUCs are fractions and some percent"), "{}", found.in_words);
}

#[test]
fn a_loss_that_never_left_its_start_is_a_failure() {
    let rows = five();
    let curves = |stuck: usize| {
        let mut curves = Curves::default();
        for row in &rows {
            let is_stuck = row.config.as_str() < format!("c{stuck}").as_str();
            let losses = if is_stuck { vec![1.0, 1.2, 0.995] } else { vec![1.0, 0.4] };
            let warning =
                (row.config == "c4" && row.machine.as_deref() == Some("fan")).then(|| "it is odd".to_owned());
            curves.insert(&row.origin.path, Curve { losses, warning });
        }
        curves
    };
    let found = |stuck| judge(&rows, &curves(stuck), &ProtocolConfig::default()).health;
    let one = found(1);
    assert_eq!((one.verdict, &one.failed[..]), (HealthVerdict::Healthy, &["c0".to_owned()][..]));
    let losses = one.losses.unwrap();
    assert_eq!((losses.runs, losses.stuck.len(), losses.warned), (20, 4, 1));
    assert!(
        (losses.least_fall - 0.005).abs() < 1e-12 && (losses.most_fall - 0.6).abs() < 1e-12,
        "{losses:?}"
    );
    assert_eq!(losses.stuck[0], "c0/fan/seed-0");
    assert!(
        one.in_words.contains("1 run warned in training, the first, c4/fan/seed-0: it is odd"),
        "{}",
        one.in_words
    );
    let three = found(3);
    assert_eq!((three.verdict, three.failed.len()), (HealthVerdict::Failed, 3));
    assert!(
        three.in_words.contains("12 never left its start (less than 1 %): c0/fan/seed-0"),
        "{}",
        three.in_words
    );
    // Nothing is known of the metric, and yet the training is seen to have failed.
    let mut unknown = rows.clone();
    unknown.iter_mut().for_each(|row| row.proxy_name = "my_metric".into());
    let judged = |stuck| judge(&unknown, &curves(stuck), &ProtocolConfig::default()).health;
    assert_eq!((judged(0).verdict, judged(3).verdict), (HealthVerdict::Unknown, HealthVerdict::Failed));
    assert!(judged(0).in_words.contains("no ceiling and no floor of `my_metric` is known"));
}

#[test]
fn a_metric_beside_the_proxy_tells_a_collapse() {
    let mut rows = five();
    for row in &mut rows {
        row.proxy_name = "alignment".into();
        row.other_proxies = vec![Proxy::new("uniformity", Ok(-0.2), false)];
    }
    let found = plain(&rows).health;
    assert_eq!((found.verdict, found.metric.as_str()), (HealthVerdict::Failed, "uniformity"));
    assert!(found.in_words.contains("measured beside the proxy"), "{}", found.in_words);
}

#[test]
fn what_is_missing_is_not_healthy() {
    let mut rows = five();
    rows.iter_mut()
        .for_each(|row| (row.proxy, row.proxy_why) = (None, Some("the weights are random".into())));
    let found = plain(&rows);
    assert_eq!(
        (found.health.verdict, found.correlation.verdict),
        (HealthVerdict::Unknown, AlignmentVerdict::NotMeasurable)
    );
    assert!(found.health.in_words.contains("the weights are random"), "{}", found.health.in_words);
    // One configuration lacks a machine type: it is not judged by what is left of it.
    let mut short = five();
    short.remove(0);
    let found = plain(&short);
    assert_eq!((found.health.judged, found.representation.against.in_domain_lp.configurations), (4, 4));
    assert!(found.health.in_words.contains("1 configuration without a value"), "{}", found.health.in_words);
    assert!(
        found.correlation.in_words.contains("config `c0` has no result on machine `fan`"),
        "{}",
        found.correlation.in_words
    );
}

#[test]
fn a_family_that_detects_worse_the_better_its_proxy_is_misaligned() {
    let mut rows = five();
    rows.iter_mut().for_each(|row| row.higher_is_better = false);
    let found = plain(&rows).correlation;
    assert_eq!(found.verdict, AlignmentVerdict::Misaligned);
    // One metric the other way round.
    rows.iter_mut().for_each(|row| row.mahalanobis = row.mahalanobis.map(|auc| 1.3 - auc));
    let found = plain(&rows);
    assert_eq!(found.correlation.verdict, AlignmentVerdict::Mixed);
    assert!(
        found
            .verdict
            .ends_with("better detection by Mahalanobis and worse by in-domain LP and out-domain LP.")
    );
    assert_eq!(plain(&five()).correlation.verdict, AlignmentVerdict::Aligned);
}
