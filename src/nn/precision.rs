//! Which number format the heavy products of a network are computed in.

use burn::tensor::{DType, Device, FloatDType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Number format of the operands of convolutions and dense layers; weights, biases, norms and losses stay in f32.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    F32,
    /// 16 bits, 8 of them exponent: the range of f32, two to three digits.
    Bf16,
    /// 16 bits, 5 of them exponent: three to four digits; the loss is scaled so that small gradients survive.
    F16,
}

impl Precision {
    /// Whether a device computes in it.
    pub fn serves(self, device: &Device) -> bool {
        match self {
            Self::F32 => true,
            Self::Bf16 => device.supports_dtype(DType::BF16),
            Self::F16 => device.supports_dtype(DType::F16),
        }
    }

    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// An operand of a product, in this format; its gradient comes back in its own.
    pub(super) fn operand<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x,
            Self::Bf16 => x.cast(FloatDType::BF16),
            Self::F16 => x.cast(FloatDType::F16),
        }
    }

    /// A product's result, in f32 again.
    pub(super) fn result<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x,
            Self::Bf16 | Self::F16 => x.cast(FloatDType::F32),
        }
    }
}
