//! Data sets of machine sounds: which clips there are, what their names say, and who may see which of them.
//!
//! [`index`] walks a folder and reads names only, no audio. Training gets [`TrainingClips`], which hold normal
//! clips of the train split and nothing from which a test clip or a label could be reached; evaluation gets
//! [`EvaluationClips`]. [`audit`] is the one part that opens every clip. [`synth`] makes data sets.

mod attributes;
pub mod audioset;
mod audit;
mod clip;
mod error;
mod fingerprint;
mod index;
mod interference;
mod layout;
mod remembered;
mod sample;
mod stamp;
pub mod synth;
mod truth;
mod walk;
mod wavs;

pub use audit::{Audit, CountRow, Duplicate, MachineAudit, audit};
pub use clip::{
    Clip, Domain, EvaluationClips, InterferenceClips, LabelledClip, SoundClips, Split, TrainingClips,
};
pub use error::Error;
pub use index::{ClipIndex, IndexedClip, index};
pub use interference::InterferenceFolder;
pub use stamp::Stamp;
pub use walk::{Problem, ProblemKind};
pub use wavs::{WavFiles, wav_files};

pub(crate) use layout::{clip_facts, is_number, stem};
