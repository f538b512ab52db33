//! What a reader must know of the numbers: how they were averaged, and what they do not say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::counts::State;
use super::scan::Judged;
use super::{Family, Overview};
use crate::dataset::synth;
use crate::stats;
use crate::study::protocol::AlignmentVerdict;

/// The machine types of the study's data set.
const STUDY_MACHINES: [&str; 7] = ["ToyCar", "ToyTrain", "bearing", "fan", "gearbox", "slider", "valve"];

/// The study's epochs, for every family that trains.
const STUDY_EPOCHS: &str = "200";

/// A limit of what the numbers say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caveat {
    /// In two or three words.
    pub title: String,
    /// In a sentence or two.
    pub text: String,
    /// Whether no reader may miss it: the page begins with it.
    pub grave: bool,
}

impl Caveat {
    fn new(title: &str, text: impl Into<String>) -> Self {
        Self { title: title.to_owned(), text: text.into(), grave: false }
    }

    fn grave(title: &str, text: impl Into<String>) -> Self {
        Self { grave: true, ..Self::new(title, text) }
    }
}

/// Families that the third stage of the protocol says the same of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In words.
    pub verdict: &'static str,
    /// Their names.
    pub families: Vec<String>,
}

/// What the third stage says of all families, the clearest first.
pub(super) fn summary(families: &[Family]) -> Vec<Finding> {
    use AlignmentVerdict as V;
    [
        (V::Aligned, "A better proxy detects better"),
        (V::PartlyAligned, "A better proxy detects better, by some measures"),
        (V::Misaligned, "A better proxy detects worse"),
        (V::Mixed, "Better by some measures, worse by others"),
        (V::NoEvidence, "No evidence either way"),
        (V::CannotBeSignificant, "No outcome could have been significant"),
        (V::NotMeasurable, "Not measurable"),
    ]
    .into_iter()
    .map(|(verdict, words)| {
        let of = |family: &&Family| family.stages.correlation.verdict == verdict;
        let families = families.iter().filter(of).map(|family| family.label.clone()).collect();
        Finding { verdict: words, families }
    })
    .filter(|finding| !finding.families.is_empty())
    .collect()
}

/// How the numbers came to be, a paragraph each.
pub(super) fn averaging() -> Vec<String> {
    let settings = stats::Settings::default();
    vec![
        "A configuration's number is a mean of means: over the seeds of each machine type first, then over the machine types, \
         so that each machine type counts the same. AUCs are means over sections before that."
            .to_owned(),
        "A mean is taken only where the configuration has a value of every machine type and seed that any configuration of \
         its family has. Where one is lacking there is a dash in its place: nothing is averaged over what happens to be there."
            .to_owned(),
        format!(
            "ρ is Spearman's rank correlation over the configurations of a family, with midranks for ties. p is two-sided and \
             exact: the share of all pairings of proxy and detection with a ρ as large (sampled, with its standard error, above \
             {} configurations). Holm's and Benjamini-Hochberg's adjustments are over all families and detection metrics of \
             this page.",
            stats::EXACT_MAX
        ),
        format!(
            "The interval of ρ is over machine types: {:.0} % of ρ when they are drawn anew ({} BCa resamples, seed {}) and the \
             configurations stay. It says how far the finding hangs on these machine types; p asks another question.",
            100.0 * settings.level,
            settings.resamples,
            settings.seed
        ),
        "AUC is the area under the receiver operating curve of the anomaly score: 50 % is chance, 100 % a perfect order. LP is \
         a linear probe, trained with labels on half of the test clips (in-domain) or on other sections (out-domain): it says \
         what a representation holds. MD is the Mahalanobis distance to normal training clips and needs no label: it says what \
         a detector would get."
            .to_owned(),
    ]
}

