//! `[task.pretrained]`: features of an encoder whose weights were trained elsewhere.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check::Problem;

/// Sample rate in Hz that all encoders hear.
const RATE_HZ: u32 = crate::audio::KALDI_RATE_HZ;
/// Frames of a patch.
const PATCH_FRAMES: usize = 16;
/// What Hugging Face calls the weights of every model: the folder tells them apart.
const SAME_EVERYWHERE: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// Longer names of files are cut in a run's folder.
const SLUG_CHARS: usize = 80;

/// Features of an encoder whose weights were trained elsewhere; nothing is trained.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainedConfig {
    /// The checkpoint: a .pt file of BEATs, EAT or CED, a .safetensors file, or what `asdbench import -o` wrote. Only its
    /// name is part of the configuration's identity; what it holds is part of the run's.
    pub checkpoint: PathBuf,
    /// What a feature keeps of a clip's tokens.
    pub pool: TokenPool,
    /// The layer whose tokens are taken, counted from 0; the last where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1024))]
    pub layer: Option<usize>,
    /// Frames of 10 ms that EAT pads or cuts a clip to: a multiple of 16. BEATs and CED take clips as they are.
    #[schemars(range(min = 16, max = 65_536))]
    pub frames: usize,
    /// Clips of one length that go through the network together; changes no value on the CPU.
    #[schemars(range(min = 1, max = 4096))]
    pub batch: usize,
}

/// What a feature keeps of a clip's tokens.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum TokenPool {
    /// The mean over all patches.
    Mean,
    /// The class token, of networks that have one.
    Cls,
    /// Mean and standard deviation over all patches, one behind the other.
    #[serde(rename = "mean+std")]
    MeanStd,
    /// The mean over time of each frequency band's patches, band after band.
    Patch,
}

impl TokenPool {
    /// The word of the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::MeanStd => "mean+std",
            Self::Patch => "patch",
        }
    }
}

impl Default for PretrainedConfig {
    fn default() -> Self {
        Self { checkpoint: PathBuf::new(), pool: TokenPool::Mean, layer: None, frames: 1024, batch: 8 }
    }
}

impl PretrainedConfig {
    /// What a checkpoint is known by, wherever it lies: see [`checkpoint_name`].
    #[must_use]
    pub fn name(&self) -> String {
        checkpoint_name(&self.checkpoint)
    }

    pub(super) fn slug(&self) -> String {
        let name = self.name();
        let stem = match name.split_once('/') {
            Some((folder, _)) => folder,
            None => Path::new(&name).file_stem().and_then(OsStr::to_str).unwrap_or_default(),
        };
        let usual = Self::default();
        let mut slug = safe(stem);
        if self.pool != usual.pool {
            slug.push_str(&format!("-{}", self.pool.name()));
        }
        if let Some(layer) = self.layer {
            slug.push_str(&format!("-layer{layer}"));
        }
        if self.frames != usual.frames {
            slug.push_str(&format!("-frames{}", self.frames));
        }
        slug
    }

    /// Rules between settings; the range of each alone stands in the schema.
    pub(super) fn check(&self, rate_hz: u32, problems: &mut Vec<Problem>) {
        let key = "task.pretrained.checkpoint";
        if self.name().is_empty() {
            problems.push(
                Problem::new(key, format!("`{key}` names no file"))
                    .related(&["task.pretrained"])
                    .help("name a checkpoint of BEATs, EAT or CED, such as \"checkpoints/BEATs_iter3.pt\""),
            );
        }
        let (key, frames) = ("task.pretrained.frames", self.frames);
        if !frames.is_multiple_of(PATCH_FRAMES) {
            let message = format!("`{key}` is {frames}, and a patch has {PATCH_FRAMES}");
            problems.push(
                Problem::new(key, message)
                    .help(format!("take a multiple of {PATCH_FRAMES}; 1024 are 10.2 s, the usual")),
            );
        }
        if rate_hz != RATE_HZ {
            let key = "frontend.logmel.rate_hz";
            let message = format!("`{key}` is {rate_hz}, and pre-trained encoders hear {RATE_HZ} Hz");
            problems.push(
                Problem::new(key, message)
                    .help(format!("set it to {RATE_HZ}: recordings of any rate are resampled to it")),
            );
        }
    }
}

