//! Which clips are good, what is cached, and that a part of a clip is that part of the whole.

use super::*;
use crate::audio::{LOUDEST, SampleFormat, check_values, write_wav};
use crate::config::DataConfig;
use crate::dataset;

/// Clips of a machine `pump` and the folder of a cache.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Three clips of 16 kHz, of 2,000, 500 and 1,000 samples.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for split in ["train", "test"] {
            std::fs::create_dir_all(folder.path().join("data/pump").join(split)).unwrap();
        }
        let place = Self { folder };
        for (index, samples) in [2_000, 500, 1_000].into_iter().enumerate() {
            place.write(index, &tone(samples, index), 16_000);
        }
        place
    }

    fn path(&self, index: usize) -> PathBuf {
        let name = format!("data/pump/train/section_00_source_train_normal_000{index}.wav");
        self.folder.path().join(name)
    }

    fn write(&self, index: usize, samples: &[f32], rate_hz: u32) {
        write_wav(&self.path(index), samples, rate_hz, SampleFormat::Float32).unwrap();
    }

    /// The waves, and how many clips were looked at for them.
    fn open(
        &self,
        rate_hz: u32,
        channel: ChannelChoice,
        on_bad_clip: OnBadClip,
    ) -> Result<(Waves, u64), Error> {
        let root = Some(self.folder.path().join("data"));
        let config = DataConfig { root, ..DataConfig::default() };
        let clips = dataset::index(&config).unwrap().training("pump").unwrap();
        let fingerprint = clips.fingerprint().unwrap();
        let looked_at = std::sync::atomic::AtomicU64::new(0);
        let request = WavesRequest {
            cache: &self.folder.path().join("cache"),
            fingerprint: &fingerprint,
            known_since: SystemTime::now(),
            rate_hz,
            channel,
            on_bad_clip,
            progress: &|done, _| looked_at.store(done, std::sync::atomic::Ordering::Relaxed),
        };
        let source = Source::from(&clips);
        let waves = Waves::open(&source, &request)?;
        waves.check_any(&source)?;
        Ok((waves, looked_at.into_inner()))
    }

    fn opened(&self) -> Waves {
        self.open(16_000, ChannelChoice::First, OnBadClip::Error).unwrap().0
    }

    fn entries(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("cache")).map_or(0, Iterator::count)
    }
}

fn tone(samples: usize, pitch: usize) -> Vec<f32> {
    (0..samples).map(|i| (i as f32 * 0.03 * (pitch + 1) as f32).sin() * 0.3).collect()
}

#[test]
fn clips_are_as_they_were_written() {
    let waves = Place::new();
    let opened = waves.opened();
    assert_eq!(
        opened.clips().iter().map(|clip| (clip.index, clip.samples)).collect::<Vec<_>>(),
        [(0, 2_000), (1, 500), (2, 1_000)]
    );
    assert_eq!(opened.rate_hz(), 16_000);
    for (n, clip) in opened.clips().iter().enumerate() {
        assert_eq!(opened.read(n).unwrap(), tone(clip.samples, n));
    }
}

#[test]
fn a_second_look_decodes_nothing() {
    let place = Place::new();
    let (first, looked_at) = place.open(16_000, ChannelChoice::First, OnBadClip::Error).unwrap();
    assert_eq!((looked_at, place.entries()), (3, 1));
    let (second, looked_at) = place.open(16_000, ChannelChoice::First, OnBadClip::Error).unwrap();
    assert_eq!((looked_at, place.entries()), (0, 1));
    assert_eq!((first.clips(), first.fingerprint()), (second.clips(), second.fingerprint()));

    // Another rate, another way with bad clips, another clip: an entry of its own.
    place.open(8_000, ChannelChoice::First, OnBadClip::Error).unwrap();
    place.open(16_000, ChannelChoice::First, OnBadClip::Skip).unwrap();
    assert_eq!(place.entries(), 3);
    place.write(1, &tone(501, 1), 16_000);
    let changed = place.opened();
    assert_eq!((place.entries(), changed.clips()[1].samples), (4, 501));
    assert_ne!(changed.fingerprint(), first.fingerprint());
}

