//! All integration tests in one program: each one links Burn, which takes minutes.

mod audioset;
mod bad_input;
mod compare;
mod config;
mod conformance;
mod correlate;
mod dataset;
mod extract;
mod families;
mod gpu;
mod import;
mod official;
mod pipeline;
mod pretrained;
mod program;
mod separation;
