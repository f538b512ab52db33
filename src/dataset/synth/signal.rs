//! The parts that machine sounds are made of: noise, filters, rotating shafts with their harmonics, and events that
//! ring. Everything works on whole buffers of f32 at a known rate and draws from the stream it is given, so that the
//! same stream gives the same bytes.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

/// Samples over which a shaft's speed is constant: 32 ms at 16 kHz, short beside any speed drift.
const BLOCK_SAMPLES: usize = 512;
/// Oscillators and noise advance in this many interleaved lanes, which lets the compiler use vector registers and
/// hides their latency.
const LANES: usize = 16;

/// A draw from [low, high).
pub(super) fn uniform(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// A draw from the standard normal distribution (Box-Muller).
pub(super) fn gauss(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

/// A gain that scatters around 1 with a standard deviation in decibels.
pub(super) fn gain_db(rng: &mut ChaCha8Rng, deviation_db: f64) -> f64 {
    from_db(deviation_db * gauss(rng))
}

/// Amplitude factor of a level in decibels.
pub(super) fn from_db(db: f64) -> f64 {
    10f64.powf(db / 20.0)
}

/// White noise of unit variance. Each value is the sum of two uniform ones, near enough to a Gaussian once filtered.
///
/// Noise is most of what a clip costs, so the numbers come from interleaved xorshift generators (G. Marsaglia,
/// "Xorshift RNGs", 2003), which are good enough to listen to and several times faster than the stream that seeds
/// them.
pub(super) fn white(rng: &mut ChaCha8Rng, samples: usize) -> Vec<f32> {
    // The sum of two 16-bit uniforms has variance 2 · (2^16)² / 12.
    let scale = 1.0 / (65536.0 * (1.0f32 / 6.0).sqrt());
    // A state of 0 would stay 0.
    let mut lanes = [0u32; LANES].map(|_| rng.next_u32() | 1);
    let mut out = vec![0.0; samples];
    let mut fill = |chunk: &mut [f32]| {
        for (sample, lane) in chunk.iter_mut().zip(&mut lanes) {
            *lane ^= *lane << 13;
            *lane ^= *lane >> 17;
            *lane ^= *lane << 5;
            let halves = ((*lane & 0xffff) + (*lane >> 16)) as i32 - 65535;
            *sample = halves as f32 * scale;
        }
    };
    let (chunks, rest) = out.as_chunks_mut::<LANES>();
    for chunk in chunks {
        fill(chunk);
    }
    fill(rest);
    out
}

/// A second-order filter section (R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients").
#[derive(Clone, Copy, Debug)]
pub(super) struct Biquad {
    b: [f32; 3],
    a: [f32; 2],
}

impl Biquad {
    fn new(rate_hz: f64, hz: f64, q: f64, form: impl Fn(f64, f64) -> ([f64; 3], [f64; 3])) -> Self {
        // Designs stay below the Nyquist frequency whatever rate was asked for.
        let omega = TAU * hz.clamp(1.0, 0.47 * rate_hz) / rate_hz;
        let (b, a) = form(omega.cos(), omega.sin() / (2.0 * q));
        Self { b: b.map(|b| (b / a[0]) as f32), a: [(a[1] / a[0]) as f32, (a[2] / a[0]) as f32] }
    }

    /// Passes around `hz` with unit gain there; `q` is centre over width.
    pub fn band_pass(rate_hz: f64, hz: f64, q: f64) -> Self {
        Self::new(rate_hz, hz, q, |cos, alpha| ([alpha, 0.0, -alpha], [1.0 + alpha, -2.0 * cos, 1.0 - alpha]))
    }

    /// Raises or lowers the surroundings of `hz` by `db`.
    pub fn peak(rate_hz: f64, hz: f64, q: f64, db: f64) -> Self {
        let root = 10f64.powf(db / 40.0);
        Self::new(rate_hz, hz, q, |cos, alpha| {
            (
                [1.0 + alpha * root, -2.0 * cos, 1.0 - alpha * root],
                [1.0 + alpha / root, -2.0 * cos, 1.0 - alpha / root],
            )
        })
    }

    /// Filters in place, from rest.
    pub fn apply(self, samples: &mut [f32]) {
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        let (mut input1, mut input2, mut output1, mut output2) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
        for sample in samples {
            let input = *sample;
            // The last output comes in last: everything else is ready before it, and the loop waits for it alone.
            let output = b0 * input + b1 * input1 + b2 * input2 - a2 * output2 - a1 * output1;
            (input2, input1) = (input1, input);
            (output2, output1) = (output1, output);
            *sample = output;
        }
    }
}

/// White noise through a band-pass, at unit variance again.
pub(super) fn band_noise(rng: &mut ChaCha8Rng, rate_hz: f64, samples: usize, hz: f64, q: f64) -> Vec<f32> {
    let mut noise = white(rng, samples);
    Biquad::band_pass(rate_hz, hz, q).apply(&mut noise);
    // A second-order band-pass of centre f and quality q passes the noise power of a band π/2 · f/q wide.
    let passed = (std::f64::consts::PI * hz / q / rate_hz).min(1.0);
    scale(&mut noise, passed.sqrt().recip());
    noise
}

/// `out += gain · part`.
pub(super) fn add(out: &mut [f32], part: &[f32], gain: f64) {
    let gain = gain as f32;
    for (out, part) in out.iter_mut().zip(part) {
        *out += gain * part;
    }
}

/// `samples *= gain`.
pub(super) fn scale(samples: &mut [f32], gain: f64) {
    let gain = gain as f32;
    for sample in samples {
        *sample *= gain;
    }
}

/// `samples *= max(1 + depth · wave, 0)`: amplitude modulation.
pub(super) fn modulate(samples: &mut [f32], wave: &[f32], depth: f64) {
    let depth = depth as f32;
    for (sample, wave) in samples.iter_mut().zip(wave) {
        *sample *= (1.0 + depth * wave).max(0.0);
    }
}

/// Root mean square.
pub(super) fn rms(samples: &[f32]) -> f64 {
    let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (power / samples.len().max(1) as f64).sqrt()
}

/// A rotating shaft: its angle over time, with a slow wander of the speed.
pub(super) struct Shaft {
    rate_hz: f64,
    samples: usize,
    /// Per block: the turns made before it, and turns per sample during it.
    blocks: Vec<(f64, f64)>,
}

/// One partial of a [`Shaft`]'s sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partial {
    /// Frequency as a multiple of the shaft's, not necessarily whole.
    pub order: f64,
    /// Amplitude.
    pub amplitude: f64,
    /// Phase at rest, turns.
    pub phase: f64,
}

impl Shaft {
    /// A shaft that turns at `hz` on average and wanders by the relative deviation `wander` within about half a
    /// second; `drift` is a relative change of speed over the whole clip.
    pub fn new(rng: &mut ChaCha8Rng, rate_hz: f64, samples: usize, hz: f64, wander: f64, drift: f64) -> Self {
        let keep = (-(BLOCK_SAMPLES as f64) / (0.5 * rate_hz)).exp();
        let mut away = gauss(rng);
        let mut turns = uniform(rng, 0.0, 1.0);
        let count = samples.div_ceil(BLOCK_SAMPLES);
        let blocks = (0..count)
            .map(|block| {
                let along = block as f64 / count as f64 - 0.5;
                let step = hz * (1.0 + wander * away + drift * along) / rate_hz;
                let start = turns;
                turns += step * BLOCK_SAMPLES as f64;
                away = keep * away + (1.0 - keep * keep).sqrt() * gauss(rng);
                (start, step)
            })
            .collect();
        Self { rate_hz, samples, blocks }
    }

    /// Adds the partials that lie below the Nyquist frequency to `out`.
    pub fn sound(&self, partials: &[Partial], out: &mut [f32]) {
        for partial in partials.iter().filter(|partial| partial.amplitude != 0.0) {
            for (block, &(turns, step)) in out.chunks_mut(BLOCK_SAMPLES).zip(&self.blocks) {
                let step = step * partial.order;
                if step >= 0.49 {
                    continue;
                }
                oscillate(block, (turns * partial.order + partial.phase).fract(), step, partial.amplitude);
            }
        }
    }

    /// One partial of unit amplitude, as a buffer to modulate with.
    pub fn wave(&self, order: f64, phase: f64) -> Vec<f32> {
        let mut out = vec![0.0; self.samples];
        self.sound(&[Partial { order, amplitude: 1.0, phase }], &mut out);
        out
    }

    /// The times in seconds at which the shaft has made another 1/`order` turn.
    pub fn passages_s(&self, order: f64, offset: f64) -> Vec<f64> {
        let mut times = Vec::new();
        let mut last = None;
        for (block, &(turns, step)) in self.blocks.iter().enumerate() {
            let start = turns * order + offset;
            let step = step * order;
            let mut next = last.map_or(start.ceil(), |last: f64| last + 1.0);
            while next < start + step * BLOCK_SAMPLES as f64 {
                times.push(
                    (block * BLOCK_SAMPLES) as f64 / self.rate_hz + (next - start) / step / self.rate_hz,
                );
                last = Some(next);
                next += 1.0;
            }
        }
        times
    }
}

/// Adds `amplitude · sin(2π(turns + step·n))`, each lane by the recurrence sin(x + d) = 2·cos(d)·sin(x) - sin(x - d),
/// which is started anew with every block and so has no time to drift.
fn oscillate(out: &mut [f32], turns: f64, step: f64, amplitude: f64) {
    let (mut last, mut now) = ([0.0f32; LANES], [0.0f32; LANES]);
    let (turn_im, turn_re) = (TAU * step).sin_cos();
    let (jump_im, jump_re) = (TAU * step * LANES as f64).sin_cos();
    let (mut im, mut re) = (TAU * turns).sin_cos();
    for lane in 0..LANES {
        now[lane] = (amplitude * im) as f32;
        last[lane] = (amplitude * (im * jump_re - re * jump_im)) as f32;
        (re, im) = (re * turn_re - im * turn_im, re * turn_im + im * turn_re);
    }
    let twice_cos = (2.0 * jump_re) as f32;
    let (chunks, rest) = out.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] += now[lane];
            let next = twice_cos * now[lane] - last[lane];
            last[lane] = now[lane];
            now[lane] = next;
        }
    }
    for (sample, value) in rest.iter_mut().zip(&now) {
        *sample += value;
    }
}

