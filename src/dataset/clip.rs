//! What is known of a clip without opening it, and the views of a machine's clips.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One clip as its path and the data set's tables describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clip {
    /// Relative to the data set's root, with `/` between folders on every platform.
    pub path: PathBuf,
    /// Machine type, e.g. `fan`.
    pub machine: String,
    /// Section, e.g. `00`; in DCASE 2020 and MIMII the machine ID, which plays the section's role.
    pub section: String,
    /// `None` in data sets without domains (DCASE 2020, MIMII) and in evaluation sets that hide it.
    pub domain: Option<Domain>,
    /// Operating conditions as (key, value), e.g. `("spd", "28V")`, in the order of the name or table.
    pub attributes: Vec<(String, String)>,
}

impl Clip {
    /// The file's own name, with its extension.
    pub fn file_name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

/// The recording condition that a domain shift divides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Domain {
    /// The condition with plenty of training clips.
    Source,
    /// The shifted condition with few or none.
    Target,
}

impl Domain {
    /// The word that file names use.
    pub fn token(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// Which part of a data set a clip belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Normal clips to learn from.
    Train,
    /// Clips to be scored.
    Test,
    /// Clean machine or noise-only recordings beside the train split (DCASE 2025 and later).
    Supplemental,
}

impl Split {
    /// The word that folders and file names use.
    pub fn token(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
            Self::Supplemental => "supplemental",
        }
    }
}

/// The clips that a machine's model may learn from: normal clips of the train split, sorted by path.
///
/// This type is the guard against test data in training. It holds no label, no test clip and no reference to the
/// index, only [`ClipIndex::training`](super::ClipIndex::training) makes one, and nobody can put another clip into it,
/// so a function that takes `TrainingClips` cannot reach anything that belongs to evaluation. Training code takes this
/// type and never the index.
#[derive(Clone, Debug)]
pub struct TrainingClips {
    pub(super) root: PathBuf,
    pub(super) machine: String,
    pub(super) clips: Vec<Clip>,
}

impl TrainingClips {
    /// The data set's root; clip paths are relative to it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Machine type.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// Normal train clips, sorted by path.
    pub fn clips(&self) -> &[Clip] {
        &self.clips
    }
}

/// Recordings that a training may mix its clips with: normal train clips of other machine types, or those of a folder
/// that are not held out. Made by the index and by [`InterferenceFolder`](super::InterferenceFolder) alone, as
/// [`TrainingClips`] is.
#[derive(Clone, Debug)]
pub struct InterferenceClips(pub(super) SoundClips);

impl InterferenceClips {
    /// The recordings, which also serve for less than a training.
    pub fn sounds(&self) -> &SoundClips {
        &self.0
    }
}

/// Recordings of which the sound alone is used: no label, and no way to the index.
#[derive(Clone, Debug)]
pub struct SoundClips {
    /// The folder that the clips' paths are relative to.
    pub root: PathBuf,
    /// Whose they are, in words that fit "the clips of ...".
    pub of: String,
    /// The clips, sorted by path.
    pub clips: Vec<Clip>,
}

/// A test clip with its label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelledClip {
    /// The clip.
    pub clip: Clip,
    /// `None` in an evaluation set whose ground truth is not there.
    pub anomalous: Option<bool>,
}

/// The clips that a machine's model is judged on: the test split with its labels, sorted by path.
#[derive(Clone, Debug)]
pub struct EvaluationClips {
    /// The data set's root; clip paths are relative to it.
    pub root: PathBuf,
    /// Machine type.
    pub machine: String,
    /// Test clips, sorted by path.
    pub clips: Vec<LabelledClip>,
}
