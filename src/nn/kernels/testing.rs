//! What the kernels' tests share.

use super::conv::lanes::Processor;

/// Values in [-1, 1] that repeat only after more of them than any test uses.
pub fn even(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| draw()).collect()
}

/// Normally distributed values, nearly: sums of 12 evenly distributed ones.
pub fn normal(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..count).map(|_| (0..12).map(|_| draw()).sum::<f32>() - 6.0).collect()
}

/// Every set of instructions at hand.
pub fn processors() -> Vec<Processor> {
    let mut processors = vec![Processor::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        let found = Processor::at_hand();
        if found == Processor::Avx512 {
            processors.push(Processor::Avx512);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            processors.push(Processor::Avx2);
        }
    }
    processors
}
