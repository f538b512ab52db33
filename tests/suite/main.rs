//! All integration tests in one program: each one links Burn, which takes minutes.

mod bad_input;
mod config;
mod conformance;
mod dataset;
mod gpu;
mod pipeline;
mod program;
