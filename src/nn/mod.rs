//! Networks, one file each, and what they share.
//!
//! Every parameter has the name that PyTorch would give it, so that weights
//! trained here load there and the other way round.

pub mod autoencoder;
pub mod init;
pub mod kernels;
pub mod linear;
pub mod norm;
pub mod weights;
