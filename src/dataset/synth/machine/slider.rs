//! A slide rail: a carriage that goes to and fro; friction noise and a motor's whine follow its speed, and each turn
//! of direction gives a thump.
//!
//! Faults: *dirt* (a scratch at one place of the rail), *dry* (stick-slip friction, higher and louder), *loose-belt*
//! (rattling thumps), *drift* (strokes that lose their pace, with chirps as the belt
//! slips).

use rand_chacha::ChaCha8Rng;

use super::super::signal::{
    Partial, Shaft, add_shaped, band_noise, burst_envelope, gain_db, gauss, impulses, ring, uniform,
};
use super::Operation;

pub(super) const FAULTS: [&str; 4] = ["dirt", "dry", "loose-belt", "drift"];

/// Share of a stroke in which the carriage speeds up, and slows down.
const RAMP: f64 = 0.15;

pub(super) fn sound(operation: &Operation, unit: &mut ChaCha8Rng, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (rate_hz, samples) = (operation.rate_hz, operation.samples);
    let stroke_s = uniform(unit, 0.45, 0.7) / operation.speed;
    let friction_hz = uniform(unit, 1000.0, 1500.0) * operation.speed.sqrt();
    let whine_hz = uniform(unit, 350.0, 600.0) * operation.speed;
    let thump_hz = uniform(unit, 140.0, 260.0);
    let dirt_place = uniform(unit, 0.3, 0.7);

    let drift = operation.fault("drift");
    let belt = operation.fault("loose-belt");
    let (mut turns, mut scratches, mut rattles, mut slips) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut speed = operation.silence();
    let mut start_s = -uniform(rng, 0.0, stroke_s);
    let mut there = true;
    while start_s < operation.length_s() {
        let pace = 1.0 + 0.012 * gauss(rng) + 0.3 * drift * gauss(rng).abs();
        let this_s = stroke_s * pace.max(0.4);
        trapezium(&mut speed, rate_hz, start_s, this_s, stroke_s / this_s);
        turns.push((start_s, gain_db(rng, 1.5)));
        let place = if there { dirt_place } else { 1.0 - dirt_place };
        scratches.push((start_s + place * this_s, gain_db(rng, 2.0)));
        for _ in 0..10 {
            rattles.push((start_s + uniform(rng, 0.0, 0.6) * this_s, uniform(rng, 0.2, 1.0)));
        }
        slips.push((start_s + 0.5 * this_s, (pace - 1.0).max(0.0) / 0.3));
        start_s += this_s;
        there = !there;
    }

    let mut out = operation.silence();
    let dry = operation.fault("dry");
    let friction = band_noise(rng, rate_hz, samples, friction_hz, 0.6);
    add_shaped(&mut out, &friction, &speed, 0.9 * gain_db(rng, 1.5));
    if dry > 0.0 {
        let squeal = band_noise(rng, rate_hz, samples, 3.1 * friction_hz, 2.0);
        add_shaped(&mut out, &squeal, &speed, 0.26 * dry);
    }
    let motor = Shaft::new(rng, rate_hz, samples, whine_hz, 0.003, 0.0);
    let mut whine = operation.silence();
    let tones = [1.0, 2.0, 3.0, 5.0].map(|order: f64| Partial {
        order,
        amplitude: order.powf(-0.7) * gain_db(rng, 2.0),
        phase: uniform(rng, 0.0, 1.0),
    });
    motor.sound(&tones, &mut whine);
    add_shaped(&mut out, &whine, &speed, 0.45);
    let thumps = impulses(rate_hz, samples, turns);
    ring(&mut out, &thumps, rate_hz, thump_hz, 0.025, 2.0);
    ring(&mut out, &thumps, rate_hz, 4.3 * thump_hz, 0.01, 1.2);
    let dirt = operation.fault("dirt");
    if dirt > 0.0 {
        let envelope = burst_envelope(&impulses(rate_hz, samples, scratches), rate_hz, 0.09);
        let scratch = band_noise(rng, rate_hz, samples, 4200.0, 1.2);
        add_shaped(&mut out, &scratch, &envelope, 1.5 * dirt);
    }
    if drift > 0.0 {
        let envelope = burst_envelope(&impulses(rate_hz, samples, slips), rate_hz, 0.08);
        let chirp = band_noise(rng, rate_hz, samples, 2300.0, 5.0);
        add_shaped(&mut out, &chirp, &envelope, 0.8);
    }
    if belt > 0.0 {
        let rattles = impulses(rate_hz, samples, rattles);
        ring(&mut out, &rattles, rate_hz, 2.6 * thump_hz, 0.012, 2.4 * belt);
        ring(&mut out, &rattles, rate_hz, 7.9 * thump_hz, 0.006, 2.0 * belt);
    }
    out
}

/// Adds one stroke's speed: up to `top`, along, and down again to 0.
fn trapezium(speed: &mut [f32], rate_hz: f64, start_s: f64, length_s: f64, top: f64) {
    let first = (start_s * rate_hz).max(0.0) as usize;
    let last = (((start_s + length_s) * rate_hz).max(0.0) as usize).min(speed.len());
    for (n, sample) in speed.iter_mut().enumerate().take(last).skip(first) {
        let along = (n as f64 / rate_hz - start_s) / length_s;
        *sample = (top * (along / RAMP).min((1.0 - along) / RAMP).clamp(0.0, 1.0)) as f32;
    }
}