#[test]
fn a_damaged_entry_is_made_again() {
    let place = Place::new();
    place.opened();
    let entry = std::fs::read_dir(place.folder.path().join("cache")).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read_to_string(&entry).unwrap();
    let damages = [
        whole[..whole.len() / 2].to_owned(),
        whole.replace("\"samples\": 500", "\"samples\": 0"),
        whole.replace("\"index\": 2", "\"index\": 7"),
        format!(
            "{}\"clips\": [],{}",
            whole.split_once("\"clips\"").unwrap().0,
            whole.split_once("],").unwrap().1
        ),
    ];
    for damaged in damages {
        assert_ne!(damaged, whole);
        std::fs::write(&entry, damaged).unwrap();
        let (opened, looked_at) = place.open(16_000, ChannelChoice::First, OnBadClip::Error).unwrap();
        assert_eq!((opened.clips().len(), looked_at), (3, 3));
        assert_eq!(std::fs::read_to_string(&entry).unwrap(), whole);
    }
}

#[test]
fn no_flipped_bit_of_an_entry_is_believed() {
    let place = Place::new();
    place.opened();
    let entry = std::fs::read_dir(place.folder.path().join("cache")).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&entry).unwrap();
    for bit in (0..8 * whole.len()).step_by(41) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&entry, flipped).unwrap();
        let (_, looked_at) = place.open(16_000, ChannelChoice::First, OnBadClip::Error).unwrap();
        assert_eq!(looked_at, 3, "bit {bit}");
        assert!(std::fs::read(&entry).unwrap() == whole, "bit {bit}");
    }
}

#[test]
fn a_clip_that_is_written_to_while_it_is_in_use_is_refused_by_name() {
    let place = Place::new();
    let waves = place.opened();
    let mut part = vec![0.0; 100];
    waves.read_segment(2, 0, &mut part).unwrap();
    // As long as before, so that only the file itself tells; later than the file system's clock is coarse.
    std::thread::sleep(Duration::from_millis(50));
    place.write(2, &tone(1_000, 5), 16_000);
    let refused = [
        waves.read(2).map(drop),
        waves.read_file(2).map(drop),
        waves.read_segment(2, 0, &mut part),
        waves.read_segment(2, 0, &mut [0.0; 3_000]),
    ];
    for result in refused {
        let message = result.unwrap_err().to_string();
        assert!(message.contains("normal_0002.wav") && message.contains("changed while"), "{message}");
    }
    assert_eq!(waves.read(0).unwrap(), tone(2_000, 0));
    assert_eq!(place.opened().read(2).unwrap(), tone(1_000, 5));
}

