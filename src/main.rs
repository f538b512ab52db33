//! The program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Burn restores an optimiser's state on its default device, which in a build with GPU support is a GPU, even for a
    // run on the CPU and where there is none. The state moves to the run's own device with the next step.
    // SAFETY: this program has started no thread yet, and those of OpenBLAS, which its library starts when it is loaded,
    // wait for work and do not look at the environment.
    unsafe { std::env::set_var("BURN_DEVICE", "flex") };
    asdbench::cli::main()
}
