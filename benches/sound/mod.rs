//! A clip to time with.

/// A harmonic sound with noise, of full dynamic range: denormals and silence would be timed otherwise.
pub fn machine_noise(rate_hz: u32, duration_s: usize) -> Vec<f32> {
    let mut state = 1_u32;
    (0..duration_s * rate_hz as usize)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            let phase = std::f32::consts::TAU * 120.0 * (n % rate_hz as usize) as f32 / rate_hz as f32;
            0.3 * phase.sin() + 0.1 * (3.0 * phase).sin() + 0.05 * noise
        })
        .collect()
}
