//! All integration tests in one program: each one links Burn, which takes minutes.

mod config;
mod conformance;
mod dataset;
