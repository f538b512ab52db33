//! A toy car on a stand: a small motor's commutation tones, a plastic gear, and wheels that roll.
//!
//! Faults: *bent-shaft* (everything is modulated once a wheel's turn), *worn-gear* (upper gear tones and sidebands),
//! *flat-tyre* (a thump every turn of the wheel), *brush-spark* (irregular crackle of the motor's brushes).

use rand_chacha::ChaCha8Rng;

use super::super::signal::{
    Partial, Shaft, add, band_noise, gain_db, gauss, harmonics, impulses, modulate, ring, uniform,
};
use super::{Operation, scatter};

pub(super) const FAULTS: [&str; 4] = ["bent-shaft", "worn-gear", "flat-tyre", "brush-spark"];

pub(super) fn sound(operation: &Operation, unit: &mut ChaCha8Rng, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (rate_hz, samples) = (operation.rate_hz, operation.samples);
    let motor_hz = uniform(unit, 120.0, 170.0) * operation.speed;
    let gear_order = uniform(unit, 7.0, 11.0).floor();
    let wheel_order = 1.0 / uniform(unit, 9.0, 14.0);
    let rolling_hz = uniform(unit, 700.0, 1200.0);
    let mut commutation = harmonics(unit, 3.0, 6, 0.7);
    let mut motor = harmonics(unit, 1.0, 8, 0.5);
    let mut gear = harmonics(unit, gear_order, 5, 0.7);

    // Toys run unevenly, and slow down as they warm up.
    let slowing = 0.01 * gauss(rng);
    let shaft = Shaft::new(rng, rate_hz, samples, motor_hz, 0.008, slowing);
    scatter(&mut commutation, 2.5, 0.4, rng);
    scatter(&mut motor, 2.5, 0.15, rng);
    scatter(&mut gear, 2.5, 0.45, rng);
    let worn = operation.fault("worn-gear");
    for partial in gear.iter_mut().skip(1) {
        partial.amplitude *= 1.0 + 0.7 * worn;
    }
    let mut out = operation.silence();
    shaft.sound(&commutation, &mut out);
    shaft.sound(&motor, &mut out);
    shaft.sound(&gear, &mut out);
    if worn > 0.0 {
        let sidebands: Vec<Partial> = [1.0, 2.0]
            .into_iter()
            .flat_map(|k| [-1.0, -0.5, 0.5, 1.0].map(|side| k * gear_order + side))
            .map(|order| Partial { order, amplitude: 0.07 * worn, phase: uniform(rng, 0.0, 1.0) })
            .collect();
        shaft.sound(&sidebands, &mut out);
    }
    let mut rolling = band_noise(rng, rate_hz, samples, rolling_hz * operation.speed, 0.5);
    modulate(&mut rolling, &shaft.wave(wheel_order, 0.0), 0.25);
    add(&mut out, &rolling, 0.5 * gain_db(rng, 2.0));
    let bent = operation.fault("bent-shaft");
    if bent > 0.0 {
        modulate(&mut out, &shaft.wave(wheel_order, 0.3), (0.7 * bent).min(1.0));
        let wobble = band_noise(rng, rate_hz, samples, 320.0, 1.5);
        add(&mut out, &wobble, 0.4 * bent);
    }

    let flat = operation.fault("flat-tyre");
    if flat > 0.0 {
        let thumps: Vec<(f64, f64)> = shaft
            .passages_s(wheel_order, 0.0)
            .into_iter()
            .map(|time_s| (time_s, gain_db(rng, 2.0)))
            .collect();
        let thumps = impulses(rate_hz, samples, thumps);
        ring(&mut out, &thumps, rate_hz, 210.0, 0.015, 1.0 * flat);
        ring(&mut out, &thumps, rate_hz, 1500.0, 0.005, 0.6 * flat);
    }
    let spark = operation.fault("brush-spark");
    if spark > 0.0 {
        let count = (60.0 * operation.length_s()) as usize;
        let crackles: Vec<(f64, f64)> =
            (0..count).map(|_| (uniform(rng, 0.0, operation.length_s()), gain_db(rng, 5.0))).collect();
        let crackles = impulses(rate_hz, samples, crackles);
        ring(&mut out, &crackles, rate_hz, 5600.0, 0.0015, 0.8 * spark);
        ring(&mut out, &crackles, rate_hz, 3900.0, 0.0015, 0.5 * spark);
    }
    out
}