#[test]
fn silent_and_unreadable_clips_stop_or_are_left_out() {
    let place = Place::new();
    // A constant is as silent as zeros.
    for (level, rate_hz) in [(0.0, 16_000), (0.25, 48_000)] {
        place.write(1, &[level; 3_000], rate_hz);
        let error = place.open(16_000, ChannelChoice::First, OnBadClip::Error).unwrap_err().to_string();
        for word in ["normal_0001.wav", "silent: every sample is the same", "data.on_bad_clip"] {
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(place.entries(), 0, "nothing is cached of a set that cannot be used");
    }
    std::fs::write(place.path(2), "no sound").unwrap();
    let (opened, _) = place.open(16_000, ChannelChoice::First, OnBadClip::Skip).unwrap();
    assert_eq!(opened.clips().len(), 1);
    assert_eq!(opened.bad().iter().map(|bad| bad.index).collect::<Vec<_>>(), [1, 2]);
    assert!(opened.bad()[0].reason.contains("silent"), "{:?}", opened.bad());

    place.write(0, &[0.0; 100], 16_000);
    let error = place.open(16_000, ChannelChoice::First, OnBadClip::Skip).unwrap_err().to_string();
    assert!(error.starts_with("all 3 clips of machine `pump` are bad; the first: read "), "{error}");
}

#[test]
fn a_clip_that_resampling_makes_nothing_of_is_bad() {
    let place = Place::new();
    // Two samples of 48 kHz: less than half of one at 8 kHz.
    place.write(0, &[0.1, 0.2], 48_000);
    // The filter rings above the largest float.
    let loud: Vec<f32> = (0..2_000).map(|i| if i / 50 % 2 == 0 { f32::MAX } else { f32::MIN }).collect();
    place.write(1, &loud, 48_000);
    let (opened, _) = place.open(8_000, ChannelChoice::First, OnBadClip::Skip).unwrap();
    let reasons: Vec<&str> = opened.bad().iter().map(|bad| bad.reason.as_str()).collect();
    assert!(reasons.len() == 2 && reasons[0].contains("zero samples"), "{reasons:?}");
    assert!(reasons[1].contains("inf"), "{reasons:?}");
}

#[test]
fn a_clip_whose_power_no_front_end_can_hold_is_bad_by_name() {
    let place = Place::new();
    let mut loud = tone(2_000, 0);
    loud[700] = -2e9;
    place.write(1, &loud, 16_000);
    let error = place.open(16_000, ChannelChoice::First, OnBadClip::Error).unwrap_err().to_string();
    assert!(error.contains("0001.wav") && error.contains("sample 700 is -2000000000"), "{error}");
    let (opened, _) = place.open(16_000, ChannelChoice::First, OnBadClip::Skip).unwrap();
    assert_eq!(opened.bad().iter().map(|bad| bad.index).collect::<Vec<_>>(), [1]);
    // The loudest that are taken have images.
    let most = vec![LOUDEST; 2_000].into_iter().enumerate().map(|(n, x)| if n % 2 == 0 { x } else { -x });
    let most: Vec<f32> = most.collect();
    assert!(check_values(&place.path(1), &most).is_ok());
    for spec in [audio::KaldiSpec::beats(), audio::KaldiSpec::eat()] {
        let bank = audio::KaldiBank::new(spec);
        let mut image = vec![0.0; bank.frames(most.len()) * audio::KALDI_BANDS];
        bank.compute_into(&most, &mut audio::KaldiScratch::default(), &mut image).unwrap();
    }
}

/// A clip's samples from `first` on, a clip that ends beginning again.
fn expected(whole: &[f32], first: usize, count: usize) -> Vec<f32> {
    (first..first + count).map(|at| whole[at % whole.len()]).collect()
}

#[test]
fn a_segment_is_that_part_of_the_clip() {
    let place = Place::new();
    // The third clip has another rate.
    place.write(2, &tone(3_000, 2), 48_000);
    let opened = place.opened();
    assert_eq!(opened.clips()[2].samples, 1_000);
    for clip in 0..3 {
        let whole = opened.read(clip).unwrap();
        // Inside, across the end, longer than the clip (twice, and more than twice), from beyond the end.
        for (first, count) in
            [(0, 400), (13, 487), (450, 300), (0, 4_500), (499, 1_200), (5_007, 100), (3, 0)]
        {
            let mut out = vec![f32::NAN; count];
            opened.read_segment(clip, first, &mut out).unwrap();
            assert_eq!(out, expected(&whole, first, count), "clip {clip} from {first}, {count} samples");
        }
    }
}

#[test]
fn a_segment_of_a_stereo_clip_is_of_the_chosen_channel() {
    let place = Place::new();
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    for index in 0..3 {
        let mut writer = hound::WavWriter::create(place.path(index), spec).unwrap();
        for n in 0..600_i16 {
            writer.write_sample(n * 20).unwrap();
            writer.write_sample(-n * 10 - 5).unwrap();
        }
        writer.finalize().unwrap();
    }
    for channel in [ChannelChoice::Left, ChannelChoice::Right, ChannelChoice::Mean, ChannelChoice::Difference]
    {
        let (opened, _) = place.open(16_000, channel, OnBadClip::Error).unwrap();
        let whole = opened.read(0).unwrap();
        assert_eq!(whole.len(), 600);
        let mut out = [0.0; 200];
        opened.read_segment(0, 500, &mut out).unwrap();
        assert_eq!(out[..], expected(&whole, 500, 200), "{channel}");
    }
}

#[test]
fn a_segment_does_not_read_the_whole_clip() {
    let place = Place::new();
    let opened = place.opened();
    let whole = opened.read(0).unwrap();
    let mut bytes = std::fs::read(place.path(0)).unwrap();
    let end = bytes.len();
    let written = std::fs::metadata(place.path(0)).unwrap().modified().unwrap();
    // A NaN as the last of 2,000 samples, which only a reader of all of them meets.
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(place.path(0), bytes).unwrap();
    // By its time it would be told as changed before it is read.
    std::fs::File::options().write(true).open(place.path(0)).unwrap().set_modified(written).unwrap();
    let mut out = [0.0; 1_999];
    opened.read_segment(0, 0, &mut out).unwrap();
    assert!(out[..] == whole[..1_999]);
    assert!(opened.read_segment(0, 1, &mut out).is_err() && opened.read(0).is_err());
}

#[test]
fn a_clip_of_another_length_than_when_it_was_checked_is_an_error() {
    let place = Place::new();
    let opened = place.opened();
    place.write(0, &tone(1_999, 0), 16_000);
    let mut out = [0.0; 10];
    for error in [opened.read(0).unwrap_err(), opened.read_segment(0, 0, &mut out).unwrap_err()] {
        let message = error.to_string();
        assert!(
            message.contains("normal_0000.wav") && message.contains("1999 samples and had 2000"),
            "{message}"
        );
    }
    std::fs::remove_file(place.path(0)).unwrap();
    assert!(opened.read_segment(0, 0, &mut out).is_err());
}

#[test]
fn clips_that_change_while_they_are_checked_are_an_error() {
    let place = Place::new();
    let root = Some(place.folder.path().join("data"));
    let clips =
        dataset::index(&DataConfig { root, ..DataConfig::default() }).unwrap().training("pump").unwrap();
    let request = WavesRequest {
        cache: &place.folder.path().join("cache"),
        fingerprint: &clips.fingerprint().unwrap(),
        known_since: SystemTime::now(),
        rate_hz: 16_000,
        channel: ChannelChoice::First,
        on_bad_clip: OnBadClip::Error,
        progress: &|_, _| place.write(2, &tone(1_000, 5), 16_000),
    };
    let error = Waves::open(&Source::from(&clips), &request).unwrap_err();
    assert!(error.to_string().contains("the clips of machine `pump` changed while"), "{error}");
    assert_eq!(place.entries(), 0);
}

#[test]
fn a_clip_that_changed_since_its_fingerprint_was_known_is_an_error_however_long_that_is() {
    let place = Place::new();
    place.opened();
    let root = Some(place.folder.path().join("data"));
    let clips =
        dataset::index(&DataConfig { root, ..DataConfig::default() }).unwrap().training("pump").unwrap();
    let (cache, fingerprint) = (place.folder.path().join("cache"), clips.fingerprint().unwrap());
    // Of the same length, so that the entry fits it.
    place.write(2, &tone(1_000, 5), 16_000);
    let open = |known_since| {
        let request = WavesRequest {
            cache: &cache,
            fingerprint: &fingerprint,
            known_since,
            rate_hz: 16_000,
            channel: ChannelChoice::First,
            on_bad_clip: OnBadClip::Error,
            progress: &|_, _| {},
        };
        Waves::open(&Source::from(&clips), &request)
    };
    let now = SystemTime::now();
    for known_since in [now, now - 24 * RECENT, SystemTime::UNIX_EPOCH] {
        let error = open(known_since).unwrap_err().to_string();
        assert!(error.contains("the clips of machine `pump` changed while"), "{error}");
    }
    // One of later than the clips' last change, by any clock, is theirs: nothing is hashed.
    open(now + 2 * RECENT).unwrap();
}

#[test]
fn sets_are_joined_one_behind_the_other() {
    let place = Place::new();
    std::fs::write(place.path(1), "no sound").unwrap();
    let (opened, _) = place.open(16_000, ChannelChoice::First, OnBadClip::Skip).unwrap();
    let joined = opened.joined([&opened]);
    let indices = |waves: &Waves| waves.clips().iter().map(|clip| clip.index).collect::<Vec<_>>();
    assert_eq!((indices(&opened), indices(&joined)), (vec![0, 2], vec![0, 2, 3, 5]));
    assert_eq!(joined.bad().iter().map(|bad| bad.index).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(joined.read(3).unwrap(), opened.read(1).unwrap());
    assert_ne!(joined.fingerprint(), opened.fingerprint());
    assert_eq!(opened.joined([]).fingerprint(), opened.fingerprint());
}

#[test]
fn a_file_s_content_is_the_clip_that_is_read() {
    let place = Place::new();
    place.write(1, &tone(700, 1), 22_050);
    let waves = place.opened();
    for clip in 0..3 {
        let content = waves.read_file(clip).unwrap();
        assert_eq!(waves.decode(clip, &content).unwrap(), waves.read(clip).unwrap());
    }
    // Another clip's content has another length.
    let other = waves.read_file(0).unwrap();
    assert!(matches!(
        waves.decode(2, &other),
        Err(audio::Error::Changed { found: 2_000, expected: 1_000, .. })
    ));
}

#[test]
fn clips_that_do_not_fit_are_bad() {
    let waves = Place::new().opened();
    let fits = |samples: usize| match samples >= 1_000 {
        true => Ok(()),
        false => Err(audio::Error::TooShort { samples, needed: 1_000, reason: "a test".into() }),
    };
    let fitting = waves.fitting(OnBadClip::Skip, fits).unwrap();
    assert_eq!(fitting.clips().iter().map(|clip| clip.index).collect::<Vec<_>>(), [0, 2]);
    let bad = &fitting.bad()[0];
    assert_eq!((fitting.bad().len(), bad.index), (1, 1));
    assert!(bad.reason.contains("0001.wav") && bad.reason.contains("500 samples"), "{}", bad.reason);
    let refused = waves.fitting(OnBadClip::Error, fits).unwrap_err().to_string();
    assert!(refused.contains("0001.wav") && refused.contains("on_bad_clip"), "{refused}");
}
