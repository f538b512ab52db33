//! Options of commands that let a pre-trained encoder hear clips.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;
use serde::de::value::{Error, StrDeserializer};

use crate::audio::ChannelChoice;
use crate::config::OnBadClip;
use crate::nn::precision::Precision;
use crate::study::pretrained::Overrides;

/// How an encoder hears clips, where it is not as a run's configuration has it.
#[derive(Args, Debug)]
pub(super) struct ListeningOptions {
    /// Frames of 10 ms that EAT pads or cuts a clip to, a multiple of 16: 1024 if not given
    #[arg(long, value_name = "N", value_parser = frames)]
    frames: Option<usize>,
    /// Clips of one length that go through the network together: 8 if not given
    #[arg(long, value_name = "N", value_parser = batch)]
    batch: Option<usize>,
    /// The channel of clips with several
    #[arg(long, value_name = "CHANNEL", value_parser = word::<ChannelChoice>(&["first", "left", "right", "mean", "difference"]))]
    channel: Option<ChannelChoice>,
    /// What to do with a clip that cannot be heard
    #[arg(long, value_name = "WHAT", value_parser = word::<OnBadClip>(&["error", "skip"]))]
    on_bad_clip: Option<OnBadClip>,
    /// Number format of the operands of the heavy products: f32 if not given
    #[arg(long, value_name = "FORMAT", value_parser = word::<Precision>(&["f32", "bf16", "f16"]))]
    precision: Option<Precision>,
}

impl ListeningOptions {
    /// Whether there is any.
    pub fn are_given(&self) -> bool {
        let Self { frames, batch, channel, on_bad_clip, precision } = self;
        frames.is_some()
            || batch.is_some()
            || channel.is_some()
            || on_bad_clip.is_some()
            || precision.is_some()
    }

    /// What they say.
    pub fn overrides(&self) -> Overrides {
        let Self { frames, batch, channel, on_bad_clip, precision } = *self;
        Overrides { frames, batch, channel, on_bad_clip, precision, ..Overrides::default() }
    }
}

/// A network's name in a table; weights that have learnt nothing say so.
pub(super) fn network(architecture: &str, random: Option<u64>) -> String {
    match random {
        Some(seed) => format!("{architecture} (random, seed {seed})"),
        None => architecture.to_owned(),
    }
}

/// One of the words of a configuration.
pub(super) fn word<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| T::deserialize(StrDeserializer::<Error>::new(&word)))
}

fn frames(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(frames @ 16..=65_536) if usize::is_multiple_of(frames, 16) => Ok(frames),
        _ => Err("expected a multiple of 16 from 16 to 65536".into()),
    }
}

fn batch(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(batch @ 1..=4096) => Ok(batch),
        _ => Err("expected a number from 1 to 4096".into()),
    }
}
