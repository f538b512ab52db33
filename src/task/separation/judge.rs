//! The proxy metric: by how much an estimate is nearer to the machine than its mixture, on fixed mixtures of held-out
//! normal clips with held-out interference.

use std::io;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

use super::mixtures::{Mixer, Mixture};
use crate::config::SeparationEvalConfig;
use crate::metric::{SiSdr, si_sdr};
use crate::nn::cmgan::{Cmgan, Pass};
use crate::stats::{Resampler, Settings, bootstrap_many};
use crate::task::{Error, Judged, Proxy, TaskTable, host, loaders};
use crate::{files, rng};

/// The proxy metric's name; those of one level say it behind it.
pub const IMPROVEMENT: &str = "si_sdr_improvement_db";
/// The table of all mixtures.
pub const TABLE: &str = "mixtures.csv";

/// What is mixed, and how it is judged.
pub struct Judge<'a> {
    /// Test clips and held-out interference.
    pub mixer: Mixer<'a>,
    /// Position of each held-out normal clip among the test clips.
    pub clips: &'a [usize],
    /// Names the mixtures' random streams.
    pub machine: &'a str,
    /// How many mixtures, at which levels.
    pub settings: &'a SeparationEvalConfig,
    /// Whether means are taken off.
    pub zero_mean: bool,
    /// Mixtures that go through the network at once.
    pub at_once: usize,
    /// What a reader must know of the interference.
    pub remark: Option<&'a str>,
}

/// One row of `mixtures.csv`.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row<'a> {
    snr_db: f64,
    target: &'a str,
    target_start_s: f64,
    interference: &'a str,
    interference_start_s: f64,
    /// Factor of the interference.
    gain: f64,
    mixture_si_sdr_db: Option<f64>,
    estimate_si_sdr_db: Option<f64>,
    #[serde(skip)]
    of: Outcome,
}

/// What a mixture contributes to the metric.
#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    /// Position in [`Judge::clips`].
    clip: usize,
    /// Position in the levels.
    level: usize,
    /// In dB, or why there is none.
    improvement: Result<f64, String>,
}

/// Names of the proxy metrics: of all mixtures, then of each level.
pub fn names(settings: &SeparationEvalConfig) -> Vec<String> {
    let at = |level: &f64| format!("{IMPROVEMENT}_at_{level}db");
    std::iter::once(IMPROVEMENT.to_owned()).chain(settings.snrs_db.iter().map(at)).collect()
}

