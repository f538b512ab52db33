//! `[task.separation]`: find the machine's own sound in a mixture with another machine's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check::Problem;
use crate::nn::cmgan::{CmganSize, HEADS};

/// Find the machine's own sound in a mixture with another machine's, sample by sample, with CMGAN's generator
/// (arXiv 2209.11112). Its transform counts in samples at `frontend.logmel.rate_hz`: at 16 kHz, 400 and 100 are 25 ms
/// and 6.25 ms.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct SeparationConfig {
    /// Two-stage conformer blocks; 0 leaves encoder and decoders.
    #[schemars(range(max = 16))]
    pub blocks: usize,
    /// Channels; a multiple of 4, the number of attention heads.
    #[schemars(range(min = 4, max = 1024))]
    pub channels: usize,
    /// Samples of a frame; a multiple of 4.
    #[schemars(range(min = 16, max = 4096))]
    pub n_fft: usize,
    /// Samples between two frames; a divisor of `n_fft`. Twice as many halve work and memory.
    #[schemars(range(min = 1, max = 4096))]
    pub hop_samples: usize,
    /// Share of values that fall in the blocks while training.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub dropout: f64,
    /// Seconds of a mixture, rounded to whole hops.
    #[schemars(range(max = 60.0), extend("exclusiveMinimum" = 0.0))]
    pub segment_s: f64,
    /// Least level in dB of the machine over the interference.
    #[schemars(range(min = -60.0, max = 60.0))]
    pub min_snr_db: f64,
    /// Greatest level in dB of the machine over the interference; drawn evenly in between.
    #[schemars(range(min = -60.0, max = 60.0))]
    pub max_snr_db: f64,
    /// What is minimised.
    pub loss: SeparationLoss,
    /// Whether SI-SDR is taken of waves without their means, in the loss and in the proxy metric.
    pub zero_mean: bool,
    /// What a feature keeps of the maps at an extraction point.
    pub pool: FeaturePool,
    /// Segments of a clip that its feature is made of, evenly spread from its beginning to its end.
    #[schemars(range(min = 1, max = 1024))]
    pub segments: usize,
}

/// What is minimised.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum SeparationLoss {
    /// Minus the scale-invariant signal-to-distortion ratio, in dB; the estimate's level is free.
    SiSdr,
    /// Distances of log magnitudes, of magnitudes to the power of 0.3, and of real and imaginary parts.
    Spectral,
}

/// What a feature keeps of the maps at an extraction point, `[channels, time, frequency]`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum FeaturePool {
    /// Per segment and channel the mean over time and frequency.
    Global,
    /// Per frequency the mean over channels, time and segments.
    Channel,
}

impl Default for SeparationConfig {
    fn default() -> Self {
        Self {
            blocks: 1,
            channels: 64,
            n_fft: 400,
            hop_samples: 100,
            dropout: 0.2,
            segment_s: 2.0,
            min_snr_db: -5.0,
            max_snr_db: 5.0,
            loss: SeparationLoss::SiSdr,
            zero_mean: false,
            pool: FeaturePool::Global,
            segments: 5,
        }
    }
}

impl SeparationConfig {
    /// The network's size.
    #[must_use]
    pub fn size(&self) -> CmganSize {
        let Self { channels, blocks, n_fft, hop_samples, .. } = *self;
        CmganSize { channels, blocks, n_fft, hop_samples, dropout: self.dropout as f32 }
    }

    /// Samples of a mixture at a rate: whole hops, the least number of which is what one frame needs.
    #[must_use]
    pub fn segment_samples(&self, rate_hz: u32) -> usize {
        let hops = (self.segment_s * f64::from(rate_hz) / self.hop_samples as f64).round();
        hops as usize * self.hop_samples
    }

    pub(super) fn slug(&self) -> String {
        let study = Self::default();
        let mut slug = format!("n{}-c{}", self.blocks, self.channels);
        let mut add = |differs: bool, part: String| {
            if differs {
                slug.push_str(&part);
            }
        };
        add(self.n_fft != study.n_fft, format!("-fft{}", self.n_fft));
        add(self.hop_samples != study.hop_samples, format!("-hop{}", self.hop_samples));
        add(self.segment_s != study.segment_s, format!("-{}s", self.segment_s));
        add(self.loss != study.loss, "-spectral".to_owned());
        add(self.pool != study.pool, "-channel-pool".to_owned());
        slug
    }

