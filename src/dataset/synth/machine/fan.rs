//! A fan: tones at the blades' passing frequency and its multiples, weak ones at the other multiples of the
//! rotation, and turbulent air, louder as each blade passes.
//!
//! Faults: *imbalance* (1× and 2× rotation rise and the air is modulated once a turn), *blade-damage* (sidebands one
//! rotation beside the blade tones), *rub* (a scrape every turn), *obstruction* (low-band turbulence).

use rand_chacha::ChaCha8Rng;

use super::super::signal::{
    Partial, Shaft, add, add_shaped, band_noise, burst_envelope, gain_db, harmonics, impulses, modulate,
    uniform,
};
use super::{Operation, scatter};

pub(super) const FAULTS: [&str; 4] = ["imbalance", "blade-damage", "rub", "obstruction"];

pub(super) fn sound(operation: &Operation, unit: &mut ChaCha8Rng, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (rate_hz, samples) = (operation.rate_hz, operation.samples);
    let turn_hz = uniform(unit, 22.0, 30.0) * operation.speed;
    let blades = uniform(unit, 5.0, 8.0).floor();
    let mut tones = harmonics(unit, blades, 8, 1.0);
    let mut residue = harmonics(unit, 1.0, 12, 0.5);
    let air_hz = uniform(unit, 450.0, 800.0) * operation.speed;

    let shaft = Shaft::new(rng, rate_hz, samples, turn_hz, 0.004, 0.0);
    scatter(&mut tones, 2.0, 0.6, rng);
    scatter(&mut residue, 3.0, 0.08, rng);
    let mut out = operation.silence();
    shaft.sound(&tones, &mut out);
    shaft.sound(&residue, &mut out);

    let mut air = band_noise(rng, rate_hz, samples, air_hz, 0.5);
    modulate(&mut air, &shaft.wave(blades, 0.0), 0.3);
    let imbalance = operation.fault("imbalance");
    if imbalance > 0.0 {
        modulate(&mut air, &shaft.wave(1.0, 0.0), (0.6 * imbalance).min(1.0));
        let tone =
            |order: f64, amplitude: f64| Partial { order, amplitude: amplitude * imbalance, phase: 0.0 };
        shaft.sound(&[tone(1.0, 0.28), tone(2.0, 0.15), tone(3.0, 0.08)], &mut out);
    }
    // Turbulence grows with the fifth power of speed in intensity; a milder law keeps the levels comparable.
    add(&mut out, &air, 0.7 * operation.speed.powf(1.5) * gain_db(rng, 1.5));
    let hiss = band_noise(rng, rate_hz, samples, 3000.0, 0.7);
    add(&mut out, &hiss, 0.2 * gain_db(rng, 2.0));

    let damage = operation.fault("blade-damage");
    if damage > 0.0 {
        let sidebands = [1.0, 2.0, 3.0].into_iter().flat_map(|k| [k * blades - 1.0, k * blades + 1.0]);
        let partials: Vec<Partial> =
            sidebands.map(|order| Partial { order, amplitude: 0.14 * damage, phase: 0.25 }).collect();
        shaft.sound(&partials, &mut out);
    }
    let rub = operation.fault("rub");
    if rub > 0.0 {
        let place = uniform(rng, 0.0, 1.0);
        let touches: Vec<(f64, f64)> =
            shaft.passages_s(1.0, place).into_iter().map(|time_s| (time_s, gain_db(rng, 3.0))).collect();
        let envelope = burst_envelope(&impulses(rate_hz, samples, touches), rate_hz, 0.006);
        let scrape = band_noise(rng, rate_hz, samples, 3600.0, 1.5);
        add_shaped(&mut out, &scrape, &envelope, 0.6 * rub);
    }
    let obstruction = operation.fault("obstruction");
    if obstruction > 0.0 {
        let rumble = band_noise(rng, rate_hz, samples, 260.0, 0.9);
        add(&mut out, &rumble, 0.55 * obstruction);
    }
    out
}
