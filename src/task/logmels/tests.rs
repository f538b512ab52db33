//! The log-mels of a set: what is cached, when it is made again, what is left out.

use super::*;
use crate::audio::{LogMel, SampleFormat, Scratch, write_wav};
use crate::config::DataConfig;
use crate::dataset;

pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Three clips of a machine `pump`, of 5, 9 and 5 frames.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for split in ["train", "test"] {
            std::fs::create_dir_all(folder.path().join("data/pump").join(split)).unwrap();
        }
        let place = Self { folder };
        place.clip(0, 2_100);
        place.clip(1, 4_100);
        place.clip(2, 2_100);
        place
    }

    fn clip(&self, index: usize, samples: usize) {
        let name = format!("data/pump/train/section_00_source_train_normal_000{index}.wav");
        let tone: Vec<f32> =
            (0..samples).map(|i| (i as f32 * 0.03 * (index + 1) as f32).sin() * 0.3).collect();
        write_wav(&self.folder.path().join(name), &tone, 16_000, SampleFormat::Pcm16).unwrap();
    }

    pub fn open(&self, spec: &LogMelSpec, on_bad_clip: OnBadClip) -> Result<LogMels, Error> {
        let root = Some(self.folder.path().join("data"));
        let clips =
            dataset::index(&DataConfig { root, ..DataConfig::default() }).unwrap().training("pump").unwrap();
        let fingerprint = clips.fingerprint().unwrap();
        let request = LogMelsRequest {
            cache: &self.folder.path().join("cache"),
            fingerprint: &fingerprint,
            spec,
            channel: ChannelChoice::First,
            on_bad_clip,
            min_frames: 5,
            progress: &|_, _| {},
        };
        LogMels::open(&Source::from(&clips), &request)
    }

    fn entries(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("cache")).unwrap().count()
    }
}

#[test]
fn rows_are_those_of_the_front_end_clip_by_clip() {
    let place = Place::new();
    let spec = LogMelSpec::default();
    let opened = place.open(&spec, OnBadClip::Error).unwrap();
    assert_eq!(
        opened.spans().iter().map(|s| (s.first_row, s.frames)).collect::<Vec<_>>(),
        [(0, 5), (5, 9), (14, 5)]
    );
    let path = place.folder.path().join("data").join(&opened.spans()[1].path);
    let front_end = LogMel::new(&spec).unwrap();
    let expected = front_end.compute_clip(&path, ChannelChoice::First, 1, &mut Scratch::default()).unwrap();
    let mut rows = vec![0.0; 9 * 128];
    opened.read_rows(5, &mut rows).unwrap();
    assert_eq!(rows, expected.as_slice().unwrap());
    assert!(opened.read_rows(15, &mut rows).is_err(), "beyond the end");
}

#[test]
fn other_readers_find_the_values() {
    let place = Place::new();
    place.open(&LogMelSpec::default(), OnBadClip::Error).unwrap();
    let npy = std::fs::read_dir(place.folder.path().join("cache")).unwrap();
    let npy = npy.map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "npy")).unwrap();
    let matrix: ndarray::Array2<f32> = ndarray_npy::read_npy(npy).unwrap();
    assert_eq!(matrix.dim(), (19, 128));
}

/// Neither of the values nor of what says where they lie and how they are scaled.
#[test]
fn no_flipped_bit_of_an_entry_is_believed() {
    let place = Place::new();
    let spec = LogMelSpec::default();
    let expected = *place.open(&spec, OnBadClip::Error).unwrap().statistics();
    let entries = std::fs::read_dir(place.folder.path().join("cache")).unwrap();
    for entry in entries.map(|entry| entry.unwrap().path()) {
        let whole = std::fs::read(&entry).unwrap();
        for bit in (0..8 * whole.len()).step_by(8 * whole.len() / 60 - 1) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&entry, flipped).unwrap();
            let opened = place.open(&spec, OnBadClip::Error).unwrap();
            assert!(*opened.statistics() == expected, "{}, bit {bit}", entry.display());
            assert!(std::fs::read(&entry).unwrap() == whole, "{}, bit {bit}", entry.display());
        }
    }
}

#[test]
fn a_changed_clip_or_setting_has_an_entry_of_its_own() {
    let place = Place::new();
    let spec = LogMelSpec::default();
    let first = place.open(&spec, OnBadClip::Error).unwrap();
    place.open(&spec, OnBadClip::Error).unwrap();
    assert_eq!(place.entries(), 2, "values and index, used again");
    place.open(&LogMelSpec { hop_samples: 256, ..spec.clone() }, OnBadClip::Error).unwrap();
    assert_eq!(place.entries(), 4);
    place.clip(2, 2_101);
    let changed = place.open(&spec, OnBadClip::Error).unwrap();
    assert_eq!(place.entries(), 6);
    assert_ne!(changed.fingerprint(), first.fingerprint());
}

#[test]
fn a_short_clip_stops_or_is_left_out() {
    let place = Place::new();
    place.clip(1, 2_000);
    let spec = LogMelSpec::default();
    let message = place.open(&spec, OnBadClip::Error).unwrap_err().to_string();
    assert!(message.contains("normal_0001.wav") && message.contains("window of 5 frames"), "{message}");
    assert_eq!(place.entries(), 0, "nothing half-written");
    let opened = place.open(&spec, OnBadClip::Skip).unwrap();
    assert_eq!((opened.spans().len(), opened.bad()[0].index), (2, 1));
    assert_eq!(opened.spans()[1].first_row, 5);
}
