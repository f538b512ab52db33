//! Which recordings a machine is mixed with, on synthetic machines.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::audio::{SampleFormat, write_wav};
use crate::config::{OnBadClip, SeparationConfig, TaskConfig};
use crate::ui::Ui;

/// A data set of clips of 100 samples, and a folder for the cache.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// `machines` with 4 train clips and 2 test clips each.
    fn new(machines: &[&str]) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for machine in machines {
            for n in 0..4 {
                place.clip(&format!("data/{machine}/train/section_00_source_train_normal_000{n}.wav"), n);
            }
            place.clip(&format!("data/{machine}/test/section_00_source_test_normal_0000.wav"), 5);
            place.clip(&format!("data/{machine}/test/section_00_source_test_anomaly_0000.wav"), 6);
        }
        place
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn clip(&self, relative: &str, pitch: usize) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let tone: Vec<f32> = (0..100).map(|i| (i as f32 * 0.1 * (pitch + 1) as f32).sin() * 0.3).collect();
        write_wav(&path, &tone, 16_000, SampleFormat::Pcm16).unwrap();
    }

    /// Make all train clips of a machine unreadable, each in its own way.
    fn poison(&self, machine: &str) {
        for n in 0..4 {
            let name = format!("data/{machine}/train/section_00_source_train_normal_000{n}.wav");
            fs::write(self.path(&name), format!("poison {n}")).unwrap();
        }
    }

    fn config(&self) -> DataConfig {
        DataConfig { root: Some(self.path("data")), ..DataConfig::default() }
    }

    /// With `ui` that says nothing, do something with the recordings of a configuration.
    fn with<T>(&self, config: &DataConfig, work: impl FnOnce(&Recordings<'_>) -> T) -> T {
        let ui = Ui::new(true, false);
        work(&Recordings::open(config, self.path("cache"), &ui).unwrap())
    }

    fn held_out(&self, config: &DataConfig, machine: &str) -> Result<Interference, Error> {
        let experiment = Experiment { data: config.clone(), ..Experiment::default() };
        self.with(config, |recordings| recordings.open_held_out(machine, &experiment))
    }

    fn training(&self, config: &DataConfig, machine: &str) -> Result<Interference, Error> {
        let experiment = Experiment { data: config.clone(), ..Experiment::default() };
        self.with(config, |recordings| recordings.open_training(&recordings.choose(machine)?, &experiment))
    }

    fn fingerprint(&self, config: &DataConfig, machine: &str) -> String {
        self.with(config, |recordings| recordings.interference_fingerprint(machine).unwrap())
    }
}

fn paths(waves: &Waves) -> Vec<&str> {
    waves.clips().iter().map(|clip| clip.path.as_str()).collect()
}

#[test]
fn a_machine_is_mixed_with_all_others_whatever_is_selected() {
    let place = Place::new(&["fan", "pump", "valve"]);
    let all = place.config();
    let selected = DataConfig { machines: vec!["fan".into()], ..all.clone() };
    for config in [&all, &selected] {
        let found = place.held_out(config, "fan").unwrap();
        assert_eq!(found.what(), "the other machine types: pump, valve");
        assert_eq!(found.remark(), None);
        let (train, held_out) = (paths(found.train()), paths(found.held_out().unwrap()));
        assert_eq!((train.len(), held_out.len()), (8, 4));
        assert!(train.iter().all(|path| path.contains("/train/") && !path.starts_with("fan/")), "{train:?}");
        // Normal and anomalous ones alike: nobody looks at the label.
        assert!(
            held_out.iter().all(|path| path.contains("/test/") && !path.starts_with("fan/")),
            "{held_out:?}"
        );
        assert_eq!(place.fingerprint(config, "fan"), found.train().fingerprint());
    }
    assert_eq!(place.fingerprint(&all, "fan"), place.fingerprint(&selected, "fan"));
    assert_ne!(place.fingerprint(&all, "fan"), place.fingerprint(&all, "pump"));
}

#[test]
fn other_interference_is_other_data() {
    let place = Place::new(&["fan", "pump", "valve"]);
    let config = place.config();
    let before = place.fingerprint(&config, "fan");
    place.clip("data/pump/test/section_00_source_test_normal_0000.wav", 9);
    place.clip("data/fan/train/section_00_source_train_normal_0000.wav", 9);
    assert_eq!(place.fingerprint(&config, "fan"), before, "neither test clips nor the machine's own");
    place.clip("data/pump/train/section_00_source_train_normal_0000.wav", 9);
    assert_ne!(place.fingerprint(&config, "fan"), before);
}

