//! What a pass through the network is for.

use crate::nn::kernels::{Dropout, mixed};

/// What a pass through the network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Running statistics, nothing dropped.
    Evaluate,
    /// Batch statistics and dropout. On an autodiff device the running statistics learn; elsewhere they do not, so that a
    /// pass that is done twice, for its values and for its gradients, counts once.
    Train {
        /// Seed of every mask of the step.
        dropout: u64,
    },
}

impl Pass {
    /// The same pass within part `index` of the network, whose masks are other ones.
    pub fn within(self, index: u64) -> Self {
        match self {
            Self::Evaluate => Self::Evaluate,
            Self::Train { dropout } => Self::Train { dropout: mixed(dropout ^ mixed(index)) },
        }
    }

    /// The masks of a layer, where it has any.
    pub fn dropout(self, probability: f32) -> Option<Dropout> {
        match self {
            Self::Train { dropout } if probability > 0.0 => Some(Dropout { seed: dropout, probability }),
            Self::Train { .. } | Self::Evaluate => None,
        }
    }

    /// Whether batch statistics are used.
    pub fn trains(self) -> bool {
        matches!(self, Self::Train { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_part_has_its_own_masks() {
        let pass = Pass::Train { dropout: 7 };
        let seeds: BTreeSet<u64> = (0..8)
            .flat_map(|block| (0..8).map(move |part| pass.within(block).within(part)))
            .filter_map(|pass| pass.dropout(0.2).map(|dropout| dropout.seed))
            .collect();
        assert_eq!(seeds.len(), 64);
        assert!(Pass::Evaluate.within(3).dropout(0.2).is_none());
        assert!(pass.dropout(0.0).is_none());
    }
}
