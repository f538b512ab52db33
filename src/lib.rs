//! asdbench: does a better proxy task make a better anomaly detector?
//!
//! The library behind the `asdbench` program. The data goes one way, and every
//! arrow is a file that a person can open:
//!
//! ```text
//! TOML -> config -> dataset -> task -> train -> model.safetensors
//!                              task -> features.npz -> score -> scores.csv -> metric -> eval.json
//! ```
//!
//! A room (module) imports only rooms that stand above it here.

pub mod csv_lines;
pub mod faults;
pub mod files;
pub mod npy;
pub mod printable;
pub mod process;
pub mod rng;
pub mod seal;

pub mod audio;
pub mod metric;
pub mod stats;

pub mod linalg;

pub mod nn;

pub mod config;

pub mod dataset;

pub mod official;

pub mod device;

pub mod run;

pub mod task;

pub mod train;

pub mod score;

pub mod fusion;

pub mod report;

pub mod study;

pub mod ui;

pub mod cli;