#[test]
fn a_training_opens_no_test_clip_of_any_machine() {
    let place = Place::new(&["fan", "pump"]);
    let config = place.config();
    for machine in ["fan", "pump"] {
        fs::write(
            place.path(&format!("data/{machine}/test/section_00_source_test_normal_0000.wav")),
            "poison",
        )
        .unwrap();
    }
    let found = place.training(&config, "fan").unwrap();
    assert!(found.held_out().unwrap_err().to_string().contains("report it"));
    assert_eq!(found.train().clips().len(), 4);
    let error = place.held_out(&config, "fan").unwrap_err().to_string();
    assert!(error.contains("pump/test") && error.contains("data.on_bad_clip"), "{error}");
}

#[test]
fn a_single_machine_has_nothing_to_be_mixed_with() {
    let place = Place::new(&["fan"]);
    let error = place.training(&place.config(), "fan").unwrap_err();
    assert!(matches!(error, Error::Data(dataset::Error::NoInterference { .. })));
    let (message, root) = (error.to_string(), place.path("data"));
    let expected = format!(
        "machine `fan` is the only machine type in {}, so there is no interference to mix it with; \
         set data.interference = \"DIR\" to a folder of other recordings",
        root.display()
    );
    assert_eq!(message, expected);

    // Another one that has nothing to learn from.
    place.clip("data/pump/test/section_00_source_test_normal_0000.wav", 1);
    let message = place.training(&place.config(), "fan").unwrap_err().to_string();
    assert!(
        message.contains("but `fan` has train clips") && message.contains("data.interference"),
        "{message}"
    );
}

#[test]
fn without_other_test_clips_the_train_clips_serve_for_both() {
    let place = Place::new(&["fan", "pump"]);
    fs::remove_dir_all(place.path("data/pump/test")).unwrap();
    let found = place.held_out(&place.config(), "fan").unwrap();
    assert_eq!(paths(found.train()), paths(found.held_out().unwrap()));
    assert!(found.remark().unwrap().contains("no test clips"), "{:?}", found.remark());
}

#[test]
fn of_a_folder_every_fifth_recording_is_held_out() {
    let place = Place::new(&["fan"]);
    for n in 0..11 {
        place.clip(&format!("noises/{}/{n:02}.wav", n / 4), n);
    }
    fs::write(place.path("noises/readme.txt"), "rain").unwrap();
    let config = DataConfig { interference: Some(place.path("noises")), ..place.config() };
    let found = place.held_out(&config, "fan").unwrap();
    assert_eq!(found.train().clips().len(), 9);
    assert_eq!(paths(found.held_out().unwrap()), ["1/04.wav", "2/09.wav"]);
    assert_eq!((found.what(), found.remark()), ("the recordings of data.interference", None));
    assert_eq!(found.train().read(0).unwrap().len(), 100);

    for n in 4..11 {
        fs::remove_file(place.path(&format!("noises/{}/{n:02}.wav", n / 4))).unwrap();
    }
    let found = place.held_out(&config, "fan").unwrap();
    assert_eq!((found.train().clips().len(), found.held_out().unwrap().clips().len()), (4, 4));
    assert!(found.remark().unwrap().contains("fewer than 5"), "{:?}", found.remark());
}

#[test]
fn folders_that_cannot_be_mixed_with_are_named() {
    let place = Place::new(&["fan", "pump"]);
    fs::create_dir_all(place.path("empty")).unwrap();
    fs::create_dir_all(place.path("texts")).unwrap();
    fs::write(place.path("texts/a.txt"), "rain").unwrap();
    for (folder, why) in [
        ("missing", "the folder does not exist"),
        ("empty", "the folder is empty"),
        ("texts", "no .wav file lies below the folder (seen: 1 .txt)"),
        ("texts/a.txt", "this is not a folder"),
        ("data", "the folder has the clips of machine `fan` itself"),
        ("data/fan/train", "the folder has the clips of machine `fan` itself"),
    ] {
        let config = DataConfig { interference: Some(place.path(folder)), ..place.config() };
        let error = place.training(&config, "fan").unwrap_err();
        assert!(matches!(error, Error::Data(dataset::Error::Interference { .. })), "{error}");
        let message = error.to_string();
        assert!(message.contains("data.interference = ") && message.contains(why), "{message}");
        assert!(message.contains(&format!("{folder}\"")), "{message}");
    }
    // Another machine's folder is one of other recordings.
    let config = DataConfig { interference: Some(place.path("data/pump/train")), ..place.config() };
    assert_eq!(place.training(&config, "fan").unwrap().train().clips().len(), 4);
}

