//! Networks, one file each, and what they share.
//!
//! Every parameter has the name that PyTorch would give it, so that weights
//! trained here load there and the other way round.

pub mod adamw;
pub mod arcface;
pub mod autoencoder;
pub mod beats;
pub mod below;
pub mod beside;
pub mod ced;
pub mod cmgan;
pub mod conv;
pub mod eat;
pub mod encoder;
pub mod import;
pub mod init;
pub mod kernels;
pub mod linear;
pub mod loss;
mod names;
pub mod norm;
pub mod patches;
pub mod precision;
pub mod pretrained;
pub mod projection;
pub mod resnet;
pub mod torchvision;
pub mod weights;