/// What the numbers do not say, the gravest first.
pub(super) fn caveats(overview: &Overview, runs: &[Judged], warnings: &[String]) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    caveats.extend(random_weights(runs));
    caveats.extend(synthetic(overview, runs));
    caveats.extend(incomplete(overview));
    caveats.extend(warnings.iter().map(|text| Caveat::grave("Results that may not compare", text)));
    caveats.extend(other_data(overview));
    caveats.extend(short_training(overview));
    caveats.extend(few_configurations(overview));
    caveats.extend(few_seeds(overview));
    caveats.extend(few_machines(overview));
    caveats.extend(few_clips(overview));
    caveats.extend(partial_means(runs));
    caveats.extend(skipped(runs));
    caveats.extend(notes(runs));
    caveats.push(Caveat::new(
        "Labels in the probe",
        "The linear probes learn from labelled anomalies. No detector in use has these; compare families by MD where that matters.",
    ));
    caveats
}

fn random_weights(runs: &[Judged]) -> Option<Caveat> {
    let random = |run: &&Judged| run.manifest.pretrained.as_ref().is_some_and(|of| of.random_seed.is_some());
    let configs: BTreeSet<&str> =
        runs.iter().filter(random).map(|run| run.manifest.config.as_str()).collect();
    (!configs.is_empty()).then(|| {
        let names = configs.into_iter().collect::<Vec<_>>().join(", ");
        Caveat::grave(
            "Random weights",
            format!(
                "The encoders of {names} have random weights, which have learnt nothing. Their results show that the program \
                 works, and nothing about encoders."
            ),
        )
    })
}

/// What the runs noted when they were trained, wherever their recordings are now.
fn synthetic(overview: &Overview, runs: &[Judged]) -> Option<Caveat> {
    let noted = || runs.iter().any(|run| run.manifest.synthetic == Some(true));
    // Older manifests do not say it: their recordings do, where they still are.
    let older = || runs.iter().any(|run| run.manifest.synthetic.is_none());
    let mut roots = overview.families.iter().flat_map(|family| family.settings.all("data.root"));
    let made = |root: &str| {
        let root = root.parse::<toml::Value>().ok();
        let root = root.as_ref().and_then(toml::Value::as_str).unwrap_or_default();
        !root.is_empty() && synth::made(Path::new(root))
    };
    (noted() || (older() && roots.any(made))).then(|| {
        Caveat::grave(
            "Synthetic machines",
            "The recordings were made by `asdbench synth`. Nothing here says how any method does on real machines.",
        )
    })
}

fn incomplete(overview: &Overview) -> Option<Caveat> {
    let trials = &overview.trials;
    let without = trials.trials - trials.done;
    let list: Vec<String> = State::ALL
        .into_iter()
        .filter(|state| *state != State::Done && trials.of(*state) > 0)
        .map(|state| format!("{} {}", trials.of(state), state.label()))
        .collect();
    (without > 0).then(|| {
        Caveat::grave(
            "Incomplete",
            format!(
                "{without} of {} trials have no result: {}. They are listed with the reasons.",
                trials.trials,
                list.join(", ")
            ),
        )
    })
}

fn other_data(overview: &Overview) -> Option<Caveat> {
    let mut known = STUDY_MACHINES;
    known.sort_unstable();
    let same = overview.machines.iter().map(|one| one.machine.as_str()).eq(known);
    (!same).then(|| {
        Caveat::new(
            "Not the study's machine types",
            format!(
                "The study's printed numbers are means over {}. Those beside them here are not, so a difference is no failed \
                 reproduction.",
                known.join(", ")
            ),
        )
    })
}

fn short_training(overview: &Overview) -> Option<Caveat> {
    let trained =
        |family: &&Family| !family.settings.common.iter().any(|one| one.key.starts_with("task.pretrained."));
    let mut epochs: Vec<(String, Vec<&str>)> = overview
        .families
        .iter()
        .filter(trained)
        .map(|family| (family.label.clone(), family.settings.all("train.epochs")))
        .collect();
    epochs.retain(|(_, epochs)| epochs.iter().any(|epochs| *epochs != STUDY_EPOCHS));
    (!epochs.is_empty()).then(|| {
        let list: Vec<String> =
            epochs.into_iter().map(|(family, epochs)| format!("{family} {}", epochs.join(" or "))).collect();
        Caveat::new(
            "Other epochs",
            format!("The study trains for {STUDY_EPOCHS} epochs; these runs did not: {}.", list.join(", ")),
        )
    })
}

