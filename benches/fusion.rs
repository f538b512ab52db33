//! The search for fusion weights: 10 systems × 7 machines × 600 clips, Ω as the objective.
//!
//! Prints, for 200 and 400 evaluations, the Ω reached beside those of the best single system, equal weights, the grid, random
//! search and the weights that the problem was made with, and the seconds of one search; then the nested validation and the
//! complementarity table. Target: 200 evaluations in less than 10 s on two cores, and within 0.1 % of the planted weights' Ω.

use std::time::Instant;

use asdbench::dataset::Domain;
use asdbench::fusion::{
    Hierarchy, JudgedSet, Method, NormaliseMethod, Objective, Over, Part, Plan, Search, Statistics,
    TuningSet, Weights, complementarity, cross_validate, judge, tune,
};
use asdbench::official::Year;
use asdbench::rng;
use asdbench::stats::Settings;
use ndarray::Array2;
use rand::Rng;

/// The best linear weights of the problem: noise covariance times these is the systems' signal.
const WEIGHTS: [f64; 10] = [0.30, 0.20, 0.15, 0.10, 0.10, 0.05, 0.05, 0.05, 0.0, 0.0];
const MACHINES: usize = 7;
const CLIPS: usize = 600;
/// Variance of the noise that all systems share, that every third shares, and of each alone.
const NOISE: [f64; 3] = [0.2, 0.5, 0.3];

/// A standard normal number (Box and Muller).
fn normal(random: &mut impl Rng) -> f64 {
    let uniform = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let radius = (-2.0 * uniform(random.next_u64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(random.next_u64())).cos()
}

fn anomalous(clip: usize) -> bool {
    clip >= CLIPS / 2
}

/// Every machine's scores and labels.
fn problem(seed: u64) -> (Vec<String>, Vec<Part>, Vec<Vec<bool>>) {
    let systems = WEIGHTS.len();
    let covariance = |i: usize, j: usize| {
        NOISE[0] + if i % 3 == j % 3 { NOISE[1] } else { 0.0 } + if i == j { NOISE[2] } else { 0.0 }
    };
    let signal: Vec<f64> =
        (0..systems).map(|i| (0..systems).map(|j| covariance(i, j) * WEIGHTS[j]).sum()).collect();
    let distance = WEIGHTS.iter().zip(&signal).map(|(w, a)| w * a).sum::<f64>().sqrt();
    let mut random = rng::stream(seed, "bench/fusion", 0);
    let part = |machine: usize| {
        let strength = (0.9 + 0.2 * machine as f64) / distance;
        let mut scores = Array2::zeros((systems, CLIPS));
        for clip in 0..CLIPS {
            let shared = NOISE[0].sqrt() * normal(&mut random);
            let groups = [(); 3].map(|()| NOISE[1].sqrt() * normal(&mut random));
            for system in 0..systems {
                let own = NOISE[2].sqrt() * normal(&mut random);
                let heard = if anomalous(clip) { strength * signal[system] } else { 0.0 };
                scores[[system, clip]] = heard + shared + groups[system % 3] + own;
            }
        }
        let domain = |clip: usize| if clip.is_multiple_of(2) { Domain::Source } else { Domain::Target };
        Part {
            machine: format!("machine {machine}"),
            section: "00".to_owned(),
            files: (0..CLIPS).map(|clip| format!("{clip:04}.wav")).collect(),
            domains: (0..CLIPS).map(|clip| Some(domain(clip))).collect(),
            scores,
        }
    };
    let names = (0..systems).map(|system| format!("system {system}")).collect();
    let labels = vec![(0..CLIPS).map(anomalous).collect(); MACHINES];
    (names, (0..MACHINES).map(part).collect(), labels)
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
    result
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let quick = Settings { resamples: 2, ..Settings::default() };
    for seed in 0..3 {
        let (names, parts, labels) = problem(seed);
        let set = TuningSet::new(Year::Y2023, names.clone(), parts.clone(), labels.clone())?;
        let judged = JudgedSet::new(Year::Y2023, names.clone(), parts, labels)?;
        let planted = judge(&judged, &Weights::shared(WEIGHTS.to_vec()), Objective::Omega, quick)?.score;
        println!("problem {seed}: planted weights reach {planted:.5}");
        for evaluations in [200, 400] {
            let search = Search { seed, evaluations, ..Search::default() };
            let what = format!("  {evaluations} evaluations, beside grid and random search");
            let tuned = timed(&what, || tune(&set, &search, &|_, _| {}))?;
            println!("    found {:.5} ({:+.3} %)", tuned.score, 100.0 * (tuned.score / planted - 1.0));
            for row in &tuned.baselines.table {
                let note = row.note.as_deref().unwrap_or_default();
                println!("    {} {:.5} in {} evaluations {note}", row.name, row.score, row.evaluations);
            }
        }
        let search = Search { seed, method: Method::Bayesian, ..Search::default() };
        let hierarchy = Hierarchy::flat(names);
        let plan = Plan { hierarchy, method: NormaliseMethod::ZScore, statistics: Statistics::Tuning };
        let validated = timed("  validation over machines, 400 evaluations each, 2,000 resamples", || {
            cross_validate(&set, &plan, &search, Over::Machines, Settings::default(), &|_, _| {})
        })?;
        println!("    optimistic {:.5}, honest {:.5}", validated.optimistic, validated.honest);
        let tuned = tune(&set, &search, &|_, _| {})?;
        timed("  complementarity", || complementarity(&set, &tuned, &search, &|_, _| {}))?;
    }
    Ok(())
}
