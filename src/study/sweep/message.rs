//! What a sweep and its workers say to each other: one JSON document a line.
//!
//! Orders go to a worker's standard input, reports come from its standard output. What it has to say to people goes to its
//! standard error, where a line ends what belongs to one trial: two pipes have no common order.

use serde::{Deserialize, Serialize};

use crate::config::Experiment;

/// Ends a trial's part of a worker's standard error. No text that people read holds a record separator.
pub(super) const END_OF_TRIAL: &str = "\u{1e}end of trial";

/// What a worker is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    /// Train and judge a trial.
    Run(Box<Job>),
    /// Find out how long a trial takes.
    Probe(Box<Job>),
    /// Finish the batch, write a checkpoint, and end.
    Stop,
}

/// One trial.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    pub experiment: Experiment,
    pub machine: String,
    pub learnt: Vec<String>,
    pub seed: u64,
}

/// What a worker tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Report {
    /// It can begin, on this device.
    Ready { device: String },
    /// It cannot work at all.
    Unusable { why: String },
    /// The trial that it was given is over, and was its `last` where it goes now.
    Ended { outcome: Outcome, last: bool },
}

/// How a trial ended in a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// Trained and judged.
    Done,
    /// Another process did it meanwhile.
    Found,
    /// Tried out; nothing is left of it.
    Probed(Probed),
    /// Another process works on it.
    Held { by: String },
    /// Stopped; it goes on where it is.
    Interrupted,
    /// Ended by an error; where that was the device's, its worker is of no more use.
    Failed { why: String, device_lost: bool },
}

/// What a configuration takes, measured on a part of its clips.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Probed {
    /// Seconds of an epoch for each clip that is learnt.
    pub epoch_s: f64,
    /// Seconds of the judging for each clip of the machine type.
    pub judging_s: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_experiment_keeps_its_identity_on_the_way() {
        for family in ["ae", "arcface", "simsiam", "separation", "eat"] {
            let file =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("configs/{family}.toml"));
            let sets = ["train.optimizer.lr=1.1e-3".to_owned(), "data.root=a \"b\"".to_owned()];
            for experiment in crate::config::load(&file, &sets).unwrap().expand().unwrap() {
                let job =
                    Job { experiment, machine: "fän".into(), learnt: vec!["fän".into()], seed: u64::MAX };
                let line = serde_json::to_string(&Order::Run(Box::new(job.clone()))).unwrap();
                assert!(!line.contains('\n'));
                let Order::Run(read) = serde_json::from_str(&line).unwrap() else { panic!("{line}") };
                assert_eq!(read.experiment, job.experiment);
                assert_eq!(read.experiment.training_hash(), job.experiment.training_hash());
                assert_eq!((&read.machine, read.seed), (&job.machine, job.seed));
            }
        }
    }
}
