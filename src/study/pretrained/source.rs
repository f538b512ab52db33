//! Which checkpoint is meant, and how clips come to it: a file with the defaults, or what a run was made with.

use std::path::{Path, PathBuf};

use super::Error;
use crate::audio::ChannelChoice;
use crate::config::{OnBadClip, PretrainedConfig, TokenPool};
use crate::device::OpenDevice;
use crate::nn::precision::Precision;
use crate::run::{self, RunFolder};
use crate::study;
use crate::study::separate::only_run;
use crate::study::trained_run::read_run;
use crate::task;
use crate::task::pretrained::{CheckpointFile, Embedder};
use crate::ui::Ui;

/// What the user wants otherwise than the defaults or the run have it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// See [`PretrainedConfig::pool`].
    pub pool: Option<TokenPool>,
    /// See [`PretrainedConfig::layer`].
    pub layer: Option<usize>,
    /// See [`PretrainedConfig::frames`].
    pub frames: Option<usize>,
    /// See [`PretrainedConfig::batch`].
    pub batch: Option<usize>,
    /// The channel of clips with several.
    pub channel: Option<ChannelChoice>,
    /// Number format of the heavy products.
    pub precision: Option<Precision>,
    /// Whether a bad clip stops or is left out.
    pub on_bad_clip: Option<OnBadClip>,
}

/// How an encoder listens.
#[derive(Debug, Clone, PartialEq)]
pub struct Listening {
    /// The checkpoint and what is kept of its tokens.
    pub encoder: PretrainedConfig,
    /// The channel of clips with several.
    pub channel: ChannelChoice,
    /// Number format of the heavy products.
    pub precision: Precision,
    /// Whether a bad clip stops or is left out.
    pub on_bad_clip: OnBadClip,
    /// The run that hears so.
    run: Option<MadeWith>,
}

/// What a run was made with.
#[derive(Debug, Clone, PartialEq)]
struct MadeWith {
    /// The run's folder.
    path: PathBuf,
    /// BLAKE3 of its checkpoint.
    content_hash: String,
}

impl Listening {
    /// Of a checkpoint file, or of the one run at or below a folder.
    ///
    /// # Errors
    /// When a folder has no run or several, or one of another family.
    pub fn of(model: &Path) -> Result<Self, study::Error> {
        match model.is_dir() {
            true => Self::of_run(&only_run(model)?),
            false => Ok(Self::of_file(model)),
        }
    }

    /// Of a checkpoint file, with the defaults.
    pub(super) fn of_file(checkpoint: &Path) -> Self {
        Self {
            encoder: PretrainedConfig { checkpoint: checkpoint.to_owned(), ..Default::default() },
            channel: ChannelChoice::default(),
            precision: Precision::default(),
            on_bad_clip: OnBadClip::Error,
            run: None,
        }
    }

    /// As a run of the family hears its clips.
    pub(super) fn of_run(folder: &RunFolder) -> Result<Self, study::Error> {
        let (experiment, manifest) = read_run(folder, &[])?;
        let Some(encoder) = experiment.task.pretrained().cloned() else {
            let (path, family) = (folder.path().to_owned(), experiment.family());
            return Err(Error::Family { path, family }.into());
        };
        Ok(Self {
            encoder,
            channel: experiment.data.channel,
            precision: experiment.train.precision,
            on_bad_clip: experiment.data.on_bad_clip,
            run: manifest.model.map(|content_hash| MadeWith { path: folder.path().to_owned(), content_hash }),
        })
    }

    /// With what the user wants otherwise.
    #[must_use]
    pub fn with(self, wanted: &Overrides) -> Self {
        let encoder = PretrainedConfig {
            pool: wanted.pool.unwrap_or(self.encoder.pool),
            layer: wanted.layer.or(self.encoder.layer),
            frames: wanted.frames.unwrap_or(self.encoder.frames),
            batch: wanted.batch.unwrap_or(self.encoder.batch),
            ..self.encoder
        };
        Self {
            encoder,
            channel: wanted.channel.unwrap_or(self.channel),
            precision: wanted.precision.unwrap_or(self.precision),
            on_bad_clip: wanted.on_bad_clip.unwrap_or(self.on_bad_clip),
            run: self.run,
        }
    }

