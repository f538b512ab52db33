//! A rolling bearing on a driven shaft: low multiples of the rotation, rolling noise, and the resonance of its
//! housing, which every impact excites.
//!
//! Faults: *outer-race* (impacts at the outer race's ball-pass frequency), *inner-race* (at the inner race's, louder
//! as the defect turns into the load), *ball* (at twice the ball's spin, modulated by the cage), *imbalance*
//! (1× rotation), *dry* (high-band noise for want of grease). Rolling elements slip: intervals scatter by 1.5 %.
//! Frequencies: Harris, *Rolling Bearing Analysis*; with n balls of diameter ratio d, BPFO = n/2·(1−d),
//! BPFI = n/2·(1+d), BSF = (1−d²)/(2d), FTF = (1−d)/2, in multiples of the rotation.

use rand_chacha::ChaCha8Rng;

use super::super::signal::{
    Partial, Shaft, add, band_noise, gain_db, gauss, harmonics, impulses, modulate, ring, uniform,
};
use super::{Operation, scatter};

pub(super) const FAULTS: [&str; 5] = ["outer-race", "inner-race", "ball", "imbalance", "dry"];

pub(super) fn sound(operation: &Operation, unit: &mut ChaCha8Rng, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (rate_hz, samples) = (operation.rate_hz, operation.samples);
    let turn_hz = uniform(unit, 16.0, 24.0) * operation.speed;
    let balls = uniform(unit, 7.0, 11.0).floor();
    let ratio = uniform(unit, 0.2, 0.3);
    let housing_hz = uniform(unit, 2900.0, 3700.0);
    let mut tones = harmonics(unit, 1.0, 10, 0.7);
    let motor_order = uniform(unit, 12.0, 18.0).floor();
    let mut motor = harmonics(unit, motor_order, 4, 0.8);

    let shaft = Shaft::new(rng, rate_hz, samples, turn_hz, 0.003, 0.0);
    scatter(&mut tones, 2.0, 0.3, rng);
    scatter(&mut motor, 2.0, 0.3, rng);
    let mut out = operation.silence();
    shaft.sound(&tones, &mut out);
    shaft.sound(&motor, &mut out);
    let mut rolling = band_noise(rng, rate_hz, samples, 1100.0 * operation.speed, 0.5);
    modulate(&mut rolling, &shaft.wave(1.0, 0.0), 0.2);
    add(&mut out, &rolling, 0.6 * operation.speed * gain_db(rng, 1.5));
    // The housing hums along with the rolling noise even in health.
    let housing = band_noise(rng, rate_hz, samples, housing_hz, 4.0);
    add(&mut out, &housing, 0.25 * gain_db(rng, 2.0));

    let orders = [
        ("outer-race", balls / 2.0 * (1.0 - ratio), 0.0, 0.0),
        ("inner-race", balls / 2.0 * (1.0 + ratio), 1.0, 0.9),
        ("ball", (1.0 - ratio * ratio) / ratio, (1.0 - ratio) / 2.0, 0.7),
    ];
    for (kind, order, modulator, depth) in orders {
        let gain = operation.fault(kind);
        if gain > 0.0 {
            let times = shaft.passages_s(order, 0.0);
            let interval_s = 1.0 / (order * turn_hz);
            let hits: Vec<(f64, f64)> = times
                .into_iter()
                .map(|time_s| (time_s + 0.015 * interval_s * gauss(rng), gain_db(rng, 2.0)))
                .collect();
            let mut hits = impulses(rate_hz, samples, hits);
            modulate(&mut hits, &shaft.wave(modulator, 0.0), depth);
            ring(&mut out, &hits, rate_hz, housing_hz, 0.003, 0.55 * gain);
            ring(&mut out, &hits, rate_hz, 0.45 * housing_hz, 0.004, 0.2 * gain);
        }
    }
    let imbalance = operation.fault("imbalance");
    let tone =
        |order: f64, amplitude: f64| Partial { order, amplitude: 0.8 * amplitude * imbalance, phase: 0.0 };
    shaft.sound(&[tone(1.0, 0.7), tone(2.0, 0.35), tone(3.0, 0.12)], &mut out);
    let dry = operation.fault("dry");
    if dry > 0.0 {
        let squeal = band_noise(rng, rate_hz, samples, 5200.0, 1.5);
        add(&mut out, &squeal, 0.22 * dry);
    }
    out
}