fn few_configurations(overview: &Overview) -> Option<Caveat> {
    let never: Vec<String> = overview
        .families
        .iter()
        .filter(|family| !family.correlation.can_be_significant)
        .map(|family| format!("{} (n = {})", family.label, family.correlation.n))
        .collect();
    (!never.is_empty()).then(|| {
        Caveat::new(
            "Few configurations",
            format!(
                "No outcome could have been significant for {}: even a perfect order of so few configurations is likely by chance.",
                never.join(", ")
            ),
        )
    })
}

fn few_seeds(overview: &Overview) -> Option<Caveat> {
    let single: Vec<&str> = overview
        .families
        .iter()
        .filter(|family| family.seeds.len() == 1)
        .map(|family| family.label.as_str())
        .collect();
    (!single.is_empty()).then(|| {
        Caveat::new(
            "One seed",
            format!("How much another random start would change is not known for {}.", single.join(", ")),
        )
    })
}

fn few_machines(overview: &Overview) -> Option<Caveat> {
    let n = overview.machines.len();
    (n < 3).then(|| {
        let what = if n == 1 { "machine type is".to_owned() } else { "machine types are".to_owned() };
        Caveat::new(
            "Few machine types",
            format!("{n} {what} too few for an interval of ρ over machine types."),
        )
    })
}

/// Below this many clips of either label, an AUC of 0.5 has a standard error of more than 0.04.
const MANY_CLIPS: usize = 100;

fn few_clips(overview: &Overview) -> Option<Caveat> {
    let fewest = overview.machines.iter().filter_map(|one| one.test_normal.zip(one.test_anomalous));
    let fewest = fewest.map(|(normal, anomalous)| normal.min(anomalous)).min()?;
    (fewest < MANY_CLIPS).then(|| {
        Caveat::new(
            "Few test clips",
            format!(
                "There are machine types with only {fewest} test clips of a label (the study has 300): AUCs that differ by a few \
                 per cent may not differ at all."
            ),
        )
    })
}

/// AUCs that are means over some of a machine type's sections.
fn partial_means(runs: &[Judged]) -> Option<Caveat> {
    let mut gaps: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for run in runs {
        let judged = &run.evaluation;
        let probe = &judged.linear_probe;
        for aucs in [&probe.in_domain, &probe.out_domain, &judged.mahalanobis.aucs] {
            if aucs.auc.is_some() {
                let without = aucs.sections.iter().filter(|(_, auc)| auc.is_none());
                let of_machine = gaps.entry(judged.machine.as_str()).or_default();
                of_machine.extend(without.map(|(section, _)| section.as_str()));
            }
        }
    }
    let in_words = |(machine, sections): (&str, BTreeSet<&str>)| {
        (!sections.is_empty())
            .then(|| format!("{machine} section {}", sections.into_iter().collect::<Vec<_>>().join(", ")))
    };
    let named: Vec<String> = gaps.into_iter().filter_map(in_words).collect();
    (!named.is_empty()).then(|| {
        Caveat::new(
            "Sections without an AUC",
            format!(
                "There are runs without an AUC of {}; their numbers are means over the sections that have one, and their \
                 eval.json says why.",
                named.join("; ")
            ),
        )
    })
}

fn skipped(runs: &[Judged]) -> Option<Caveat> {
    let clips: usize = runs.iter().map(|run| run.evaluation.clips.skipped).sum();
    (clips > 0).then(|| {
        Caveat::new(
            "Clips left out",
            format!(
                "{clips} times a clip could not be read and was left out; the runs' manifests name them."
            ),
        )
    })
}

/// What families say of their own proxies and interference, each once.
fn notes(runs: &[Judged]) -> Vec<Caveat> {
    let mut notes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for run in runs {
        let judged = &run.evaluation;
        let of_proxy = [judged.proxy.note.as_deref(), judged.proxy.why.as_deref()];
        let of_mixtures = judged.interference.as_ref().and_then(|of| of.remark.as_deref());
        let texts = of_proxy.into_iter().flatten().chain(of_mixtures);
        notes.entry(judged.family.as_str()).or_default().extend(texts);
    }
    let all = notes.into_iter().flat_map(|(family, texts)| texts.into_iter().map(move |text| (family, text)));
    all.map(|(family, text)| Caveat::new(&format!("A note on {family}"), text)).collect()
}
