//! What became of a sweep's trials, for the table at its end and for scripts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::Sweep;
use super::conduct::End;
use crate::run::RunFolder;
use crate::score::LinearProbe;
use crate::score::mahalanobis::MahalanobisResult;
use crate::study::{DetectorResult, Evaluation, OfficialMetrics, Trained};
use crate::task::Proxy;

/// One trial; one object of `asdbench sweep --format json`. The same whichever process trained it, and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweptRun {
    /// As of a training; `status` is `done`, `failed`, `interrupted`, or `new` where it was not reached.
    #[serde(flatten)]
    pub trained: Trained,
    /// What judging it gave.
    #[serde(flatten)]
    pub judged: Option<Judged>,
    /// What its worker said, of one that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
}

/// The numbers of an `eval.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The proxy metric on held-out normal clips.
    pub proxy: Proxy,
    /// Linear separability of the features.
    pub linear_probe: LinearProbe,
    /// Compactness of the normal features.
    pub mahalanobis: MahalanobisResult,
    /// The challenge's metrics.
    pub official: OfficialMetrics,
    /// The configured detectors by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub detectors: BTreeMap<String, DetectorResult>,
}

impl From<Evaluation> for Judged {
    fn from(of: Evaluation) -> Self {
        let Evaluation { proxy, linear_probe, mahalanobis, official, detectors, .. } = of;
        Self { proxy, linear_probe, mahalanobis, official, detectors }
    }
}

/// How many trials ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// All that this process was to do.
    pub trials: usize,
    /// Trained and judged.
    pub done: usize,
    /// Of these, found done.
    #[serde(skip)]
    pub found: usize,
    /// Ended by an error.
    pub failed: usize,
    /// Left to another process, or not reached.
    pub put_off: usize,
}

/// A trial that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The run's folder.
    pub path: String,
    /// Why.
    pub why: String,
    /// What its worker said, and where that is kept.
    pub log: PathBuf,
    /// The last lines of it.
    pub tail: Vec<String>,
}

/// What became of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Swept {
    /// In the order of the plan.
    pub runs: Vec<SweptRun>,
    /// In numbers.
    pub counts: Counts,
    /// Those that failed, in the order of the plan.
    pub failed: Vec<Failed>,
    /// Whether the user stopped it.
    pub interrupted: bool,
}

impl Swept {
    pub(super) fn new(sweep: &Sweep<'_>, ends: Vec<Option<End>>, interrupted: bool) -> Self {
        let mut swept = Self { runs: Vec::new(), counts: Counts::default(), failed: Vec::new(), interrupted };
        swept.counts.trials = ends.len();
        for (one, end) in sweep.trials().iter().zip(ends) {
            let path = one.trial.folder.path().display().to_string();
            let other = |status: &str, why: &str| Trained {
                path: path.clone(),
                family: one.trial.experiment.family().to_owned(),
                config: RunFolder::config_name(&one.trial.experiment),
                machine: one.trial.machine.clone(),
                seed: one.trial.seed,
                status: status.to_owned(),
                epochs: 0,
                loss: None,
                why: Some(why.to_owned()),
            };
            let run = match end {
                Some(End::Done { found }) => match one.trial.folder.read_json::<Evaluation>("eval.json") {
                    Ok(evaluation) => {
                        swept.counts.done += 1;
                        swept.counts.found += usize::from(found);
                        let judged = Some(Judged::from(evaluation));
                        let trained = one.trial.found().unwrap_or_else(|e| other("done", &e.to_string()));
                        SweptRun { trained, judged, log: None }
                    }
                    // Gone, or damaged, since it was written.
                    Err(error) => {
                        let (why, log) = (error.to_string(), one.trial.folder.file("eval.json"));
                        swept.counts.failed += 1;
                        let trained = other("failed", &why);
                        swept.failed.push(Failed { path, why, log: log.clone(), tail: Vec::new() });
                        SweptRun { trained, judged: None, log: Some(log) }
                    }
                },
                Some(End::Failed { why, log, tail }) => {
                    swept.counts.failed += 1;
                    let trained = other("failed", &why);
                    swept.failed.push(Failed { path, why, log: log.clone(), tail });
                    SweptRun { trained, judged: None, log: Some(log) }
                }
                Some(End::Interrupted) => {
                    swept.counts.put_off += 1;
                    let why = "the sweep was stopped; the same command goes on";
                    SweptRun { trained: other("interrupted", why), judged: None, log: None }
                }
                Some(End::PutOff { by }) => {
                    swept.counts.put_off += 1;
                    let why = format!("{by} works on it");
                    SweptRun { trained: other("running", &why), judged: None, log: None }
                }
                None => {
                    swept.counts.put_off += 1;
                    SweptRun { trained: other("new", "it was not reached"), judged: None, log: None }
                }
            };
            swept.runs.push(run);
        }
        swept
    }
}
