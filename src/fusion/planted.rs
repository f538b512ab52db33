//! A problem whose best weights are known: ten systems hear one signal through correlated noise.
//!
//! Every system's score of a clip is `aᵢ s + εᵢ`, s being 0 for a normal clip, and ε the noise of covariance Σ: a part that
//! all systems share, one that every third system shares, and one of its own. The best linear weights are those of Fisher,
//! `Σ⁻¹a`. They are chosen first and `a = Σ w` made of them, so that they are at least 0 and known without a solver.

use ndarray::Array2;
use rand::Rng;

use super::{Part, TuningSet};
use crate::dataset::Domain;
use crate::official::Year;
use crate::rng;

/// The best weights.
pub(super) const WEIGHTS: [f64; 10] = [0.30, 0.20, 0.15, 0.10, 0.10, 0.05, 0.05, 0.05, 0.0, 0.0];
const MACHINES: [&str; 7] = ["bearing", "fan", "gearbox", "slider", "toycar", "toytrain", "valve"];
const CLIPS: usize = 600;
/// Variance that all systems share, that every third shares, and of each alone.
const SHARED: [f64; 3] = [0.2, 0.5, 0.3];

/// A standard normal number (Box and Muller).
pub(super) fn normal(random: &mut impl Rng) -> f64 {
    let uniform = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let radius = (-2.0 * uniform(random.next_u64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(random.next_u64())).cos()
}

/// A clip's domain and label: four equal parts.
pub(super) fn facts(clip: usize, clips: usize) -> (Domain, bool) {
    let quarter = 4 * clip / clips;
    (if quarter.is_multiple_of(2) { Domain::Source } else { Domain::Target }, quarter >= 2)
}

/// 10 systems × 7 machines × 600 clips.
pub(super) fn problem(seed: u64) -> TuningSet {
    let systems = WEIGHTS.len();
    let covariance = |i: usize, j: usize| {
        let group = if i % 3 == j % 3 { SHARED[1] } else { 0.0 };
        SHARED[0] + group + if i == j { SHARED[2] } else { 0.0 }
    };
    let signal: Vec<f64> =
        (0..systems).map(|i| (0..systems).map(|j| covariance(i, j) * WEIGHTS[j]).sum()).collect();
    // The distance of the classes in standard deviations of the best combination, where s is 1.
    let distance = WEIGHTS.iter().zip(&signal).map(|(w, a)| w * a).sum::<f64>().sqrt();
    let mut random = rng::stream(seed, "planted", 0);
    let part = |(machine, name): (usize, &&str)| {
        // Machines from hard to easy: an AUC of 0.74 to 0.93 at the best weights.
        let strength = (0.9 + 0.2 * machine as f64) / distance;
        let mut scores = Array2::zeros((systems, CLIPS));
        for clip in 0..CLIPS {
            let s = if facts(clip, CLIPS).1 { strength } else { 0.0 };
            let all = SHARED[0].sqrt() * normal(&mut random);
            let groups = [(); 3].map(|()| SHARED[1].sqrt() * normal(&mut random));
            for system in 0..systems {
                let own = SHARED[2].sqrt() * normal(&mut random);
                scores[[system, clip]] = signal[system] * s + all + groups[system % 3] + own;
            }
        }
        Part {
            machine: (*name).to_owned(),
            section: "00".to_owned(),
            files: (0..CLIPS).map(|clip| format!("section_00_{clip:04}.wav")).collect(),
            domains: (0..CLIPS).map(|clip| Some(facts(clip, CLIPS).0)).collect(),
            scores,
        }
    };
    let parts: Vec<Part> = MACHINES.iter().enumerate().map(part).collect();
    let labels = vec![(0..CLIPS).map(|clip| facts(clip, CLIPS).1).collect(); parts.len()];
    let names = (0..systems).map(|system| format!("system {system}")).collect();
    TuningSet::new(Year::Y2023, names, parts, labels).unwrap()
}
