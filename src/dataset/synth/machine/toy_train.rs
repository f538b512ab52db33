//! A toy train on a ring of track: a motor, wheels that roll, and a double clack as the two axles cross each rail
//! joint.
//!
//! Faults: *flat-wheel* (a thump every turn of a wheel), *open-joint* (at one joint of the ring the wheels clack hard and bounce),
//! *flange-squeal* (a squeal that comes and goes with the curve), *obstacle* (something scrapes once a lap).

use rand_chacha::ChaCha8Rng;

use super::super::signal::{
    Shaft, add, add_shaped, band_noise, burst_envelope, gain_db, gauss, harmonics, impulses, modulate, ring,
    uniform,
};
use super::{Operation, scatter};

pub(super) const FAULTS: [&str; 4] = ["flat-wheel", "open-joint", "flange-squeal", "obstacle"];

pub(super) fn sound(operation: &Operation, unit: &mut ChaCha8Rng, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (rate_hz, samples) = (operation.rate_hz, operation.samples);
    let wheel_hz = uniform(unit, 7.0, 10.0) * operation.speed;
    let joints_per_turn = uniform(unit, 0.35, 0.5);
    let joints_per_lap = uniform(unit, 5.0, 8.0).floor();
    let axle_gap_turns = uniform(unit, 0.3, 0.5);
    let rail_hz = uniform(unit, 1500.0, 2000.0);
    let motor_order = uniform(unit, 18.0, 26.0).floor();
    let mut motor = harmonics(unit, motor_order, 7, 0.7);

    let slowing = 0.01 * gauss(rng);
    let shaft = Shaft::new(rng, rate_hz, samples, wheel_hz, 0.008, slowing);
    scatter(&mut motor, 2.5, 0.45, rng);
    let mut out = operation.silence();
    shaft.sound(&motor, &mut out);
    let mut rolling = band_noise(rng, rate_hz, samples, 900.0 * operation.speed, 0.5);
    modulate(&mut rolling, &shaft.wave(1.0, 0.0), 0.2);
    add(&mut out, &rolling, 0.55 * gain_db(rng, 1.5));

    let open = operation.fault("open-joint");
    let phase = uniform(rng, 0.0, joints_per_lap).floor() as usize;
    let mut clacks = Vec::new();
    for axle in 0..2 {
        let passages = shaft.passages_s(joints_per_turn, f64::from(axle) * axle_gap_turns * joints_per_turn);
        for (joint, time_s) in passages.into_iter().enumerate() {
            let is_open = (joint + phase).is_multiple_of(joints_per_lap as usize);
            let extra = if is_open { 1.0 + open.min(3.0) } else { 1.0 };
            clacks.push((time_s, extra * gain_db(rng, 2.5)));
            if is_open && open > 0.0 {
                // The wheel drops into the gap and bounces out of it.
                let bounces = (1..=6)
                    .map(|bounce| (time_s + 0.022 * f64::from(bounce), open.min(3.0) * gain_db(rng, 2.5)));
                clacks.extend(bounces);
            }
        }
    }
    let clacks = impulses(rate_hz, samples, clacks);
    ring(&mut out, &clacks, rate_hz, rail_hz, 0.012, 1.6);
    ring(&mut out, &clacks, rate_hz, 0.31 * rail_hz, 0.02, 1.2);
    ring(&mut out, &clacks, rate_hz, 2.3 * rail_hz, 0.006, 0.8);

    let flat = operation.fault("flat-wheel");
    if flat > 0.0 {
        let thumps: Vec<(f64, f64)> =
            shaft.passages_s(1.0, 0.2).into_iter().map(|time_s| (time_s, gain_db(rng, 2.0))).collect();
        let thumps = impulses(rate_hz, samples, thumps);
        ring(&mut out, &thumps, rate_hz, 0.5 * rail_hz, 0.008, 1.3 * flat);
        ring(&mut out, &thumps, rate_hz, 2.9 * rail_hz, 0.004, 0.5 * flat);
    }
    let lap_order = joints_per_turn / joints_per_lap;
    let squeal = operation.fault("flange-squeal");
    if squeal > 0.0 {
        let mut tone = band_noise(rng, rate_hz, samples, 2.7 * rail_hz, 12.0);
        modulate(&mut tone, &shaft.wave(2.0 * lap_order, 0.0), 1.0);
        add(&mut out, &tone, 0.12 * squeal);
    }
    let obstacle = operation.fault("obstacle");
    if obstacle > 0.0 {
        // A touch can fall between the ends of a short clip: twice a lap, on each side of the train.
        let touches: Vec<(f64, f64)> = shaft
            .passages_s(2.0 * lap_order, 0.4)
            .into_iter()
            .map(|time_s| (time_s, gain_db(rng, 2.0)))
            .collect();
        let envelope = burst_envelope(&impulses(rate_hz, samples, touches), rate_hz, 0.2);
        let scrape = band_noise(rng, rate_hz, samples, 3300.0, 0.8);
        add_shaped(&mut out, &scrape, &envelope, 1.3 * obstacle);
    }
    out
}
