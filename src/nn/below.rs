//! The rest of a backward pass, where a network is trained in segments.

use std::fmt;

use burn::optim::GradientsParams;
use burn::tensor::Gradients;

/// What goes on below the tensors that a loss's graph ends at: takes the loss's gradients, gives those of the parameters
/// below.
pub struct Below(Box<dyn FnOnce(&mut Gradients) -> Vec<GradientsParams>>);

impl Below {
    /// `go_on` gets the gradients of the loss, among them those at the tensors that its graph ended at.
    pub fn new(go_on: impl FnOnce(&mut Gradients) -> Vec<GradientsParams> + 'static) -> Self {
        Self(Box::new(go_on))
    }

    /// The gradients of the parameters below.
    pub fn gradients(self, of_loss: &mut Gradients) -> Vec<GradientsParams> {
        (self.0)(of_loss)
    }
}

impl fmt::Debug for Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Below")
    }
}
