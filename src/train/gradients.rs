//! What happens to gradients between the backward pass and the optimiser: sums over parts, clipping, loss scaling.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::nn::below::Below;
use crate::nn::precision::Precision;
use crate::task::host;

/// Steps without an overflow after which the loss scale is doubled, and the scale of the first step: as PyTorch's
/// `GradScaler`.
const PATIENCE: usize = 2000;
const FIRST_SCALE: f64 = 65_536.0;

/// The factor that keeps small gradients inside the range of f16 (Micikevicius et al., arXiv 1710.03740).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    scale: f64,
    /// Steps since the last change.
    calm: usize,
}

impl LossScale {
    /// 1 for good where gradients need no help.
    pub fn of(precision: Precision) -> Self {
        let scale = if precision == Precision::F16 { FIRST_SCALE } else { 1.0 };
        Self { scale, calm: 0 }
    }

    /// Note whether a step's gradients were finite; whether there is still a scale to go on with.
    fn learn(&mut self, finite: bool) -> bool {
        self.calm = if finite { self.calm + 1 } else { 0 };
        if !finite {
            self.scale /= 2.0;
        } else if self.calm == PATIENCE {
            (self.scale, self.calm) = (self.scale * 2.0, 0);
        }
        self.scale >= 1.0
    }
}

/// Gradients of the parts of one batch.
pub struct BatchGradients<M> {
    sum: GradientsAccumulator<M>,
    examples: f64,
    parts: usize,
}

impl<M> Default for BatchGradients<M> {
    fn default() -> Self {
        Self { sum: GradientsAccumulator::new(), examples: 0.0, parts: 0 }
    }
}

/// How the gradients of a training are treated.
#[derive(Debug, Clone, Copy)]
pub struct Treatment {
    /// Parts of a full batch.
    pub accumulate: usize,
    /// Longest gradient.
    pub clip_norm: Option<f64>,
    /// Operands of products.
    pub precision: Precision,
}

impl Treatment {
    /// Backward from a part's mean loss over `examples`, and through what lies below its graph.
    pub fn backward<M: Module>(
        self,
        net: &M,
        gathered: &mut BatchGradients<M>,
        (loss, below): (Tensor<1>, Option<Below>),
        examples: f64,
        scale: LossScale,
    ) {
        // Parts weigh by their examples: the last one may be smaller.
        let weight = if self.accumulate > 1 { examples * scale.scale } else { scale.scale };
        let loss = if weight == 1.0 { loss } else { loss.mul_scalar(weight) };
        let mut gradients = loss.backward();
        let of_segments = below.map(|below| below.gradients(&mut gradients)).unwrap_or_default();
        gathered.sum.accumulate(net, GradientsParams::from_grads(gradients, net));
        of_segments.into_iter().for_each(|of| gathered.sum.accumulate(net, of));
        gathered.examples += examples;
        gathered.parts += 1;
    }

    /// The batch's mean gradient, clipped, and none left behind; `None` where the step must be left out, because f16
    /// overflowed.
    ///
    /// # Errors
    /// When the device fails, or f16 overflows whatever the scale.
    pub fn finish<M: Module>(
        self,
        net: &M,
        gathered: &mut BatchGradients<M>,
        scale: &mut LossScale,
    ) -> Result<Option<GradientsParams>, Error> {
        let BatchGradients { mut sum, examples, .. } = std::mem::take(gathered);
        let gradients = sum.grads();
        let count = if self.accumulate > 1 { examples } else { 1.0 };
        let mut factor = 1.0 / (count * scale.scale);
        if self.precision == Precision::F16 || self.clip_norm.is_some() {
            let norm = norm(net, &gradients)? * factor;
            if self.precision == Precision::F16 {
                if !scale.learn(norm.is_finite()) {
                    return Err(Error::Overflow);
                }
                if !norm.is_finite() {
                    return Ok(None);
                }
            }
            if let Some(longest) = self.clip_norm
                && norm > longest
            {
                factor *= longest / norm;
            }
        }
        Ok(Some(if factor == 1.0 { gradients } else { scaled(net, gradients, factor) }))
    }
}

