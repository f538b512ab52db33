//! Encoders of random weights: for smoke runs, demonstrations and measurements where no checkpoint is at hand.

use super::{Architecture, BeatsSize, CedSize, EatSize, Model};

/// Names and architectures. The tiny ones have two layers of width 48; the others the public checkpoints' sizes.
fn all() -> Vec<(&'static str, Architecture)> {
    vec![
        ("beats-tiny", Architecture::Beats(BeatsSize::tiny())),
        ("beats-base", Architecture::Beats(BeatsSize::base(None))),
        ("eat-tiny", Architecture::Eat(EatSize::tiny())),
        ("eat-base", Architecture::Eat(EatSize::base(None))),
        ("eat-large", Architecture::Eat(EatSize::large(None))),
        ("ced-toy", Architecture::Ced(CedSize::toy())),
        ("ced-tiny", Architecture::Ced(CedSize::tiny())),
        ("ced-mini", Architecture::Ced(CedSize::mini())),
        ("ced-small", Architecture::Ced(CedSize::small())),
        ("ced-base", Architecture::Ced(CedSize::base())),
    ]
}

/// All names.
pub fn names() -> Vec<&'static str> {
    all().into_iter().map(|(name, _)| name).collect()
}

/// The architecture of a name.
pub fn architecture(name: &str) -> Option<Architecture> {
    all().into_iter().find(|(known, _)| *known == name).map(|(_, architecture)| architecture)
}

/// What a file of random weights says of itself.
pub fn model(architecture: Architecture, seed: u64) -> Model {
    Model {
        architecture,
        labels: None,
        random: Some(seed),
        config: serde_json::Value::Null,
        remarks: Vec::new(),
        used: Vec::new(),
        left_over: Vec::new(),
        at: Vec::new(),
    }
}
