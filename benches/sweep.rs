//! What a sweep costs that has nothing left to do: 1,000 finished trials are found done, and the table is made of them.
//!
//! Targets: less than 20 ms for each cached trial, and less than 2 s to scan 1,000.

use std::fs;
use std::path::Path;
use std::time::Instant;

use asdbench::config::{self, Study};
use asdbench::dataset::synth::{self, SynthSpec};
use asdbench::device::{self, DeviceChoice};
use asdbench::study::sweep::{Selection, Standing, Sweep, WorkerCommand, conduct};
use asdbench::study::{Judge, Recordings, Trial, cache_folder, train, trials};
use asdbench::train::Interrupt;
use asdbench::ui::Ui;
use criterion::Criterion;

const TRIALS: usize = 1_000;
const MACHINES: [&str; 2] = ["fan", "valve"];
/// As many lines as a training of the study's length has.
const EPOCHS: usize = 200;
const TIMES: usize = 5;

/// A study of one autoencoder with many seeds on two machine types.
fn study(place: &Path) -> Study {
    let machines = MACHINES.map(str::to_owned).to_vec();
    let spec = SynthSpec { machines, duration_s: Some(0.6), ..SynthSpec::default() };
    synth::generate(&spec, &place.join("data"), &|_, _| {}).expect("machines");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/micro/ae.toml");
    let seeds: Vec<String> = (0..TRIALS / MACHINES.len()).map(|seed| seed.to_string()).collect();
    let text = format!(
        "[study]\nname = \"many\"\nseeds = [{}]\n[[family]]\nconfig = {:?}\n[family.override]\ndata.root = {:?}\n\
         train.epochs = 1\n[family.grid]\n\"task.autoencoder.hidden\" = [16]\n",
        seeds.join(", "),
        base.to_string_lossy(),
        place.join("data").to_string_lossy(),
    );
    let file = place.join("many.toml");
    fs::write(&file, text).expect("a study's file");
    config::load_study(&file, &[]).expect("a study")
}

/// Train and judge one trial of each machine type, and give its files to all others.
fn finish(study: &Study, runs: &Path, ui: &Ui) {
    let experiment = &study.families[0].experiments[0];
    let recordings = Recordings::open(&experiment.data, cache_folder(runs), ui).expect("recordings");
    let device = device::open(DeviceChoice::Cpu).expect("the CPU");
    let judge = Judge::new(&[], &device, ui);
    let all = trials(std::slice::from_ref(experiment), &recordings, runs);
    for machine in MACHINES {
        let of: Vec<&Trial> = all.iter().filter(|trial| trial.machine == machine).collect();
        let Some((first, others)) = of.split_first() else { continue };
        train(first, &recordings, &device, &Interrupt::default(), ui).expect("a training");
        judge.evaluate(&first.folder).expect("an evaluation");
        let epoch = fs::read_to_string(first.folder.metrics()).expect("metrics");
        fs::write(first.folder.metrics(), epoch.repeat(EPOCHS)).expect("metrics");
        for other in others {
            fs::create_dir_all(other.folder.path()).expect("a folder");
            for file in fs::read_dir(first.folder.path()).expect("a run").flatten() {
                fs::copy(file.path(), other.folder.path().join(file.file_name())).expect("a copy");
            }
        }
    }
}

/// Median seconds of some runs.
fn timed(mut work: impl FnMut()) -> f64 {
    let one = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    let mut all: Vec<f64> = (0..TIMES).map(one).collect();
    all.sort_by(f64::total_cmp);
    all[TIMES / 2]
}

fn main() {
    asdbench::process::prepare();
    asdbench::linalg::use_one_blas_thread();
    let place = tempfile::tempdir().expect("a temporary folder");
    let runs = place.path().join("runs");
    let ui = Ui::new(true, false);
    let study = study(place.path());
    finish(&study, &runs, &ui);

    let open = || Sweep::open(&study, &runs, &Selection::default(), &ui).expect("a sweep");
    let scan = || {
        let standings = open().scan();
        assert_eq!(standings.len(), TRIALS);
        assert!(standings.iter().all(|standing| matches!(standing, Ok(Standing::Done))), "{standings:?}");
    };
    // No worker is started: a trial that is not found done would be an error.
    let nobody = WorkerCommand {
        program: place.path().join("nobody"),
        name: "nobody".into(),
        arguments: Vec::new(),
        threads: 1,
    };
    let whole = || {
        let swept = conduct(&open(), std::slice::from_ref(&nobody), &Interrupt::default()).expect("a sweep");
        assert_eq!((swept.counts.done, swept.counts.found), (TRIALS, TRIALS));
    };
    let scanned_s = timed(scan);
    println!("{TRIALS} finished trials scanned in {scanned_s:.3} s (target 2 s at most)");
    let whole_ms = timed(whole) * 1e3 / TRIALS as f64;
    println!("a sweep with nothing to do: {whole_ms:.3} ms a trial (target 20 ms at most)");

    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    criterion.bench_function("scan of 1,000 finished trials", |bencher| bencher.iter(scan));
    criterion.final_summary();
}
