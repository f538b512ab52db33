//! The operations in a graph: what their gradients need, and their gradients.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{self, NodeId};
use burn::backend::tensor::FloatTensor;

use super::slices::AdamWStep;
use super::{ConvSteps, EncoderStep, Fused, Kernels, Several};

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let forward = |x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>| {
            <B as Kernels>::linear(x.into_primitive(), weight.into_primitive(), bias.into_primitive())
        };
        match Linear.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = [prep.checkpoint(&x), prep.checkpoint(&weight)];
                prep.finish(state, forward(x, weight, bias))
            }
            OpsKind::UnTracked(prep) => prep.finish(forward(x, weight, bias)),
        }
    }

    fn linear_backward(
        _x: FloatTensor<Self>,
        _weight: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _at_x: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, Option<FloatTensor<Self>>) {
        unreachable!("gradients of gradients are not recorded")
    }

    fn convolution(x: FloatTensor<Self>, weight: FloatTensor<Self>, steps: ConvSteps) -> FloatTensor<Self> {
        match Convolution.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = ([prep.checkpoint(&x), prep.checkpoint(&weight)], steps);
                prep.finish(state, B::convolution(x.into_primitive(), weight.into_primitive(), steps))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::convolution(x.into_primitive(), weight.into_primitive(), steps))
            }
        }
    }

    fn convolution_backward(
        _x: FloatTensor<Self>,
        _weight: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _steps: ConvSteps,
        _at_x: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        unreachable!("gradients of gradients are not recorded")
    }

    fn norm_relu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let prepared =
            NormRelu.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful();
        let ((mean, variance), output) = match prepared {
            OpsKind::Tracked(mut prep) => {
                let states = [prep.checkpoint(&x), prep.checkpoint(&weight), prep.checkpoint(&bias)];
                let inner =
                    B::norm_relu(x.into_primitive(), weight.into_primitive(), bias.into_primitive(), epsilon);
                let (output, mean, variance) = inner;
                let state = (states, mean.clone(), variance.clone(), epsilon);
                ((mean, variance), prep.finish(state, output))
            }
            OpsKind::UnTracked(prep) => {
                let inner =
                    B::norm_relu(x.into_primitive(), weight.into_primitive(), bias.into_primitive(), epsilon);
                let (output, mean, variance) = inner;
                ((mean, variance), prep.finish(output))
            }
        };
        (output, FloatTensor::<Self>::new(mean), FloatTensor::<Self>::new(variance))
    }

    fn norm_relu_backward(
        _x: FloatTensor<Self>,
        _weight: FloatTensor<Self>,
        _bias: FloatTensor<Self>,
        _mean: FloatTensor<Self>,
        _variance: FloatTensor<Self>,
        _epsilon: f64,
        _gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("gradients of gradients are not recorded")
    }

    fn mean_absolute_error(x: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self> {
        match AbsoluteError.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), target.primitive().clone());
                prep.finish(state, B::mean_absolute_error(x.into_primitive(), target.into_primitive()))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::mean_absolute_error(x.into_primitive(), target.into_primitive()))
            }
        }
    }

    fn mean_absolute_error_backward(
        _x: FloatTensor<Self>,
        _target: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        unreachable!("gradients of gradients are not recorded")
    }

    fn fused(
        stretch: Fused,
        inputs: Several<Self>,
        _keep: bool,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>) {
        // The number of parents is part of a step's type.
        let inputs = inputs.0;
        let output = match inputs.len() {
            3 => fused::<B, C, 3>(stretch, inputs),
            4 => fused::<B, C, 4>(stretch, inputs),
            5 => fused::<B, C, 5>(stretch, inputs),
            7 => fused::<B, C, 7>(stretch, inputs),
            8 => fused::<B, C, 8>(stretch, inputs),
            21 => fused::<B, C, 21>(stretch, inputs),
            other => unreachable!("no stretch has {other} inputs"),
        };
        (output, Vec::new())
    }

    fn fused_backward(
        _stretch: Fused,
        _inputs: Several<Self>,
        _kept: Several<Self>,
        _gradient: FloatTensor<Self>,
        _at_first: bool,
    ) -> Vec<Option<FloatTensor<Self>>> {
        unreachable!("gradients of gradients are not recorded")
    }

    fn batch_statistics(x: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (mean, variance) = B::batch_statistics(x.into_primitive());
        (FloatTensor::<Self>::new(mean), FloatTensor::<Self>::new(variance))
    }

    fn encoder(step: EncoderStep, inputs: Several<Self>) -> FloatTensor<Self> {
        let inputs = inputs.0.into_iter().map(FloatTensor::<Self>::into_primitive).collect();
        FloatTensor::<Self>::new(B::encoder(step, Several(inputs)))
    }

    fn adamw(
        _parameter: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _first: FloatTensor<Self>,
        _second: FloatTensor<Self>,
        _step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("an optimiser moves parameters outside the graph")
    }
}