    /// Whether what another measures is the same, but for the runs' names.
    pub(super) fn measures_as(&self, other: &Self) -> bool {
        let way = |of: &Self| {
            let checkpoint = of.checkpoint().canonicalize().unwrap_or_else(|_| of.checkpoint().clone());
            let made_with = of.run.as_ref().map(|run| run.content_hash.clone());
            (checkpoint, made_with, of.encoder.frames, of.channel, of.precision, of.on_bad_clip)
        };
        way(self) == way(other)
    }

    /// Load the checkpoint, and say so where its weights are random.
    ///
    /// # Errors
    /// When it cannot be used, or is another file than the one that the run was made with.
    pub(super) fn open(&self, device: &OpenDevice, ui: &Ui) -> Result<Embedder, study::Error> {
        if !self.precision.serves(&device.device) {
            return Err(Error::Precision(self.precision.name()).into());
        }
        let file = CheckpointFile::open(self.checkpoint()).map_err(told)?;
        if let Some(run) = self.run.as_ref().filter(|run| run.content_hash != file.content_hash()) {
            let short = |hash: &str| hash.get(..8).unwrap_or(hash).to_owned();
            let (found, expected) = (short(&run.content_hash), short(file.content_hash()));
            return Err(
                run::Error::Other { path: run.path.clone(), what: "checkpoint", found, expected }.into()
            );
        }
        let embedder =
            Embedder::of_file(file, &self.encoder, self.precision, &device.device).map_err(told)?;
        if let Some(seed) = embedder.model().random {
            ui.warn(&format!(
                "{}: its weights are random (seed {seed}) and have learnt nothing; what comes of them shows that the \
                 program runs, nothing else",
                self.encoder.checkpoint.display()
            ));
        }
        Ok(embedder)
    }

    /// The checkpoint file.
    pub fn checkpoint(&self) -> &PathBuf {
        &self.encoder.checkpoint
    }
}

/// An error in the words of commands that have options and no configuration.
fn told(error: task::Error) -> study::Error {
    const WORDS: [(&str, &str); 4] = [
        ("task.pretrained.layer", "--layer"),
        ("task.pretrained.pool", "--pool"),
        ("task.pretrained.frames", "--frames"),
        (" or name its place with --set task.pretrained.checkpoint=FILE", " or name the file where it is"),
    ];
    let in_words =
        |why: String| WORDS.iter().fold(why, |why, (setting, option)| why.replace(setting, option));
    match error {
        task::Error::Setting(why) => Error::Option(in_words(why)).into(),
        task::Error::Checkpoint(why) => task::Error::Checkpoint(in_words(why)).into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_as_options() {
        let setting = task::Error::Setting("`task.pretrained.layer` is 99, and a.pt has 2 layers".into());
        assert_eq!(told(setting).to_string(), "`--layer` is 99, and a.pt has 2 layers");
        let file = CheckpointFile::open(Path::new("none/BEATs.pt")).unwrap_err();
        let message = told(file).to_string();
        assert!(message.contains("name the file where it is") && !message.contains("--set"), "{message}");
    }

    #[test]
    fn runs_that_treat_bad_clips_otherwise_or_had_another_file_are_others() {
        let one = Listening::of_file(Path::new("a.pt"));
        let made_with = |content_hash: &str, path: &str| Listening {
            run: Some(MadeWith { path: path.into(), content_hash: content_hash.into() }),
            ..one.clone()
        };
        let pool = Overrides { pool: Some(TokenPool::Cls), ..Overrides::default() };
        assert!(one.measures_as(&one.clone().with(&pool)));
        let skip = Overrides { on_bad_clip: Some(OnBadClip::Skip), ..Overrides::default() };
        assert!(!one.measures_as(&one.clone().with(&skip)));
        assert!(made_with("1", "a").measures_as(&made_with("1", "b")));
        assert!(!made_with("1", "a").measures_as(&made_with("2", "a")));
    }
}