/// Harmonics 1..=`count` of a shaft's `order`, falling as 1/k^`fall`, each amplitude scattered by 2 dB and with a
/// phase of its own: the spectrum of one machine, to be drawn from the section's stream.
pub(super) fn harmonics(rng: &mut ChaCha8Rng, order: f64, count: usize, fall: f64) -> Vec<Partial> {
    (1..=count)
        .map(|k| Partial {
            order: order * k as f64,
            amplitude: (k as f64).powf(-fall) * gain_db(rng, 2.0),
            phase: uniform(rng, 0.0, 1.0),
        })
        .collect()
}

/// Impulses of given strengths at given times (seconds), shared between the two nearest samples.
pub(super) fn impulses(
    rate_hz: f64,
    samples: usize,
    events: impl IntoIterator<Item = (f64, f64)>,
) -> Vec<f32> {
    let mut out = vec![0.0f32; samples];
    for (time_s, strength) in events {
        let place = time_s * rate_hz;
        if place < 0.0 || place + 1.0 >= samples as f64 {
            continue;
        }
        let (whole, part) = (place as usize, place.fract());
        out[whole] += (strength * (1.0 - part)) as f32;
        out[whole + 1] += (strength * part) as f32;
    }
    out
}

/// Adds what a mode of vibration at `hz`, dying away within `decay_s` (to 1/e), makes of `impulses`: each becomes a
/// decaying tone of `gain` times its strength.
pub(super) fn ring(out: &mut [f32], impulses: &[f32], rate_hz: f64, hz: f64, decay_s: f64, gain: f64) {
    let omega = TAU * hz.min(0.47 * rate_hz) / rate_hz;
    let radius = (-1.0 / (decay_s * rate_hz)).exp();
    let (back, back2) = ((2.0 * radius * omega.cos()) as f32, (-radius * radius) as f32);
    let input = (omega.sin() * gain) as f32;
    let (mut last, mut before) = (0.0f32, 0.0f32);
    for (out, impulse) in out.iter_mut().zip(impulses) {
        // As in `Biquad::apply`: the last value comes in last.
        let now = input * impulse + back2 * before + back * last;
        (before, last) = (last, now);
        *out += now;
    }
}

