//! Sound in and out of files, and the log-mel front end; plain `f32` slices and `ndarray`, no other
//! room of the crate.
//!
//! The way of one clip: [`read_wav`] → [`resample`] where its rate differs →
//! [`LogMel::compute_into`] → [`windows`]. [`LogMel::compute_clip`] takes all but the last step at
//! once and names the file in every error.

pub mod augment;
mod ced;
mod error;
mod kaldi;
mod logmel;
mod mel;
mod mixing;
mod resample;
mod riff;
mod spec;
mod stft;
mod wav;
mod wav_out;
mod windows;

pub use augment::{AugmentSpec, Augmenter, ViewPlan, ViewScratch};
pub use ced::CedBank;
pub use error::Error;
pub use kaldi::{KALDI_BANDS, KALDI_RATE_HZ, KaldiBank, KaldiScratch, KaldiSpec};
pub use logmel::{LogMel, Scratch};
pub use mel::mel_filters;
pub use mixing::{mix, noise_gain};
#[cfg(test)]
pub(crate) use resample::{LOUDEST, check_values};
pub use resample::{audible_samples, read_at_rate, resample, resampled_length};
pub use riff::WavInfo;
pub use spec::{LogMelSpec, MelNorm, MelScale, Padding};
pub use wav::{ChannelChoice, WavFile, Wave, probe, read_wav, read_wav_bytes};
pub use wav_out::{SampleFormat, write_wav};
pub use windows::windows;
