//! Where a machine stands and how it is recorded: factory noise, its level, and the microphone's colouring. Shared
//! by all machine types, so that no machine can be told by its surroundings.

use rand_chacha::ChaCha8Rng;

use super::signal::{
    Biquad, add, band_noise, from_db, gain_db, gauss, impulses, ring, rms, scale, uniform, white,
};

/// Which factory hall is heard in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hall {
    /// Ventilation and mains hum at 50 Hz.
    Quiet,
    /// Nearer machines: more mid-band noise, a 60 Hz family of tones, metal clangs.
    Busy,
}

/// Which microphone records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Microphone {
    /// Near and even.
    Near,
    /// Behind a panel: less treble, a bump in the middle.
    Far,
}

/// Recording conditions of one clip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub hall: Hall,
    pub microphone: Microphone,
    /// Level of the machine over the noise in the typical clip, decibels.
    pub snr_db: f64,
}

/// Root mean square of a typical clip's machine sound in the file, relative to full scale.
const MACHINE_LEVEL: f64 = 0.03;

/// Puts a machine's sound (root mean square around 1) into its scene and scales it for the file.
pub(super) fn record(mut machine: Vec<f32>, scene: Scene, rate_hz: f64, rng: &mut ChaCha8Rng) -> Vec<f32> {
    // Distance and gain vary from clip to clip, as do the surroundings.
    scale(&mut machine, gain_db(rng, 1.2));
    let noise = background(scene.hall, rate_hz, machine.len(), rng);
    let level_db = -scene.snr_db + 1.5 * gauss(rng);
    add(&mut machine, &noise, from_db(level_db) / rms(&noise).max(1e-9));
    match scene.microphone {
        Microphone::Near => Biquad::peak(rate_hz, 3000.0, 0.8, gauss(rng)).apply(&mut machine),
        Microphone::Far => {
            Biquad::peak(rate_hz, 6500.0, 0.5, -7.0 + gauss(rng)).apply(&mut machine);
            Biquad::peak(rate_hz, 900.0, 0.9, 4.0 + gauss(rng)).apply(&mut machine);
        }
    }
    scale(&mut machine, MACHINE_LEVEL);
    // The microphone's own noise, -80 dB of full scale.
    add(&mut machine, &white(rng, noise.len()), 1e-4);
    machine
}

fn background(hall: Hall, rate_hz: f64, samples: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut out = pink(rng, samples);
    let (hum_hz, middle_hz, middle_gain) = match hall {
        Hall::Quiet => (50.0, 500.0, 0.35),
        Hall::Busy => (60.0, 1400.0, 0.6),
    };
    let middle_hz = middle_hz * gain_db(rng, 1.5);
    let middle = band_noise(rng, rate_hz, samples, middle_hz, 1.2);
    add(&mut out, &middle, middle_gain * gain_db(rng, 2.5));
    let high_hz = 4500.0 * gain_db(rng, 1.0);
    let high = band_noise(rng, rate_hz, samples, high_hz, 0.9);
    add(&mut out, &high, 0.15 * gain_db(rng, 3.0));
    let hum = super::signal::Shaft::new(rng, rate_hz, samples, hum_hz, 1e-4, 0.0);
    let mut partials = super::signal::harmonics(rng, 1.0, 6, 0.8);
    for partial in &mut partials {
        partial.amplitude *= 0.3 * gain_db(rng, 3.0);
    }
    hum.sound(&partials, &mut out);
    if hall == Hall::Busy {
        clangs(&mut out, rate_hz, rng);
    }
    out
}

/// Metal parts that fall now and then, 0.4 a second.
fn clangs(out: &mut [f32], rate_hz: f64, rng: &mut ChaCha8Rng) {
    let length_s = out.len() as f64 / rate_hz;
    let mut time_s = 0.0;
    loop {
        time_s -= (1.0 - uniform(rng, 0.0, 1.0)).ln() / 0.4;
        if time_s > length_s {
            return;
        }
        // A clang is over after a second; the rest of the clip need not be visited.
        let from = (time_s * rate_hz) as usize;
        let to = (from + rate_hz as usize).min(out.len());
        let hit = impulses(rate_hz, to - from, [(0.0, 2.5 * gain_db(rng, 4.0))]);
        let out = &mut out[from..to];
        for _ in 0..2 {
            let (hz, decay_s) = (uniform(rng, 700.0, 5000.0), uniform(rng, 0.02, 0.12));
            ring(out, &hit, rate_hz, hz, decay_s, 0.7);
        }
    }
}

/// Noise whose power falls by 3 dB an octave: three one-pole filters (P. Kellet's economy version).
fn pink(rng: &mut ChaCha8Rng, samples: usize) -> Vec<f32> {
    let (mut slow, mut middle, mut fast) = (0.0f32, 0.0f32, 0.0f32);
    let mut out = white(rng, samples);
    for sample in &mut out {
        let input = *sample;
        slow = 0.997_65 * slow + input * 0.099_046;
        middle = 0.963 * middle + input * 0.296_516_4;
        fast = 0.57 * fast + input * 1.052_691_3;
        *sample = 0.35 * (slow + middle + fast + input * 0.1848);
    }
    out
}
