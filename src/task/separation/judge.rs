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
use crate::stats::{Resampler, Settings, bootstrap};
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
    /// What a reader must know of that interference.
    pub remark: Option<&'a str>,
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
    /// Hears of (mixtures done, mixtures in all).
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
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
            (self.progress)(rows.len() as u64, plan.len() as u64);
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
        let levels = std::iter::once(None).chain((0..self.settings.snrs_db.len()).map(Some));
        let named = names(self.settings).into_iter().zip(levels);
        named
            .map(|(name, level)| {
                let own = outcomes.iter().filter(|outcome| level.is_none_or(|level| outcome.level == level));
                self.proxy(&name, own, level.is_none())
            })
            .collect()
    }

    fn proxy<'b>(&self, name: &str, outcomes: impl Iterator<Item = &'b Outcome>, of_all: bool) -> Proxy {
        // Sums and counts per clip: a resample weighs clips.
        let (mut sums, mut undefined) = (vec![(0.0, 0.0); self.clips.len()], Vec::new());
        for outcome in outcomes {
            match &outcome.improvement {
                Ok(improvement) => {
                    let (sum, count) = &mut sums[outcome.clip];
                    (*sum, *count) = (*sum + improvement, *count + 1.0);
                }
                Err(why) => undefined.push((outcome.clip, why)),
            }
        }
        sums.retain(|(_, count)| *count > 0.0);
        let mut notes = Vec::new();
        let value = match (mean(&sums, &vec![1; sums.len()]), undefined.first()) {
            (Some(value), _) => Ok(value),
            (None, Some((_, why))) => Err(format!("no mixture has an SI-SDR; the first: {why}")),
            (None, None) => Err("there is no mixture".to_owned()),
        };
        let interval = interval(&sums);
        if of_all && value.as_ref().is_ok_and(|value| *value <= 0.0) {
            notes.push(match interval {
                Some([_, high]) if high > 0.0 => {
                    "no better than the mixtures themselves, within the interval".to_owned()
                }
                _ => {
                    "the separation failed: its estimates are no nearer to the machine than the mixtures are"
                        .to_owned()
                }
            });
        }
        if let (Some((clip, why)), Ok(_)) = (undefined.first(), &value) {
            let defined: f64 = sums.iter().map(|(_, count)| count).sum();
            notes.push(format!(
                "{} of {} mixtures have no SI-SDR and are left out of the mean; the first, of {}: {why}",
                undefined.len(),
                undefined.len() as f64 + defined,
                self.mixer.targets.clips()[self.clips[*clip]].path,
            ));
        }
        if of_all && let (Some(remark), Ok(_)) = (self.remark, &value) {
            notes.push(remark.to_owned());
        }
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        Proxy::new(name, value, true).noted(note).with_interval(interval)
    }
}

/// Mean over the mixtures of weighted clips, which are given by their mixtures' sum and count.
fn mean(sums: &[(f64, f64)], weights: &[u32]) -> Option<f64> {
    let weighed = sums.iter().zip(weights).map(|((sum, count), &weight)| {
        let weight = f64::from(weight);
        (weight * sum, weight * count)
    });
    let (sum, count) = weighed.fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
    (count > 0.0).then(|| sum / count)
}

/// The mean's 95 % interval. Clips are drawn with replacement, because the mixtures of one clip are alike; one clip alone
/// says nothing of others.
fn interval(sums: &[(f64, f64)]) -> Option<[f64; 2]> {
    if sums.len() < 2 {
        return None;
    }
    let resampler = Resampler::new(&vec![(); sums.len()]);
    let found = bootstrap(&resampler, Settings::default(), |weights| mean(sums, weights)).ok()?;
    Some([found.interval.low, found.interval.high])
}