/// A bump that rises within a millisecond or so and falls within `decay_s` after each impulse: the loudness of a
/// burst.
pub(super) fn burst_envelope(impulses: &[f32], rate_hz: f64, decay_s: f64) -> Vec<f32> {
    let fall = (-1.0 / (decay_s * rate_hz)).exp() as f32;
    let rise = (-1.0 / (0.001 * rate_hz)).exp() as f32;
    let (mut level, mut smooth) = (0.0f32, 0.0f32);
    impulses
        .iter()
        .map(|impulse| {
            level = level * fall + impulse;
            smooth += (level - smooth) * (1.0 - rise);
            smooth
        })
        .collect()
}

/// Adds `gain · envelope · noise`.
pub(super) fn add_shaped(out: &mut [f32], noise: &[f32], envelope: &[f32], gain: f64) {
    let gain = gain as f32;
    for ((out, noise), envelope) in out.iter_mut().zip(noise).zip(envelope) {
        *out += gain * noise * envelope;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;

    #[test]
    fn white_noise_has_zero_mean_and_unit_variance() {
        let noise = white(&mut stream(1, "test", 0), 200_000);
        let mean = noise.iter().map(|x| f64::from(*x)).sum::<f64>() / noise.len() as f64;
        // Five standard errors of 200,000 draws: 5/√200,000 = 0.011.
        assert!(mean.abs() < 0.011, "{mean}");
        assert!((rms(&noise) - 1.0).abs() < 0.01, "{}", rms(&noise));
    }

    #[test]
    fn an_oscillator_by_recurrence_is_a_sine() {
        let mut out = vec![0.0; BLOCK_SAMPLES];
        // From a wheel's 8 Hz to near the Nyquist frequency, at 16 kHz.
        for step in [0.0005, 0.0371, 0.48] {
            out.fill(0.0);
            oscillate(&mut out, 0.3, step, 0.5);
            for (n, value) in out.iter().enumerate() {
                let expected = 0.5 * (TAU * (0.3 + step * n as f64)).sin();
                // The rounding of 2·cos (1.2e-7) moves the frequency: by 1.2e-7 / (2·sin 0.05) a recurrence at the
                // lowest step, over 32 of them 4e-5 rad.
                assert!(
                    (f64::from(*value) - expected).abs() < 5e-5,
                    "step {step}, sample {n}: {value}, {expected}"
                );
            }
        }
    }

    #[test]
    fn a_steady_shaft_passes_at_equal_intervals() {
        let shaft = Shaft::new(&mut stream(1, "test", 0), 16_000.0, 32_000, 20.0, 0.0, 0.0);
        let times = shaft.passages_s(3.0, 0.0);
        assert!((119..=121).contains(&times.len()), "{}", times.len());
        for pair in times.windows(2) {
            assert!((pair[1] - pair[0] - 1.0 / 60.0).abs() < 1e-9, "{pair:?}");
        }
    }

    #[test]
    fn a_mode_rings_at_its_gain_and_dies_away() {
        let mut out = vec![0.0; 16_000];
        ring(&mut out, &impulses(16_000.0, 16_000, [(0.1, 2.0)]), 16_000.0, 1000.0, 0.01, 0.5);
        let peak = |from: usize, to: usize| out[from..to].iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
        assert_eq!(peak(0, 1600), 0.0);
        assert!((0.9..=1.0).contains(&peak(1600, 1700)), "{}", peak(1600, 1700));
        // Ten decay times later: e^-10.
        assert!(peak(3200, 3300) < 1e-4);
    }

    #[test]
    fn band_noise_keeps_unit_variance() {
        let noise = band_noise(&mut stream(1, "test", 0), 16_000.0, 160_000, 1000.0, 2.0);
        assert!((rms(&noise) - 1.0).abs() < 0.1, "{}", rms(&noise));
    }
}
