//! A mixture, the machine alone, and what a separator finds of it.

use std::path::Path;

use serde::Deserialize;

use super::{in_sound, not_evaluated, other_recordings, panel, unfit};
use crate::audio::{LogMel, mix, read_at_rate};
use crate::config::{Experiment, SeparationConfig};
use crate::csv_lines;
use crate::device::OpenDevice;
use crate::metric::{SiSdr, si_sdr};
use crate::nn::cmgan::Cmgan;
use crate::nn::init::Init;
use crate::nn::weights;
use crate::report::figure::HeatMaps;
use crate::run::RunFolder;
use crate::study::Error;
use crate::task::separation::estimate;

/// The table of the mixtures that the network was judged with.
const TABLE: &str = "mixtures.csv";
/// By how much the SI-SDR of a mixture may differ from the evaluation's, in dB: a start in seconds is rounded.
const SAME_DB: f64 = 0.1;

/// What is read of a row of the table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Row {
    snr_db: f64,
    target: String,
    target_start_s: f64,
    interference: String,
    interference_start_s: f64,
    gain: f64,
    mixture_si_sdr_db: Option<f64>,
    estimate_si_sdr_db: Option<f64>,
}

impl Row {
    fn improvement_db(&self) -> Option<f64> {
        Some(self.estimate_si_sdr_db? - self.mixture_si_sdr_db?)
    }
}

/// The mixture with the median improvement of the SI-SDR: half of all are worse.
///
/// # Errors
/// When the run is not evaluated, a recording is not what it was at the evaluation, or the device fails.
pub(super) fn example(
    folder: &RunFolder,
    experiment: &Experiment,
    task: &SeparationConfig,
    machine: &str,
    bytes: &[u8],
    device: &OpenDevice,
) -> Result<HeatMaps, Error> {
    if !folder.file(TABLE).exists() {
        return Err(not_evaluated(folder));
    }
    let row = median(rows(folder)?).ok_or_else(|| unfit(folder, TABLE, "no mixture has an improvement"))?;
    let root = experiment.data.root_dir()?;
    let others = experiment.data.interference.as_deref().unwrap_or(root);
    let front_end = LogMel::new(&experiment.frontend.logmel).map_err(in_sound)?;
    let rate_hz = front_end.spec().rate_hz;
    let samples = task.segment_samples(rate_hz);
    let read = |root: &Path, path: &str, start_s: f64| {
        let recording = read_at_rate(&root.join(path), experiment.data.channel, rate_hz).map_err(in_sound)?;
        Ok::<_, Error>(segment(&recording, (start_s * f64::from(rate_hz)).round() as usize, samples))
    };
    let target = read(root, &row.target, row.target_start_s)?;
    let mixture = mix(&target, &read(others, &row.interference, row.interference_start_s)?, row.gain);
    let settings = SiSdr { zero_mean: task.zero_mean, epsilon: 0.0 };
    let exact = |wave: &[f32]| wave.iter().copied().map(f64::from).collect::<Vec<_>>();
    let ratio = |wave: &[f32]| si_sdr(&exact(wave), &exact(&target), settings).ok();
    let before = ratio(&mixture);
    let same = before.zip(row.mixture_si_sdr_db).is_some_and(|(now, then)| (now - then).abs() < SAME_DB);
    if !same {
        return Err(other_recordings(folder, TABLE));
    }

    // The seed does not matter: every value is replaced.
    let fresh = Cmgan::new(task.size(), Init::new(0, &device.device));
    let net = weights::from_safetensors(fresh, bytes)
        .map_err(|source| Error::Weights { path: folder.model(), source })?;
    let found = estimate(&net, &mixture, samples, &device.device, &|| ())?;
    let logmel = |wave: &[f32]| front_end.compute(wave).map_err(in_sound);
    let decibels = |ratio: Option<f64>| ratio.map_or("none".to_owned(), |db| format!("{db:.1} dB"));
    Ok(HeatMaps {
        title: format!("{machine}: the mixture with the median improvement"),
        unit: "dB".into(),
        panels: vec![
            panel(format!("Mixture, SI-SDR {}", decibels(before)), logmel(&mixture)?, &front_end),
            panel(format!("Machine alone, {} dB above the rest", row.snr_db), logmel(&target)?, &front_end),
            panel(format!("Estimate, SI-SDR {}", decibels(ratio(&found))), logmel(&found)?, &front_end),
        ],
    })
}

fn rows(folder: &RunFolder) -> Result<Vec<Row>, Error> {
    let bytes = folder.read_sound(TABLE, &folder.judged_hashes()?)?;
    let text = csv_lines::text(&bytes).map_err(|error| unfit(folder, TABLE, &error.to_string()))?;
    let rows: Result<Vec<Row>, csv::Error> =
        csv::Reader::from_reader(text.as_bytes()).deserialize().collect();
    rows.map_err(|error| unfit(folder, TABLE, &error.to_string()))
}

/// The row whose improvement half of the rows do not reach; of equal ones the first.
fn median(rows: Vec<Row>) -> Option<Row> {
    let mut known: Vec<(f64, Row)> =
        rows.into_iter().filter_map(|row| Some((row.improvement_db()?, row))).collect();
    known.sort_by(|one, other| one.0.total_cmp(&other.0));
    let middle = known.len() / 2;
    known.into_iter().nth(middle).map(|(_, row)| row)
}

/// `samples` samples of a recording, which begins again where it ends; silence of none.
fn segment(recording: &[f32], first: usize, samples: usize) -> Vec<f32> {
    let mut segment: Vec<f32> =
        recording.iter().copied().cycle().skip(first % recording.len().max(1)).take(samples).collect();
    segment.resize(samples, 0.0);
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(before: Option<f64>, after: Option<f64>) -> Row {
        Row {
            snr_db: 0.0,
            target: "a.wav".into(),
            target_start_s: 0.5,
            interference: "b.wav".into(),
            interference_start_s: 0.0,
            gain: 1.0,
            mixture_si_sdr_db: before,
            estimate_si_sdr_db: after,
        }
    }

    #[test]
    fn the_median_is_of_the_rows_with_an_improvement() {
        let rows = vec![
            row(Some(0.0), Some(9.0)),
            row(None, Some(100.0)),
            row(Some(1.0), Some(3.0)),
            row(Some(5.0), Some(-1.0)),
            row(Some(0.0), None),
        ];
        assert_eq!(median(rows.clone()), Some(rows[2].clone()));
        assert_eq!(median(vec![row(None, None)]), None);
    }

    #[test]
    fn a_recording_that_ends_begins_again() {
        assert_eq!(segment(&[1.0, 2.0, 3.0], 1, 5), [2.0, 3.0, 1.0, 2.0, 3.0]);
        assert_eq!(segment(&[1.0, 2.0, 3.0], 4, 2), [2.0, 3.0]);
        assert_eq!(segment(&[], 4, 2), [0.0, 0.0]);
    }

    #[test]
    fn the_table_of_an_evaluation_is_read_by_its_names() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::at(place.path().to_owned());
        let text = "snr_db,target,target_start_s,interference,interference_start_s,gain,mixture_si_sdr_db,estimate_si_sdr_db\n\
                    0,a.wav,0.5,b.wav,0,1,1.5,\n";
        std::fs::write(folder.file(TABLE), text).unwrap();
        assert_eq!(rows(&folder).unwrap(), [row(Some(1.5), None)]);
        std::fs::write(folder.file(TABLE), "snr_db\nx\n").unwrap();
        let message = rows(&folder).unwrap_err().to_string();
        assert!(message.contains("mixtures.csv"), "{message}");
    }
}
