//! Where the clips of a label file lie.
//!
//! AudioSet is a list of segments of videos, and everybody who fetched them named the files in a way of their own. What is
//! in use: the video's id, with a `Y` before it or not; then nothing, the start, or start and end; in seconds or
//! milliseconds; with decimals, cut to whole numbers, or filled up with zeros; `_` between them, or `-` between the times.

use std::path::{Path, PathBuf};

use super::{ClipName, LabelRow};
use crate::dataset::Error;
use crate::dataset::wavs::{WavFiles, wavs_below};

/// The file of each row's clip at or below `folder`, nothing where there is none.
///
/// # Errors
/// When the folder cannot be read, or holds no WAV file while segments are asked for.
pub fn locate(rows: &[LabelRow], folder: &Path) -> Result<Vec<Option<PathBuf>>, Error> {
    let mut index = None;
    let mut paths = Vec::with_capacity(rows.len());
    for row in rows {
        paths.push(match &row.clip {
            ClipName::File(name) => file(folder, name),
            ClipName::Segment { ytid, start_s, end_s } => {
                let index = match &index {
                    Some(index) => index,
                    None => index.insert(Index::of(wavs_below(folder)?)),
                };
                index.find(ytid, [*start_s, *end_s])
            }
        });
    }
    Ok(paths)
}

fn file(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = folder.join(name);
    let with_extension = folder.join(format!("{name}.wav"));
    [plain, with_extension].into_iter().find(|path| path.is_file())
}

/// File names without their extensions, sorted, and the files.
struct Index(Vec<(String, PathBuf)>);

impl Index {
    fn of(files: WavFiles) -> Self {
        let named = |path: PathBuf| Some((path.file_stem()?.to_str()?.to_owned(), path));
        let mut stems: Vec<(String, PathBuf)> = files.paths.into_iter().filter_map(named).collect();
        stems.sort_unstable();
        Self(stems)
    }

    /// The file whose name says most of the segment's times; of copies in several folders, the first.
    fn find(&self, ytid: &str, times_s: [f64; 2]) -> Option<PathBuf> {
        let mut best: Option<(usize, &PathBuf)> = None;
        for start in [ytid.to_owned(), format!("Y{ytid}")] {
            let first = self.0.partition_point(|(stem, _)| *stem < start);
            for (stem, path) in &self.0[first..] {
                let Some(rest) = stem.strip_prefix(&start) else { break };
                if let Some(times) = times_told(rest, times_s)
                    && best.is_none_or(|(most, _)| times > most)
                {
                    best = Some((times, path));
                }
            }
        }
        best.map(|(_, path)| path.clone())
    }
}

/// How many of a segment's times the end of a file's name tells; nothing where it says something else.
fn times_told(rest: &str, times_s: [f64; 2]) -> Option<usize> {
    if rest.is_empty() {
        return Some(0);
    }
    let told: Vec<&str> = rest.strip_prefix('_')?.split(['_', '-']).collect();
    let units_per_s = [1.0, 1000.0];
    let fits = |unit: f64| told.iter().zip(times_s).all(|(text, time_s)| tells(text, time_s * unit, unit));
    (told.len() <= times_s.len() && units_per_s.into_iter().any(fits)).then_some(told.len())
}

/// Whether a text is a time, to half a millisecond or cut to a whole number.
fn tells(text: &str, time: f64, unit: f64) -> bool {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let Some(number) = text.parse::<f64>().ok().filter(|_| is_plain) else { return false };
    (number - time).abs() < 5e-4 * unit || (!text.contains('.') && number == time.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(names: &[&str]) -> Index {
        Index::of(WavFiles { paths: names.iter().map(PathBuf::from).collect(), ..Default::default() })
    }

    fn found(names: &[&str], ytid: &str, times_s: [f64; 2]) -> Option<String> {
        index(names).find(ytid, times_s).map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_convention_is_known() {
        for name in [
            "-0Gj8-vB1q4",
            "Y-0Gj8-vB1q4",
            "-0Gj8-vB1q4_30",
            "-0Gj8-vB1q4_000030",
            "Y-0Gj8-vB1q4_30.000",
            "-0Gj8-vB1q4_30000",
            "-0Gj8-vB1q4_30_40",
            "Y-0Gj8-vB1q4_30.000_40.000",
            "-0Gj8-vB1q4_30.0-40.0",
            "-0Gj8-vB1q4_30000_40000",
        ] {
            let path = format!("deep/{name}.wav");
            assert_eq!(found(&["a.wav", &path, "z.wav"], "-0Gj8-vB1q4", [30.0, 40.0]), Some(path));
        }
    }

    #[test]
    fn another_segment_or_video_is_not_taken() {
        for name in [
            "-0Gj8-vB1q4_20",
            "-0Gj8-vB1q4_30_50",
            "-0Gj8-vB1q4_30_40000",
            "-0Gj8-vB1q4_30_40_50",
            "-0Gj8-vB1q4x",
            "x-0Gj8-vB1q4",
            "-0Gj8-vB1q4_",
            "-0Gj8-vB1q4_-30",
            "-0Gj8-vB1q4_3e1",
            "-0gj8-vb1q4",
        ] {
            assert_eq!(found(&[&format!("{name}.wav")], "-0Gj8-vB1q4", [30.0, 40.0]), None, "{name}");
        }
        // An id that begins with the letter which some put before every id.
        assert_eq!(found(&["Yabcdefghij.wav"], "abcdefghij", [0.0, 10.0]), Some("Yabcdefghij.wav".into()));
        assert_eq!(found(&["YabcdefghijK.wav"], "Yabcdefghij", [0.0, 10.0]), None);
    }

    #[test]
    fn fractions_are_told_exactly_or_cut() {
        for (name, told) in [
            ("a_2_9", true),
            ("a_2.5_9.999", true),
            ("a_2500_9999", true),
            ("a_3_10", false),
            ("a_2.6", false),
        ] {
            let file = format!("{name}.wav");
            assert_eq!(found(&[&file], "a", [2.5, 9.999]).is_some(), told, "{name}");
        }
    }

    #[test]
    fn the_name_that_says_most_is_taken_and_the_first_of_copies() {
        let names = ["b/a.wav", "a/a.wav", "c/a_30.wav", "d/Ya_30_40.wav"];
        assert_eq!(found(&names, "a", [30.0, 40.0]), Some("d/Ya_30_40.wav".into()));
        assert_eq!(found(&names, "a", [50.0, 60.0]), Some("a/a.wav".into()));
    }
}
