//! Examples of runs that were trained and judged here, on synthetic machines.

use super::*;
use crate::config;
use crate::dataset::synth::{self, SynthSpec};
use crate::device::{self, DeviceChoice};
use crate::report::figure::{self, Theme};
use crate::study::{Judge, Recordings, cache_folder, train, trials};
use crate::train::Interrupt;
use crate::ui::Ui;

const AUTOENCODER: &str = "[task.autoencoder]\nhidden = 8\nbottleneck = 2\nlayers = 1\n";
const SEPARATION: &str = "[task.separation]\nblocks = 0\nchannels = 4\nn_fft = 64\nhop_samples = 64\nsegment_s = 0.4\n\
                          [eval.separation]\nmixtures = 3\n";
const CLASSIFICATION: &str = "[task.classification]\nbackbone = \"resnet18\"\nwidth = 4\nframes = 32\n";

/// Two machines of a few clips, and a runs folder.
struct Place {
    folder: tempfile::TempDir,
    device: OpenDevice,
    ui: Ui,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let device = device::open(DeviceChoice::Cpu).unwrap();
        let place = Self { folder, device, ui: Ui::new(true, false) };
        place.synth("data", 0);
        place
    }

    fn synth(&self, name: &str, seed: u64) {
        let spec = SynthSpec {
            machines: vec!["fan".into(), "valve".into()],
            duration_s: Some(1.2),
            train_per_section: Some(4),
            test_per_section: Some(4),
            seed,
            ..SynthSpec::default()
        };
        synth::generate(&spec, &self.folder.path().join(name), &|_, _| ()).unwrap();
    }

    /// One epoch of a family on `fan`.
    fn trained(&self, task: &str) -> RunFolder {
        let root = toml::Value::String(self.folder.path().join("data").display().to_string());
        let text = format!(
            "data.root = {root}\ndata.machines = [\"fan\"]\ntrain.epochs = 1\ntrain.batch_size = 4\n{task}"
        );
        let experiment = config::load_str(&text, "test.toml").unwrap().experiment;
        let runs = self.folder.path().join("runs");
        let recordings = Recordings::open(&experiment.data, cache_folder(&runs), &self.ui).unwrap();
        let trial = trials(&[experiment], &recordings, &runs).swap_remove(0);
        train(&trial, &recordings, &self.device, &Interrupt::default(), &self.ui).unwrap();
        trial.folder
    }

    fn judge(&self, run: &RunFolder) {
        Judge::new(&[], &self.device, &self.ui).evaluate(run).unwrap();
    }
}

#[test]
fn an_autoencoder_shows_a_normal_and_an_anomalous_clip() {
    let place = Place::new();
    let run = place.trained(AUTOENCODER);
    let message = of(&run, &[], &place.device).unwrap_err().to_string();
    assert!(message.contains("is evaluated"), "{message}");
    place.judge(&run);
    let found = of(&run, &[], &place.device).unwrap();
    assert_eq!(found.len(), 2);
    for (example, label) in found.iter().zip(["fan, normal: ", "fan, anomalous: "]) {
        assert!(example.title.starts_with(label) && example.title.ends_with(".wav"), "{}", example.title);
        let [clip, reconstruction] = example.panels.as_slice() else {
            panic!("{} panels", example.panels.len())
        };
        assert_eq!(clip.values.dim(), reconstruction.values.dim());
        assert_ne!(clip.values, reconstruction.values);
        assert!(reconstruction.values.iter().all(|value| value.is_finite()));
        assert!(reconstruction.title.contains("mean absolute error"), "{}", reconstruction.title);
        // Clips of 1.2 s, and the frame that is centred on the end.
        assert!((1.2..1.3).contains(&clip.duration_s), "{}", clip.duration_s);
    }
    assert_eq!(found, of(&run, &[], &place.device).unwrap());
    assert!(figure::heatmaps(&found[0]).svg(Theme::Light).contains(">Time (s)<"));

    let moved = place.folder.path().join("moved");
    std::fs::rename(place.folder.path().join("data"), &moved).unwrap();
    let message = of(&run, &[], &place.device).unwrap_err().to_string();
    assert!(message.contains("data"), "{message}");
    let now = [format!("data.root={}", moved.display())];
    assert_eq!(found, of(&run, &now, &place.device).unwrap());

    // Other machines of the same names.
    std::fs::remove_dir_all(&moved).unwrap();
    place.synth("moved", 1);
    let message = of(&run, &now, &place.device).unwrap_err().to_string();
    assert!(
        message.contains("eval.json") && message.contains("not those that the run was judged"),
        "{message}"
    );
}

