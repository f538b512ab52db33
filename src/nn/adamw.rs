//! AdamW: Burn's, and on the CPU the same in one pass over memory instead of fourteen.

use burn::optim::{AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

use super::kernels::{self, AdamWStep};

/// All of AdamW but the learning rate, which comes with each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWSettings {
    /// Decay of the gradient's running mean.
    pub beta1: f64,
    /// Decay of the squared gradient's running mean.
    pub beta2: f64,
    /// Added to the denominator of a step.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

/// The optimiser (Loshchilov and Hutter, arXiv 1711.05101), with Burn's state, which either device resumes.
#[derive(Clone)]
pub struct AdamW {
    stock: burn::optim::AdamW,
    settings: AdamWSettings,
}

impl AdamW {
    /// With no state yet.
    pub fn new(settings: AdamWSettings) -> Self {
        let stock = AdamWConfig::new()
            .with_beta_1(settings.beta1 as f32)
            .with_beta_2(settings.beta2 as f32)
            .with_epsilon(settings.epsilon as f32)
            .with_weight_decay(settings.weight_decay as f32)
            .build();
        Self { stock, settings }
    }

    fn at(&self, lr: f64, time: usize) -> AdamWStep {
        let AdamWSettings { beta1, beta2, epsilon, weight_decay } = self.settings;
        let left = |beta: f64| 1.0 - beta.powf(time as f64);
        AdamWStep {
            decay: (1.0 - lr * weight_decay) as f32,
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            step_size: (lr / left(beta1)) as f32,
            root_correction: (1.0 / left(beta2).sqrt()) as f32,
            epsilon: epsilon as f32,
        }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        if !kernels::serve(&tensor.device()) {
            return self.stock.step(lr, tensor, grad, state);
        }
        let (time, first, second) = match state {
            Some(AdamWState { momentum }) => (momentum.time + 1, momentum.moment_1, momentum.moment_2),
            None => (1, tensor.zeros_like(), tensor.zeros_like()),
        };
        let (tensor, first, second) = kernels::adamw(tensor, grad, first, second, self.at(lr, time));
        (tensor, Some(AdamWState::new(AdaptiveMomentumState::new(time, first, second))))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        burn::optim::AdamW::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PyTorch's formula in f64, three steps, beside both implementations.
    #[test]
    fn steps_are_those_of_the_formula_and_of_burn() {
        let device = Device::flex();
        let settings = AdamWSettings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };
        let ours = AdamW::new(settings);
        let gradients = [[0.5_f32, -2.0, 0.0, 1e-4], [-0.1, -1.0, 0.3, 2e-4], [0.7, 0.0, -0.2, -5e-4]];
        let start = [1.0_f32, -0.5, 0.25, 2.0];
        let tensor = |values: [f32; 4]| Tensor::<1>::from_floats(values, &device);
        let (mut fused, mut stock) = ((tensor(start), None), (tensor(start), None));
        let (mut exact, mut m, mut v) = (start.map(f64::from), [0.0_f64; 4], [0.0_f64; 4]);
        let lr = 1e-2;
        for (step, gradient) in (1..).zip(gradients) {
            fused = ours.step(lr, fused.0, tensor(gradient), fused.1);
            stock = ours.stock.step(lr, stock.0, tensor(gradient), stock.1);
            for i in 0..4 {
                let g = f64::from(gradient[i]);
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let root = (v[i] / (1.0 - 0.999_f64.powi(step))).sqrt() + 1e-8;
                exact[i] = exact[i] * (1.0 - lr * 0.1) - lr * (m[i] / (1.0 - 0.9_f64.powi(step))) / root;
            }
        }
        let host = |tensor: Tensor<1>| tensor.into_data().try_into_vec::<f32>().unwrap();
        let (fused, stock) = (host(fused.0), host(stock.0));
        for i in 0..4 {
            // A few ulps of values near 1; Burn's f32 bias correction is ten times less exact.
            assert!((f64::from(fused[i]) - exact[i]).abs() < 5e-7, "{fused:?} {exact:?}");
            assert!((fused[i] - stock[i]).abs() < 5e-6, "{fused:?} {stock:?}");
        }
    }
}