fn table(rows: &[Row<'_>]) -> Result<Vec<u8>, Error> {
    let failed = |e: String| files::Error::new("write", Path::new(TABLE), io::Error::other(e));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|e| failed(e.to_string()))?;
    }
    Ok(writer.into_inner().map_err(|e| failed(e.to_string()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelChoice, SampleFormat, write_wav};
    use crate::config::{DataConfig, OnBadClip};
    use crate::dataset;
    use crate::task::{Source, Waves, WavesRequest};

    /// Outcomes of mixtures, as (clip, level, improvement).
    type Given<'a> = (usize, usize, Result<f64, &'a str>);

    /// The proxies of some outcomes at -5 and 5 dB on two clips.
    fn proxies(remark: Option<&str>, given: &[Given<'_>]) -> Vec<Proxy> {
        let folder = tempfile::tempdir().unwrap();
        let clips = folder.path().join("data/fan/test");
        std::fs::create_dir_all(&clips).unwrap();
        for n in 0..2 {
            let path = clips.join(format!("section_00_source_test_normal_000{n}.wav"));
            write_wav(&path, &[0.1, -0.1], 16_000, SampleFormat::Float32).unwrap();
        }
        let root = Some(folder.path().join("data"));
        let index = dataset::index(&DataConfig { root, ..DataConfig::default() }).unwrap();
        let sounds = index.held_out_sounds("fan");
        let request = WavesRequest {
            cache: &folder.path().join("cache"),
            fingerprint: &sounds.fingerprint().unwrap(),
            known_since: std::time::SystemTime::now(),
            rate_hz: 16_000,
            channel: ChannelChoice::First,
            on_bad_clip: OnBadClip::Error,
            progress: &|_, _| {},
        };
        let waves = Waves::open(&Source::from(&sounds), &request).unwrap();
        let judge = Judge {
            mixer: Mixer { targets: &waves, interference: &waves, samples: 2 },
            remark,
            clips: &[0, 1],
            machine: "fan",
            settings: &SeparationEvalConfig { mixtures: 2, snrs_db: vec![-5.0, 5.0] },
            zero_mean: false,
            at_once: 1,
            progress: &|_, _| {},
        };
        let outcomes: Vec<Outcome> = given
            .iter()
            .map(|&(clip, level, improvement)| Outcome {
                clip,
                level,
                improvement: improvement.map_err(str::to_owned),
            })
            .collect();
        judge.proxies(&outcomes)
    }

    #[test]
    fn what_must_be_known_of_the_interference_stands_by_the_first_metric() {
        let better = [(0, 0, Ok(1.0)), (1, 0, Ok(2.0)), (0, 1, Ok(3.0)), (1, 1, Ok(6.0))];
        let found = proxies(Some("heard before"), &better);
        let notes: Vec<_> = found.iter().map(|proxy| proxy.note.as_deref()).collect();
        assert_eq!(notes, [Some("heard before"), None, None]);
        assert!(proxies(None, &better).iter().all(|proxy| proxy.note.is_none()));

        // Behind what else there is to say.
        let worse = better.map(|(clip, level, value)| (clip, level, value.map(|value: f64| -value)));
        let note = proxies(Some("heard before"), &worse)[0].note.clone().unwrap();
        assert!(note.starts_with("the separation failed: ") && note.ends_with("; heard before"), "{note}");
    }

    #[test]
    fn mixtures_without_a_ratio_are_left_out_and_counted() {
        let silent = Err("estimate: silent");
        let found = proxies(None, &[(0, 0, Ok(1.0)), (1, 0, silent), (0, 1, Ok(3.0)), (1, 1, Ok(8.0))]);
        let values: Vec<_> = found.iter().map(|proxy| proxy.value).collect();
        assert_eq!(values, [Some(4.0), Some(1.0), Some(5.5)]);
        let left_out = |of: u32| {
            format!(
                "1 of {of} mixtures have no SI-SDR and are left out of the mean; the first, of \
                 fan/test/section_00_source_test_normal_0001.wav: estimate: silent"
            )
        };
        let notes: Vec<_> = found.iter().map(|proxy| proxy.note.clone()).collect();
        assert_eq!(notes, [Some(left_out(4)), Some(left_out(2)), None]);
        assert!(found[0].interval.is_some(), "of two clips");
        assert_eq!(found[1].interval, None, "of the one clip that is left");

        // Where nothing is left at a level there is no value, and why.
        let found = proxies(None, &[(0, 0, silent), (1, 0, silent), (0, 1, Ok(3.0)), (1, 1, Ok(8.0))]);
        let expected = Some("no mixture has an SI-SDR; the first: estimate: silent");
        assert_eq!(
            (found[1].value, found[1].why.as_deref(), found[1].note.as_deref()),
            (None, expected, None)
        );
        assert_eq!(found[0].value, Some(5.5));
    }

    #[test]
    fn clips_are_resampled_and_not_their_mixtures() {
        // Mixtures of a clip are the same: ten of each tell no more than one.
        let clips: Vec<f64> = (0..12).map(|n| f64::from(n * 7 % 12)).collect();
        let one: Vec<(f64, f64)> = clips.iter().map(|value| (*value, 1.0)).collect();
        let ten: Vec<(f64, f64)> = clips.iter().map(|value| (10.0 * value, 10.0)).collect();
        let (one, ten) = (interval(&one).unwrap(), interval(&ten).unwrap());
        // The same quotients up to rounding.
        assert!((one[0] - ten[0]).abs() < 1e-12 && (one[1] - ten[1]).abs() < 1e-12, "{one:?} {ten:?}");
        // 5.5 with a standard error of √(143/12/12) = 1.0: about two of them on each side.
        assert!((2.8..4.2).contains(&one[0]) && (6.8..8.2).contains(&one[1]), "{one:?}");
        assert_eq!((interval(&[(3.0, 2.0)]), interval(&[])), (None, None));
    }

    #[test]
    fn the_mean_is_of_mixtures() {
        let sums = [(6.0, 3.0), (10.0, 1.0)];
        assert_eq!(mean(&sums, &[1, 1]), Some(4.0));
        assert_eq!(mean(&sums, &[0, 2]), Some(10.0));
        assert_eq!((mean(&sums, &[0, 0]), mean(&[], &[])), (None, None));
    }

    #[test]
    fn names_say_the_level() {
        let settings = SeparationEvalConfig { mixtures: 1, snrs_db: vec![-5.0, 2.5] };
        let expected =
            ["si_sdr_improvement_db", "si_sdr_improvement_db_at_-5db", "si_sdr_improvement_db_at_2.5db"];
        assert_eq!(names(&settings), expected);
    }
}