    /// Rules between settings; the range of each alone stands in the schema.
    pub(super) fn check(&self, rate_hz: u32, problems: &mut Vec<Problem>) {
        let key = |name: &str| format!("task.separation.{name}");
        let mut refuse = |name: &str, why: String, related: &[&str], help: String| {
            let message = format!("`{}` is {why}", key(name));
            let related: Vec<String> = related.iter().map(|name| key(name)).collect();
            let related: Vec<&str> = related.iter().map(String::as_str).collect();
            problems.push(Problem::new(&key(name), message).related(&related).help(help));
        };
        let Self { channels, n_fft, hop_samples, min_snr_db, max_snr_db, .. } = *self;
        if !channels.is_multiple_of(HEADS) {
            let why = format!("{channels}, which {HEADS} attention heads cannot share");
            let help = format!("take a multiple of {HEADS}; the study has 64 and 128");
            refuse("channels", why, &[], help);
        }
        // The encoder halves the bins and the decoders double them: they come out even by one bin too many.
        if !n_fft.is_multiple_of(4) {
            let why = format!("{n_fft}, whose {} bins the network cannot halve and double", n_fft / 2 + 1);
            refuse("n_fft", why, &[], "take a multiple of 4; the study has 400".to_owned());
        }
        if hop_samples == 0 || !n_fft.is_multiple_of(hop_samples) {
            let why = format!("{hop_samples}, which does not divide the {n_fft} samples of a frame");
            let help = format!("take a divisor of `n_fft`, for instance {} or {}", n_fft / 4, n_fft / 2);
            refuse("hop_samples", why, &["n_fft"], help);
        } else if self.segment_samples(rate_hz) < n_fft {
            let samples = self.segment_samples(rate_hz);
            let why = format!("{}, {samples} samples, less than the {n_fft} of a frame", self.segment_s);
            let help = format!("at {rate_hz} Hz a frame takes {} s", n_fft as f64 / f64::from(rate_hz));
            refuse("segment_s", why, &["n_fft"], help);
        }
        if min_snr_db > max_snr_db {
            let why = format!("{min_snr_db}, above `max_snr_db`, which is {max_snr_db}");
            refuse("min_snr_db", why, &["max_snr_db"], "swap the two".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut SeparationConfig)) -> Vec<String> {
        let mut config = SeparationConfig::default();
        change(&mut config);
        let mut problems = Vec::new();
        config.check(16_000, &mut problems);
        problems.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn sizes_that_the_network_cannot_have_are_problems() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
        assert_eq!(problems(|c| (c.hop_samples, c.channels, c.blocks) = (200, 128, 0)), Vec::<String>::new());
        let found = problems(|c| c.channels = 10);
        assert_eq!(found, ["`task.separation.channels` is 10, which 4 attention heads cannot share"]);
        assert_eq!(problems(|c| (c.n_fft, c.hop_samples) = (402, 201)).len(), 1);
        let found = problems(|c| c.hop_samples = 160);
        assert_eq!(
            found,
            ["`task.separation.hop_samples` is 160, which does not divide the 400 samples of a frame"]
        );
        assert_eq!(problems(|c| c.hop_samples = 800).len(), 1, "a hop beyond the frame");
        let found = problems(|c| c.segment_s = 0.02);
        assert_eq!(found, ["`task.separation.segment_s` is 0.02, 300 samples, less than the 400 of a frame"]);
        assert_eq!(problems(|c| (c.min_snr_db, c.max_snr_db) = (3.0, 2.0)).len(), 1);
        assert_eq!(problems(|c| (c.min_snr_db, c.max_snr_db) = (0.0, 0.0)), Vec::<String>::new());
    }

    #[test]
    fn a_segment_is_whole_hops() {
        let config = SeparationConfig::default();
        assert_eq!(config.segment_samples(16_000), 32_000);
        assert_eq!(config.segment_samples(44_100), 88_200);
        assert_eq!(SeparationConfig { segment_s: 0.513, ..config }.segment_samples(16_000), 8_200);
    }

    #[test]
    fn the_slug_names_what_the_grid_varies_and_what_differs_from_the_study() {
        let config = SeparationConfig { blocks: 4, channels: 128, ..Default::default() };
        assert_eq!(config.slug(), "n4-c128");
        let toy = SeparationConfig { hop_samples: 200, segment_s: 0.5, ..config };
        let toy = SeparationConfig { loss: SeparationLoss::Spectral, pool: FeaturePool::Channel, ..toy };
        assert_eq!(toy.slug(), "n4-c128-hop200-0.5s-spectral-channel-pool");
    }
}