/// Length of the gradient over all parameters.
fn norm<M: Module>(net: &M, gradients: &GradientsParams) -> Result<f64, Error> {
    struct Squares<'a>(&'a GradientsParams, Vec<Tensor<1>>);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.push(gradient.square().sum());
            }
        }
    }
    let mut squares = Squares(gradients, Vec::new());
    net.visit(&mut squares);
    if squares.1.is_empty() {
        return Ok(0.0);
    }
    let squares = host(Tensor::cat(squares.1, 0))?;
    Ok(squares.into_iter().map(f64::from).sum::<f64>().sqrt())
}

fn scaled<M: Module>(net: &M, gradients: GradientsParams, factor: f64) -> GradientsParams {
    struct Scale(GradientsParams, f64);
    impl ModuleVisitor for Scale {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, gradient.mul_scalar(self.1));
            }
        }
    }
    let mut scale = Scale(gradients, factor);
    net.visit(&mut scale);
    scale.0
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::nn::init::Init;
    use crate::nn::linear::Linear;

    fn treatment(accumulate: usize, clip_norm: Option<f64>) -> Treatment {
        Treatment { accumulate, clip_norm, precision: Precision::F32 }
    }

    /// Gradients of a small layer's mean squared output over `parts` of 5 examples.
    fn gradients(parts: &[usize], treatment: Treatment) -> Vec<f32> {
        let device = Device::flex().autodiff();
        let net = Linear::new("l", 3, 2, Init::new(1, &device));
        let x: Vec<f32> = (0..15).map(|n| (n as f32 * 0.7).sin()).collect();
        let x = Tensor::<2>::from_data(TensorData::new(x, [5, 3]), &device);
        let (mut gathered, mut scale) = (BatchGradients::default(), LossScale::of(Precision::F32));
        let mut first = 0;
        for &part in parts {
            let loss = net.forward(x.clone().narrow(0, first, part)).square().mean();
            treatment.backward(&net, &mut gathered, (loss, None), part as f64, scale);
            first += part;
        }
        let found = treatment.finish(&net, &mut gathered, &mut scale).unwrap().unwrap();
        values(&net, &found)
    }

    fn values(net: &Linear, gradients: &GradientsParams) -> Vec<f32> {
        struct Read<'a>(&'a GradientsParams, Vec<f32>);
        impl ModuleVisitor for Read<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.extend(host(self.0.get::<D>(param.id).unwrap()).unwrap());
            }
        }
        let mut read = Read(gradients, Vec::new());
        net.visit(&mut read);
        read.1
    }

    #[test]
    fn parts_of_any_size_give_the_whole_batch_s_gradient() {
        let whole = gradients(&[5], treatment(1, None));
        let parts = gradients(&[2, 3], treatment(2, None));
        assert_eq!(whole.len(), 8);
        for (whole, part) in whole.iter().zip(&parts) {
            // A few roundings of values below 1.
            assert!((whole - part).abs() < 1e-6, "{whole} {part}");
        }
    }

    #[test]
    fn a_long_gradient_is_shortened_and_keeps_its_direction() {
        let whole = gradients(&[5], treatment(1, None));
        let length = whole.iter().map(|g| g * g).sum::<f32>().sqrt();
        let clipped = gradients(&[5], treatment(1, Some(f64::from(length) / 4.0)));
        for (whole, clipped) in whole.iter().zip(clipped) {
            assert!((whole / 4.0 - clipped).abs() < 1e-6, "{whole} {clipped}");
        }
        let kept = gradients(&[5], treatment(1, Some(f64::from(length) * 1.01)));
        assert_eq!(kept, whole);
    }

    #[test]
    fn the_loss_scale_halves_at_an_overflow_and_doubles_in_calm() {
        let mut scale = LossScale::of(Precision::F16);
        assert!(scale.learn(false) && scale.scale == FIRST_SCALE / 2.0);
        assert!((0..PATIENCE).all(|_| scale.learn(true)));
        assert_eq!(scale, LossScale { scale: FIRST_SCALE, calm: 0 });
        assert_eq!((0..40).take_while(|_| scale.learn(false)).count(), 16, "then f16 is of no use");
        assert_eq!(LossScale::of(Precision::Bf16).scale, 1.0);
    }
}
