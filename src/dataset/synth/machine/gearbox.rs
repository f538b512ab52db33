//! A gearbox: the teeth mesh at (teeth × rotation) with overtones, modulated once a turn by each wheel, a second,
//! slower wheel, and a motor's hum.
//!
//! Faults: *broken-tooth* (a knock every turn), *wear* (upper mesh tones and their sidebands rise), *eccentricity*
//! (deep modulation once a turn), *dry* (noise around the mesh tones for want of oil).

use rand_chacha::ChaCha8Rng;

use super::super::signal::{
    Partial, Shaft, add, band_noise, gain_db, harmonics, impulses, modulate, ring, uniform,
};
use super::{Operation, scatter};

pub(super) const FAULTS: [&str; 4] = ["broken-tooth", "wear", "eccentricity", "dry"];

pub(super) fn sound(operation: &Operation, unit: &mut ChaCha8Rng, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (rate_hz, samples) = (operation.rate_hz, operation.samples);
    let turn_hz = uniform(unit, 18.0, 26.0) * operation.speed;
    let teeth = uniform(unit, 17.0, 30.0).floor();
    let second_order = uniform(unit, 0.3, 0.6);
    let case_hz = uniform(unit, 1800.0, 2400.0);
    let mut mesh_tones = harmonics(unit, teeth, 6, 0.8);
    let mut second_tones = harmonics(unit, second_order * 19.0, 4, 0.8);
    let mut motor = harmonics(unit, 1.0, 8, 0.6);

    let shaft = Shaft::new(rng, rate_hz, samples, turn_hz, 0.005, 0.0);
    // The load sets how hard the teeth press on each other.
    let load = gain_db(rng, 2.0);
    scatter(&mut mesh_tones, 2.0, 0.6 * load, rng);
    scatter(&mut second_tones, 2.0, 0.35 * load, rng);
    scatter(&mut motor, 2.0, 0.15, rng);
    let wear = operation.fault("wear");
    for partial in mesh_tones.iter_mut().skip(1) {
        partial.amplitude *= 1.0 + 0.6 * wear;
    }

    let mut out = operation.silence();
    shaft.sound(&mesh_tones, &mut out);
    let eccentricity = uniform(rng, 0.05, 0.2) + 0.8 * operation.fault("eccentricity");
    modulate(&mut out, &shaft.wave(1.0, 0.0), eccentricity.min(1.0));
    if wear > 0.0 {
        let sidebands = [1.0, 2.0, 3.0]
            .into_iter()
            .flat_map(|k| [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0].map(|side| k * teeth + side))
            .map(|order| Partial { order, amplitude: 0.06 * wear, phase: uniform(rng, 0.0, 1.0) });
        let sidebands: Vec<Partial> = sidebands.collect();
        shaft.sound(&sidebands, &mut out);
    }
    let mut second = operation.silence();
    shaft.sound(&second_tones, &mut second);
    modulate(&mut second, &shaft.wave(second_order, 0.0), 0.3);
    add(&mut out, &second, 1.0);
    shaft.sound(&motor, &mut out);
    let case = band_noise(rng, rate_hz, samples, case_hz, 0.7);
    add(&mut out, &case, 0.4 * gain_db(rng, 1.5));

    let broken = operation.fault("broken-tooth");
    if broken > 0.0 {
        let knocks: Vec<(f64, f64)> =
            shaft.passages_s(1.0, 0.5).into_iter().map(|time_s| (time_s, gain_db(rng, 2.0))).collect();
        let knocks = impulses(rate_hz, samples, knocks);
        ring(&mut out, &knocks, rate_hz, case_hz, 0.006, 1.1 * broken);
        ring(&mut out, &knocks, rate_hz, 2.1 * case_hz, 0.003, 0.5 * broken);
    }
    let dry = operation.fault("dry");
    if dry > 0.0 {
        let mut grind = band_noise(rng, rate_hz, samples, 3200.0, 1.0);
        modulate(&mut grind, &shaft.wave(teeth, 0.0), 0.6);
        add(&mut out, &grind, 0.6 * dry);
    }
    out
}
