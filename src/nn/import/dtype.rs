//! Number types of tensors, and half precision by hand.

use std::fmt;

/// The type of a tensor's elements in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// `torch.float64`.
    F64,
    /// `torch.float32`.
    F32,
    /// `torch.float16`: IEEE half precision.
    F16,
    /// `torch.bfloat16`: the upper half of an f32.
    Bf16,
    /// `torch.int64`.
    I64,
    /// `torch.int32`.
    I32,
    /// `torch.int16`.
    I16,
    /// `torch.int8`.
    I8,
    /// `torch.uint8`; also a storage's bare bytes.
    U8,
    /// `torch.bool`: one byte, 0 is false.
    Bool,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size_bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Torch's name of the type, such as `float32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::Bool => "bool",
        }
    }

    /// Whether the elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// IEEE 754 binary16 to f32; exact for every value.
pub(super) fn half_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits) & 0x3ff;
    match (exponent, fraction) {
        // Zero and subnormals: fraction · 2^-24, which f32 holds as a normal number.
        (0, _) => f32::from_bits(sign | (fraction as f32 * (-24f32).exp2()).to_bits()),
        (0x1f, _) => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        // The exponents' biases: 127 - 15 = 112.
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// The upper half of an f32; exact for every value.
pub(super) fn bfloat_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the definition, in f64: (-1)^s · 2^(e-15) · (1 + f/1024), for all 65,536 of them.
    #[test]
    fn half_precision_is_as_defined() {
        for bits in 0..=u16::MAX {
            let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
            let (e, f) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
            let expected = match (e, f) {
                (0x1f, 0.0) => sign * f64::INFINITY,
                (0x1f, _) => f64::NAN,
                (0, f) => sign * f * 2f64.powi(-24),
                (e, f) => sign * 2f64.powi(e - 15) * (1.0 + f / 1024.0),
            };
            let got = half_to_f32(bits);
            if expected.is_nan() {
                assert!(got.is_nan(), "{bits:#06x}");
            } else {
                assert_eq!(f64::from(got), expected, "{bits:#06x}");
                assert_eq!(got.is_sign_negative(), bits >> 15 == 1, "{bits:#06x}");
            }
        }
    }

    #[test]
    fn bfloat_is_the_upper_half_of_f32() {
        assert_eq!(bfloat_to_f32(0x3f80), 1.0);
        assert_eq!(bfloat_to_f32(0xc049), -3.140625);
        assert_eq!(bfloat_to_f32(0x0001), f32::from_bits(0x0001_0000));
        assert!(bfloat_to_f32(0x7fc0).is_nan());
    }
}
