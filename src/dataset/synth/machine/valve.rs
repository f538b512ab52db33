//! A solenoid valve: it opens and closes in a fixed pattern; each stroke is a click that rings in the body, and
//! opening lets out a breath of air.
//!
//! Faults: *missing* (strokes that do not happen; the coil buzzes against the stuck plunger), *leak* (a hiss that
//! does not stop), *sluggish* (late, soft strokes of a plunger that rubs), *chatter* (strokes that bounce).

use rand_chacha::ChaCha8Rng;

use super::super::signal::{
    add, add_shaped, band_noise, burst_envelope, gain_db, gauss, impulses, ring, uniform,
};
use super::Operation;

pub(super) const FAULTS: [&str; 4] = ["missing", "leak", "sluggish", "chatter"];

pub(super) fn sound(operation: &Operation, unit: &mut ChaCha8Rng, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (rate_hz, samples) = (operation.rate_hz, operation.samples);
    let cycle_s = uniform(unit, 0.28, 0.42) / operation.speed;
    let open_share = uniform(unit, 0.35, 0.5);
    let modes_hz =
        [uniform(unit, 900.0, 1500.0), uniform(unit, 2200.0, 3200.0), uniform(unit, 4200.0, 6000.0)];
    let air_hz = uniform(unit, 3500.0, 5500.0);

    let missing = (0.45 * operation.fault("missing")).min(0.95);
    let sluggish = operation.fault("sluggish");
    let chatter = operation.fault("chatter");
    let soft = 1.0 / (1.0 + 0.7 * sluggish);
    // Supply pressure differs from clip to clip and sets how hard the strokes are.
    let pressure = gain_db(rng, 1.5);
    let (mut strokes, mut breaths, mut stuck, mut rubs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut start_s = -uniform(rng, 0.0, cycle_s);
    while start_s < operation.length_s() {
        let late_s = 0.004 * gauss(rng) + 0.05 * sluggish * uniform(rng, 0.0, 1.0);
        let happens = uniform(rng, 0.0, 1.0) >= missing;
        for (time_s, strength) in [(start_s + late_s, 1.0), (start_s + late_s + open_share * cycle_s, 0.7)] {
            let strength = strength * soft * pressure * gain_db(rng, 1.5);
            let bounces =
                if chatter > 0.0 { 1 + (2.0 * chatter * uniform(rng, 0.3, 1.0)).round() as i32 } else { 0 };
            if happens {
                strokes.push((time_s, strength));
                for bounce in 1..=bounces {
                    let bounce = f64::from(bounce);
                    strokes.push((
                        time_s + 0.011 * bounce + 0.002 * gauss(rng),
                        strength * 0.75f64.powf(bounce),
                    ));
                }
            }
        }
        if happens {
            breaths.push((start_s + late_s + 0.003, soft * pressure * gain_db(rng, 1.5)));
            rubs.push((start_s, gain_db(rng, 2.0)));
        } else {
            stuck.push((start_s, gain_db(rng, 2.0)));
        }
        start_s += cycle_s * (1.0 + 0.01 * gauss(rng));
    }

    let mut out = operation.silence();
    let strokes = impulses(rate_hz, samples, strokes);
    for (mode_hz, (decay_s, gain)) in modes_hz.into_iter().zip([(0.012, 4.0), (0.007, 3.0), (0.004, 2.0)]) {
        ring(&mut out, &strokes, rate_hz, mode_hz, decay_s, gain);
    }
    let air = band_noise(rng, rate_hz, samples, air_hz, 0.9);
    let breath = burst_envelope(&impulses(rate_hz, samples, breaths), rate_hz, 0.05);
    add_shaped(&mut out, &air, &breath, 0.9);
    // The coil hums while the valve is fed.
    let coil = band_noise(rng, rate_hz, samples, 400.0, 0.8);
    add(&mut out, &coil, 0.25 * gain_db(rng, 2.0));
    for (active, events, hz, q, decay_s, gain) in
        [(missing, stuck, 600.0, 2.5, 0.12, 1.3), (sluggish, rubs, 1900.0, 1.5, 0.06, 0.6 * sluggish)]
    {
        if active > 0.0 {
            let envelope = burst_envelope(&impulses(rate_hz, samples, events), rate_hz, decay_s);
            let noise = band_noise(rng, rate_hz, samples, hz, q);
            add_shaped(&mut out, &noise, &envelope, gain);
        }
    }
    let leak = operation.fault("leak");
    if leak > 0.0 {
        let hiss = band_noise(rng, rate_hz, samples, 1.15 * air_hz, 1.2);
        add(&mut out, &hiss, 0.2 * leak);
    }
    out
}