#[test]
fn a_broken_clip_that_the_evaluation_left_out_is_not_shown() {
    let place = Place::new();
    let test = place.folder.path().join("data/fan/test");
    let entries = std::fs::read_dir(&test).unwrap().map(|entry| entry.unwrap().path());
    let mut normal: Vec<_> = entries.filter(|path| path.to_string_lossy().contains("_normal_")).collect();
    normal.sort();
    std::fs::write(&normal[0], "not a sound").unwrap();
    let run = place.trained(&format!("data.on_bad_clip = \"skip\"\n{AUTOENCODER}"));
    place.judge(&run);
    let found = of(&run, &[], &place.device).unwrap();
    assert_eq!(found.len(), 2);
    let broken = normal[0].file_name().unwrap().to_str().unwrap();
    assert!(
        found[0].title.starts_with("fan, normal: ") && !found[0].title.ends_with(broken),
        "{}",
        found[0].title
    );
}

#[test]
fn a_separator_shows_a_mixture_that_it_was_judged_with() {
    let place = Place::new();
    let run = place.trained(SEPARATION);
    let message = of(&run, &[], &place.device).unwrap_err().to_string();
    assert!(message.contains("is evaluated"), "{message}");
    place.judge(&run);
    let found = of(&run, &[], &place.device).unwrap();
    let [example] = found.as_slice() else { panic!("{} examples", found.len()) };
    let titles: Vec<&str> = example.panels.iter().map(|panel| panel.title.as_str()).collect();
    assert!(
        titles[0].starts_with("Mixture, SI-SDR ") && titles[2].starts_with("Estimate, SI-SDR "),
        "{titles:?}"
    );
    let table = std::fs::read_to_string(run.file("mixtures.csv")).unwrap();
    // The estimate is the one that was judged: its SI-SDR is in the table.
    let estimate: f64 =
        titles[2].trim_start_matches("Estimate, SI-SDR ").trim_end_matches(" dB").parse().unwrap();
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let column = reader.headers().unwrap().iter().position(|name| name == "estimate_si_sdr_db").unwrap();
    let judged: Vec<f64> = reader.records().filter_map(|row| row.unwrap()[column].parse().ok()).collect();
    // Printed with one decimal; scaling and batches change the last bits only.
    assert!(judged.iter().any(|judged| (judged - estimate).abs() < 0.06), "{estimate} {judged:?}");

    // Another recording in the place of a test clip.
    let row = table.lines().nth(1).unwrap();
    let target = row.split(',').nth(1).unwrap();
    let path = place.folder.path().join("data").join(target);
    let noise: Vec<f32> = (0..19_200).map(|n| ((n * n % 1009) as f32 / 1009.0 - 0.5) * 0.2).collect();
    crate::audio::write_wav(&path, &noise, 16_000, crate::audio::SampleFormat::Pcm16).unwrap();
    std::fs::write(run.file("mixtures.csv"), format!("{}\n{row}\n", table.lines().next().unwrap())).unwrap();
    let message = of(&run, &[], &place.device).unwrap_err().to_string();
    assert!(message.contains("mixtures.csv") && message.contains("asdbench eval"), "{message}");
}

#[test]
fn other_families_give_no_sound_back_and_untrained_runs_nothing() {
    let place = Place::new();
    let run = place.trained(CLASSIFICATION);
    assert_eq!(of(&run, &[], &place.device).unwrap(), []);
    let nothing = RunFolder::at(place.folder.path().join("nothing"));
    assert!(matches!(of(&nothing, &[], &place.device), Err(Error::NotTrained { .. })));
}
