//! All integration tests in one program: each one links Burn, which takes minutes.

mod bad_input;
mod compare;
mod config;
mod conformance;
mod correlate;
mod dataset;
mod families;
mod gpu;
mod official;
mod pipeline;
mod program;
mod separation;