/// A stretch of `N` inputs in the graph.
fn fused<B: Kernels, C: CheckpointStrategy, const N: usize>(
    stretch: Fused,
    inputs: Vec<FloatTensor<Autodiff<B, C>>>,
) -> FloatTensor<Autodiff<B, C>> {
    let parents: [_; N] = std::array::from_fn(|index| inputs[index].node());
    let primitives = |inputs: Vec<FloatTensor<Autodiff<B, C>>>| {
        Several(inputs.into_iter().map(FloatTensor::<Autodiff<B, C>>::into_primitive).collect())
    };
    match Stretch.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let nodes = inputs.iter().map(|input| prep.checkpoint(input)).collect();
            let (output, kept) = B::fused(stretch, primitives(inputs), true);
            prep.finish((stretch, nodes, kept), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(B::fused(stretch, primitives(inputs), false).0),
    }
}

#[derive(Debug)]
struct Stretch;

impl<B: Kernels, const N: usize> Backward<B, N> for Stretch {
    /// Inputs, and what else was kept.
    type State = (Fused, Vec<NodeId>, Vec<FloatTensor<B>>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (stretch, nodes, kept) = ops.state;
        let inputs =
            nodes.into_iter().map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node)).collect();
        let at_first = ops.parents.first().is_some_and(Option::is_some);
        let found = B::fused_backward(stretch, Several(inputs), Several(kept), gradient, at_first);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some((parent, gradient)) = parent.zip(gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct Linear;

impl<B: Kernels> Backward<B, 3> for Linear {
    /// Input and weight.
    type State = [NodeId; 2];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [x, weight] = ops.state.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let [to_x, to_weight, to_bias] = ops.parents;
        // The first layer's input is data and takes none.
        let (of_weight, of_bias, of_x) = B::linear_backward(x, weight, gradient, to_x.is_some());
        for (parent, gradient) in [(to_weight, Some(of_weight)), (to_bias, Some(of_bias)), (to_x, of_x)] {
            if let Some((parent, gradient)) = parent.zip(gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct Convolution;

impl<B: Kernels> Backward<B, 2> for Convolution {
    /// Input and weight.
    type State = ([NodeId; 2], ConvSteps);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (nodes, steps) = ops.state;
        let [x, weight] = nodes.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let [to_x, to_weight] = ops.parents;
        // The first layer's input is data and takes none.
        let (of_weight, of_x) = B::convolution_backward(x, weight, gradient, steps, to_x.is_some());
        for (parent, gradient) in [(to_weight, Some(of_weight)), (to_x, of_x)] {
            if let Some((parent, gradient)) = parent.zip(gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct NormRelu;

impl<B: Kernels> Backward<B, 3> for NormRelu {
    /// Input, weight and bias; mean, variance, epsilon.
    type State = ([NodeId; 3], FloatTensor<B>, FloatTensor<B>, f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (nodes, mean, variance, epsilon) = ops.state;
        let [x, weight, bias] = nodes.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let (of_x, of_weight, of_bias) =
            B::norm_relu_backward(x, weight, bias, mean, variance, epsilon, gradient);
        for (parent, gradient) in ops.parents.into_iter().zip([of_x, of_weight, of_bias]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct AbsoluteError;

impl<B: Kernels> Backward<B, 1> for AbsoluteError {
    /// Input and target.
    type State = (NodeId, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (node, target) = ops.state;
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(node);
        autodiff::ops::unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
            B::mean_absolute_error_backward(x, target, gradient)
        });
    }
}