#[cfg(unix)]
#[test]
fn a_link_is_what_it_leads_to() {
    use std::os::unix::fs::symlink;

    let place = Place::new(&["fan", "pump"]);
    for folder in ["folders", "files", "others"] {
        fs::create_dir_all(place.path(folder)).unwrap();
    }
    let name = "section_00_source_test_normal_0000.wav";
    symlink(place.path("data/fan/test"), place.path("folders/noise")).unwrap();
    symlink(place.path("data/pump/test"), place.path("files/pump")).unwrap();
    symlink(place.path("data/fan/test").join(name), place.path("files/rain.wav")).unwrap();
    symlink(place.path("data/pump/train"), place.path("others/pump")).unwrap();
    // The data set itself is a link, too.
    symlink(place.path("data"), place.path("linked")).unwrap();
    for root in ["data", "linked"] {
        let config = |folder: &str| DataConfig {
            root: Some(place.path(root)),
            interference: Some(place.path(folder)),
            ..place.config()
        };
        for (folder, first) in
            [("folders", "noise/section_00_source_test_anomaly_0000.wav"), ("files", "rain.wav")]
        {
            let message = place.training(&config(folder), "fan").unwrap_err().to_string();
            assert!(message.contains("the clips of machine `fan` itself"), "{message}");
            assert!(message.contains(&format!("{folder}/{first} for one")), "{message}");
        }
        assert_eq!(place.training(&config("others"), "fan").unwrap().train().clips().len(), 4);
    }
}

#[test]
fn a_machine_type_of_bad_clips_alone_is_left_out() {
    let place = Place::new(&["fan", "pump", "valve"]);
    let config = DataConfig { on_bad_clip: OnBadClip::Skip, ..place.config() };
    place.poison("pump");
    // The second time what is known of the clips is cached.
    for _ in 0..2 {
        let found = place.held_out(&config, "fan").unwrap();
        let (train, bad) = (paths(found.train()), found.train().bad());
        assert!(train.len() == 4 && train.iter().all(|path| path.starts_with("valve/train/")), "{train:?}");
        assert!(bad.len() == 4 && bad.iter().all(|bad| bad.path.starts_with("pump/train/")), "{bad:?}");
        assert_eq!(found.held_out().unwrap().clips().len(), 4, "pump's test clips are good");
        assert_eq!(place.fingerprint(&config, "fan"), found.train().fingerprint());
    }
    // What is to be learnt is another matter, even where the clips were looked at before.
    let experiment = Experiment {
        data: config.clone(),
        task: TaskConfig::Separation(SeparationConfig::default()),
        ..Experiment::default()
    };
    place.with(&config, |recordings| {
        recordings.training_interference("fan", &experiment).unwrap();
        let error = recordings.training("pump", &experiment).unwrap_err().to_string();
        assert!(error.starts_with("all 4 clips of machine `pump` are bad; the first: "), "{error}");
    });

    let error = place.training(&place.config(), "fan").unwrap_err().to_string();
    assert!(error.contains("pump/train") && error.contains("data.on_bad_clip"), "{error}");
    place.poison("valve");
    let error = place.training(&config, "fan").unwrap_err().to_string();
    let expected = "all 8 clips of machine `pump`, machine `valve` are bad; the first: ";
    assert!(error.starts_with(expected) && error.contains("pump/train"), "{error}");
}

#[test]
fn a_family_that_mixes_nothing_has_no_interference() {
    let place = Place::new(&["fan"]);
    let config = place.config();
    let experiment = Experiment { data: config.clone(), ..Experiment::default() };
    place.with(&config, |recordings| {
        assert!(recordings.training_interference("fan", &experiment).unwrap().is_none());
        assert!(recordings.evaluation_interference("fan", &experiment).unwrap().is_none());
        let own = recordings.training_fingerprint("fan").unwrap();
        let learnt = ["fan".to_owned()];
        assert_eq!(recordings.data_fingerprint("fan", &learnt, &experiment).unwrap(), own);
    });
}

#[test]
fn a_fingerprint_is_as_old_as_the_beginning_of_its_computation() {
    let place = Place::new(&["fan"]);
    place.with(&place.config(), |recordings| {
        let before = std::time::SystemTime::now();
        let fingerprint = recordings.training_fingerprint("fan").unwrap();
        let known_since = recordings.known_since(&fingerprint);
        assert!(before <= known_since && known_since <= std::time::SystemTime::now());
        // Asked again, it is no younger.
        std::thread::sleep(std::time::Duration::from_millis(20));
        recordings.training_fingerprint("fan").unwrap();
        assert_eq!(recordings.known_since(&fingerprint), known_since);
        assert_eq!(recordings.known_since("another"), std::time::SystemTime::UNIX_EPOCH);
    });
}