/// A checkpoint's file name; behind its folder's, as `EAT-base/model.safetensors`, where the file is called as those of
/// every other model are.
#[must_use]
pub fn checkpoint_name(path: &Path) -> String {
    let text = |part: &OsStr| part.to_string_lossy().into_owned();
    let file = path.file_name().map(text).unwrap_or_default();
    match path.parent().and_then(Path::file_name).map(text) {
        Some(folder) if SAME_EVERYWHERE.contains(&file.as_str()) => format!("{folder}/{file}"),
        _ => file,
    }
}

/// A part of a folder's name that no system and no shell stumbles over, and that hides no folder.
fn safe(name: &str) -> String {
    let plain = |(at, c): (usize, char)| match c {
        '.' | '-' | '+' if at > 0 => c,
        _ if c.is_ascii_alphanumeric() || c == '_' => c,
        _ => '_',
    };
    let safe: String = name.chars().take(SLUG_CHARS).enumerate().map(plain).collect();
    if safe.is_empty() { "checkpoint".to_owned() } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(checkpoint: &str) -> PretrainedConfig {
        PretrainedConfig { checkpoint: checkpoint.into(), ..Default::default() }
    }

    fn problems(config: &PretrainedConfig, rate_hz: u32) -> Vec<String> {
        let mut problems = Vec::new();
        config.check(rate_hz, &mut problems);
        problems.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn the_slug_is_the_file_and_what_differs() {
        assert_eq!(of("checkpoints/BEATs_iter3.pt").slug(), "BEATs_iter3");
        let other = PretrainedConfig {
            pool: TokenPool::MeanStd,
            layer: Some(6),
            frames: 512,
            batch: 1,
            ..of("BEATs_iter3.pt")
        };
        assert_eq!(other.slug(), "BEATs_iter3-mean+std-layer6-frames512");
        assert_eq!(PretrainedConfig { pool: TokenPool::Cls, ..of("e.pt") }.slug(), "e-cls");
    }

    #[test]
    fn a_slug_is_safe_as_a_folder() {
        assert_eq!(of("a b/ü (1)*.pt").slug(), "___1__");
        assert_eq!(of(".hidden").slug(), "_hidden", "a folder that begins with a point is not found again");
        assert_eq!(of("-rf.pt").slug(), "_rf");
        assert_eq!(of("v1.5+x-y.pt").slug(), "v1.5+x-y");
        assert_eq!(of(&"x".repeat(300)).slug().len(), SLUG_CHARS);
        assert_eq!(of("").slug(), "checkpoint");
    }

    #[test]
    fn a_file_that_is_called_as_all_are_is_known_by_its_folder() {
        assert_eq!(of("/models/BEATs_iter3.pt").name(), "BEATs_iter3.pt");
        assert_eq!(of("hub/EAT-base/model.safetensors").name(), "EAT-base/model.safetensors");
        assert_eq!(of("hub/EAT-base/model.safetensors").slug(), "EAT-base");
        assert_eq!(of("model.safetensors").name(), "model.safetensors");
    }

    #[test]
    fn settings_that_no_encoder_can_have_are_problems() {
        assert_eq!(problems(&of("a.pt"), 16_000), Vec::<String>::new());
        assert_eq!(problems(&of(""), 16_000), ["`task.pretrained.checkpoint` names no file"]);
        assert_eq!(problems(&of("checkpoints/.."), 16_000).len(), 1);
        let odd = PretrainedConfig { frames: 1000, ..of("a.pt") };
        assert_eq!(problems(&odd, 16_000), ["`task.pretrained.frames` is 1000, and a patch has 16"]);
        let found = problems(&of("a.pt"), 32_000);
        assert_eq!(found, ["`frontend.logmel.rate_hz` is 32000, and pre-trained encoders hear 16000 Hz"]);
    }
}
