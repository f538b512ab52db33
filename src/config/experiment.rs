//! An experiment: everything that decides what is trained and how it is judged.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::check::Problem;
use super::{DataConfig, EvalConfig, FrontendConfig, TaskConfig, TrainConfig, checkpoint_name};

/// One experiment of asdbench: recordings, front end, proxy task, training, evaluation.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Experiment {
    /// Which recordings are read.
    pub data: DataConfig,
    /// From a recording to the numbers that a network sees.
    pub frontend: FrontendConfig,
    /// The proxy task that is trained.
    pub task: TaskConfig,
    /// The training loop.
    pub train: TrainConfig,
    /// How the features of a trained run are judged.
    pub eval: EvalConfig,
}

/// Settings that change neither the weights nor the features of one run.
///
/// The machine and the seed name a run's folder below its configuration's; where the data and the interference lie says
/// nothing of what they are, for which runs keep a fingerprint.
const OUTSIDE_TRAINING: [&str; 7] = [
    "data.root",
    "data.interference",
    "data.machines",
    "task.pretrained.batch",
    "train.seeds",
    "train.checkpoint_every_s",
    "eval",
];

/// A file of which the name alone is hashed: where it lies says nothing, and of what it holds runs keep a hash.
pub(super) const CHECKPOINT: &str = "task.pretrained.checkpoint";

/// Settings that came after the first runs, and change nothing while they are false: runs of before keep their names.
const SINCE: [&str; 1] = ["train.checkpoint_blocks"];

/// Whether a setting, or the table that it stands in, changes neither weights nor features.
pub(super) fn outside_training(path: &str) -> bool {
    OUTSIDE_TRAINING.iter().any(|outside| {
        path.strip_prefix(outside).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

impl Experiment {
    /// The proxy task's family, as in the study's tables and in the runs folder.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.task.family()
    }

    /// Short name of the configuration within its family, such as `h128-b8`. Safe in a file name, not unique.
    #[must_use]
    pub fn slug(&self) -> String {
        self.task.slug()
    }

    /// Identity of what is trained: BLAKE3, in hexadecimal, of every setting that decides weights and features.
    ///
    /// Two experiments with the same hash, machine type, seed and recordings train to the same result. The settings
    /// are written as JSON with sorted keys before they are hashed, so neither formatting, order nor the way that
    /// the layers were split matters. `data.root`, `data.interference`, `data.machines`, `task.pretrained.batch`,
    /// `train.seeds`, `train.checkpoint_every_s` and `eval` stay out; of `task.pretrained.checkpoint` the name is in.
    #[must_use]
    pub fn training_hash(&self) -> String {
        let all = serde_json::to_value(self).expect("settings are plain data, which JSON holds");
        blake3::hash(canonical(all, "").to_string().as_bytes()).to_hex().to_string()
    }

    /// The complete experiment as TOML, which loads back to an equal one.
    ///
    /// # Panics
    /// If a number exceeds TOML's 63 bits, which no configuration that was loaded holds.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings that come from TOML fit into TOML")
    }

    /// Rules between settings; each one alone is checked against the schema.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        self.frontend.check("frontend", problems);
        self.task.check(&self.frontend, problems);
        self.train.check(&self.task, problems);
        self.eval.check(problems);
    }
}

// Sorted keys, without the settings outside the training.
fn canonical(value: Value, path: &str) -> Value {
    let entries = match value {
        Value::Object(entries) => entries,
        Value::String(file) if path == CHECKPOINT => return checkpoint_name(Path::new(&file)).into(),
        other => return other,
    };
    let mut entries: Vec<(String, Value)> = entries.into_iter().collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut sorted = Map::new();
    for (key, value) in entries {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let unknown_before = SINCE.contains(&path.as_str()) && value == Value::Bool(false);
        if !outside_training(&path) && !unknown_before {
            sorted.insert(key, canonical(value, &path));
        }
    }
    Value::Object(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PretrainedConfig, TokenPool};

    fn hash(change: impl FnOnce(&mut Experiment)) -> String {
        let mut experiment = Experiment::default();
        change(&mut experiment);
        experiment.training_hash()
    }

    #[test]
    fn the_hash_is_of_what_decides_the_training() {
        let same = hash(|_| {});
        assert_eq!(same.len(), 64);
        assert_eq!(same, hash(|e| e.data.root = Some("elsewhere".into())));
        assert_eq!(same, hash(|e| e.data.interference = Some("noises".into())));
        assert_eq!(same, hash(|e| e.data.machines = vec!["fan".to_owned()]));
        assert_eq!(same, hash(|e| e.train.seeds = vec![4, 5]));
        assert_eq!(same, hash(|e| e.train.checkpoint_every_s = 1.0));
        assert_eq!(same, hash(|e| e.eval.linear_probe.swap = true));

        let others = [
            hash(|e| e.data.channel = crate::audio::ChannelChoice::Left),
            hash(|e| e.data.layout = crate::config::Layout::Dcase2022),
            hash(|e| e.data.on_bad_clip = crate::config::OnBadClip::Skip),
            hash(|e| e.frontend.logmel.hop_samples = 256),
            hash(|e| e.frontend.scale = crate::config::Scale::None),
            hash(|e| e.train.epochs = 3),
            hash(|e| e.train.checkpoint_blocks = true),
            hash(|e| e.train.optimizer.lr = 1e-3),
        ];
        let mut distinct: Vec<&String> = others.iter().chain([&same]).collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), others.len() + 1);
    }

    #[test]
    fn of_a_checkpoint_the_name_is_hashed() {
        let of = |checkpoint: &str, change: fn(&mut PretrainedConfig)| {
            let mut config = PretrainedConfig { checkpoint: checkpoint.into(), ..Default::default() };
            change(&mut config);
            hash(|e| e.task = TaskConfig::Pretrained(config))
        };
        let same = of("checkpoints/a.pt", |_| {});
        assert_eq!(same, of("/elsewhere/a.pt", |_| {}));
        assert_eq!(same, of("a.pt", |c| c.batch = 1));
        for other in [
            of("checkpoints/b.pt", |_| {}),
            of("checkpoints/a.safetensors", |_| {}),
            of("a.pt", |c| c.layer = Some(0)),
            of("a.pt", |c| c.pool = TokenPool::Patch),
            of("a.pt", |c| c.frames = 512),
        ] {
            assert_ne!(same, other);
        }
    }

    #[test]
    fn what_is_hashed_has_sorted_keys() {
        let text = canonical(
            serde_json::json!({"train": {"b": 1, "seeds": [0], "a": {"d": 0, "c": 1.5}}, "eval": {}}),
            "",
        );
        assert_eq!(text.to_string(), r#"{"train":{"a":{"c":1.5,"d":0},"b":1}}"#);
    }

    #[test]
    fn a_prefix_of_a_name_is_another_name() {
        assert!(outside_training("eval.linear_probe.c") && outside_training("eval"));
        assert!(!outside_training("evaluate") && !outside_training("train"));
    }
}