impl Judge<'_> {
    /// The improvement over all mixtures and at each level, and the table of the mixtures.
    ///
    /// # Errors
    /// When a clip cannot be read or the device fails.
    pub fn judge(&self, net: &Cmgan, device: &Device) -> Result<Judged, Error> {
        let SeparationEvalConfig { mixtures, snrs_db } = self.settings;
        let plan: Vec<(usize, u64)> =
            (0..snrs_db.len()).flat_map(|level| (0..*mixtures as u64).map(move |n| (level, n))).collect();
        let mut rows = Vec::with_capacity(plan.len());
        for some in plan.chunks(self.at_once) {
            let drawn = loaders::each(some, |_: &mut (), &(level, n)| self.draw(level, n))?;
            let waves: Vec<f32> = drawn.iter().flat_map(|(_, mixture)| mixture.mixture.clone()).collect();
            let waves = TensorData::new(waves, [some.len(), self.mixer.samples]);
            let estimates = host(net.separate(Tensor::from_data(waves, device), Pass::Evaluate).wave)?;
            let pairs = some.iter().zip(&drawn).zip(estimates.chunks_exact(self.mixer.samples));
            rows.extend(
                pairs.map(|((&(level, _), (clip, mixture)), estimate)| {
                    self.row(level, *clip, mixture, estimate)
                }),
            );
        }
        let csv = table(&rows)?;
        let outcomes: Vec<Outcome> = rows.into_iter().map(|row| row.of).collect();
        let proxies = self.proxies(&outcomes);
        Ok(Judged { proxies, tables: vec![TaskTable { name: TABLE, csv }] })
    }

    /// Mixture `n` at a level, whatever network is judged; the held-out clip comes first.
    fn draw(&self, level: usize, n: u64) -> Result<(usize, Mixture), Error> {
        let snr_db = self.settings.snrs_db[level];
        let mut stream = rng::stream(0, &format!("held-out mixture/{}/{snr_db}", self.machine), n);
        let clip = super::mixtures::below(&mut stream, self.clips.len());
        let mixture = self.mixer.draw(self.clips[clip], [snr_db; 2], &mut stream)?;
        Ok((clip, mixture))
    }

    fn row(&self, level: usize, clip: usize, mixture: &Mixture, estimate: &[f32]) -> Row<'_> {
        let exact = |wave: &[f32]| wave.iter().copied().map(f64::from).collect::<Vec<_>>();
        let target = exact(&mixture.target);
        let settings = SiSdr { zero_mean: self.zero_mean, epsilon: 0.0 };
        let before = si_sdr(&exact(&mixture.mixture), &target, settings);
        let after = si_sdr(&exact(estimate), &target, settings);
        let improvement = match (before, after) {
            (Ok(before), Ok(after)) => Ok(after - before),
            (Err(why), _) => Err(format!("mixture: {why}")),
            (_, Err(why)) => Err(format!("estimate: {why}")),
        };
        let Mixer { targets, interference, .. } = self.mixer;
        let seconds = |sample: usize, rate_hz: u32| sample as f64 / f64::from(rate_hz);
        Row {
            snr_db: self.settings.snrs_db[level],
            target: &targets.clips()[mixture.target_at.clip].path,
            target_start_s: seconds(mixture.target_at.first_sample, targets.rate_hz()),
            interference: &interference.clips()[mixture.interference_at.clip].path,
            interference_start_s: seconds(mixture.interference_at.first_sample, interference.rate_hz()),
            gain: mixture.gain,
            mixture_si_sdr_db: before.ok(),
            estimate_si_sdr_db: after.ok(),
            of: Outcome { clip, level, improvement },
        }
    }

    /// The mean over all mixtures first, then of each level, with their intervals.
    fn proxies(&self, outcomes: &[Outcome]) -> Vec<Proxy> {
        let named = names(self.settings).into_iter().zip(self.intervals(outcomes));
        let mut proxies = Vec::new();
        for (which, (name, interval)) in named.enumerate() {
            let level = which.checked_sub(1);
            let own = |outcome: &&Outcome| level.is_none_or(|level| outcome.level == level);
            let (mut sum, mut count, mut undefined) = (0.0, 0_usize, Vec::new());
            for outcome in outcomes.iter().filter(own) {
                match &outcome.improvement {
                    Ok(improvement) => (sum, count) = (sum + improvement, count + 1),
                    Err(why) => undefined.push((outcome.clip, why)),
                }
            }
            let value = match (count, undefined.first()) {
                (0, Some((_, why))) => Err(format!("no mixture has an SI-SDR; the first: {why}")),
                (0, None) => Err("there is no mixture".to_owned()),
                _ => Ok(sum / count as f64),
            };
            let mut notes = Vec::new();
            if let (Ok(value), None) = (&value, level)
                && *value <= 0.0
            {
                notes.push(
                    "the separation failed: its estimates are no nearer to the machine than the mixtures are"
                        .to_owned(),
                );
            }
            if let (Some((clip, why)), true) = (undefined.first(), count > 0) {
                let first = &self.mixer.targets.clips()[self.clips[*clip]].path;
                notes.push(format!(
                    "{} of {} mixtures have no SI-SDR and are left out of the mean; the first, of {first}: {why}",
                    undefined.len(),
                    undefined.len() + count,
                ));
            }
            if level.is_none() {
                notes.extend(self.remark.map(str::to_owned));
            }
            let note = (!notes.is_empty()).then(|| notes.join("; "));
            proxies.push(Proxy::new(&name, value, true).noted(note).with_interval(interval));
        }
        proxies
    }

    /// 95 % intervals of the means, of all mixtures and of each level: target clips are drawn with replacement, because
    /// the mixtures of one clip are alike. None where there are fewer than two clips.
    fn intervals(&self, outcomes: &[Outcome]) -> Vec<Option<[f64; 2]>> {
        let statistics = 1 + self.settings.snrs_db.len();
        // Sums and counts per clip: a resample weighs clips.
        let mut sums = vec![vec![(0.0, 0.0); statistics]; self.clips.len()];
        for outcome in outcomes {
            if let Ok(improvement) = outcome.improvement {
                for which in [0, 1 + outcome.level] {
                    let (sum, count) = &mut sums[outcome.clip][which];
                    (*sum, *count) = (*sum + improvement, *count + 1.0);
                }
            }
        }
        sums.retain(|of_clip| of_clip[0].1 > 0.0);
        if sums.len() < 2 {
            return vec![None; statistics];
        }
        let resampler = Resampler::new(&vec![(); sums.len()]);
        let means = |weights: &[u32]| -> Vec<Option<f64>> {
            let mean = |which: usize| {
                let weighed = sums.iter().zip(weights).map(|(of_clip, &weight)| {
                    let ((sum, count), weight) = (of_clip[which], f64::from(weight));
                    (weight * sum, weight * count)
                });
                let (sum, count) = weighed.fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
                (count > 0.0).then(|| sum / count)
            };
            (0..statistics).map(mean).collect()
        };
        let found = bootstrap_many(&resampler, Settings::default(), means);
        found.into_iter().map(|one| one.ok().map(|b| [b.interval.low, b.interval.high])).collect()
    }
}

fn table(rows: &[Row<'_>]) -> Result<Vec<u8>, Error> {
    let failed = |e: String| files::Error::new("write", Path::new(TABLE), io::Error::other(e));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|e| failed(e.to_string()))?;
    }
    Ok(writer.into_inner().map_err(|e| failed(e.to_string()))?)
}
